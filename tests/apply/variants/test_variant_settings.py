"""The section variants of an experiment, how it reaches the step, and the command line."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from small import lines_of, model_of, random_genome, vcf_text

from biocnn.apply.variants.scoring import Ensemble
from biocnn.config.experiment import load
from biocnn.core.errors import InputError
from biocnn.io.fasta import decode
from biocnn.workflow.cli import main
from biocnn.workflow.rules import Workflow

GENOME = random_genome(300)
BASE = decode(GENOME.codes("chr1", 99, 100))
TEXT = vcf_text(f"1 100 . {BASE} {'C' if BASE == 'A' else 'A'} . . .")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "genome.fa").write_text(f">chr1\n{decode(GENOME.data)}\n")
    (tmp_path / "some.vcf").write_text(TEXT)
    (tmp_path / "table.tsv").write_text("sequence\tlabel\nACGT\t1\n")
    return tmp_path


def experiment(folder: Path, variants: str) -> Path:
    path = folder / "some.yaml"
    path.write_text(
        "data: {name: Sequences, table: table.tsv}\nmodel: DeepBind\n"
        f"seed: 3\ntrain: {{threads: 1}}\nvariants: {variants}\n"
    )
    return path


def test_the_rule_depends_on_files_named_in_the_section(folder: Path) -> None:
    path = experiment(folder, "{vcf: some.vcf, genome: genome.fa, offsets: [-10, 0], maps: [rs1, rs 2]}")
    workflow = Workflow({"experiments": [str(path)], "data_root": str(folder)}, folder)
    some = SimpleNamespace(experiment="some")
    assert workflow.file("variants.vcf")(some, []) == str(folder / "some.vcf")
    assert workflow.variants(some) == ["results/some/variants"]
    genome = Path(workflow.variants_genome(some)).name
    assert workflow.fasta(SimpleNamespace(genome=genome), []) == str(folder / "genome.fa")
    assert '"offsets": [-10, 0]' in workflow.depends("seed", "variants")(some)


def test_nothing_runs_without_variants(folder: Path) -> None:
    workflow = Workflow({"experiments": [str(experiment(folder, "{vcf: null}"))], "data_root": str(folder)}, folder)
    assert workflow.variants(SimpleNamespace(experiment="some")) == []


def test_variants_need_a_genome(folder: Path) -> None:
    with pytest.raises(InputError, match=r"variants\.genome: is missing"):
        load(experiment(folder, "{vcf: some.vcf}"), folder)


def test_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = model_of(folder), folder / "out"
    command = ["variants", str(folder / "some.vcf"), str(out), str(model.path), "--genome", str(folder / "genome.fa")]
    assert main([*command, "--offsets=-3,3", "--prefix", "X"]) == 0
    assert "X_bound_DELTA=" in lines_of(out)[-1]
    assert sorted(path.name for path in out.iterdir()) == [
        "counts.tsv", "largest.tsv", "maps.npz", "variants.tsv", "variants.vcf.gz", "variants.vcf.gz.tbi",
    ]  # fmt: skip
    (folder / "some.vcf").write_text(TEXT.replace("1\t100\t", "chr1\t1000\t"))
    before = lines_of(out)
    assert main(command) == 2
    assert "line 3: REF is" in capsys.readouterr().err
    assert lines_of(out) == before, "a failed run must keep existing files"
    assert not list(folder.glob(".out*"))


def test_both_strands_are_refused_for_rna(tmp_path: Path) -> None:
    single = {"name": "DeepBind", "channels": 4, "kernel_size": 7}
    rna, dna = model_of(tmp_path, single, seed=1, alphabet="ACGU"), model_of(tmp_path, single, seed=2)
    assert Ensemble([rna]).turn == [False]
    with pytest.raises(InputError, match="models of RNA, which is single-stranded"):
        Ensemble([rna], strands="both")
    with pytest.raises(InputError, match="models differ in alphabet: ACGU in"):
        Ensemble([rna, dna])
    assert Ensemble([dna], strands="both").turn == [True]
