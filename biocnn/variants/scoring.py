"""What models say of both alleles."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from biocnn.data.fasta import reverse_complement
from biocnn.errors import InputError
from biocnn.losses import probability
from biocnn.predict import Model


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
        Where the models differ, are not of sequences, or need a window.
    """

    def __init__(
        self, models: Sequence[Model], window: int | None = None, strands: Literal["single", "both"] = "single"
    ) -> None:
        if not models:
            raise InputError("no model is given", "name one or more model.safetensors")
        facts = models[0].facts
        if facts["kind"] != "sequence":
            raise InputError("these are models of images", "variants need a model of sequences")
        for key in ("outputs", "task", "window"):
            other = next((m.facts[key] for m in models if m.facts[key] != facts[key]), facts[key])
            if other != facts[key]:
                raise InputError(
                    f"models differ in their {key}: {facts[key]} and {other}",
                    "score with one kind of model at a time, each under a prefix of its own",
                )
        if facts["window"] and window not in (None, facts["window"]):
            raise InputError(
                f"window is {window} bp, but the models were trained on {facts['window']} bp", "leave window out"
            )
        if not facts["window"] and not window:
            raise InputError(
                "these models were trained on sequences of different lengths", "set a window, in bp: 101, say"
            )
        self.models, self.outputs, self.task = list(models), list(facts["outputs"]), facts["task"]
        self.window: int = window or facts["window"]
        self.turn = [strands == "both" and getattr(m.network, "strands", "single") == "single" for m in models]
        self.windows, self.scored = 0, 0  # seen so far, and passed through the networks

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """Logits of windows of shape (N, L); equal ones are scored once: shape (models, N, K), float32."""
        if not len(codes):
            return np.zeros((len(self.models), 0, len(self.outputs)), np.float32)
        rows = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}")[:, 0]
        _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
        different = codes[first]
        self.windows, self.scored = self.windows + len(codes), self.scored + len(different)
        found = []
        for model, turn in zip(self.models, self.turn, strict=True):
            logits = model.logits(different)
            found.append((logits + model.logits(reverse_complement(different))) / 2 if turn else logits)
        return np.stack(found)[:, inverse]

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities, or values for regression, of logits of any shape."""
        return probability(torch.from_numpy(logits), self.task).numpy()


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
    if ensemble.task != "regression":
        found["DLOGIT"] = change.mean(0)
    if len(ensemble.models) > 1:
        found["SD"] = change.std(0, ddof=1)
    return found
