"""Call peaks among the windows of a scan: as many as expected sites, ranked, with an estimate of their precision.

Held-out examples have a larger fraction of positives than a genome: a threshold that separates them well calls mostly
false peaks along a chromosome. The threshold therefore follows from the density of sites, so that about as many peaks
as expected sites are called. The fraction of sites called at a value is estimated by the fraction of positives of
the validation split that reach it (recall). All further peaks are false.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from biocnn.data.sampling import Apart
from biocnn.io.tracks import Peak, Peaks

FALLBACK = 0.5  # threshold if neither threshold nor density is known
KEPT = 1 << 20  # number of windows kept before those that cannot be peaks are dropped
NEIGHBOURS = 3  # number of window-sized cells whose windows can overlap one in the middle cell


class Ranked(NamedTuple):
    """Peaks in scanning order, with rank and precision.

    Parameters
    ----------
    peaks
        Peaks of windows that reach the threshold; overlapping windows form one peak.
    rank
        Rank of each peak, shape (n,); 1 is the highest, and ties are ranked in order.
    precision
        Estimated fraction of true peaks among each peak and all above it, shape (n,); NaN if unknown.
    threshold
        Threshold of windows.
    """

    peaks: list[Peak]
    rank: np.ndarray
    precision: np.ndarray
    threshold: float


class Caller:
    """Collects windows in order, and calls peaks at the end.

    Parameters
    ----------
    window
        Length of a window in bp.
    threshold
        Smallest value of a window in a peak; None to derive it from ``density``.
    density
        Expected sites per Mb; None if unknown.
    bases
        Maximum number of bases to scan.
    """

    def __init__(self, window: int, threshold: float | None, density: float | None, bases: int) -> None:
        self.window, self.threshold, self.density, self.bases = window, threshold, density, bases
        self.given = threshold is not None
        if threshold is None and density is None:
            self.threshold = FALLBACK
        self._scanned, self._limit, self._bound = 0, KEPT, -np.inf
        self._names: list[str] = []
        self._kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # contig indices, starts, values
        self._peaks, self._found = Peaks(self.threshold or 0.0, window), []

    def add(self, chrom: str, starts: np.ndarray, values: np.ndarray, stride: int) -> None:
        """Add the next windows of a contig, in order, and their values; both of shape (n,)."""
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
        """Expected sites in the bases scanned so far; NaN if the density is unknown."""
        return np.nan if self.density is None else self.density * self._scanned / 1e6

    def end(self, recall: Sequence[float] | None) -> Ranked:
        """Return all peaks.

        Parameters
        ----------
        recall
            Values reached by 100%, ..., 0% of held-out positives, evenly spaced, ascending; None if unknown.
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
        """Drop windows below any threshold that is still possible: further windows can only raise it.

        At least a third of the window-sized cells that contain some value or more have a site of that value.
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
        """Return the value of the last of the highest non-overlapping windows, one per expected site."""
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
    """Estimate the fraction of true peaks among each peak and all above it; the maximum at this rank or below.

    Parameters
    ----------
    values
        Values of peaks, shape (n,), in descending order.
    expected
        Expected sites in the scanned bases.
    recall
        Values reached by 100%, ..., 0% of held-out positives, evenly spaced, ascending.

    Returns
    -------
    precision
        Shape (n,), 0 to 1; NaN if recall or the number of sites is unknown.
    """
    if recall is None or not len(recall) or np.isnan(expected):
        return np.full(len(values), np.nan)
    levels = np.asarray(recall, float)
    reached = 1 - np.searchsorted(levels, values, side="left") / len(levels)
    called = np.searchsorted(-values, -values, side="right")  # ties together
    fractions = np.minimum(1.0, expected * reached / np.maximum(called, 1))
    return np.maximum.accumulate(fractions[::-1])[::-1]
