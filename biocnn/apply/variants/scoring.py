"""What models say of both alleles."""

import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from biocnn.apply.variants.substitutions import CLOSE, Substitutions, follows
from biocnn.config.strands import RNA
from biocnn.core.errors import InputError
from biocnn.io.fasta import reverse_complement
from biocnn.prediction.compatibility import agree
from biocnn.prediction.model import Model

CHECKED = 16  # substitutions that are also scored as windows of their own

log = logging.getLogger("biocnn")


class Ensemble:
    """Models of one kind that score the same windows.

    Parameters
    ----------
    models
        Sequence models with the same outputs, task and window.
    window
        Length of the windows, bp; None: that of the models.
    strands
        ``both``: of models that read one strand, the mean logit of a window and of its reverse complement.

    Raises
    ------
    InputError
        Where the models differ, are not of sequences, or need a window; where they are of RNA, and ``strands`` is both.
    """

    def __init__(
        self, models: Sequence[Model], window: int | None = None, strands: Literal["single", "both"] = "single"
    ) -> None:
        agree(models, "sequence", "variants")
        facts = models[0].facts
        if strands == "both" and RNA in [m.facts.alphabet for m in models]:
            raise InputError("strands is both, but these are models of RNA, which has one strand", "set it to single")
        if facts.window and window not in (None, facts.window):
            raise InputError(
                f"window is {window} bp, but the models were trained on {facts.window} bp", "leave window out"
            )
        if not facts.window and not window:
            raise InputError(
                "these models were trained on sequences of different lengths", "set a window, in bp: 101, say"
            )
        self.models, self.outputs, self.task = list(models), list(facts.outputs), models[0].task
        self.window: int = window or facts.window
        self.turn = [strands == "both" and getattr(m.network, "strands", "single") == "single" for m in models]
        self.followed = [Substitutions(m) if follows(m) else None for m in models]
        self.unchecked = True

    def pairs(self, reference: np.ndarray, alternative: np.ndarray, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Logits of both windows of variants.

        Of equal windows one is scored; substitutions are followed where the models allow it.

        Parameters
        ----------
        reference, alternative
            Shape (N, L), uint8: 0-3 = ACGT, 4 = unknown.
        place
            Where the substitutions among them are.

        Returns
        -------
        logits
            Shape (models, N, K) each, float32.
        """
        if None in self.followed:
            both = self.logits(np.concatenate([reference, alternative]))
            return both[:, : len(reference)], both[:, len(reference) :]
        found = [np.empty((len(self.models), len(reference), len(self.outputs)), np.float32) for _ in range(2)]
        differs = reference != alternative
        single = differs[:, place] & (differs.sum(1) == 1) & (reference[:, place] < 4)
        rest, rows = np.flatnonzero(~single), np.flatnonzero(single)
        both = self.logits(np.concatenate([reference[rest], alternative[rest]]))
        found[0][:, rest], found[1][:, rest] = np.split(both, 2, axis=1)
        if len(rows):
            found[0][:, rows], found[1][:, rows] = self._follow(reference[rows], alternative[rows], place)
        return found[0], found[1]

    def _follow(self, reference: np.ndarray, alternative: np.ndarray, place: int) -> tuple[np.ndarray, np.ndarray]:
        first, back = _different(reference)
        order = np.argsort(back, kind="stable")
        codes, new = reference[first], alternative[order, place]
        parts = []
        for followed, turn in zip(self.followed, self.turn, strict=True):
            logits = followed.logits(codes, back[order], new, place)
            if turn:
                other = reverse_complement(codes)
                turned = followed.logits(other, back[order], 3 - new, codes.shape[1] - 1 - place)
                logits = tuple((one + two) / 2 for one, two in zip(logits, turned, strict=True))
            parts.append(logits)
        changed = np.empty((len(self.models), len(back), len(self.outputs)), np.float32)
        changed[:, order] = np.stack([part[1] for part in parts])
        if self.unchecked:
            self._check(changed, alternative)
        return np.stack([part[0] for part in parts])[:, back], changed

    def _check(self, found: np.ndarray, alternative: np.ndarray) -> None:
        """Compare some of the first substitutions with what the models say of their windows."""
        some = np.linspace(0, len(alternative) - 1, CHECKED).astype(int)
        truth = self.logits(alternative[some])
        wrong = float(np.abs(found[:, some] - truth).max())
        if not wrong <= CLOSE * max(1.0, float(np.abs(truth).max())):
            raise RuntimeError(f"substitutions that were followed through the network are wrong by {wrong:.2g}")
        self.unchecked = False

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """Logits of windows of shape (N, L); equal ones are scored once: shape (models, N, K), float32."""
        if not len(codes):
            return np.zeros((len(self.models), 0, len(self.outputs)), np.float32)
        first, back = _different(codes)
        different = codes[first]
        found = []
        for model, turn in zip(self.models, self.turn, strict=True):
            logits = model.logits(different)
            found.append((logits + model.logits(reverse_complement(different))) / 2 if turn else logits)
        return np.stack(found)[:, back]

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities, or values for regression, of logits of any shape."""
        return self.task.probability(torch.from_numpy(logits)).numpy()


def _different(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first row of each different window, and for each row, which of these it equals."""
    rows = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}")[:, 0]
    _, first, back = np.unique(rows, return_index=True, return_inverse=True)
    return first, back


def effects(ensemble: Ensemble, reference: np.ndarray, alternative: np.ndarray) -> dict[str, np.ndarray]:
    """What the change of an allele changes, from the logits of both.

    Parameters
    ----------
    reference, alternative
        Logits (for regression, values), shape (models, N, K).

    Returns
    -------
    effects
        By name, shape (N, K): REF and ALT, the mean probability over the models (or value); DELTA, ALT minus REF;
        DLOGIT, mean change of the logit; with several models SD, its standard deviation over them. For regression
        DELTA is what DLOGIT would be, which is left out.
    """
    p = [ensemble.probability(logits).mean(0) for logits in (reference, alternative)]
    change = alternative - reference
    found = {"REF": p[0], "ALT": p[1], "DELTA": p[1] - p[0]}
    if ensemble.task.positives:
        found["DLOGIT"] = change.mean(0)
    if len(ensemble.models) > 1:
        found["SD"] = change.std(0, ddof=1)
    return found
