"""Prediction of every base of a stretch, from overlapping windows of which the ends do not count."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.genome import Genome
from biocnn.prediction.compatibility import refuse_covariates
from biocnn.prediction.scanner import Along, Scanner, check_scan, signal_of
from biocnn.tasks.facts import Facts

if TYPE_CHECKING:
    from biocnn.prediction.model import Model

EDGE = 4  # without context, a quarter of a window at both of its ends does not count


class BaseScanner:
    """A scan with a network that predicts each base of a window.

    Parameters
    ----------
    predict
        Maps codes of windows, (window,) each, and their tracks, (n, S, window), or None, to probabilities,
        (n, K, window).
    rows
        Maps the length of a window to the batch size.
    facts
        Facts of the training data.

    Raises
    ------
    InputError
        If the model was trained on sequences of several lengths.
    """

    def __init__(
        self,
        predict: Callable[[Sequence[np.ndarray], np.ndarray | None], np.ndarray],
        rows: Callable[[int], int],
        facts: Facts,
    ) -> None:
        if not facts.window:
            raise InputError(
                "the model has no window to scan with", "scan with a model that was trained on windows of one length"
            )
        self.predict, self.window = predict, facts.window
        self.edge = facts.context or facts.window // EDGE
        self.step = self.window - 2 * self.edge
        self.together = rows(facts.window) * self.step

    def scan(
        self,
        genome: Genome,
        chrom: str,
        start: int = 0,
        end: int | None = None,
        *,
        stride: int = 1,
        along: Along | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predict the bases of an interval.

        Parameters
        ----------
        genome, chrom, start, end, along
            As for `biocnn.prediction.scanner.Scanner.scan`.
        stride
            Every how many bases a prediction is returned.

        Yields
        ------
        positions, probability
            Position of each base, (n,), and its prediction, (n, K), for a block of bases.

        Raises
        ------
        InputError
            If the genome has no such contig, or the stride is below 1.
        """
        check_scan(genome, chrom, stride)
        return self._blocks(genome, chrom, start, genome.contigs[chrom] if end is None else end, stride, along)

    def _blocks(
        self, genome: Genome, chrom: str, start: int, end: int, stride: int, along: Along | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first in range(start, end, self.together):
            last = min(end, first + self.together)
            starts = range(first - self.edge, last - self.edge, self.step)
            windows = genome.windows(np.full(len(starts), genome.names.index(chrom)), np.array(starts), self.window)
            tracks = along and signal_of(along, chrom, starts, self.window)
            p = self.predict(list(windows), tracks)[:, :, self.edge : self.edge + self.step]
            values = p.transpose(0, 2, 1).reshape(-1, p.shape[1])[: last - first]
            chosen = np.arange(first, last)[(start - first) % stride :: stride]
            yield chosen, values[chosen - first]

    def along(self, codes: np.ndarray, signal: np.ndarray | None = None) -> np.ndarray:
        """Predict the bases of a sequence (L,) of any length, with unknown bases around it: shape (K, L).

        ``signal`` are its tracks, (S, L), for networks that need some.
        """
        genome = Genome(codes, {"sequence": len(codes)}, {}, "")

        def beside(_: str, start: int, end: int) -> np.ndarray:
            around = np.pad(signal, ((0, 0), (max(0, -start), max(0, end - len(codes)))))
            return around[:, max(0, start) :][:, : end - start]

        found = self.scan(genome, "sequence", along=None if signal is None else beside)
        return np.concatenate([values for _, values in found]).T


def scanner_of(model: "Model") -> Scanner | BaseScanner:
    """Return the scanner that suits what a model predicts: each base, or windows as a whole."""
    refuse_covariates(model)
    if model.task.target.spatial:
        return BaseScanner(lambda codes, signal: model._sequences(codes, signal=signal), model._rows, model.facts)
    k = len(model.outputs)  # without measures of the spread of values
    return Scanner(
        model.fused,
        lambda codes, signal: model._sequences(codes, signal=signal)[:, :k],
        lambda logits: model._probability(logits)[:, :k],
        model._rows,
        model.facts.window,
    )
