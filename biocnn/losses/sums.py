"""Sums over a batch, class by class, that cross-entropy, Dice and Tversky losses are made of."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from biocnn.metrics.masks import IGNORE


@dataclass(frozen=True)
class Sums:
    """One number for each class, shape (K,), over all pixels of a batch that are not ignored.

    Parameters
    ----------
    overlap
        Probability of the class where it is the true one.
    predicted
        Probability of the class everywhere.
    truth
        Pixels whose true class it is.
    log_likelihood
        Logarithm of the probability where it is the true one, times the pixel's weight; of softmax only.
    """

    overlap: Tensor
    predicted: Tensor
    truth: Tensor
    log_likelihood: Tensor | None = None


def one_hot(target: Tensor, classes: int) -> Tensor:
    """Class maps (N, 1, *spatial) as booleans (N, K, *spatial); an ignored pixel is of no class."""
    numbers = torch.arange(classes, dtype=target.dtype, device=target.device).view(-1, *[1] * (target.ndim - 2))
    return target == numbers


def sigmoid_sums(logits: Tensor, target: Tensor) -> Sums:
    """Of a mask: both arguments have shape (N, 1, *spatial)."""
    known = (target != IGNORE).float()
    truth = target.float().clamp(max=1) * known
    p = logits.sigmoid()
    axes = (0, *range(2, p.ndim))
    return Sums((p * truth).sum(axes), (p * known).sum(axes), truth.sum(axes))


def softmax_sums(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Sums:
    """Of a class map.

    Parameters
    ----------
    logits
        Shape (N, K, *spatial).
    target
        Shape (N, 1, *spatial): the true class, or 255, ignored.
    weights
        Shape (N, 1, *spatial): of each pixel in the log-likelihood; None: 1.
    """
    x = logits.flatten(2).contiguous()  # classes one after the other, which is twice as fast as side by side
    truth = one_hot(target.flatten(2), x.shape[1]).to(x.dtype)
    found = _SoftmaxSums.apply(x, truth, None if weights is None else weights.flatten(2))
    return Sums(found[0], found[1], truth.sum((0, 2)), found[2])


class _SoftmaxSums(torch.autograd.Function):
    """Forwards and backwards by hand: a third of the time that torch takes for the same, one operation after another.

    All inputs have shape (N, K or 1, L). Adds in a fixed order, on a GPU, too.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, truth: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        log_p = x.log_softmax(1)
        log_true = (log_p * truth).sum(1, keepdim=True)  # 0 where ignored
        p, p_true = log_p.exp_(), log_true.exp()
        known = truth.sum(1, keepdim=True)
        weights = known if weights is None else weights * known
        ctx.save_for_backward(p, p_true, truth, known, weights)
        return _over(truth, p_true), _over(p, known), _over(truth, log_true * weights)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, overlap: Tensor, predicted: Tensor, log_likelihood: Tensor) -> tuple[Tensor, None, None]:
        p, p_true, truth, known, weights = ctx.saved_tensors
        # By the logarithm of the true class's probability; softmax takes the same, times p, from every class.
        slope = _mix(overlap, truth) * p_true + _mix(log_likelihood, truth) * weights
        gradient = predicted[:, None] * known
        gradient -= _mix(predicted, p) * known + slope
        gradient *= p
        return gradient.addcmul_(truth, slope), None, None


def _over(maps: Tensor, values: Tensor) -> Tensor:
    """Sums of (N, K, L) times (N, 1, L) over examples and pixels: (K,)."""
    return torch.matmul(maps, values.mT).sum((0, 2))


def _mix(factors: Tensor, maps: Tensor) -> Tensor:
    """Sum over classes of (K,) times (N, K, L): (N, 1, L)."""
    return torch.matmul(factors, maps)[:, None]
