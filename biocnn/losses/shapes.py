"""Shape losses: Dice and cross-entropy plus a term on the position of boundaries or centrelines.

Each class except the background is treated separately; a mask is one class.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from biocnn.core.ranges import Count, NonNegative
from biocnn.losses.regions import dice_bce, dice_cross_entropy
from biocnn.losses.sums import one_hot
from biocnn.metrics.masks import IGNORE


def boundary(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    weight: NonNegative = 1.0,
    reach: Annotated[int, Field(ge=1, le=90)] = 10,  # squared distances fit in 16 bits
) -> Tensor:
    """Sum of Dice, cross-entropy, and errors weighted by their distance from the true boundary.

    The last term is the mean of |p - y| (min(d, reach) - 1/2) / reach, where d is the distance to the nearest pixel
    across the boundary: up to a constant, the integral over the region between predicted and true boundary.

    Parameters
    ----------
    weight
        Weight of the boundary term.
    reach
        Distance beyond which all errors have the same weight, in pixels.

    References
    ----------
    Kervadec et al., MIDL 2019, arXiv:1812.07032; with unbounded distances.
    """
    p, truth, known = _foreground(logits, target)
    to_outside, to_inside = distances(torch.cat([known & ~truth, truth]), reach).chunk(2)  # one of them is 0
    far = (to_outside + to_inside - 0.5) / reach * known
    term = ((p - truth.float()).abs() * far).sum() / (known.sum() * p.shape[1]).clamp(min=1)
    return _usual(logits, target, class_weights) + weight * term


def cldice(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    weight: NonNegative = 0.5,
    radius: Count = 3,
    smooth: NonNegative = 1.0,
) -> Tensor:
    """Sum of Dice, cross-entropy, and soft clDice, which penalises interrupted tubular structures.

    Parameters
    ----------
    weight
        Weight of the clDice term.
    radius
        Radius of the thickest structure, in pixels: the number of erosions to find its centreline.
    smooth
        Added to numerator and denominator of clDice.

    References
    ----------
    Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629.
    """
    p, truth, known = _foreground(logits, target)
    p = p * known
    line, true_line = soft_skeleton(p, radius), soft_skeleton(truth.to(torch.int8), radius)
    precision = ((line * truth).sum() + smooth) / (line.sum() + smooth)
    recall = ((true_line * p).sum() + smooth) / (true_line.sum() + smooth)
    term = 1 - 2 * precision * recall / (precision + recall)
    return _usual(logits, target, class_weights) + weight * term


def _usual(logits: Tensor, target: Tensor, class_weights: Tensor | None) -> Tensor:
    return (dice_bce if logits.shape[1] == 1 else dice_cross_entropy)(logits, target, class_weights)


def _foreground(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return probability and truth (N, K, *spatial) of the foreground classes, and known pixels (N, 1, *spatial)."""
    known = target != IGNORE
    if logits.shape[1] == 1:
        return logits.sigmoid(), target == 1, known
    return logits.softmax(1)[:, 1:], one_hot(target, logits.shape[1])[:, 1:], known


def distances(marked: Tensor, reach: int) -> Tensor:
    """Return the distance of each pixel to the nearest marked one, in pixels, capped at ``reach``.

    Parameters
    ----------
    marked
        Shape (N, K, *spatial), bool.
    """
    beyond = reach**2 + 1
    squares = (~marked).to(torch.int16) * beyond
    for axis in range(2, marked.ndim):
        lowest, length = squares.clone(), squares.shape[axis]
        for step in range(1, min(reach, length - 1) + 1):  # lower envelope of the parabolas of all neighbours
            raised = squares + step**2
            for here, there in ((0, step), (step, 0)):
                part = lowest.narrow(axis, here, length - step)
                torch.minimum(part, raised.narrow(axis, there, length - step), out=part)
        squares = lowest
    return squares.clamp(max=reach**2).float().sqrt()


def soft_skeleton(p: Tensor, radius: int) -> Tensor:
    """Compute a soft skeleton: what openings remove from a shape that is eroded step by step.

    Parameters
    ----------
    p
        Mask or probabilities, shape (N, K, *spatial), 0 to 1, of a signed type.
    radius
        Number of erosions.
    """
    axes = tuple(range(2, p.ndim))
    skeleton = torch.zeros_like(p)
    for _ in range(radius + 1):
        thinner = opened = _Extreme.apply(p, axes, torch.minimum)
        for axis in axes:
            opened = _Extreme.apply(opened, (axis,), torch.maximum)
        skeleton = skeleton + (p - opened).relu() * (1 - skeleton)
        p = thinner
    return skeleton


class _Extreme(torch.autograd.Function):
    """Minimum or maximum of each pixel and its neighbours along some axes; one of them takes the gradient.

    Pooling is slower, and not deterministic on GPUs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, axes: tuple[int, ...], pick: Callable[..., Tensor]) -> Tensor:
        result = x.clone()
        for axis, here, there, length in _neighbours(x, axes):
            part = result.narrow(axis, here, length)
            pick(part, x.narrow(axis, there, length), out=part)
        ctx.axes = axes
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, result = ctx.saved_tensors
        given = gradient * (x == result)
        left = gradient - given
        for axis, here, there, length in _neighbours(x, ctx.axes):
            part = left.narrow(axis, here, length)
            share = part * (x.narrow(axis, there, length) == result.narrow(axis, here, length))
            given.narrow(axis, there, length).add_(share)
            part.sub_(share)
        return given, None, None


def _neighbours(x: Tensor, axes: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Yield, per axis and direction, the start of pixels with a neighbour, of the neighbours, and their number."""
    for axis in axes:
        for here, there in ((1, 0), (0, 1)):
            yield axis, here, there, x.shape[axis] - 1
