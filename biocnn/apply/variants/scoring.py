"""Score both alleles with models."""

import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from biocnn.apply.variants.substitutions import CLOSE, Substitutions, supports
from biocnn.config.strands import RNA
from biocnn.core.errors import InputError
from biocnn.data.signal import standardised
from biocnn.io.fasta import UNKNOWN, reverse_complement
from biocnn.prediction.compatibility import agree, refuse_covariates
from biocnn.prediction.model import Model
from biocnn.tasks.regression import FORMS

CHECKED = 16  # number of substitutions verified by scoring their full windows

log = logging.getLogger("biocnn")


class Ensemble:
    """Models of the same kind that score the same windows.

    Parameters
    ----------
    models
        Sequence models with the same outputs, task and window.
    window
        Length of the windows in bp; None for that of the models.
    strands
        ``both`` averages the logits of a window and its reverse complement for models that read one strand.

    Raises
    ------
    InputError
        If the models differ, are not for sequences, or need a window; or if ``strands`` is both for models of RNA.
    """

    def __init__(
        self, models: Sequence[Model], window: int | None = None, strands: Literal["single", "both"] = "single"
    ) -> None:
        agree(models, "sequence")
        for model in models:
            refuse_covariates(model)
        facts = models[0].facts
        if models[0].task.target.spatial:
            raise InputError(
                f"{models[0].path}: predicts each base of a window, and a variant has no effect on these as a whole",
                "score variants with a model of whole windows; biocnn scan predicts the bases of a genome",
            )
        if strands == "both" and RNA in [m.facts.alphabet for m in models]:
            raise InputError(
                "strands is both, but these are models of RNA, which is single-stranded", "set it to single"
            )
        if facts.window and window not in (None, facts.window):
            raise InputError(
                f"window is {window} bp, but the models were trained on {facts.window} bp", "remove window"
            )
        if not facts.window and not window:
            raise InputError(
                "these models were trained on sequences of different lengths", "set a window in bp, e.g. 101"
            )
        self.models, self.outputs, self.task = list(models), list(facts.outputs), models[0].task
        self.distribution = facts.form in FORMS.values()
        self.window: int = window or facts.window
        self.turn = [strands == "both" and getattr(m.network, "strands", "single") == "single" for m in models]
        self.followed = [Substitutions(m) if supports(m) else None for m in models]
        self.unchecked = True

    def pairs(
        self,
        reference: np.ndarray,
        alternative: np.ndarray,
        place: int,
        signal: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the logits of both windows of variants.

        Equal windows are scored once; substitutions are propagated if the models support it.

        Parameters
        ----------
        reference, alternative
            Shape (N, L), uint8: 0-3 = ACGT, 4 = unknown.
        place
            Column of the substitutions among them.
        signal
            Tracks of both, in the unit of the files, shape (N, S, L) each, for models that need some.

        Returns
        -------
        logits
            Shape (models, N, K) each, float32.
        """
        if None in self.followed:
            both = self.logits(np.concatenate([reference, alternative]), signal and np.concatenate(signal))
            return both[:, : len(reference)], both[:, len(reference) :]
        found = [np.empty((len(self.models), len(reference), len(self.outputs)), np.float32) for _ in range(2)]
        differs = reference != alternative
        single = differs[:, place] & (differs.sum(1) == 1) & (reference[:, place] < 4)
        single &= (reference <= UNKNOWN).all(1)  # not ambiguous
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
            parts.append(tuple(map(self._reported, logits)))
        changed = np.empty((len(self.models), len(back), len(self.outputs)), np.float32)
        changed[:, order] = np.stack([part[1] for part in parts])
        if self.unchecked:
            self._check(changed, alternative)
        return np.stack([part[0] for part in parts])[:, back], changed

    def _check(self, found: np.ndarray, alternative: np.ndarray) -> None:
        """Compare some of the first substitutions with the scores of their full windows."""
        some = np.linspace(0, len(alternative) - 1, CHECKED).astype(int)
        truth = self.logits(alternative[some])
        wrong = float(np.abs(found[:, some] - truth).max())
        if not wrong <= CLOSE * max(1.0, float(np.abs(truth).max())):
            raise RuntimeError(f"substitutions propagated through the network are wrong by {wrong:.2g}")
        self.unchecked = False

    def logits(self, codes: np.ndarray, signal: np.ndarray | None = None) -> np.ndarray:
        """Compute logits of windows (N, L) with their signal, if any, (N, S, L): shape (models, N, K), float32.

        Equal windows are scored once, unless signals may differ.
        """
        if not len(codes):
            return np.zeros((len(self.models), 0, len(self.outputs)), np.float32)
        first, back = _different(codes) if signal is None else [np.arange(len(codes))] * 2
        different = codes[first]
        found = []
        for model, turn in zip(self.models, self.turn, strict=True):
            beside = None if signal is None else standardised(model.facts.signal_tracks, signal)
            logits = model.logits(different, signal=beside)
            if turn:
                other = None if beside is None else beside[:, :, ::-1]
                logits = (logits + model.logits(reverse_complement(different), signal=other)) / 2
            found.append(self._reported(logits))
        return np.stack(found)[:, back]

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Convert logits of any shape to probabilities; those of regression are values already."""
        return logits if self.distribution else self.task.probability(torch.from_numpy(logits)).numpy()

    def _reported(self, logits: np.ndarray) -> np.ndarray:
        """Return logits (N, K), or the values of predicted distributions, whose change is what matters."""
        if not self.distribution:
            return logits
        return self.task.probability(torch.from_numpy(logits)).numpy()[:, : len(self.outputs)]


def _different(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each distinct window, and for each row the index of its distinct window."""
    rows = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}")[:, 0]
    _, first, back = np.unique(rows, return_index=True, return_inverse=True)
    return first, back


def effects(ensemble: Ensemble, reference: np.ndarray, alternative: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the effects of variants from the logits of both alleles.

    Parameters
    ----------
    reference, alternative
        Logits (for regression, values), shape (models, N, K).

    Returns
    -------
    effects
        By name, shape (N, K): REF and ALT, the mean probability (or value) over the models; DELTA, ALT minus REF;
        DLOGIT, the mean change of the logit; with several models SD, its standard deviation over them. For regression
        DLOGIT equals DELTA and is omitted.
    """
    p = [ensemble.probability(logits).mean(0) for logits in (reference, alternative)]
    change = alternative - reference
    found = {"REF": p[0], "ALT": p[1], "DELTA": p[1] - p[0]}
    if ensemble.task.positives:
        found["DLOGIT"] = change.mean(0)
    if len(ensemble.models) > 1:
        found["SD"] = change.std(0, ddof=1)
    return found
