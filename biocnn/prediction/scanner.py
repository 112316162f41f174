"""Prediction of windows along a chromosome, block by block."""

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn

from biocnn.core.errors import InputError, nearest
from biocnn.io.genome import Genome
from biocnn.nn.words import network_of
from biocnn.prediction.sliding import slides

log = logging.getLogger("biocnn")

Along = Callable[[str, int, int], np.ndarray]  # tracks of an interval as a network receives them, (S, bases)


class Scanner:
    """A scan with one network, over whole stretches if the network allows it, else window by window.

    Parameters
    ----------
    network
        Network in evaluation mode.
    predict
        Maps codes of windows, (window,) each, and their tracks, (n, S, window), or None, to probabilities (n, K).
    probability
        Maps logits (n, K) to probabilities.
    rows
        Maps the length of a window to the batch size.
    window
        Length of a window, in bp; None for models trained on sequences of any length.

    Raises
    ------
    InputError
        If the model has no window.
    """

    def __init__(
        self,
        network: nn.Module,
        predict: Callable[[Sequence[np.ndarray], np.ndarray | None], np.ndarray],
        probability: Callable[[Tensor], np.ndarray],
        rows: Callable[[int], int],
        window: int | None,
    ) -> None:
        if not window:
            raise InputError(
                "the model has no window to scan with", "scan with a model that was trained on windows of one length"
            )
        self.predict, self.probability, self.window = predict, probability, window
        self.rows, self.sliding = rows(window), slides(network, window)
        if self.sliding is None:
            name = type(network_of(network)).__name__
            log.info("scan: window by window, because %s (windows of %d bp) cannot run over stretches", name, window)

    def scan(
        self,
        genome: Genome,
        chrom: str,
        start: int = 0,
        end: int | None = None,
        *,
        stride: int,
        along: Along | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predict every window of an interval.

        Parameters
        ----------
        genome
            Genome from ``read_genome`` (a FASTA file) or ``open_genome`` (an encoded folder, of which only the bases
            needed are read).
        chrom, start, end
            Interval in bp, 0-based and half-open; the whole contig by default. Bases beyond the ends of the contig are
            unknown. The first window begins at ``start``, and no window extends beyond ``end``.
        stride
            Distance between the starts of windows, in bp.
        along
            Tracks of an interval, for networks that need some.

        Yields
        ------
        starts, probability
            First base of each window, (n,), and its prediction, (n, K), for a block of windows. Nothing if the interval
            is shorter than a window.

        Raises
        ------
        InputError
            If the genome has no such contig, or the stride is below 1.
        """
        check_scan(genome, chrom, stride)
        end = genome.contigs[chrom] if end is None else end
        return self._blocks(genome, chrom, range(start, end - self.window + 1, stride), along)

    def _blocks(
        self, genome: Genome, chrom: str, starts: range, along: Along | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        together = self.sliding is not None and starts.step < self.window  # else windows do not overlap
        rows = self.sliding.rows(starts.step) if together else self.rows
        for first in range(0, len(starts), rows):
            block = starts[first : first + rows]
            if together:
                yield np.array(block), self._stretch(genome, chrom, block)
            else:
                yield np.array(block), self._each(genome, chrom, block, along)

    def _stretch(self, genome: Genome, chrom: str, starts: range) -> np.ndarray:
        codes = torch.from_numpy(genome.codes(chrom, starts[0], starts[-1] + self.window))
        if codes.max() > 5:  # ambiguous bases, which the word table does not contain
            return self._each(genome, chrom, starts, None)
        return self.probability(self.sliding.logits(codes.to(self.sliding.table.device), starts.step))

    def _each(self, genome: Genome, chrom: str, starts: range, along: Along | None) -> np.ndarray:
        contig = np.full(len(starts), genome.names.index(chrom))
        windows = list(genome.windows(contig, np.array(starts), self.window))
        return self.predict(windows, along and signal_of(along, chrom, starts, self.window))


def signal_of(along: Along, chrom: str, starts: range, window: int) -> np.ndarray:
    """Return the tracks of evenly spaced windows: shape (n, S, window)."""
    stretch = along(chrom, starts[0], starts[-1] + window)
    return sliding_window_view(stretch, window, axis=1)[:, :: starts.step].swapaxes(0, 1)


def check_scan(genome: Genome, chrom: str, stride: int) -> None:
    """Refuse an unknown contig, and a stride below 1."""
    if chrom not in genome.contigs:
        raise InputError(f"{genome.source} has no contig {chrom!r}", nearest(chrom, genome.names))
    if stride < 1:
        raise InputError(f"stride is {stride}", "give a whole number of bp, at least 1")
