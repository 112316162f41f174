"""Losses of single pixels (or outputs): cross-entropy, focal."""

from torch import Tensor
from torch.nn import functional as F

from biocnn.core.errors import InputError
from biocnn.core.ranges import Fraction, NonNegative
from biocnn.losses.sums import Sums, one_hot, softmax_sums
from biocnn.metrics.masks import IGNORE


def bce(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, averaged over known targets; ``class_weights`` (K,) weight the positives."""
    known, target = _known(target)
    weights = None if class_weights is None else class_weights.view(1, -1, *[1] * (logits.ndim - 2))
    loss = F.binary_cross_entropy_with_logits(logits, target.float().clamp(max=1), pos_weight=weights, reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, label_smoothing: Fraction = 0.0
) -> Tensor:
    """Cross-entropy of one class per pixel or example, averaged over known ones, weighted by class.

    Parameters
    ----------
    target
        Class maps (N, 1, *spatial), or one row per example with 1 for its class (N, K).
    label_smoothing
        Share of each target that is spread evenly over all classes; for rows only.

    References
    ----------
    Label smoothing: Szegedy et al., CVPR 2016, doi:10.1109/CVPR.2016.308.
    """
    if target.ndim == 2:
        return _of_rows(logits, target, class_weights, label_smoothing)
    if label_smoothing:
        raise InputError("loss: cross_entropy.label_smoothing is for one class per image", "leave it out")
    return mean_surprise(softmax_sums(logits, target), class_weights)


def _of_rows(logits: Tensor, target: Tensor, class_weights: Tensor | None, smoothing: float) -> Tensor:
    known, target = _known(target)
    weights = known.all(1).float()
    if class_weights is not None:
        weights = weights * (target * class_weights).sum(1)
    smooth = target * (1 - smoothing) + smoothing / target.shape[1]
    return -(weights * (smooth * logits.log_softmax(1)).sum(1)).sum() / weights.sum().clamp(min=1e-6)


def _known(target: Tensor) -> tuple[Tensor, Tensor]:
    """Return which targets are known (neither 255 nor NaN), and the targets with 0 for NaN."""
    if not target.is_floating_point():
        return target != IGNORE, target
    return (target != IGNORE) & ~target.isnan(), target.nan_to_num()


def mean_surprise(sums: Sums, class_weights: Tensor | None) -> Tensor:
    """Compute cross-entropy from sums; 0 if all pixels of a batch are ignored."""
    assert sums.log_likelihood is not None
    if class_weights is None:
        return -sums.log_likelihood.sum() / sums.truth.sum().clamp(min=1)
    return -(class_weights * sums.log_likelihood).sum() / (class_weights * sums.truth).sum().clamp(min=1e-6)


def focal(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, gamma: NonNegative = 2.0) -> Tensor:
    """Cross-entropy times (1 - p) ** gamma of the true class, which reduces the weight of easy pixels.

    Parameters
    ----------
    gamma
        Focusing exponent: 0 is cross-entropy; larger values emphasise hard pixels.

    References
    ----------
    Lin et al., ICCV 2017, doi:10.1109/ICCV.2017.324.
    """
    if logits.shape[1] == 1:
        known, positive = target != IGNORE, target == 1
        z = logits * (2.0 * positive - 1)  # large where the prediction is right
        loss = (gamma * F.logsigmoid(-z)).exp() * F.softplus(-z) * known
        if class_weights is not None:
            loss = loss * (1 + (class_weights - 1) * positive)
        return loss.sum() / known.sum().clamp(min=1)
    truth = one_hot(target, logits.shape[1])
    log_true = (logits.log_softmax(1) * truth).sum(1, keepdim=True)
    wrong = (1 - log_true.exp()).clamp(min=1e-6)  # powers below 1 have no gradient at 0
    weights = truth.any(1, keepdim=True).float() if class_weights is None else _of_pixels(class_weights, truth)
    return -(wrong**gamma * log_true * weights).sum() / weights.sum().clamp(min=1e-6)


def _of_pixels(class_weights: Tensor, truth: Tensor) -> Tensor:
    """Return the weight of each pixel's true class, shape (N, 1, *spatial); 0 if ignored."""
    return (class_weights.view(-1, *[1] * (truth.ndim - 2)) * truth).sum(1, keepdim=True)
