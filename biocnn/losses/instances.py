"""The loss of touching objects."""

from torch import Tensor

from biocnn.core.errors import InputError
from biocnn.losses.pixels import mean_surprise
from biocnn.losses.regions import soft_dice
from biocnn.losses.sums import softmax_sums
from biocnn.metrics.masks import IGNORE

GAP_STEPS = 8  # of the gap map, to a pixel
WIDEST = 10  # pixels: at the widest gap that is stored, little of the weight is left


def instances(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    boundary: float = 1.0,
    distance: float = 1.0,
    border_weight: float = 0.0,
    border_sigma: float = 5.0,
) -> Tensor:
    """Cross-entropy and Dice of background / inside / boundary, plus the error of the distance to the edge.

    Parameters
    ----------
    boundary
        Weight of the boundary class, which separates touching objects, in the cross-entropy.
    distance
        Weight of the mean absolute error of the distance map.
    border_weight
        What a pixel in a gap between two objects weighs in the cross-entropy beyond the 1 of every pixel: U-Net's w0,
        there 10, where the distances to the nearest two objects, d1 + d2, are 0.
    border_sigma
        How the weight falls as gaps get wider, in pixels, at most 10: w0 exp(-(d1 + d2)^2 / (2 sigma^2)).

    References
    ----------
    The weight of borders: Ronneberger et al., MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.
    """
    wanted, weights = target[:, :1], class_weights
    if weights is None:
        weights = logits.new_ones(3)
        weights[2] = boundary
    border = border_weights(target[:, 2:], border_weight, border_sigma) if border_weight else None
    sums = softmax_sums(logits[:, :3], wanted, border)
    error = (logits[:, 3:].sigmoid() - target[:, 1:2] / 255.0).abs()
    known = wanted != IGNORE
    far = (error * known).sum() / known.sum().clamp(min=1)
    return soft_dice(sums, 1.0) + mean_surprise(sums, weights) + distance * far


def border_weights(gap: Tensor, weight: float, sigma: float) -> Tensor:
    """1 + weight * exp(-(d1 + d2)^2 / (2 sigma^2)) of the gap map as it is stored, of any shape."""
    if not 0 < sigma <= WIDEST:
        raise InputError(f"loss.border_sigma: is {sigma:g}", f"give at most {WIDEST} pixels: gaps are stored up to 32")
    return 1 + weight * gap.float().square().mul_(-0.5 / (sigma * GAP_STEPS) ** 2).exp_()
