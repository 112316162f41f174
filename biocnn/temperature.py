"""Probabilities that can be taken at their word: logits divided by a temperature, one for each output.

Networks that are trained long are too sure of themselves. One number above 1 takes that back without changing which of
two examples has the larger logit (Guo et al., ICML 2017, arXiv:1706.04599).
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import expit, logit
from torch import Tensor, nn

from biocnn.models.sequence_network import SequenceNetwork

SHARPEST, FLATTEST = 1 / 20, 20.0  # where classes part perfectly, no temperature is small enough
TASKS = ("binary", "multilabel")  # those with a temperature


def fit_temperature(logits: np.ndarray, target: np.ndarray) -> list[float]:
    """The temperatures at which the targets are most likely.

    Parameters
    ----------
    logits
        Shape (N, K).
    target
        Shape (N, K), 0 or 1.

    Returns
    -------
    temperature
        K numbers between 1/20 and 20; 1 where only one class is present.
    """
    return [_one(z, y) for z, y in zip(np.asarray(logits, float).T, np.asarray(target, float).T, strict=True)]


def _one(z: np.ndarray, y: np.ndarray) -> float:
    if len(np.unique(y)) < 2:
        return 1.0

    def slope(steepness: float) -> float:
        """Of the loss, which is convex in 1 / temperature: this rises."""
        return float(np.mean((expit(steepness * z) - y) * z))

    low, high = 1 / FLATTEST, 1 / SHARPEST
    if slope(low) >= 0:
        return FLATTEST
    return SHARPEST if slope(high) <= 0 else float(1 / brentq(slope, low, high, xtol=1e-10))


def set_temperature(network: nn.Module, temperature: Sequence[float]) -> None:
    """Divide a network's logits (N, K) from now on, in place.

    The last layer takes it up where it is known, so that whatever looks into the network sees the same logits.
    """
    if all(value == 1 for value in temperature):
        return
    factor = 1 / torch.tensor(temperature, dtype=torch.float32)
    last = network.head[-1] if _ends_with_head(network) else None
    if isinstance(last, nn.Linear):
        with torch.no_grad():
            last.weight *= factor.to(last.weight.device)[:, None]
            if last.bias is not None:
                last.bias *= factor.to(last.bias.device)
    else:
        network.register_forward_hook(_Divide(factor))


def _ends_with_head(network: nn.Module) -> bool:
    return isinstance(network, SequenceNetwork) and type(network).forward is SequenceNetwork.forward


class _Divide:
    """A hook that can be copied with its network."""

    def __init__(self, factor: Tensor) -> None:
        self.factor = factor

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        return logits * self.factor.to(logits.device)


def without_temperature(probability: np.ndarray, temperature: Sequence[float]) -> np.ndarray:
    """What the probabilities (N, K) would be without: for a comparison of before and after."""
    p = np.asarray(probability, float).clip(1e-7, 1 - 1e-7)  # float32 knows none closer to 0 and 1
    return expit(logit(p) * np.asarray(temperature))
