"""Contributions of bases by the method of one's choice, for the examples and the outputs that are worth explaining."""

from typing import Literal

import numpy as np
import torch
from torch import nn

from biocnn.explain.attributions import BATCH, base_contributions, evaluating, integrated_contributions
from biocnn.explain.deeplift import deep_lift, shuffled_references, unsupported
from biocnn.nn.encode import one_hot

Method = Literal["deeplift", "integrated_gradients", "gradient"]
STEPS = 16  # of integrated gradients
TRIED = 16  # sequences on which DeepLIFT is tried
OFF = 1e-3  # share of their sum by which contributions may miss the difference of logits


def decided(model: nn.Module, codes: np.ndarray, method: Method | None) -> Method:
    """The method asked for; with none, DeepLIFT where it adds up, tried on the first sequences, else the other.

    It does not where a network has layers without a rule, or where its ``forward`` itself rectifies or multiplies.
    """
    if method or not len(codes):
        return method or "deeplift"
    if unsupported(model):
        return "integrated_gradients"
    device, codes = next(model.parameters()).device, codes[:TRIED]
    x = one_hot(torch.from_numpy(codes).to(device))
    lifted = deep_lift(model, x, shuffled_references(codes, 2).to(device))
    sums = (x * lifted.contributions).sum((1, 2)).abs().max()
    rounding = 1e-5 * _logits(model, x, 0).abs().max()
    return "deeplift" if lifted.delta.abs().max() <= OFF * sums + rounding else "integrated_gradients"


def contributions(
    model: nn.Module, codes: np.ndarray, outputs: np.ndarray, method: Method, *, references: int = 10, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Contributions of every base to one logit of each example.

    Parameters
    ----------
    model
        (N, 4, L) to logits (N, K), on the device where the work shall be done.
    codes
        Shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    outputs
        Shape (N,): the index of the logit of each example.
    method
        ``deeplift`` (see ``deep_lift``), ``integrated_gradients`` (see ``integrated_contributions``) or ``gradient``
        (see ``base_contributions``).
    references
        Shuffles that each example is compared with by DeepLIFT.
    seed
        Of the shuffles.

    Returns
    -------
    contributions
        Shape (N, 4, L), float32.
    delta
        Shape (N,): sum of the contributions of the bases that are present, less the difference between the logit and
        the mean logit of the references (for integrated gradients, the logit of unknown bases), all as the model
        predicts them; nan for gradients, which do not add up.
    """
    device = next(model.parameters()).device
    found = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    delta = np.full(len(codes), np.nan, np.float32)
    for output in np.unique(outputs):
        rows = np.flatnonzero(outputs == output)
        x = one_hot(torch.from_numpy(codes[rows]).to(device))
        if method == "deeplift":
            others = shuffled_references(codes[rows], references, seed).to(device)
            values = deep_lift(model, x, others, int(output)).contributions
        elif method == "integrated_gradients":
            others = x.sum(1, keepdim=True).expand_as(x)[:, None] / 4
            values = integrated_contributions(model, x, STEPS, int(output))
        else:
            others, values = None, base_contributions(model, x, int(output))
        found[rows] = values.float().cpu().numpy()
        if others is not None:
            reference = _logits(model, others.flatten(0, 1), output).view(others.shape[:2]).mean(1)
            difference = _logits(model, x, output) - reference
            delta[rows] = ((x * values).sum((1, 2)) - difference).float().cpu().numpy()
    return found, delta


@torch.no_grad()
def _logits(model: nn.Module, x: torch.Tensor, output: int) -> torch.Tensor:
    """One logit of each sequence, as the model predicts it."""
    with evaluating(model):
        return torch.cat([model(part)[:, output] for part in x.split(BATCH)])


def explained_output(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Which output to explain in each example, shape (N,): of those that are true the most probable.

    Where none is true the most probable of all; where targets are not 0 or 1, the largest prediction in units of the
    spread of each output.

    Parameters
    ----------
    target, predicted
        Shape (N, K).
    """
    if is_yes_or_no(target):
        return np.where((target == 1) | ~(target == 1).any(axis=1, keepdims=True), predicted, -1.0).argmax(axis=1)
    spread = np.maximum(predicted.std(axis=0), 1e-12)
    return ((predicted - predicted.mean(axis=0)) / spread).argmax(axis=1)


def worth_explaining(target: np.ndarray) -> np.ndarray:
    """Rows in which some output is true; where targets are not 0 or 1, in its largest quarter."""
    if is_yes_or_no(target):
        return np.flatnonzero((target == 1).any(axis=1))
    return np.flatnonzero((target >= np.nanquantile(target, 0.75, axis=0)).any(axis=1))


def is_yes_or_no(target: np.ndarray) -> bool:
    """Whether all targets that are known are 0 or 1."""
    return bool(np.isin(target[~np.isnan(target)], (0, 1)).all())
