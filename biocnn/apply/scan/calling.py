"""Peaks among the windows of a scan: as many as there are sites to be expected, ranked, and how many of them are true.

Held-out examples have another share of positives than a genome: a threshold that parts them well calls mostly false
peaks along a chromosome. So the threshold follows from the density of sites: it lets through about as many peaks as
sites are expected. Of these sites, those are called that a network gives so much: the share of the positives of the
validation part that it does (recall). What is called beyond them is false.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from biocnn.data.sampling import Apart
from biocnn.io.tracks import Peak, Peaks

FALLBACK = 0.5  # threshold, where neither it nor a density is known
KEPT = 1 << 20  # windows that are kept before those that cannot be peaks are dropped
NEIGHBOURS = 3  # cells of a window's length in which windows overlap one in the middle cell


class Ranked(NamedTuple):
    """Peaks in the order in which they were scanned, with what is known of them.

    Parameters
    ----------
    peaks
        Of windows that reach the threshold; those that overlap make one.
    rank
        For each, how many are as high or higher, those before it if as high; 1 is the highest. Shape (n,).
    precision
        For each, the estimated share of true ones among it and those above, shape (n,); nan where that is not known.
    threshold
        Of windows.
    """

    peaks: list[Peak]
    rank: np.ndarray
    precision: np.ndarray
    threshold: float


class Caller:
    """Takes windows as they come, and makes peaks of them once all have come.

    Parameters
    ----------
    window
        Length of a window, in bp.
    threshold
        Windows of at least this value make peaks; None: it follows from ``density``.
    density
        Sites expected, per Mb; None: not known.
    bases
        How many are scanned at most.
    """

    def __init__(self, window: int, threshold: float | None, density: float | None, bases: int) -> None:
        self.window, self.threshold, self.density, self.bases = window, threshold, density, bases
        self.given = threshold is not None
        if threshold is None and density is None:
            self.threshold = FALLBACK
        self._scanned, self._limit, self._bound = 0, KEPT, -np.inf
        self._names: list[str] = []
        self._kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # contigs by number, starts, values
        self._peaks, self._found = Peaks(self.threshold or 0.0, window), []

    def add(self, chrom: str, starts: np.ndarray, values: np.ndarray, stride: int) -> None:
        """The next windows of a contig, in order, and their values; both of shape (n,)."""
        self._scanned += stride * len(starts)
        if self.threshold is not None:
            self._found += self._peaks.add(chrom, starts, values)
            return
        if chrom not in self._names[-1:]:
            self._names.append(chrom)
        high = values >= self._bound
        contigs = np.full(int(high.sum()), len(self._names) - 1)
        self._kept.append((contigs, starts[high], values[high].astype(np.float64)))
        if sum(len(part[1]) for part in self._kept) > self._limit:
            self._drop()

    @property
    def expected(self) -> float:
        """Sites expected where was scanned so far; nan where no density is known."""
        return np.nan if self.density is None else self.density * self._scanned / 1e6

    def end(self, recall: Sequence[float] | None) -> Ranked:
        """All peaks.

        Parameters
        ----------
        recall
            Values that 100%, ..., 0% of held-out positives reach, evenly spaced, ascending; None: not known.
        """
        threshold = self._threshold() if self.threshold is None else self.threshold
        peaks = [*self._found, *self._peaks.end()] if self.threshold is not None else self._peaks_above(threshold)
        values = np.array([peak.value for peak in peaks])
        order = np.argsort(-values, kind="stable")
        rank = np.argsort(order, kind="stable")
        return Ranked(peaks, rank + 1, precision(values[order], self.expected, recall)[rank], threshold)

    def _all(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return tuple(np.concatenate(part) for part in zip(*self._kept, strict=True))

    def _drop(self) -> None:
        """Let go of windows below all thresholds that are still possible: what is to come can only raise it.

        Of the cells of a window's length with some value or more, at least a third have a site of that value.
        """
        contigs, starts, values = self._all()
        cells = np.stack([contigs, starts // self.window])
        first = np.flatnonzero(np.append(True, (np.diff(cells) != 0).any(axis=0)))
        highest = np.maximum.reduceat(values, first)
        wanted = NEIGHBOURS * _sites(self.density * self.bases / 1e6)
        if wanted < len(highest):
            self._bound = float(np.partition(highest, -wanted)[-wanted])
        high = values >= self._bound
        self._kept = [(contigs[high], starts[high], values[high])]
        self._limit = max(KEPT, 2 * int(high.sum()))

    def _threshold(self) -> float:
        """The value of the last window that is taken, from the highest on, none near another, for each site one."""
        if not self._kept or not sum(len(part[1]) for part in self._kept):
            return FALLBACK
        contigs, starts, values = self._all()
        taken, last, left = {}, np.inf, _sites(self.expected)
        for row in np.argsort(-values, kind="stable").tolist():
            apart = taken.setdefault(contigs[row], Apart(self.window))
            if apart.fits(int(starts[row])):
                apart.add(int(starts[row]))
                last, left = values[row], left - 1
                if not left:
                    break
        return float(last)

    def _peaks_above(self, threshold: float) -> list[Peak]:
        if not self._kept:
            return []
        contigs, starts, values = self._all()
        caller, found = Peaks(threshold, self.window), []
        for number in np.unique(contigs):
            here = contigs == number
            found += caller.add(self._names[number], starts[here], values[here])
        return found + caller.end()


def _sites(expected: float) -> int:
    return max(1, round(expected))


def precision(values: np.ndarray, expected: float, recall: Sequence[float] | None) -> np.ndarray:
    """The estimated share of true ones among each peak and all above it; the largest at this rank or below.

    Parameters
    ----------
    values
        Of peaks, shape (n,), from the highest to the lowest.
    expected
        Sites where was scanned.
    recall
        Values that 100%, ..., 0% of held-out positives reach, evenly spaced, ascending.

    Returns
    -------
    precision
        Shape (n,), 0 to 1; nan where recall or the number of sites is not known.
    """
    if recall is None or not len(recall) or np.isnan(expected):
        return np.full(len(values), np.nan)
    levels = np.asarray(recall, float)
    reached = 1 - np.searchsorted(levels, values, side="left") / len(levels)
    called = np.searchsorted(-values, -values, side="right")  # those of the same value together
    found = np.minimum(1.0, expected * reached / np.maximum(called, 1))
    return np.maximum.accumulate(found[::-1])[::-1]
