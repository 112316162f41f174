"""Jobs of the Snakefile for scans: none unless contigs are given, then one encoded genome."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from biocnn.core.errors import InputError
from biocnn.workflow.rules import Workflow

ONE = SimpleNamespace(experiment="one")
BED = """
data: {name: Intervals, genome: results/demo/sequences/genome.fa, positives: results/demo/sequences/peaks.narrowPeak}
model: {name: DeepBind}
"""
TABLE = """
data: {name: Sequences, table: results/demo/sequences/table.tsv}
model: {name: DeepBind}
"""


def workflow(folder: Path, text: str) -> Workflow:
    (folder / "one.yaml").write_text(text)
    return Workflow({"experiments": [str(folder / "one.yaml")]}, folder)


def test_nothing_is_scanned_unless_contigs_are_given(tmp_path: Path) -> None:
    assert workflow(tmp_path, BED).scans(ONE) == []
    assert workflow(tmp_path, BED + "scan: {contigs: null, stride: 5}").scans(ONE) == []


def test_the_genome_of_the_experiment_is_scanned(tmp_path: Path) -> None:
    found = workflow(tmp_path, BED + "scan: {contigs: [chr7, chr8], stride: 5, threshold: 0.9, density: 30}")
    assert found.scans(ONE) == ["results/one/scan"]
    assert [found.scanned_genome(ONE)] == found.genome(ONE)


def test_another_genome_is_encoded_first(tmp_path: Path) -> None:
    found = workflow(tmp_path, TABLE + "scan: {contigs: all, genome: results/demo/sequences/genome.fa}")
    key = Path(found.scanned_genome(ONE)).name
    assert found.fasta(SimpleNamespace(genome=key), []) == "results/demo/sequences/genome.fa"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("", r"scan\.contigs: is missing"),
        ("contigs: all", r"scan\.genome: is missing"),
        ("stride: 0", r"scan\.stride"),
        ("contig: [a]", r"scan\.contig"),
    ],
)
def test_invalid_sections_are_refused(tmp_path: Path, section: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        workflow(tmp_path, TABLE + f"scan: {{{section}}}")
