"""Random windows of a genome that avoid given intervals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biocnn.io.fasta import UNKNOWN
from biocnn.io.genome import Genome

ROUNDS = 20  # most batches of random windows
BINS = 101  # bins of GC content, 1% each


@dataclass(frozen=True)
class Stretch:
    """An interval of a contig, 0-based, half-open."""

    chrom: str
    start: int
    end: int


@dataclass(frozen=True)
class Background:
    """Regions to draw windows from.

    Parameters
    ----------
    genome
        Genome of the windows.
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
        """Draw the starts of up to ``wanted`` distinct windows within a stretch, uniformly among those left.

        Windows do not overlap each other until no room is left.
        """
        apart = Apart(self.window)
        for batch, _ in self._batches(stretch, wanted, rng, apart):
            for start in batch.tolist():
                if len(apart.starts) < wanted and apart.fits(start):
                    apart.add(start)
            if len(apart.starts) == wanted:
                break
        starts = np.array(apart.starts, np.int64)
        if len(starts) < wanted:
            for batch, _ in self._batches(stretch, wanted, rng):
                starts = np.concatenate([starts, batch[~np.isin(batch, starts)]])[:wanted]
                if len(starts) == wanted:
                    break
        return starts

    def draw_gc(self, stretch: Stretch, goal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the starts of windows whose GC content matches the histogram ``goal`` of shape (101,).

        Windows do not overlap each other while enough of the required GC content are found; then overlaps are allowed;
        then the nearest GC content is used.
        """
        need, apart = goal.copy(), Apart(self.window)
        for starts, codes in self._batches(stretch, 2 * int(goal.sum()), rng, apart):
            for start, content in zip(starts.tolist(), gc_percent(codes).tolist(), strict=True):
                if need[content] and apart.fits(start):
                    apart.add(start)
                    need[content] -= 1
            if not need.any():
                break
        taken, spare = [np.array(apart.starts, np.int64)], []
        if need.any():
            for starts, codes in self._batches(stretch, 2 * int(goal.sum()), rng):
                fresh = ~np.isin(starts, taken[0])
                starts, bins = starts[fresh], gc_percent(codes)[fresh]
                counts = np.bincount(bins, minlength=BINS)
                order = np.argsort(bins, kind="stable")
                rank = np.empty(len(bins), np.int64)  # rank among windows of the same GC content
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
        return np.concatenate(taken)

    def _batches(
        self, stretch: Stretch, wanted: int, rng: np.random.Generator, apart: "Apart | None" = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield starts and bases of candidate windows, none of which overlaps those in ``apart``.

        The number of batches is limited, so the generator always ends.
        """
        contig, seen, few = self.genome.names.index(stretch.chrom), np.empty(0, np.int64), False
        for _ in range(ROUNDS):
            first, size = self._free(stretch, apart.starts if apart else [])
            ends, total = np.cumsum(size), int(size.sum())
            few = total <= 8 * wanted  # then all of them are examined
            drawn = rng.permutation(total) if few else rng.integers(0, total, 2 * wanted + 16)
            run = np.searchsorted(ends, drawn, side="right")
            starts = first[run] + drawn - (ends - size)[run]
            starts = starts[np.sort(np.unique(starts, return_index=True)[1])]  # without duplicates, in the order drawn
            starts = starts[~np.isin(starts, seen)]
            seen = np.concatenate([seen, starts])
            codes = self.genome.windows(np.full(len(starts), contig), starts, self.window)
            known = (codes == UNKNOWN).mean(axis=1) <= self.max_unknown
            yield starts[known], codes[known]
            if few:
                break

    def _free(self, stretch: Stretch, taken: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return runs of window starts that touch nothing closed or taken: first start and number of starts."""
        closed, taken = self.closed[self.closed["chrom"] == stretch.chrom], np.array(taken, np.int64)
        start = np.concatenate([closed["start"].to_numpy(np.int64), taken])
        end = np.concatenate([closed["end"].to_numpy(np.int64), taken + self.window])
        order = np.argsort(start, kind="stable")
        last = stretch.end - self.window + 1
        blocked_from = start[order] - self.window + 1
        blocked_to = np.maximum.accumulate(end[order])
        first = np.maximum(np.concatenate([[stretch.start], blocked_to]), stretch.start)
        size = np.minimum(np.concatenate([blocked_from, [last]]), last) - first
        return first[size > 0], size[size > 0]


class Apart:
    """Starts of windows of equal length that do not overlap each other."""

    def __init__(self, window: int) -> None:
        self.window, self.starts = window, []
        self._cells: dict[int, int] = {}  # by cell of one window length: the only start in it

    def fits(self, start: int) -> bool:
        """Check that a window overlaps none of those added."""
        cell = start // self.window
        near = (self._cells.get(other) for other in (cell - 1, cell, cell + 1))
        return all(other is None or abs(other - start) >= self.window for other in near)

    def add(self, start: int) -> None:
        """Add a window that fits."""
        self.starts.append(start)
        self._cells[start // self.window] = start


def gc_percent(codes: np.ndarray) -> np.ndarray:
    """Return the GC content of the known bases of each row of shape (N, L), rounded to whole percent."""
    known = np.maximum((codes < UNKNOWN).sum(axis=1), 1)
    return np.rint(100 * ((codes == 1) | (codes == 2)).sum(axis=1) / known).astype(np.int64)


def overlaps(intervals: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Find the intervals (chrom, start, end) that share a base with any of the others: shape (N,), bool."""
    found = np.zeros(len(intervals), bool)
    for chrom, rows in intervals.groupby("chrom", sort=False).indices.items():
        there = others[others["chrom"] == chrom]
        found[rows] = overlapping(*(one[["start", "end"]].to_numpy() for one in (intervals.iloc[rows], there)))
    return found


def overlapping(windows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Find the windows that share a base with at least one of the others.

    Parameters
    ----------
    windows, others
        0-based half-open, shape (N, 2) and (M, 2).

    Returns
    -------
    overlapping
        Bool, shape (N,).
    """
    if not len(others):
        return np.zeros(len(windows), bool)
    others = others[np.argsort(others[:, 0], kind="stable")]
    furthest = np.maximum.accumulate(others[:, 1])  # largest end up to this one
    before = np.searchsorted(others[:, 0], windows[:, 1], side="left")  # others that start before the window ends
    return (before > 0) & (furthest[before - 1] > windows[:, 0])


def crowded(intervals: pd.DataFrame) -> np.ndarray:
    """Find the intervals (chrom, start, end) that share a base with another of them: shape (N,), bool."""
    found = np.zeros(len(intervals), bool)
    for rows in intervals.groupby("chrom", sort=False).indices.values():
        start, end = (intervals[name].to_numpy()[rows] for name in ("start", "end"))
        order = np.argsort(start, kind="stable")
        touches = start[order][1:] < np.maximum.accumulate(end[order])[:-1]
        # An interval that overlaps a later one overlaps the next one.
        found[rows[order[1:]]] |= touches
        found[rows[order[:-1]]] |= start[order][1:] < end[order][:-1]
    return found
