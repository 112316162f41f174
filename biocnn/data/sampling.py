"""Windows drawn from a genome, outside what is closed to them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biocnn.data.fasta import UNKNOWN
from biocnn.data.genome import Genome

ROUNDS = 20  # of drawing windows, before what is found has to do
NOWHERE = np.iinfo(np.int64).min  # left of all windows, some of which begin before their contig
BINS = 101  # of GC content, 1% each


@dataclass(frozen=True)
class Stretch:
    """A part of a contig, 0-based, half-open."""

    chrom: str
    start: int
    end: int


@dataclass(frozen=True)
class Background:
    """Where windows may be drawn from.

    Parameters
    ----------
    genome
        The genome.
    closed
        Intervals that no window may touch: chrom, start, end.
    window
        Length of the windows, in bp.
    max_unknown
        Largest share of unknown bases in a window.
    """

    genome: Genome
    closed: pd.DataFrame
    window: int
    max_unknown: float

    def draw(self, stretch: Stretch, wanted: int, rng: np.random.Generator) -> np.ndarray:
        """Starts of up to ``wanted`` windows within a stretch, none twice, all with the same probability."""
        starts = np.empty(0, np.int64)
        for batch, _ in self._batches(stretch, wanted, rng):
            starts = np.concatenate([starts, batch])[:wanted]
            if len(starts) == wanted:
                break
        return starts

    def draw_gc(self, stretch: Stretch, goal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Starts of windows whose GC content fills the histogram ``goal`` of shape (101,), or comes nearest."""
        need, taken, spare = goal.copy(), [], []
        for starts, codes in self._batches(stretch, 2 * int(goal.sum()), rng):
            bins = gc_percent(codes)
            counts = np.bincount(bins, minlength=BINS)
            order = np.argsort(bins, kind="stable")
            rank = np.empty(len(bins), np.int64)  # among the windows of the same GC content
            rank[order] = np.arange(len(bins)) - (np.cumsum(counts) - counts)[bins[order]]
            fits = rank < need[bins]
            need -= np.minimum(need, counts)
            taken.append(starts[fits])
            spare.append(np.stack([starts[~fits], bins[~fits]]))
            if not need.any():
                break
        left = np.concatenate([np.empty((2, 0), np.int64), *spare], axis=1)
        for content in np.flatnonzero(need):
            near = np.argsort(np.abs(left[1] - content), kind="stable")
            taken.append(left[0, near[: need[content]]])
            left = left[:, near[need[content] :]]
        return np.concatenate([np.empty(0, np.int64), *taken])

    def _batches(
        self, stretch: Stretch, wanted: int, rng: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Starts and bases of windows that may be taken; a bounded number of batches, so this always ends."""
        first, size = self._free(stretch)
        ends, total = np.cumsum(size), int(size.sum())
        few = total <= 8 * wanted  # then all of them are looked at
        seen = np.empty(0, np.int64)
        contig = self.genome.names.index(stretch.chrom)
        for _ in range(1 if few else ROUNDS):
            drawn = rng.permutation(total) if few else rng.integers(0, total, 2 * wanted + 16)
            drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]  # each once, in the order drawn
            drawn = drawn[~np.isin(drawn, seen)]
            seen = np.concatenate([seen, drawn])
            run = np.searchsorted(ends, drawn, side="right")
            starts = first[run] + drawn - (ends - size)[run]
            codes = self.genome.windows(np.full(len(starts), contig), starts, self.window)
            known = (codes == UNKNOWN).mean(axis=1) <= self.max_unknown
            yield starts[known], codes[known]

    def _free(self, stretch: Stretch) -> tuple[np.ndarray, np.ndarray]:
        """Runs of window starts that touch nothing closed: where each begins, and how many it has."""
        near = self.closed[self.closed["chrom"] == stretch.chrom].sort_values("start")
        last = stretch.end - self.window + 1
        blocked_from = near["start"].to_numpy() - self.window + 1
        blocked_to = np.maximum.accumulate(near["end"].to_numpy())
        first = np.maximum(np.concatenate([[stretch.start], blocked_to]), stretch.start)
        size = np.minimum(np.concatenate([blocked_from, [last]]), last) - first
        return first[size > 0], size[size > 0]


def gc_percent(codes: np.ndarray) -> np.ndarray:
    """GC content of the known bases of each row of shape (N, L), rounded to whole percent."""
    known = np.maximum((codes < UNKNOWN).sum(axis=1), 1)
    return np.rint(100 * ((codes == 1) | (codes == 2)).sum(axis=1) / known).astype(np.int64)


def overlaps(intervals: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Which of the intervals (chrom, start, end) share a base with any of the others: shape (N,), bool."""
    found = np.zeros(len(intervals), bool)
    for chrom, rows in intervals.groupby("chrom", sort=False).indices.items():
        there = others[others["chrom"] == chrom].sort_values("start")
        # Of the others that start before an interval ends, the one that reaches furthest decides.
        reach = np.maximum.accumulate(np.array([NOWHERE, *there["end"]], np.int64))
        before = np.searchsorted(there["start"].to_numpy(), intervals["end"].to_numpy()[rows])
        found[rows] = reach[before] > intervals["start"].to_numpy()[rows]
    return found
