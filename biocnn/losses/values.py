"""Losses of numbers, averaged over known targets (not NaN); ``class_weights`` are ignored.

Some learn more than one number for each target: logits then have blocks of K channels for K targets.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from biocnn.core.ranges import Fraction, Positive

LEVELS = (0.05, 0.5, 0.95)  # of quantiles
_WIDEST = 10.0  # bound of the logarithm of a spread, in units of the targets' standard deviation


def mse(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean squared error."""
    return _mean(F.mse_loss(logits, target.nan_to_num(), reduction="none"), target)


def l1(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean absolute error."""
    return _mean(F.l1_loss(logits, target.nan_to_num(), reduction="none"), target)


def huber(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, delta: Positive = 1.0) -> Tensor:
    """Squared error up to a distance, and linear beyond, so that single wrong values matter less.

    Parameters
    ----------
    delta
        The distance, in standard deviations of the training split's targets.

    References
    ----------
    Huber, Ann. Math. Statist. 35, 73-101 (1964), doi:10.1214/aoms/1177703732.
    """
    return _mean(F.huber_loss(logits, target.nan_to_num(), reduction="none", delta=delta), target)


def poisson(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Half the Poisson deviance of counts; logits are logarithms of expected counts."""
    y = target.nan_to_num()
    return _mean(logits.exp() - y * logits + torch.xlogy(y, y) - y, target)


def gaussian_nll(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, beta: Fraction = 0.5
) -> Tensor:
    """Negative log-likelihood of normal distributions: logits are K means, and K logarithms of standard deviations.

    Parameters
    ----------
    beta
        Each target is weighted by its predicted variance to this power. 0 is the likelihood itself, which learns the
        mean of hard examples slowly, because it explains their errors by a large variance; 1 learns the mean as does
        the squared error.

    References
    ----------
    Seitzer et al., ICLR 2022, arXiv:2203.09168.
    """
    mean, log_sd = logits.chunk(2, 1)
    log_sd = log_sd.clamp(-_WIDEST, _WIDEST)
    z = (target.nan_to_num() - mean) * (-log_sd).exp()
    loss = log_sd + z**2 / 2 + math.log(2 * math.pi) / 2
    return _mean(loss * (2 * beta * log_sd).exp().detach(), target)


def quantiles(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Pinball loss of the median and the quantiles of 5% and 95%.

    Logits are K medians, and K logarithms each of the distances of the lower and of the upper quantile from them.

    References
    ----------
    Koenker and Bassett, Econometrica 46, 33-50 (1978), doi:10.2307/1913643.
    """
    median, below, above = logits.chunk(3, 1)
    found = (median - below.clamp(max=_WIDEST).exp(), median, median + above.clamp(max=_WIDEST).exp())
    errors = [(level, target.nan_to_num() - quantile) for level, quantile in zip(LEVELS, found, strict=True)]
    pinball = [torch.maximum(level * error, (level - 1) * error) for level, error in errors]
    return _mean(torch.stack(pinball).mean(0), target)


def cumulative(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of whether the true grade is above each grade but the last, averaged over known examples.

    Logits have shape (N, K - 1), targets are one-hot rows (N, K). ``class_weights`` (K,) weight the true grades.
    """
    known = ~target.isnan().any(1)
    grade = target.nan_to_num()
    weights = known.float() if class_weights is None else (grade * class_weights).sum(1) * known
    above = 1 - grade.cumsum(1)[:, :-1]
    loss = F.binary_cross_entropy_with_logits(logits, above, reduction="none").mean(1)
    return (loss * weights).sum() / weights.sum().clamp(min=1e-6)


def _mean(loss: Tensor, target: Tensor) -> Tensor:
    known = ~target.isnan()
    return (loss * known).sum() / known.sum().clamp(min=1)
