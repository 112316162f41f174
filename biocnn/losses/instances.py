"""Loss for touching objects."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from biocnn.core.ranges import NonNegative
from biocnn.losses.pixels import mean_surprise
from biocnn.losses.regions import soft_dice
from biocnn.losses.sums import softmax_sums
from biocnn.metrics.masks import IGNORE

GAP_STEPS = 8  # steps of the gap map per pixel


def instances(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    boundary: NonNegative = 1.0,
    distance: NonNegative = 1.0,
    kind: NonNegative = 1.0,
    border_weight: NonNegative = 0.0,
    border_sigma: Annotated[float, Field(gt=0, le=10)] = 5.0,  # gaps are stored up to 32 pixels
) -> Tensor:
    """Compute cross-entropy and Dice of background / inside / boundary, plus the error of the edge distance.

    If objects have classes, the cross-entropy of these is added, over the pixels of objects whose class is known.

    Parameters
    ----------
    boundary
        Weight in the cross-entropy of the boundary class, which separates touching objects.
    distance
        Weight of the mean absolute error of the distance map.
    kind
        Weight of the cross-entropy of the classes of objects.
    border_weight
        Additional weight in the cross-entropy of pixels in a gap between two objects, where the distances to the
        nearest two objects, d1 + d2, are 0: w0 of U-Net, which used 10.
    border_sigma
        Decay of this weight with the gap width, in pixels: w0 exp(-(d1 + d2)^2 / (2 sigma^2)).

    References
    ----------
    Border weights: Ronneberger et al., MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.
    """
    wanted, weights = target[:, :1], class_weights
    if weights is None:
        weights = logits.new_ones(3)
        weights[2] = boundary
    border = border_weights(target[:, 2:3], border_weight, border_sigma) if border_weight else None
    sums = softmax_sums(logits[:, :3], wanted, border)
    error = (logits[:, 3:4].sigmoid() - target[:, 1:2] / 255.0).abs()
    known = wanted != IGNORE
    far = (error * known).sum() / known.sum().clamp(min=1)
    value = soft_dice(sums, 1.0) + mean_surprise(sums, weights[:3]) + distance * far
    if logits.shape[1] == 4:
        return value
    of_kinds = softmax_sums(logits[:, 4:], target[:, 3:])
    return value + kind * mean_surprise(of_kinds, None if class_weights is None else class_weights[3:])


def border_weights(gap: Tensor, weight: float, sigma: float) -> Tensor:
    """Compute 1 + weight * exp(-(d1 + d2)^2 / (2 sigma^2)) from the stored gap map, of any shape."""
    return 1 + weight * gap.float().square().mul_(-0.5 / (sigma * GAP_STEPS) ** 2).exp_()
