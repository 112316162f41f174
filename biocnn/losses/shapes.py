"""Losses of shapes: the usual Dice and cross-entropy, and a term about where boundaries, or centrelines, lie.

Each class but the background is looked at by itself; a mask is one class.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from biocnn.core.errors import InputError
from biocnn.losses.regions import dice_bce, dice_cross_entropy
from biocnn.losses.sums import one_hot
from biocnn.metrics.masks import IGNORE

FARTHEST = 90  # pixels: squares of distances fit in 16 bits


def boundary(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    weight: float = 1.0,
    reach: int = 10,
) -> Tensor:
    """Dice, cross-entropy, and errors weighed by how far they lie from the true boundary.

    The last is the mean of |p - y| (min(d, reach) - 1/2) / reach, where d is the distance to the nearest pixel on the
    other side of the boundary: up to a constant, the integral over the strip between predicted and true boundary.

    Parameters
    ----------
    weight
        Of the term.
    reach
        Distance from which on all errors are alike, in pixels, 1-90.

    References
    ----------
    Kervadec et al., MIDL 2019, arXiv:1812.07032; there distances grow without end.
    """
    if not 1 <= reach <= FARTHEST:
        raise InputError(f"loss.reach: is {reach}", f"give 1 to {FARTHEST} pixels")
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
    weight: float = 0.5,
    radius: int = 3,
    smooth: float = 1.0,
) -> Tensor:
    """Dice, cross-entropy, and clDice, which asks that centrelines lie within, so that tubes are not interrupted.

    Parameters
    ----------
    weight
        Of the term.
    radius
        Of the thickest tube, in pixels: as often is what is left of it made thinner to find its centreline.

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
    """Probability and truth (N, K, *spatial) of all classes but the background, and what is known (N, 1, *spatial)."""
    known = target != IGNORE
    if logits.shape[1] == 1:
        return logits.sigmoid(), target == 1, known
    return logits.softmax(1)[:, 1:], one_hot(target, logits.shape[1])[:, 1:], known


def distances(marked: Tensor, reach: int) -> Tensor:
    """Distance of every pixel to the nearest marked one, in pixels, exact up to ``reach`` and ``reach`` beyond.

    Parameters
    ----------
    marked
        Booleans, shape (N, K, *spatial).
    """
    beyond = reach**2 + 1
    squares = (~marked).to(torch.int16) * beyond
    for axis in range(2, marked.ndim):
        found, length = squares.clone(), squares.shape[axis]
        for step in range(1, min(reach, length - 1) + 1):  # the lowest of the parabolas that stand on the neighbours
            raised = squares + step**2
            for here, there in ((0, step), (step, 0)):
                part = found.narrow(axis, here, length - step)
                torch.minimum(part, raised.narrow(axis, there, length - step), out=part)
        squares = found
    return squares.clamp(max=reach**2).float().sqrt()


def soft_skeleton(p: Tensor, radius: int) -> Tensor:
    """What openings remove from ever thinner shapes: of a 0/1 mask its centreline, of probabilities likewise.

    Parameters
    ----------
    p
        Shape (N, K, *spatial), 0 to 1, of a type with a sign.
    radius
        How often they are made thinner.
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
    """Least or largest of each pixel and the two beside it along each of some axes; one of them takes the gradient.

    Pooling is slower, and on a GPU gives other bits each time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, axes: tuple[int, ...], pick: Callable[..., Tensor]) -> Tensor:
        found = x.clone()
        for axis, here, there, length in _beside(x, axes):
            part = found.narrow(axis, here, length)
            pick(part, x.narrow(axis, there, length), out=part)
        ctx.axes = axes
        ctx.save_for_backward(x, found)
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, found = ctx.saved_tensors
        given = gradient * (x == found)
        left = gradient - given
        for axis, here, there, length in _beside(x, ctx.axes):
            part = left.narrow(axis, here, length)
            share = part * (x.narrow(axis, there, length) == found.narrow(axis, here, length))
            given.narrow(axis, there, length).add_(share)
            part.sub_(share)
        return given, None, None


def _beside(x: Tensor, axes: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Along each axis, either way: where the pixels start that have a neighbour, where these start, and how many."""
    for axis in axes:
        for here, there in ((1, 0), (0, 1)):
            yield axis, here, there, x.shape[axis] - 1
