"""The step scan: tracks hold the predictions of the models, and memory is bounded."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from tiny import sequence_facts

from biocnn.apply.scan import step
from biocnn.apply.scan.step import scan_genome
from biocnn.config.schema import choose
from biocnn.io.bed import read_bed
from biocnn.io.fasta import decode
from biocnn.io.genome import Genome, read_genome, write_genome
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.metadata import Metadata
from biocnn.workflow.cli import main

WINDOW, STRIDE = 24, 5
PROCESS = """
from pathlib import Path
import sys
import numpy as np
import torch
from biocnn.io.genome import Genome
from biocnn.prediction.model import Model
from biocnn.apply.scan.step import scan_genome
def peak():  # in bytes; unlike getrusage, of this process alone, not of the one that started it
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
torch.set_num_threads(1)
model, out = Model(sys.argv[1], "cpu"), Path(sys.argv[2])
codes = np.random.default_rng(1).integers(0, 4, 3_000_000, np.uint8)
for length in (300_000, 3_000_000):
    out.joinpath(str(length)).mkdir()
    scan_genome(Genome(codes[:length], {"c": length}, {}, "drawn"), [model], out / str(length))
    print(peak())
"""


def saved(folder: Path, seed: int = 1, recall: list | None = None, **more: Any) -> Path:
    """Return the file of an untrained network with two outputs."""
    told = {"task": "multilabel", "outputs": ["a/b", "c"], "alphabet": "ACGT", "window": WINDOW, "flank": 0}
    facts = sequence_facts(**told | more)
    section = choose("models", {"name": "DeepBind", "kernel_size": 7, "strands": "both"}, "model")
    torch.manual_seed(seed)
    network = build_model(section, facts)
    experiment = {"model": section.model_dump(mode="json"), "data": {"max_unknown": 0.25}, "train": {"threads": 1}}
    meta = Metadata(experiment=experiment, facts=facts, recall=recall)
    save_model(folder / f"{seed}.safetensors", network, meta)
    return folder / f"{seed}.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [saved(folder, 1), saved(folder, 2)]


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return three contigs, one of them too short, one with a stretch of unknown bases."""
    rng, path = np.random.default_rng(2), tmp_path_factory.mktemp("genome") / "some.fa"
    codes = {name: rng.integers(0, 4, n).astype(np.uint8) for name, n in (("chrI", 3000), ("chrII", 20), ("chrM", 500))}
    codes["chrI"][1000:1100] = 4
    path.write_text("".join(f">{name}\n{decode(bases)}\n" for name, bases in codes.items()))
    return path


def mean(models: list[Path], genome: Genome, chrom: str) -> tuple[np.ndarray, np.ndarray]:
    """Return starts of windows with enough known bases, and the mean prediction, window by window."""
    starts = np.arange(0, genome.contigs[chrom] - WINDOW + 1, STRIDE)
    codes = np.stack([genome.codes(chrom, at, at + WINDOW) for at in starts])
    known = (codes == 4).mean(1) <= 0.25
    return starts[known], np.mean([Model(path, "cpu").predict(codes[known]) for path in models], axis=0)


