"""Values along a genome as bigWig, and the peaks among them as narrowPeak; both written as they come."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from biocnn.core.extras import needs


class BigWig:
    """A bigWig file that is being written; see ``write_bigwig``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def add(self, chrom: str, starts: np.ndarray, values: np.ndarray, *, span: int, step: int) -> None:
        """Values of spans of equal length, evenly spaced but for gaps.

        Parameters
        ----------
        chrom
            In the order of the header's contigs.
        starts
            Shape (n,): first base of each span, 0-based, ascending.
        values
            Shape (n,).
        span, step
            Length of a span, and from one to the next; in bp.
        """
        gaps = np.flatnonzero(np.diff(starts) != step) + 1
        for first, last in zip([0, *gaps], [*gaps, len(starts)], strict=True):
            if first < last:  # so that values take four bytes each, without positions
                part = values[first:last].astype(np.float64)
                self._handle.addEntries(chrom, int(starts[first]), values=part, span=span, step=step)


@contextmanager
def write_bigwig(path: Path, contigs: Mapping[str, int]) -> Iterator[BigWig]:
    """Open a bigWig file for writing.

    Parameters
    ----------
    path
        Where it is written; a name that becomes the final one once all is well, see ``biocnn.core.files.atomic``.
    contigs
        Name to length, in bp.
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
    """Overlapping windows with high values: an interval, the middle of the highest window, and its value."""

    chrom: str
    start: int
    end: int
    summit: int
    value: float


@dataclass
class Peaks:
    """Finds peaks among windows that come in order, some at a time.

    Parameters
    ----------
    threshold
        Windows of at least this value count; those that overlap make one peak.
    window
        Their length, in bp.
    """

    threshold: float
    window: int
    _open: Peak | None = None

    def add(self, chrom: str, starts: np.ndarray, values: np.ndarray) -> list[Peak]:
        """Give the next windows of a contig; get the peaks that end before the last of them.

        Parameters
        ----------
        chrom
            Contig; a peak that is still open on another one is over.
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
        """The peak that is still open, if any."""
        found, self._open = [self._open] if self._open else [], None
        return found

    @staticmethod
    def _joined(first: Peak, second: Peak) -> Peak:
        best = second if second.value > first.value else first
        return Peak(first.chrom, first.start, second.end, best.summit, best.value)


def narrowpeak(peak: Peak, name: str, precision: float = float("nan")) -> str:
    """One line of a narrowPeak file; the score is 1000 times the value, from 0 to 1000, the signal the value itself.

    The q-value, -log10 of the share of false ones among this peak and those above, is that of ``precision``, at most 3;
    -1 where it is nan.
    """
    score = round(1000 * min(max(peak.value, 0), 1))
    q = "-1" if np.isnan(precision) else f"{max(0.0, -np.log10(max(1 - precision, 1e-3))):.4g}"
    fields = [peak.chrom, peak.start, peak.end, name, score, ".", f"{peak.value:.6g}", -1, q, peak.summit - peak.start]
    return "\t".join(map(str, fields)) + "\n"
