"""A signal, tracks beside the bases of windows: read, counted, refused, and cut for alleles and for both strands."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bigwigs import bigwig

from biocnn import models
from biocnn.apply.variants.windows import cut, signal_of
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.facts import read
from biocnn.data.genome_tracks import GenomeTracks
from biocnn.data.intervals import Intervals
from biocnn.data.signal import Signal, measure_signal, standardised
from biocnn.io.genome import Genome
from biocnn.nn.encode import encoded, one_hot, reverse_complement
from biocnn.nn.strands import flip


def ramp(folder: Path, sizes: dict[str, int]) -> Path:
    """Write a track in which the value of each base is its position."""
    return bigwig(folder / "ramp.bw", {name: np.arange(size, dtype=float) for name, size in sizes.items()})


def intervals(folder: Path, lines: str, **settings: Any) -> Intervals:
    """Return a reader of windows of 10 bp, and 2 bp on either side; ``lines`` are chrom, start, end, strand, label."""
    (folder / "genome.fa").write_text(f">chr1\n{'ACGTC' * 12}\n>chr2\n{'TTGAC' * 12}\n")
    rows = [line.split() for line in lines.split(";")]
    bed = [(chrom, start, end, "x", label, strand) for chrom, start, end, strand, label in rows]
    (folder / "windows.bed").write_text("".join("\t".join(row) + "\n" for row in bed))
    given = {"intervals": folder / "windows.bed", "targets": {"y": 5}, "window": 10, "flank": 2} | settings
    return Intervals(genome=folder / "genome.fa", **given)


def test_a_track_turns_with_its_window_and_has_no_value_beyond_contigs(tmp_path: Path) -> None:
    # Contigs are matched by name, as in other bigWig files; the track lacks chr2.
    reader = intervals(
        tmp_path,
        "chr1 20 30 + 0; chr1 20 30 - 1; chr1 0 10 + 0; chr2 20 30 + 1",
        signal={"r": ramp(tmp_path, {"1": 60})},
    )
    checks = Checks()
    raw = read(reader, 1, checks)
    assert (raw.facts.signal, raw.facts.in_channels) == (["r"], 5)
    nothing = [np.nan] * 2
    expected = [[*range(18, 32)], [*range(31, 17, -1)], [*nothing, *range(12)], [np.nan] * 14]
    np.testing.assert_array_equal([raw.signal(row)[0] for row in range(4)], expected)
    found = {reason: count for source, _, reason, count, _ in checks.rows if source == "data.signal.r"}
    assert found["windows without any value, coded as the mean"] == 1


def test_a_track_beside_bases_lies_on_their_targets(tmp_path: Path) -> None:
    """A copy of the targets of each base has their values, and is noted."""
    (tmp_path / "genome.fa").write_text(f">chr1\n{'ACGTC' * 12}\n")
    (tmp_path / "regions.bed").write_text("chr1\t10\t40\tx\t0\t-\n")
    tracks, checks = ramp(tmp_path, {"chr1": 60}), Checks()
    (tmp_path / "copy.bw").write_bytes(tracks.read_bytes())
    given = {"regions": tmp_path / "regions.bed", "window": 10, "context": 12}
    source = {"genome": tmp_path / "genome.fa", "tracks": {"y": tracks}, "signal": {"s": tmp_path / "copy.bw"}}
    raw = read(GenomeTracks(**source, **given), 1, checks)
    for row in range(3):
        known = ~np.isnan(raw.truth(row)[0])
        assert known.sum() == 10
        np.testing.assert_array_equal(raw.signal(row)[0, known], raw.truth(row)[0, known])
        step = np.diff(raw.signal(row)[0])
        assert set(step[~np.isnan(step)]) == {-1.0}
    assert "r = 1.000 with y: is the track the target itself?" in [row[2] for row in checks.rows]


@pytest.mark.parametrize(
    ("track", "words"),
    [
        ([1, 2, 1, 2, np.nan, np.nan, np.nan, np.nan], "presence alone separates them, AUROC 1.00"),
        ([0, 0, 0, 0, 5, 5, 5, 5], "r = 1.000 with y: is the track the target itself?"),
        ([1, 2, 1, 2, 1, 2, 1, 2], ""),
    ],
)
def test_a_track_that_gives_the_label_away_is_noted(tmp_path: Path, track: list[float], words: str) -> None:
    lines = "; ".join(f"chr{1 + i // 4} {15 * (i % 4)} {15 * (i % 4) + 10} + {i // 4}" for i in range(8))
    values = {f"chr{k + 1}": np.repeat(np.array(track[4 * k : 4 * k + 4], float), 15) for k in (0, 1)}
    checks = Checks()
    read(intervals(tmp_path, lines, signal={"t": bigwig(tmp_path / "t.bw", values)}), 1, checks)
    notes = "; ".join(row[2] for row in checks.rows if row[0] == "data.signal.t" and "coded as" not in row[2])
    assert notes.endswith(words)
    assert bool(notes) == bool(words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"signal": {}}, "data.signal: names no file"),
        ({"signal": {"a=b": "t.bw"}}, "data.signal: 'a=b' as name of a track"),
        ({"signal": {"t": "t.bw"}, "targets": {"y": "t.bw"}}, "data.signal.t: .*t.bw is a target"),
        ({"signal": {"t": "t.bw"}, "block": 20}, "none of the windows' contigs|has no value in any window"),
    ],
)
def test_tracks_that_cannot_be_used_are_refused(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    empty = {"chr1": np.full(60, np.nan), "chr2": np.array([*[np.nan] * 59, 1.0])}
    track = bigwig(tmp_path / "t.bw", empty)
    given = {
        key: {name: track if path == "t.bw" else path for name, path in value.items()} if key != "block" else value
        for key, value in settings.items()
    }
    with pytest.raises(InputError, match=words):
        read(intervals(tmp_path, "chr1 20 30 + 0; chr1 40 50 + 1", **given), 1, Checks())


def test_a_track_is_standardised_on_the_scale_of_its_logarithm(tmp_path: Path) -> None:
    values = {"chr1": np.arange(60.0), "chr2": np.full(60, -1.0)}
    given = {"signal": {"t": bigwig(tmp_path / "t.bw", values)}, "signal_scale": "log1p"}
    raw = read(intervals(tmp_path, "chr1 20 30 + 0; chr1 40 50 - 1", **given), 1, Checks())
    ((track,),) = measure_signal(raw, [np.array([True, False])])
    expected = np.log1p(np.arange(20.0, 30))
    assert (track.mean, track.sd) == (pytest.approx(expected.mean()), pytest.approx(expected.std()))
    found = standardised([track], np.array([[19.0, np.nan]]))
    np.testing.assert_allclose(found, [[(np.log(20) - expected.mean()) / expected.std(), 0]], rtol=1e-5)
    with pytest.raises(InputError, match="log1p, but t has the value -1 in chr2:20-30"):
        read(intervals(tmp_path, "chr1 20 30 + 0; chr2 20 30 + 1", **given), 1, Checks())
    with pytest.raises(InputError, match="log1p, but there is no"):
        intervals(tmp_path, "chr1 20 30 + 0", signal_scale="log1p")


class Ramp(Signal):
    """A track in which the value of each base is its position."""

    def __init__(self, genome: Genome) -> None:
        self.genome = genome

    def windows(self, table: pd.DataFrame, aside: int = 0) -> np.ndarray:
        return np.array(
            [[range(start, end)] for start, end in zip(table["start"], table["end"], strict=True)], np.float32
        )


def test_alleles_keep_the_values_of_their_bases() -> None:
    genome = Genome(np.zeros(60, np.uint8), {"chr1": 60}, {}, "genome.fa")
    signal = Ramp(genome)
    cases = [(30, "A", "C"), (30, "", "GG"), (29, "AC", ""), (30, "A", "TTT")]
    for kept in ("left", "right"):
        contig, start = np.zeros(len(cases), int), np.array([case[0] for case in cases])
        alleles = [case[1] for case in cases], [case[2] for case in cases]
        pair = cut(genome, contig, start, *alleles, 9, 0, kept)
        assert pair[0].shape == (4, 9)
        reference, alternative = (tracks[:, 0] for tracks in signal_of(signal, contig, start, *alleles, 9, 0, kept))
        np.testing.assert_array_equal(np.diff(reference, axis=1), 1)
        inserted = {
            "left": [[26, 27, 28, 29, 29, 29, 30, 31, 32], [26, 27, 28, 31, 32, 33, 34, 35, 36]],
            "right": [[27, 28, 29, 29, 29, 30, 31, 32, 33], [23, 24, 25, 26, 27, 28, 31, 32, 33]],
        }[kept]
        np.testing.assert_array_equal(alternative[0], reference[0])
        np.testing.assert_array_equal(alternative[1:3], inserted)
        assert alternative[3].tolist().count(30) == 3


@pytest.mark.parametrize("name", ["DeepBind", "Basset", "DilatedResNet", "DanQ", "BPNet", "UNet", "FCN"])
def test_networks_that_read_both_strands_give_both_the_same_logits(name: str) -> None:
    network = getattr(models, name)(1, 6, 2, strands="both").eval()
    codes = torch.randint(0, 4, (3, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    x = encoded(codes, torch.randn(3, 2, 64, generator=torch.Generator().manual_seed(1)))
    other = flip(x)
    np.testing.assert_array_equal(other[:, 4:], x[:, 4:].flip(2))  # a track turns, and bases are complemented
    np.testing.assert_array_equal(other[:, :4], one_hot(reverse_complement(codes)))
    one, two = network(x), network(other)
    torch.testing.assert_close(two.flip(2) if two.ndim == 3 else two, one, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network(torch.cat([x[:, :4], x[:, 4:] + 1], 1)), one, atol=1e-4)
