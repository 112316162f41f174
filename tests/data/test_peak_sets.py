"""Several sets of peaks: the windows they make, and the sets in which each window is bound."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from biocnn.data.peak_sets import label_windows, merge_peaks


def peaks(*rows, strand="."):
    """Return peaks given by start and end, or chrom, start and end."""
    rows = [("a", *row) if len(row) == 2 else row for row in rows]
    table = pd.DataFrame(rows, columns=["chrom", "start", "end"])
    return table.assign(strand=strand, at=(table["start"] + table["end"]) // 2)


def places(*sets, window=100):
    return merge_peaks(sets, window)["at"].tolist()


def windows(*starts, length=100, strand="."):
    return pd.DataFrame({"chrom": "a", "start": starts, "strand": strand}).assign(end=np.array(starts) + length)


def labels(table, *sets):
    return label_windows(table, sets).astype(int).tolist()


def test_centres_within_half_a_window_are_merged():
    assert places(peaks((90, 110)), peaks((140, 160))) == [125]
    assert places(peaks((90, 110)), peaks((141, 161))) == [100, 151]
    assert places(peaks((90, 110), (130, 150), (160, 180))) == [120, 170]  # 100, 140 | 170: chains are limited
    assert places(peaks((90, 110)), peaks(("b", 90, 110))) == [100, 100]


def test_strands_are_separate_only_if_every_peak_has_one():
    plus, minus, none = (peaks((90, 110), strand=sign) for sign in "+-.")
    assert merge_peaks([plus, minus], 100)[["strand", "at"]].to_numpy().tolist() == [["+", 100], ["-", 100]]
    assert merge_peaks([plus, none], 100)[["strand", "at"]].to_numpy().tolist() == [[".", 100]]
    assert labels(windows(50, strand="+"), plus, minus) == [[1, 0]]
    assert labels(windows(50, strand="."), plus, none) == [[1, 1]]


def test_a_window_with_a_centre_is_bound():
    first, second = peaks((140, 160)), peaks((195, 203))
    assert labels(windows(50, 51, 100, 101, 150, 151), first, second) == [
        [0, 0],  # 50 to 149: short by one base
        [1, 0],
        [1, 1],
        [1, 1],
        [1, 1],
        [0, 1],
    ]


def test_a_window_half_covered_by_a_peak_is_bound():
    broad = peaks((1000, 3000))
    assert labels(windows(949, 950, 1500, 2950, 2951), broad) == [[0], [1], [1], [1], [0]]
    assert labels(windows(1000, length=101), peaks((900, 1051))) == [[1]]
    assert labels(windows(1000, length=101), peaks((900, 1050))) == [[0]]


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_labels_equal_the_definition_and_every_peak_is_near_the_centre_of_a_window(seed):
    rng = np.random.default_rng(seed)
    window = int(rng.integers(1, 40))

    def some(n):
        start = rng.integers(0, 300, n)
        ends, contigs = start + rng.integers(0, 80, n), rng.choice(["a", "b"], n).tolist()
        return peaks(*zip(contigs, start, ends, strict=True))

    sets = [some(8), some(3)]
    table = merge_peaks(sets, window)
    table["start"] = table["at"] - window // 2
    table["end"] = table["start"] + window
    for w, found in zip(table.itertuples(), labels(table, *sets), strict=True):
        for one, label in zip(sets, found, strict=True):
            near = [p for p in one.itertuples() if p.chrom == w.chrom]
            holds = any(w.start <= p.at < w.end for p in near)
            covered = any(2 * (min(w.end, p.end) - max(w.start, p.start)) >= window for p in near)
            assert label == (holds or covered)
        assert max(found) == 1
    for p in pd.concat(sets).itertuples():
        assert (abs(table["at"][table["chrom"] == p.chrom] - p.at) <= window // 4 + 1).any()
