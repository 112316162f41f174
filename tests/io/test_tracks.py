"""Round trips of bigWig files, and peaks are the runs of overlapping windows above a threshold."""

from pathlib import Path

import numpy as np
import pyBigWig
from hypothesis import given
from hypothesis import strategies as st

from biocnn.io.bed import read_bed
from biocnn.io.tracks import Peak, Peaks, narrowpeak, write_bigwig

WINDOW = 7


def test_bigwig_read_back_equals_what_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = {"chrI": rng.random(400).astype(np.float32), "chrIII": rng.random(3).astype(np.float32)}
    starts = {"chrI": 5 + 10 * np.flatnonzero(rng.random(450) < 0.95)[:400], "chrIII": np.array([0, 10, 40])}
    with write_bigwig(tmp_path / "some.bw", {"chrI": 5000, "chrII": 30, "chrIII": 50}) as track:
        for chrom, places in starts.items():
            for first in range(0, len(places), 90):
                part = slice(first, first + 90)
                track.add(chrom, places[part], values[chrom][part], span=10, step=10)
        track.add("chrIII", np.zeros(0, int), np.zeros(0), span=10, step=10)
    with pyBigWig.open(str(tmp_path / "some.bw")) as found:
        assert found.chroms() == {"chrI": 5000, "chrII": 30, "chrIII": 50}
        assert found.intervals("chrII") is None
        for chrom, places in starts.items():
            rows = np.array(found.intervals(chrom))
            np.testing.assert_array_equal(rows[:, 0], places)
            np.testing.assert_array_equal(rows[:, 1], places + 10)
            np.testing.assert_array_equal(rows[:, 2].astype(np.float32), values[chrom])


def test_spans_may_have_gaps(tmp_path: Path) -> None:
    with write_bigwig(tmp_path / "some.bw", {"chrI": 500}) as track:
        track.add("chrI", np.array([10, 210, 410]), np.array([0.5, 0.25, 1]), span=50, step=200)
    with pyBigWig.open(str(tmp_path / "some.bw")) as found:
        assert found.intervals("chrI") == ((10, 60, 0.5), (210, 260, 0.25), (410, 460, 1.0))


def test_known_peaks() -> None:
    starts = np.arange(0, 100, 5)
    values = np.zeros(20)
    values[[2, 3]] = 0.6, 0.8  # windows at 10 and 15 overlap
    values[[10, 12]] = 0.5, 0.9  # 50 and 60 do not
    caller = Peaks(0.5, WINDOW)
    found = caller.add("chrI", starts, values) + caller.add("chrII", starts[:1], np.ones(1)) + caller.end()
    assert found == [
        Peak("chrI", 10, 22, 18, 0.8), Peak("chrI", 50, 57, 53, 0.5), Peak("chrI", 60, 67, 63, 0.9),
        Peak("chrII", 0, 7, 3, 1.0),
    ]  # fmt: skip
    assert caller.end() == []


def plain(starts: np.ndarray, values: np.ndarray, threshold: float) -> list[Peak]:
    """Return peaks, computed one window after another."""
    found: list[Peak] = []
    for start, value in zip(starts.tolist(), values.tolist(), strict=True):
        if value < threshold:
            continue
        new = Peak("c", start, start + WINDOW, start + WINDOW // 2, value)
        if found and start < found[-1].end:
            best = new if value > found[-1].value else found[-1]
            found[-1] = Peak("c", found[-1].start, new.end, best.summit, best.value)
        else:
            found.append(new)
    return found


@given(st.data())
def test_peaks_do_not_depend_on_chunks(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    starts = np.cumsum(rng.integers(1, 2 * WINDOW, data.draw(st.integers(0, 60))))
    values = rng.integers(0, 10, len(starts)) / 10
    caller, found, first = Peaks(0.5, WINDOW), [], 0
    while first < len(starts):
        number = data.draw(st.integers(1, 20))
        found += caller.add("c", starts[first : first + number], values[first : first + number])
        first += number
    assert found + caller.end() == plain(starts, values, 0.5)


def test_peaks_are_read_as_narrowpeak(tmp_path: Path) -> None:
    peaks = [Peak("chrI", 10, 22, 18, 0.8125), Peak("chrII", 0, 7, 3, 1.0), Peak("chrII", 9, 16, 12, -2.5)]
    (tmp_path / "peaks.narrowPeak").write_text("".join(narrowpeak(peak, f"a b-{i}") for i, peak in enumerate(peaks)))
    found = read_bed(tmp_path / "peaks.narrowPeak")
    assert found[["chrom", "start", "end", "summit", "score"]].to_numpy().tolist() == [list(peak) for peak in peaks]
    assert set(found["strand"]) == {"."}
    scores = [line.split("\t")[4] for line in (tmp_path / "peaks.narrowPeak").read_text().splitlines()]
    assert scores == ["812", "1000", "0"]
