"""Classes of bases from BED files: coordinates, strands, unknown bases, overlaps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limit
from hypothesis import strategies as st

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.annotated_genome import AnnotatedGenome
from biocnn.data.facts import checked
from biocnn.data.raw import Raw
from biocnn.io.fasta import encode, reverse_complement

SEQUENCE = "ACGTTGCAAGCTNNGATTACAGGCATCGAT"  # 30 bp; 12 and 13 are unknown


def read(folder: Path, classes: dict[str, str], checks: Checks | None = None, **settings: Any) -> Raw:
    """Read a genome with one contig of 30 bp and one of 8 bp; intervals are given as text, "chrom start end"."""
    (folder / "genome.fa").write_text(f">chr1\n{SEQUENCE}\n>chr2\nACGTACGT\n")
    paths = {name: _bed(folder / f"{name}.bed", text) for name, text in classes.items()}
    for key in settings.keys() & {"regions", "ignore"}:
        settings[key] = _bed(folder / f"{key}.bed", settings[key])
    settings = {"window": 10, "context": 0} | settings
    reader = AnnotatedGenome(genome=folder / "genome.fa", classes=paths, **settings)
    return checked(reader.read(1, checks or Checks()))


def _bed(path: Path, text: str) -> Path:
    path.write_text("".join("\t".join(line.split()) + "\n" for line in text.split(";")))
    return path


def classes_of(raw: Raw) -> dict[tuple[str, int], int]:
    """Return the class of each known base of all windows by contig and position."""
    found = {}
    for row, window in raw.examples.iterrows():
        y = raw.y(row)[raw.facts.context : len(raw.y(row)) - raw.facts.context]
        y = y[::-1] if window["strand"] == "-" else y
        for position, value in enumerate(y, window["start"]):
            if value != 255:
                assert (window["chrom"], position) not in found, "each base once"
                found[window["chrom"], position] = int(value)
    return found


def test_intervals_are_half_open_and_from_0(tmp_path: Path) -> None:
    raw = read(tmp_path, {"site": "chr1 0 2; chr1 9 11; chr2 7 8"})
    assert raw.facts.task == "mask"
    assert raw.facts.outputs == ["site"]
    found = classes_of(raw)
    assert {place for place, value in found.items() if value} == {
        ("chr1", 0), ("chr1", 1), ("chr1", 9), ("chr1", 10), ("chr2", 7),
    }  # fmt: skip
    assert set(found) == {("chr1", i) for i in range(30) if i not in (12, 13)} | {("chr2", i) for i in range(8)}
    assert raw.examples["group"].tolist() == ["chr1"] * 3 + ["chr2"]


intervals = st.lists(st.tuples(st.integers(0, 26), st.integers(1, 6)), min_size=1, max_size=6)


@limit(max_examples=15)
@given(one=intervals, other=intervals, window=st.integers(3, 40), context=st.integers(0, 9), extend=st.integers(0, 3))
def test_classes_agree_with_a_plain_definition(
    tmp_path_factory: pytest.TempPathFactory, one: list, other: list, window: int, context: int, extend: int
) -> None:
    files = {"a": one, "b": other}
    texts = {name: ";".join(f"chr1 {start} {start + length}" for start, length in each) for name, each in files.items()}
    inside = {
        name: {i for start, length in each for i in range(start - extend, start + length + extend)}
        for name, each in files.items()
    }
    expected = {i: 1 if i in inside["a"] else 2 if i in inside["b"] else 0 for i in range(30) if i not in (12, 13)}
    settings = {"overlaps": "first", "window": window, "context": context, "extend": extend, "max_unknown": 0.99}
    if set(expected.values()) != {0, 1, 2}:
        with pytest.raises(InputError, match="no known base is of class"):
            read(tmp_path_factory.mktemp("bed"), texts, contigs=["chr1"], **settings)
        return
    raw = read(tmp_path_factory.mktemp("bed"), texts, contigs=["chr1"], **settings)
    assert classes_of(raw) == {("chr1", i): value for i, value in expected.items()}
    for row, start in enumerate(raw.examples["start"]):
        assert len(raw.x(row)) == len(raw.y(row)) == window + 2 * context
        for at, code in enumerate(raw.x(row), start - context):
            assert code == (encode(SEQUENCE)[at] if 0 <= at < 30 else 4)


def test_a_region_on_the_other_strand_is_the_reverse_complement_with_its_map(tmp_path: Path) -> None:
    sites, region = {"site": "chr1 3 5 s 0 +"}, "chr1 1 10 r 0"
    forward = read(tmp_path, sites, regions=f"{region} +", context=2)
    backward = read(tmp_path, sites, regions=f"{region} -", context=2)
    assert forward.y(0).tolist() == [255, 255, 0, 0, 1, 1, 0, 0, 0, 0, 0, 255, 255, 255]
    np.testing.assert_array_equal(backward.x(0), reverse_complement(forward.x(0)))
    np.testing.assert_array_equal(backward.y(0), forward.y(0)[::-1])
    assert classes_of(forward) == classes_of(backward)


def test_overlapping_regions_are_merged_and_what_lies_outside_is_unknown(tmp_path: Path) -> None:
    raw = read(tmp_path, {"site": "chr1 4 6"}, regions="chr1 20 28; chr1 2 8; chr1 5 9", ignore="chr1 22 24")
    assert set(classes_of(raw)) == {("chr1", i) for i in (*range(2, 9), 20, 21, *range(24, 28))}


def test_bases_in_two_classes_are_refused_or_resolved(tmp_path: Path) -> None:
    files = {"exon": "chr1 2 6", "repeat": "chr1 20 25; chr1 5 8"}
    with pytest.raises(InputError) as caught:
        read(tmp_path, files)
    assert "repeat.bed line 2: chr1:5-8 (repeat) overlaps an interval of class exon" in str(caught.value)
    assert "data.overlaps: first" in str(caught.value)
    raw = read(tmp_path, files, overlaps="first")
    assert raw.facts.outputs == ["background", "exon", "repeat"]
    assert [classes_of(raw)["chr1", i] for i in range(1, 9)] == [0, 1, 1, 1, 1, 2, 2, 0]
    checks = Checks()
    unknown = classes_of(read(tmp_path, files, checks, overlaps="unknown"))
    assert ("chr1", 5) not in unknown
    assert unknown["chr1", 4], unknown["chr1", 6] == (1, 2)
    counts = {reason: count for _, _, reason, count, _ in checks.rows}
    assert counts["bases in intervals of two classes: unknown"] == 1
    assert (counts["bases of class exon"], counts["bases of class repeat"]) == (3, 7)


def test_other_spellings_of_contigs_match_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    assert classes_of(read(tmp_path, {"site": "1 3 5"}))["chr1", 4] == 1
    with pytest.raises(InputError, match=r"site\.bed line 2: contig 'chr7' is not in"):
        read(tmp_path, {"site": "chr1 3 5; chr7 3 5"})
    checks = Checks()
    read(tmp_path, {"site": "chr1 3 5; chr7 3 5"}, checks, unknown_contigs="skip")
    assert any("contigs that the genome lacks" in reason and count == 1 for _, _, reason, count, _ in checks.rows)


def test_windows_with_many_unknown_bases_are_dropped_and_blocks_are_groups(tmp_path: Path) -> None:
    checks = Checks()
    raw = read(tmp_path, {"site": "chr1 3 5"}, checks, window=4, max_unknown=0.25, block=8)
    assert raw.examples["id"].tolist()[:3] == ["chr1:-1-3(+)", "chr1:3-7(+)", "chr1:7-11(+)"]
    assert "chr1:11-15(+)" not in set(raw.examples["id"])
    assert raw.examples["group"].tolist()[:4] == ["chr1:0", "chr1:0", "chr1:0", "chr1:1"]
    dropped = [(reason, count) for _, outcome, reason, count, _ in checks.rows if outcome == "dropped"]
    assert ("more than 25% unknown bases", 1) in dropped


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "data.window: must be a whole number >= 1"),
        ({"context": -1}, "data.context: must be"),
        ({"max_unknown": 1.0}, "data.max_unknown: must be a number >= 0 and < 1"),
        ({"contigs": ["chr9"]}, "contig 'chr9' is not in"),
        ({"contigs": []}, "data.contigs: an empty list"),
        ({"regions": "chr2 0 8"}, "site.bed: no known base is of class site"),
        ({"ignore": "chr1 0 30; chr2 0 8"}, "have too many unknown bases"),
    ],
)
def test_faults_are_named(tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, {"site": "chr1 3 5"}, **settings)


def test_names_of_classes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="background is the class of bases in no interval"):
        read(tmp_path, {"background": "chr1 3 5"})
    with pytest.raises(InputError, match="names 0 classes"):
        read(tmp_path, {})
    for name in (" ", "a\tb"):
        with pytest.raises(InputError, match="as name of a class"):
            read(tmp_path, {name: "chr1 3 5"})
