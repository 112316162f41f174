"""Region losses, in which small classes weigh as much as large ones: Dice, Tversky, and sums with other losses.

Sums are taken over the batch, not over each image, so that images without a class do not dominate the gradient.
"""

from torch import Tensor

from biocnn.core.ranges import NonNegative
from biocnn.losses.pixels import bce, focal, mean_surprise
from biocnn.losses.sums import Sums, sigmoid_sums, softmax_sums


def region_sums(logits: Tensor, target: Tensor) -> Sums:
    """Return the sums of a binary mask (K = 1) or a class map."""
    return (sigmoid_sums if logits.shape[1] == 1 else softmax_sums)(logits, target)


def soft_dice(sums: Sums, smooth: float) -> Tensor:
    """Compute 1 - Dice, averaged over classes."""
    return 1 - ((2 * sums.overlap + smooth) / (sums.predicted + sums.truth + smooth)).mean()


def dice(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: NonNegative = 1.0) -> Tensor:
    """Soft Dice loss of a binary mask (K = 1) or a class map, with equal weights of all classes.

    Parameters
    ----------
    smooth
        Added to numerator and denominator: classes without pixels in a batch then count as found.

    References
    ----------
    Milletari et al., 3DV 2016, doi:10.1109/3DV.2016.79.
    """
    return soft_dice(region_sums(logits, target), smooth)


def dice_bce(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: NonNegative = 1.0
) -> Tensor:
    """Sum of soft Dice and binary cross-entropy.

    Parameters
    ----------
    smooth
        Added to numerator and denominator: classes without pixels in a batch then count as found.
    """
    return dice(logits, target, smooth=smooth) + bce(logits, target, class_weights)


def dice_cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: NonNegative = 1.0
) -> Tensor:
    """Sum of soft Dice and cross-entropy.

    Parameters
    ----------
    smooth
        Added to numerator and denominator: classes without pixels in a batch then count as found.
    """
    sums = softmax_sums(logits, target)
    return soft_dice(sums, smooth) + mean_surprise(sums, class_weights)


def dice_focal(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    gamma: NonNegative = 2.0,
    smooth: NonNegative = 1.0,
) -> Tensor:
    """Sum of soft Dice and the focal loss.

    Parameters
    ----------
    gamma
        Exponent of the focal loss: the larger, the lower the weight of pixels that are nearly right.
    smooth
        Added to numerator and denominator: classes without pixels in a batch then count as found.
    """
    return dice(logits, target, smooth=smooth) + focal(logits, target, class_weights, gamma=gamma)


def tversky(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    false_positives: NonNegative = 0.3,
    false_negatives: NonNegative = 0.7,
    smooth: NonNegative = 1.0,
) -> Tensor:
    """Dice with different weights of false positives and false negatives; all classes weigh the same.

    Parameters
    ----------
    false_positives, false_negatives
        Weights; 0.5 and 0.5 is Dice. A larger weight of false negatives increases recall of small structures, and false
        positives.
    smooth
        Added to numerator and denominator: classes without pixels in a batch then count as found.

    References
    ----------
    Salehi et al., MLMI 2017, doi:10.1007/978-3-319-67389-9_44.
    """
    sums = region_sums(logits, target)
    wrong = false_positives * (sums.predicted - sums.overlap) + false_negatives * (sums.truth - sums.overlap)
    return 1 - ((sums.overlap + smooth) / (sums.overlap + wrong + smooth)).mean()