@pytest.mark.parametrize("encoded", [False, True], ids=["fasta", "folder"])
@pytest.mark.parametrize("rows", [step.ROWS, 50])
def test_tracks_hold_the_mean_of_the_models(
    tmp_path: Path, models: list[Path], fasta: Path, encoded: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "ROWS", rows)
    source, genome = fasta, read_genome(fasta)
    if encoded:
        source = tmp_path / "encoded"
        write_genome(fasta, source)
    wanted = {chrom: mean(models, genome, chrom) for chrom in ("chrI", "chrM")}
    threshold = float(np.quantile(wanted["chrI"][1], 0.9, axis=0).min())
    options = [f"--stride={STRIDE}", f"--threshold={threshold}"]
    assert main(["scan", str(source), str(tmp_path / "out"), *map(str, models), *options]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "counts.tsv", "peaks.a_b.narrowPeak", "peaks.c.narrowPeak", "scan.a_b.bw", "scan.c.bw",
    ]  # fmt: skip
    counts = pd.read_csv(tmp_path / "out" / "counts.tsv", sep="\t").set_index("outcome")["count"]
    windows = sum((genome.contigs[chrom] - WINDOW) // STRIDE + 1 for chrom in wanted)
    assert counts["read"] == windows
    assert counts["dropped"] == windows - sum(len(starts) for starts, _ in wanted.values()) > 0
    for k, name in enumerate(["a_b", "c"]):
        peaks = read_bed(tmp_path / "out" / f"peaks.{name}.narrowPeak")
        with pyBigWig.open(str(tmp_path / "out" / f"scan.{name}.bw")) as track:
            assert track.chroms() == genome.contigs
            assert track.intervals("chrII") is None
            for chrom, (starts, probability) in wanted.items():
                found = np.array(track.intervals(chrom))
                np.testing.assert_array_equal(found[:, 0], starts + (WINDOW - STRIDE) // 2)
                np.testing.assert_array_equal(found[:, 1] - found[:, 0], STRIDE)
                np.testing.assert_allclose(found[:, 2], probability[:, k], atol=1e-5)
                high = starts[probability[:, k] >= threshold]
                here = peaks[peaks["chrom"] == chrom]
                inside = (here["start"].to_numpy() <= high[:, None]) & (
                    high[:, None] + WINDOW <= here["end"].to_numpy()
                )
                assert (inside.sum(1) == 1).all()
                highest = probability[np.isin(starts, here["summit"] - WINDOW // 2), k]
                np.testing.assert_allclose(here["score"], highest, atol=1e-5)


def test_chosen_contigs(tmp_path: Path, models: list[Path], fasta: Path) -> None:
    genome, loaded = read_genome(fasta), [Model(models[0], "cpu")]
    checks = scan_genome(genome, loaded, tmp_path, contigs=["chrM", "chrII"], stride=300, threshold=0)
    with pyBigWig.open(str(tmp_path / "scan.c.bw")) as track:
        assert [row[:2] for row in track.intervals("chrM")] == [(0, 24), (300, 324)]
        assert track.intervals("chrI") is None
    assert [row[1:4:2] for row in checks.rows] == [("read", 2), ("made", 2), ("made", 2)]
    assert len(read_bed(tmp_path / "peaks.c.narrowPeak")) == 2


def test_chosen_contigs_may_have_other_names(tmp_path: Path, models: list[Path], fasta: Path) -> None:
    genome, loaded = read_genome(fasta), [Model(models[0], "cpu")]
    checks = scan_genome(genome, loaded, tmp_path, contigs=["MT", "2"], stride=300, threshold=0)
    with pyBigWig.open(str(tmp_path / "scan.c.bw")) as track:
        assert [row[:2] for row in track.intervals("chrM")] == [(0, 24), (300, 324)]
    assert checks.rows[0] == ("scan", "repaired", "contig names", 2, "MT -> chrM, 2 -> chrII")


def test_the_threshold_follows_the_density_of_the_training_data(tmp_path: Path, fasta: Path) -> None:
    """There are 2000 and 4000 sites per Mb on 3500 bp; scores of held-out positives are known for the first output."""
    levels = np.linspace(0, 1, 101).tolist()
    models = [Model(saved(tmp_path, seed, density=[2000.0, 4000.0], recall=[levels, []]), "cpu") for seed in (1, 2)]
    checks = scan_genome(read_genome(fasta), models, tmp_path, stride=STRIDE).frame().set_index("reason")["count"]
    made = checks[checks.index.str.startswith("peaks of")]
    assert (made.to_numpy()[:2] <= [7, 14]).all()
    assert (made.to_numpy()[:2] >= [4, 7]).all()
    assert checks["expected sites of a/b, at 2000 per Mb"] == 7
    lines = [line.split("\t") for line in (tmp_path / "peaks.a_b.narrowPeak").read_text().splitlines()]
    assert sorted(line[3] for line in lines) == sorted(f"a/b-{rank}" for rank in range(1, len(lines) + 1))
    highest = min(lines, key=lambda line: int(line[3].split("-")[1]))
    assert float(highest[6]) == max(float(line[6]) for line in lines)
    true = 1 - 10 ** -float(min(lines, key=lambda line: float(line[8]))[8])
    assert checks["estimated true peaks of a/b"] == pytest.approx(true * len(lines), abs=0.6)
    assert any(reason.startswith("peaks of c with unknown precision") for reason in checks.index)
    assert "-1" in (tmp_path / "peaks.c.narrowPeak").read_text().split("\n")[0].split("\t")[8]
    (tmp_path / "fewer").mkdir()
    fewer = scan_genome(read_genome(fasta), models, tmp_path / "fewer", stride=STRIDE, density=300)
    assert [row[3] for row in fewer.rows if row[1] == "made"] == [1, 1]


def test_only_one_strand_of_rna_is_read_and_this_is_reported(tmp_path: Path, fasta: Path) -> None:
    model = Model(saved(tmp_path, alphabet="ACGU"), "cpu")
    found = scan_genome(read_genome(fasta), [model], tmp_path, contigs=["chrM"]).frame()
    assert found["reason"].str.contains("models of RNA read only the \\+ strand").any()


def test_a_single_output_needs_no_name(tmp_path: Path, fasta: Path) -> None:
    model = saved(tmp_path, outputs=["bound"], out_channels=1, task="binary")
    assert main(["scan", str(fasta), str(tmp_path / "out"), str(model), "--contigs=chrM"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"counts.tsv", "peaks.narrowPeak", "scan.bw"}


def test_peaks_of_values_need_a_threshold(tmp_path: Path, fasta: Path) -> None:
    model = saved(tmp_path, outputs=["expression"], out_channels=1, task="regression")
    for name, options, message in (
        (
            "alone",
            [],
            "output without peaks, because values and classes have no default threshold (expression): set threshold",
        ),
        ("given", ["--threshold=-1000"], "peaks of expression: windows of -1000 or more"),
        ("dense", ["--density=3000"], "expected sites of expression, at 3000 per Mb"),
    ):
        out = tmp_path / name
        assert main(["scan", str(fasta), str(out), str(model), *options]) == 0
        assert (out / "scan.bw").exists()
        assert (out / "peaks.narrowPeak").exists() == bool(options)
        assert message in pd.read_csv(out / "counts.tsv", sep="\t")["reason"].str.cat(sep="\n")


def test_each_output_has_its_own_file(tmp_path: Path, fasta: Path) -> None:
    model = Model(saved(tmp_path, outputs=["a/b", "a b"]), "cpu")
    scan_genome(read_genome(fasta), [model], tmp_path, contigs=["chrM"])
    assert {path.name for path in tmp_path.glob("*.bw")} == {"scan.1-a_b.bw", "scan.2-a_b.bw"}


def test_unsuitable_models_and_genomes_are_refused(
    tmp_path: Path, models: list[Path], fasta: Path, capsys: pytest.CaptureFixture
) -> None:
    longer, free = saved(tmp_path, 3, window=30), saved(tmp_path, 4, window=None)
    for paths, options, message in (
        ([], [], "no model given"),
        ([free], [], "no window to scan with"),
        ([models[0], longer], [], "the models differ in window: 24 in"),
        (models, ["--contigs=chrI,chrX"], "scan.contigs: contig 'chrX' is not in"),
        (models, ["--contigs=chrII"], "all contigs are shorter than a window of 24 bp"),
        (models, ["--stride=0"], "stride: must be a whole number >= 1"),
        (models, ["--density=0"], "density: must be a number > 0 and <= 1,000,000"),
        (models, ["--density=nan"], "density: must be a number > 0"),
    ):
        out = tmp_path / "out"
        assert main(["scan", str(fasta), str(out), *map(str, paths), *options]) == 2, message
        assert message in capsys.readouterr().err
        assert not out.exists()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not report memory use")
def test_memory_does_not_grow_with_the_genome(tmp_path: Path, models: list[Path]) -> None:
    command = [sys.executable, "-c", PROCESS, str(models[0]), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    small, large = map(int, done.stdout.split())
    assert large - small < 50e6, "one-hot windows would take 0.5 GB"
