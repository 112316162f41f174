"""Prediction of sequences, for ``Model``: logits of windows with their tracks, and scans."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.memory import bytes_per, room
from biocnn.data.signal import Signal, nothing, standardised
from biocnn.io.fasta import PADDING
from biocnn.io.genome import Genome
from biocnn.io.padded import pad
from biocnn.nn.covariates import beside
from biocnn.nn.encode import encoded
from biocnn.prediction.bases import BaseScanner, Scanner, scanner_of
from biocnn.prediction.compatibility import need
from biocnn.prediction.inputs import check_lengths
from biocnn.prediction.new_signal import open_signal
from biocnn.prediction.scanner import Along
from biocnn.prediction.trained_model import Trained
from biocnn.training.batches import BATCH
from biocnn.training.forward import logits_of, predict_probability


class SequenceModel(Trained):
    """Base of `Model`: what it does with sequences."""

    fused: nn.Module
    device: torch.device
    precision: str
    memory_gb: float

    def scan(
        self,
        genome: Genome,
        chrom: str,
        start: int = 0,
        end: int | None = None,
        *,
        stride: int,
        signal: Signal | Mapping[str, Path] | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predict windows along a chromosome, a block at a time; see `biocnn.prediction.scanner.Scanner.scan`.

        ``signal``: bigWig files by name, for models trained with ``data.signal``.
        """
        need(self, "sequence")
        if not isinstance(signal, Signal):
            signal = open_signal(self, signal, genome, [chrom], Checks())
        return self._scanner.scan(genome, chrom, start, end, stride=stride, along=signal and self._along(signal))

    def _along(self, signal: Signal) -> Along:
        """Return a function of an interval: its tracks as the network receives them, (S, bases)."""
        return lambda chrom, start, end: standardised(self.facts.signal_tracks, signal.along(chrom, start, end))

    @torch.inference_mode()
    def logits(
        self, codes: Sequence[np.ndarray], z: np.ndarray | None = None, signal: np.ndarray | None = None
    ) -> np.ndarray:
        """Predict the logits of sequences; for regression, the values.

        Parameters
        ----------
        codes
            Codes of each sequence, shape (L,), uint8: 0-3 = ACGT(U), 4 = unknown.
        z
            Covariates as the network receives them, shape (N, Z); None: all are missing.
        signal
            Tracks as the network receives them, shape (N, S, L), for models trained with them.

        Returns
        -------
        logits
            Shape (N, K), float32.

        Raises
        ------
        InputError
            If a sequence is empty or its length differs from the window of the model, or tracks are missing.
        """
        need(self, "sequence")
        if not len(codes):
            return np.zeros((0, len(self.outputs)), np.float32)
        check_lengths(codes, self.facts.window)
        z = np.zeros((len(codes), 0), np.float32) if z is None else z
        signal = nothing(len(codes)) if signal is None else signal
        if signal.shape[1] != len(self.facts.signal):
            needed = ", ".join(self.facts.signal) or "no tracks"
            raise InputError(
                f"{self.path}: the model needs {needed} along the bases", "give signal, as to Model.predict"
            )
        found, rows = [], self._rows(max(map(len, codes))) if len(codes) > 1 else 1
        for start in range(0, len(codes), rows):
            part = slice(start, start + rows)
            arrays = pad(codes[part]), np.array(signal[part], np.float32, order="C"), z[part]
            x, tracks, beyond = (torch.from_numpy(array).to(self.device) for array in arrays)
            found.append(logits_of(self.fused, beside(encoded(x, tracks), beyond), self.precision).cpu().numpy())
        return np.concatenate(found)

    def _sequences(
        self, codes: Sequence[np.ndarray], z: np.ndarray | None = None, signal: np.ndarray | None = None
    ) -> np.ndarray:
        return self._probability(torch.from_numpy(self.logits(codes, z, signal)))

    def _probability(self, logits: Tensor) -> np.ndarray:
        return self.task.probability(logits).cpu().numpy()

    @cached_property
    def _scanner(self) -> Scanner | BaseScanner:
        return scanner_of(self)

    def _predict_probability(self, x: Tensor) -> Tensor:
        return predict_probability(self.fused, x, self.task, self.precision)

    def _rows(self, length: int) -> int:
        """Return the batch size for sequences of a length."""
        codes = torch.zeros(1, length, dtype=torch.uint8, device=self.device)
        codes[:, -1] = PADDING  # some networks need more memory for padded sequences
        tracks = torch.zeros(1, len(self.facts.signal), length, device=self.device)

        def predict(n: int) -> Tensor:
            return self._predict_probability(encoded(codes.expand(n, -1), tracks.expand(n, -1, -1)))

        size = bytes_per(predict, 1)
        return max(1, min(BATCH, int(room(self.memory_gb) / size)))
