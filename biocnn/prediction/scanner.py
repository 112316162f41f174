"""Windows along a chromosome, predicted in order, holding some at a time."""

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError, nearest
from biocnn.io.genome import Genome
from biocnn.prediction.sliding import slides

log = logging.getLogger("biocnn")


class Scanner:
    """Scans with one network: over stretches at once where it can, else window by window.

    Parameters
    ----------
    network
        In evaluation mode, as it predicts.
    predict
        Codes of windows, (window,) each, to probabilities (n, K).
    probability
        Logits (n, K) to probabilities.
    rows
        Length of a window to how many of them go at a time.
    window
        Length of a window, in bp; None for a model that was trained on sequences of any length, or on images.

    Raises
    ------
    InputError
        Where there is no window.
    """

    def __init__(
        self,
        network: nn.Module,
        predict: Callable[[Sequence[np.ndarray]], np.ndarray],
        probability: Callable[[Tensor], np.ndarray],
        rows: Callable[[int], int],
        window: int | None,
    ) -> None:
        if not window:
            raise InputError(
                "this model has no window to scan with", "scan with a model that was trained on windows of one length"
            )
        self.predict, self.probability, self.window = predict, probability, window
        self.rows, self.sliding = rows(window), slides(network, window)
        if self.sliding is None:
            name = type(network).__name__
            log.info("scan: window by window, for %s of windows of %d bp cannot be run over stretches", name, window)

    def scan(
        self, genome: Genome, chrom: str, start: int = 0, end: int | None = None, *, stride: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predict every window of an interval.

        Parameters
        ----------
        genome
            From ``read_genome`` (a FASTA file) or ``open_genome`` (an encoded folder, of which only what is needed is
            read).
        chrom, start, end
            The interval, in bp, 0-based and half-open; all of the contig by default. Beyond the contig's ends bases
            are unknown. The first window begins at ``start``, and none reaches beyond ``end``.
        stride
            From one window to the next, in bp.

        Yields
        ------
        starts, probability
            First base of each window, (n,), and what is predicted of it, (n, K), for some windows at a time. Nothing
            where the interval is shorter than a window.

        Raises
        ------
        InputError
            For a contig that the genome lacks, or a stride below 1.
        """
        if chrom not in genome.contigs:
            raise InputError(f"{genome.source} has no contig {chrom!r}", nearest(chrom, genome.names))
        if stride < 1:
            raise InputError(f"stride is {stride}", "give a whole number of bp from 1")
        end = genome.contigs[chrom] if end is None else end
        return self._blocks(genome, chrom, range(start, end - self.window + 1, stride))

    def _blocks(self, genome: Genome, chrom: str, starts: range) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        together = self.sliding is not None and starts.step < self.window  # else they have nothing in common
        rows = self.sliding.rows(starts.step) if together else self.rows
        for first in range(0, len(starts), rows):
            block = starts[first : first + rows]
            yield np.array(block), self._stretch(genome, chrom, block) if together else self._each(genome, chrom, block)

    def _stretch(self, genome: Genome, chrom: str, starts: range) -> np.ndarray:
        codes = torch.from_numpy(genome.codes(chrom, starts[0], starts[-1] + self.window))
        if codes.max() > 5:  # ambiguous letters, which the tables of words lack
            return self._each(genome, chrom, starts)
        return self.probability(self.sliding.logits(codes.to(self.sliding.table.device), starts.step))

    def _each(self, genome: Genome, chrom: str, starts: range) -> np.ndarray:
        contig = np.full(len(starts), genome.names.index(chrom))
        return self.predict(list(genome.windows(contig, np.array(starts), self.window)))
