"""Write values along a genome as bigWig and their peaks as narrowPeak, in a streaming fashion."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from biocnn.core.extras import needs


class BigWig:
    """A bigWig file open for writing; see ``write_bigwig``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def add(self, chrom: str, starts: np.ndarray, values: np.ndarray, *, span: int, step: int) -> None:
        """Add values of spans of equal length, evenly spaced except for gaps.

        Parameters
        ----------
        chrom
            Contig; contigs come in the order of the header.
        starts
            Shape (n,): first base of each span, 0-based, ascending.
        values
            Shape (n,).
        span, step
            Length of a span, and distance between starts of neighbouring spans, in bp.
        """
        gaps = np.flatnonzero(np.diff(starts) != step) + 1
        for first, last in zip([0, *gaps], [*gaps, len(starts)], strict=True):
            if first < last:  # fixed-step blocks, which take four bytes per value, without positions
                part = values[first:last].astype(np.float64)
                self._handle.addEntries(chrom, int(starts[first]), values=part, span=span, step=step)


@contextmanager
def write_bigwig(path: Path, contigs: Mapping[str, int]) -> Iterator[BigWig]:
    """Open a bigWig file for writing.

    Parameters
    ----------
    path
        File to write; usually a temporary name, see ``biocnn.core.files.atomic``.
    contigs
        Length in bp by name.
    """
    with needs("genomics", f"{path}: writing bigWig"):
        import pyBigWig

    handle = pyBigWig.open(str(path), "w")
    try:
        handle.addHeader(list(contigs.items()))
        yield BigWig(handle)
    finally:
        handle.close()


class Peak(NamedTuple):
    """Overlapping windows with high values: interval, centre of the highest window, and its value."""

    chrom: str
    start: int
    end: int
    summit: int
    value: float


@dataclass
class Peaks:
    """Finds peaks in windows that are added in order, in batches.

    Parameters
    ----------
    threshold
        Smallest value of a window in a peak; overlapping windows form one peak.
    window
        Length of the windows in bp.
    """

    threshold: float
    window: int
    _open: Peak | None = None

    def add(self, chrom: str, starts: np.ndarray, values: np.ndarray) -> list[Peak]:
        """Add the next windows of a contig; return the peaks completed by them.

        Parameters
        ----------
        chrom
            Contig; an open peak on another contig is completed.
        starts, values
            Shape (n,): first base of each window, ascending, and its value.
        """
        rows = np.flatnonzero(values >= self.threshold)
        if not len(rows):
            return []
        starts, values = starts[rows], values[rows]
        cuts = np.flatnonzero(np.diff(starts) >= self.window) + 1
        found = []
        for first, last in zip([0, *cuts], [*cuts, len(starts)], strict=True):
            best = first + int(values[first:last].argmax())
            peak = Peak(
                chrom, int(starts[first]), int(starts[last - 1]) + self.window, int(starts[best]) + self.window // 2,
                float(values[best]),
            )  # fmt: skip
            if self._open and self._open.chrom == chrom and peak.start < self._open.end:
                peak = self._joined(self._open, peak)
            elif self._open:
                found.append(self._open)
            self._open = peak
        return found

    def end(self) -> list[Peak]:
        """Return the open peak, if any."""
        found, self._open = [self._open] if self._open else [], None
        return found

    @staticmethod
    def _joined(first: Peak, second: Peak) -> Peak:
        best = second if second.value > first.value else first
        return Peak(first.chrom, first.start, second.end, best.summit, best.value)


def narrowpeak(peak: Peak, name: str, precision: float = float("nan")) -> str:
    """Format a line of a narrowPeak file; the signal is the value, the score 1000 times the value, within 0-1000.

    The q-value is -log10(1 - ``precision``), at most 3, where ``precision`` is the fraction of true peaks among this
    one and those above it; -1 if it is NaN.
    """
    score = round(1000 * min(max(peak.value, 0), 1))
    q = "-1" if np.isnan(precision) else f"{max(0.0, -np.log10(max(1 - precision, 1e-3))):.4g}"
    fields = [peak.chrom, peak.start, peak.end, name, score, ".", f"{peak.value:.6g}", -1, q, peak.summit - peak.start]
    return "\t".join(map(str, fields)) + "\n"
