"""Losses of whole regions, which small classes weigh in as much as large ones: Dice, Tversky, and sums with others.

Sums go over the whole batch, not over each image, so that images without a class do not swing the gradient.
"""

from torch import Tensor

from biocnn.losses.pixels import bce, focal, mean_surprise
from biocnn.losses.sums import Sums, sigmoid_sums, softmax_sums


def region_sums(logits: Tensor, target: Tensor) -> Sums:
    """Sums over a binary mask (K = 1) or a class map."""
    return (sigmoid_sums if logits.shape[1] == 1 else softmax_sums)(logits, target)


def soft_dice(sums: Sums, smooth: float) -> Tensor:
    """1 - Dice, mean over classes."""
    return 1 - ((2 * sums.overlap + smooth) / (sums.predicted + sums.truth + smooth)).mean()


def dice(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: float = 1.0) -> Tensor:
    """Soft Dice loss of a binary mask (K = 1) or of all classes of a class map; weighs all classes alike.

    References
    ----------
    Milletari et al., 3DV 2016, doi:10.1109/3DV.2016.79.
    """
    return soft_dice(region_sums(logits, target), smooth)


def dice_bce(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: float = 1.0) -> Tensor:
    """Sum of soft Dice and binary cross-entropy."""
    return dice(logits, target, smooth=smooth) + bce(logits, target, class_weights)


def dice_cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: float = 1.0
) -> Tensor:
    """Sum of soft Dice and cross-entropy."""
    sums = softmax_sums(logits, target)
    return soft_dice(sums, smooth) + mean_surprise(sums, class_weights)


def dice_focal(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    gamma: float = 2.0,
    smooth: float = 1.0,
) -> Tensor:
    """Sum of soft Dice and the focal loss."""
    return dice(logits, target, smooth=smooth) + focal(logits, target, class_weights, gamma=gamma)


def tversky(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    false_positives: float = 0.3,
    false_negatives: float = 0.7,
    smooth: float = 1.0,
) -> Tensor:
    """Dice in which pixels missed and pixels wrongly found cost differently; weighs all classes alike.

    Parameters
    ----------
    false_positives, false_negatives
        What each costs; .5 and .5 is Dice. More for false negatives finds more of what is small, and more that is
        not there.

    References
    ----------
    Salehi et al., MLMI 2017, doi:10.1007/978-3-319-67389-9_44.
    """
    sums = region_sums(logits, target)
    wrong = false_positives * (sums.predicted - sums.overlap) + false_negatives * (sums.truth - sums.overlap)
    return 1 - ((sums.overlap + smooth) / (sums.overlap + wrong + smooth)).mean()
