"""Compute contributions of bases by a choice of methods, and select examples and outputs to explain."""

from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import nn

from biocnn.explain.attributions import BATCH, base_contributions, evaluating, integrated_contributions, unknown
from biocnn.explain.deeplift import deep_lift, shuffled_references, unsupported
from biocnn.explain.mutagenesis import saturation_mutagenesis
from biocnn.nn.encode import encoded
from biocnn.nn.strands import BASES

Method = Literal["deeplift", "mutagenesis", "integrated_gradients", "gradient"]
LONGEST = 256  # bp mutated by default: the time grows with the square of the length
STEPS = 16  # steps of integrated gradients
TRIED = 16  # sequences on which DeepLIFT is tested
OFF = 1e-3  # tolerated deviation of summed contributions from the difference of logits, relative to the sum


def decided(model: nn.Module, codes: np.ndarray, method: Method | None, signal: np.ndarray | None = None) -> Method:
    """Return the given method, or DeepLIFT if it adds up on the first sequences, else mutagenesis.

    It does not if a network has layers without a rule, or if its ``forward`` itself rectifies or multiplies. Sequences
    longer than 256 bp have too many mutants: integrated gradients take the place of mutagenesis.
    """
    if method or not len(codes):
        return method or "deeplift"
    otherwise: Method = "mutagenesis" if codes.shape[1] <= LONGEST else "integrated_gradients"
    if unsupported(model):
        return otherwise
    device, codes = next(model.parameters()).device, codes[:TRIED]
    signal = None if signal is None else signal[:TRIED]
    x = _encoded(codes, signal, device)
    lifted = deep_lift(model, x, shuffled_references(codes, 2, signal=signal).to(device))
    sums = (x[:, :BASES] * lifted.contributions).sum((1, 2)).abs().max()
    rounding = 1e-5 * _logits(model, x, 0).abs().max()
    return "deeplift" if lifted.delta.abs().max() <= OFF * sums + rounding else otherwise


def contributions(
    model: nn.Module,
    codes: np.ndarray,
    outputs: np.ndarray,
    method: Method,
    *,
    references: int = 10,
    seed: int = 0,
    signal: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the contributions of all bases to one logit per example.

    Parameters
    ----------
    model
        Network from (N, 4 + S, L) to logits (N, K), on the device to use.
    codes
        Shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    outputs
        Shape (N,): index of the logit of each example.
    method
        ``deeplift`` (see ``deep_lift``), ``mutagenesis`` (the changes of ``saturation_mutagenesis`` minus their mean
        over the four bases), ``integrated_gradients`` (see ``integrated_contributions``) or ``gradient`` (see
        ``base_contributions``).
    references
        Number of shuffles that DeepLIFT compares each example with.
    seed
        Seed of the shuffles.
    signal
        Tracks beside the bases as the network receives them, shape (N, S, L), which references keep; None: none.

    Returns
    -------
    contributions
        Shape (N, 4, L), float32.
    delta
        Shape (N,): sum of the contributions of the bases present, minus the difference between the logit and the mean
        logit of the references (for integrated gradients, the logit of unknown bases), as predicted by the model; NaN
        for mutagenesis and gradients, which do not add up.
    """
    device = next(model.parameters()).device
    result = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    delta = np.full(len(codes), np.nan, np.float32)
    for output in np.unique(outputs):
        rows = np.flatnonzero(outputs == output)
        tracks = None if signal is None else signal[rows]
        x = _encoded(codes[rows], tracks, device)
        if method == "deeplift":
            others = shuffled_references(codes[rows], references, seed, tracks).to(device)
            values = deep_lift(model, x, others, int(output)).contributions
        elif method == "integrated_gradients":
            others = unknown(x)[:, None]
            values = integrated_contributions(model, x, STEPS, int(output))
        elif method == "mutagenesis":
            change = saturation_mutagenesis(model, codes[rows], int(output), tracks)
            others, values = None, change - change.mean(1, keepdim=True)
        else:
            others, values = None, base_contributions(model, x, int(output))
        result[rows] = values.float().cpu().numpy()
        if others is not None:
            reference = _logits(model, others.flatten(0, 1), output).view(others.shape[:2]).mean(1)
            difference = _logits(model, x, output) - reference
            delta[rows] = ((x[:, :BASES] * values).sum((1, 2)) - difference).float().cpu().numpy()
    return result, delta


def _encoded(codes: np.ndarray, signal: np.ndarray | None, device: torch.device) -> torch.Tensor:
    tracks = None if signal is None else torch.from_numpy(signal).to(device)
    return encoded(torch.from_numpy(codes).to(device), tracks)


@torch.no_grad()
def _logits(model: nn.Module, x: torch.Tensor, output: int) -> torch.Tensor:
    """Predict one logit of each sequence."""
    with evaluating(model):
        return torch.cat([model(part)[:, output] for part in x.split(BATCH)])


def explained_output(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Choose the output to explain in each example, shape (N,): the most probable of the true ones.

    If none is true, this is the most probable of all; if targets are not 0 or 1, the largest prediction relative to the
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
    """Return the rows with a true output; if targets are not 0 or 1, those in the top quarter of an output."""
    if is_yes_or_no(target):
        return np.flatnonzero((target == 1).any(axis=1))
    return np.flatnonzero((target >= np.nanquantile(target, 0.75, axis=0)).any(axis=1))


def worst(target: np.ndarray, predicted: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the predictions that exceed their target most, and those that fall short of it most.

    For targets of 0 and 1 these are the negatives with the highest and the positives with the lowest predictions. Other
    differences are relative to the standard deviation of the target. Unknown targets are left out.

    Parameters
    ----------
    target, predicted
        Shape (N, K).
    number
        Maximum number in each direction.

    Returns
    -------
    rows, outputs, kind
        Shape (n,): row and output of each, and "over" or "under"; the largest differences first within each.
    """
    spread = 1.0 if is_yes_or_no(target) else pd.DataFrame(target).std(ddof=0).clip(1e-12).to_numpy()
    difference = (predicted - target) / spread
    chosen, kinds = [], []
    for kind, sign in (("over", 1.0), ("under", -1.0)):
        wrong = np.nan_to_num(sign * difference, nan=-1.0).ravel()
        order = np.argsort(-wrong, kind="stable")[:number]
        chosen.append(order[wrong[order] > 0])
        kinds += [kind] * len(chosen[-1])
    rows, outputs = np.divmod(np.concatenate(chosen), target.shape[1])
    return rows, outputs, np.array(kinds, dtype=str)


def is_yes_or_no(target: np.ndarray) -> bool:
    """Return whether all known targets are 0 or 1."""
    return bool(np.isin(target[~np.isnan(target)], (0, 1)).all())
