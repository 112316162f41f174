"""Losses of each pixel (or output) by itself: cross-entropy, focal, squared error."""

from torch import Tensor
from torch.nn import functional as F

from biocnn.losses.sums import Sums, one_hot, softmax_sums
from biocnn.metrics.masks import IGNORE


def bce(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, mean over all that is not ignored; ``class_weights`` (K,) weigh the positives."""
    known, target = _known(target)
    weights = None if class_weights is None else class_weights.view(1, -1, *[1] * (logits.ndim - 2))
    loss = F.binary_cross_entropy_with_logits(logits, target.float().clamp(max=1), pos_weight=weights, reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def mse(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean squared error of all that is known (not nan); class weights have no meaning here."""
    known = ~target.isnan()
    loss = F.mse_loss(logits, target.nan_to_num(), reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def cross_entropy(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of class maps of shape (N, 1, *spatial), mean over all that is not ignored, weighted by class."""
    return mean_surprise(softmax_sums(logits, target), class_weights)


def _known(target: Tensor) -> tuple[Tensor, Tensor]:
    """Which targets are known: neither 255 nor nan; and the targets, 0 for nan."""
    if not target.is_floating_point():
        return target != IGNORE, target
    return (target != IGNORE) & ~target.isnan(), target.nan_to_num()


def mean_surprise(sums: Sums, class_weights: Tensor | None) -> Tensor:
    """Cross-entropy from sums; a batch in which all is ignored has loss 0."""
    assert sums.log_likelihood is not None
    if class_weights is None:
        return -sums.log_likelihood.sum() / sums.truth.sum().clamp(min=1)
    return -(class_weights * sums.log_likelihood).sum() / (class_weights * sums.truth).sum().clamp(min=1e-6)


def focal(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, gamma: float = 2.0) -> Tensor:
    """Cross-entropy in which a pixel counts the less, the surer it is right: times (1 - p of the true class) ** gamma.

    Parameters
    ----------
    gamma
        0 is cross-entropy; the larger, the more hard pixels count.

    References
    ----------
    Lin et al., ICCV 2017, doi:10.1109/ICCV.2017.324.
    """
    if logits.shape[1] == 1:
        known, positive = target != IGNORE, target == 1
        z = logits * (2.0 * positive - 1)  # large where it is right
        loss = (gamma * F.logsigmoid(-z)).exp() * F.softplus(-z) * known
        if class_weights is not None:
            loss = loss * (1 + (class_weights - 1) * positive)
        return loss.sum() / known.sum().clamp(min=1)
    truth = one_hot(target, logits.shape[1])
    log_true = (logits.log_softmax(1) * truth).sum(1, keepdim=True)
    wrong = (1 - log_true.exp()).clamp(min=1e-6)  # a power below 1 has no slope at 0
    weights = truth.any(1, keepdim=True).float() if class_weights is None else _of_pixels(class_weights, truth)
    return -(wrong**gamma * log_true * weights).sum() / weights.sum().clamp(min=1e-6)


def _of_pixels(class_weights: Tensor, truth: Tensor) -> Tensor:
    """The weight of each pixel's true class, shape (N, 1, *spatial); 0 where ignored."""
    return (class_weights.view(-1, *[1] * (truth.ndim - 2)) * truth).sum(1, keepdim=True)
