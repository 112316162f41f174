"""Values of bases from bigWig files: coordinates, strands, bases without a value, scale."""

from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig
import pytest

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data import genome_tracks
from biocnn.data.facts import checked
from biocnn.data.genome_tracks import GenomeTracks
from biocnn.data.raw import Raw
from biocnn.io.fasta import reverse_complement

SEQUENCE = "ACGTTGCAAGCTNNGATTACAGGCATCGAT"  # 30 bp; 12 and 13 are unknown
SIZES = {"chr1": 30, "chr2": 8}
Values = dict[tuple[str, int], float]


def bigwig(path: Path, values: Values, sizes: dict[str, int] = SIZES) -> Path:
    """Write the value of single bases, by contig and position."""
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader(list(sizes.items()))
        for (chrom, at), value in sorted(values.items()):
            handle.addEntries([chrom], [at], ends=[at + 1], values=[float(value)])
    return path


def read(folder: Path, tracks: Any, checks: Checks | None = None, **settings: Any) -> Raw:
    (folder / "genome.fa").write_text(f">chr1\n{SEQUENCE}\n>chr2\nACGTACGT\n")
    for key in settings.keys() & {"regions", "ignore"}:
        lines = ["\t".join(line.split()) for line in settings[key].split(";")]
        settings[key] = folder / f"{key}.bed"
        settings[key].write_text("\n".join(lines) + "\n")
    settings = {"window": 10, "context": 0} | settings
    return checked(GenomeTracks(genome=folder / "genome.fa", tracks=tracks, **settings).read(1, checks or Checks()))


def values_of(raw: Raw, output: int = 0) -> Values:
    """Return the value of each known base of all windows by contig and position."""
    found = {}
    for row, window in raw.examples.iterrows():
        context = raw.facts.context
        y = raw.y(row)[output, context : raw.facts.window - context]
        for position, value in enumerate(y[::-1] if window["strand"] == "-" else y, window["start"]):
            if not np.isnan(value):
                found[window["chrom"], position] = float(value)
    return found


def counted(checks: Checks) -> dict[str, int]:
    return {reason: count for _, _, reason, count, _ in checks.rows}


TRACK = {("chr1", 0): 3.0, ("chr1", 9): 2.0, ("chr1", 10): 1.5, ("chr1", 13): 7.0, ("chr1", 29): 4.0, ("chr2", 7): 5.0}
KNOWN = [*(("chr1", i) for i in range(30) if i not in (12, 13)), *(("chr2", i) for i in range(8))]


@pytest.mark.parametrize("size", [2**22, 19])
def test_values_are_of_their_bases_and_others_are_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(genome_tracks, "READ", size)  # pieces that windows lie across
    checks = Checks()
    raw = read(tmp_path, bigwig(tmp_path / "atac.bw", TRACK), checks, context=3)
    assert (raw.facts.task, raw.facts.outputs, raw.facts.scale) == ("profile", ["atac"], "log1p")
    assert raw.facts.opposite == []
    assert values_of(raw) == {place: TRACK.get(place, 0.0) for place in KNOWN}
    assert raw.y(0).shape == (1, 16)
    assert np.isnan(raw.y(0)[0, [0, 1, 2, -3, -2, -1]]).all()
    assert counted(checks)["bases without a value of atac: 0"] == len(KNOWN) - 5


def test_bases_without_a_value_may_be_unknown(tmp_path: Path) -> None:
    checks = Checks()
    raw = read(tmp_path, bigwig(tmp_path / "phylop.bw", TRACK | {("chr1", 1): -1.0}), checks, uncovered="unknown")
    assert values_of(raw) == {place: value for place, value in (TRACK | {("chr1", 1): -1.0}).items() if place in KNOWN}
    assert raw.facts.scale == "none"
    assert counted(checks)["tracks learned on scale none"] == 1
    assert counted(checks)["bases without a value of phylop: unknown"] == len(KNOWN) - 6


def test_strands_are_swapped_where_a_window_lies_on_the_other_strand(tmp_path: Path) -> None:
    plus, minus = {("chr1", 3): 2.0, ("chr1", 20): 9.0}, {("chr1", 5): -4.0}  # a frequent way to write it
    files = {"plus": bigwig(tmp_path / "p.bw", plus), "minus": bigwig(tmp_path / "m.bw", minus)}
    checks = Checks()
    forward = read(tmp_path, {"chip": files}, checks, regions="chr1 1 9 r 0 +", context=1)
    assert counted(checks)["negative values of the minus strand (chip.minus): sign dropped"] == 1
    assert forward.facts.scale == "log1p"
    backward = read(tmp_path, {"chip": files}, regions="chr1 1 9 r 0 -", context=1)
    assert forward.facts.outputs == ["chip.plus", "chip.minus"]
    assert forward.facts.opposite == [1, 0]
    np.testing.assert_array_equal(backward.x(0), reverse_complement(forward.x(0)))
    np.testing.assert_array_equal(backward.y(0), forward.y(0)[[1, 0], ::-1])
    assert values_of(backward, 0)["chr1", 5] == 4.0
    assert values_of(forward, 0)["chr1", 3] == 2.0


def test_other_spellings_of_contigs_match_and_other_genomes_are_refused(tmp_path: Path) -> None:
    spelled = bigwig(tmp_path / "a.bw", {("1", 3): 2.0}, {"1": 30, "2": 8})
    assert values_of(read(tmp_path, spelled))["chr1", 3] == 2.0
    with pytest.raises(InputError, match="another genome build"):
        read(tmp_path, bigwig(tmp_path / "b.bw", {("chr1", 3): 2.0}, {"chr1": 31}))
    with pytest.raises(InputError, match="has none of the windows' contigs"):
        read(tmp_path, spelled, contig_names="exact")


def test_contigs_that_a_file_lacks_have_no_values(tmp_path: Path) -> None:
    raw = read(tmp_path, bigwig(tmp_path / "a.bw", {("chr1", 3): 2.0}, {"chr1": 30}), uncovered="unknown")
    assert values_of(raw) == {("chr1", 3): 2.0}
    assert len(raw.examples) == 1, "other windows have no known base"


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        ({("chr1", 3): np.inf}, {}, r"a\.bw: an infinite value at chr1:3"),
        ({("chr1", 13): 2.0}, {}, "all values of a are 0 or unknown"),
        ({}, {}, "all values of a are 0 or unknown"),
        ({}, {"uncovered": "unknown"}, "have too many unknown bases, or no known target"),
        ({("chr1", 3): -1.0}, {"scale": "log1p"}, "1 negative value of a"),
        ({("chr1", 3): 1.0}, {"window": 0}, "data.window: must be a whole number >= 1"),
    ],
)
def test_faults_are_named(tmp_path: Path, values: Values, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, bigwig(tmp_path / "a.bw", values), **settings)


def test_names_and_strands_of_tracks_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.bw"
    for tracks, message in (
        ({}, "data.tracks: names no file"),
        ({" ": path}, "as name of a track"),
        ({"chip": {"plus": path}}, "data.tracks.chip: has plus"),
        ({"chip": {"plus": path, "minus": path}, "chip.plus": path}, "two tracks have one name"),
        ({"chip": {"plus": path, "minus": path}}, r"a\.bw is given twice"),
    ):
        with pytest.raises(InputError, match=message):
            read(tmp_path, tracks)
