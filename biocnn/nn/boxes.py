"""Boxes: area, overlap, suppression of duplicates, and their position relative to anchors.

Boxes have the shape (..., 2 D): first corner, opposite corner; in 2D (row, column, row, column), in 3D (plane, row,
column, plane, row, column). Corners lie on the edges of pixels, which are counted from 0. All functions work in any
number of dimensions.
"""

from collections.abc import Sequence
from functools import reduce
from math import log

import torch
from torch import Tensor

BLOCK = 256  # boxes compared with each other at once
STRIPS = 256  # most parts of the plane, to search for neighbours
LARGEST = log(1000 / 16)  # most that a box may exceed its anchor, as a logarithm


def corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the opposite corner, each of shape (..., D)."""
    first, opposite = boxes.chunk(2, -1)
    return first, opposite


def area(boxes: Tensor) -> Tensor:
    """Return areas (in 3D volumes), shape (...); 0 where the opposite corner is before the first."""
    ends = zip(*(corner.unbind(-1) for corner in corners(boxes)), strict=True)
    return reduce(torch.mul, ((end - start).clamp(min=0) for start, end in ends))  # faster than torch.prod


def intersection(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the area shared by boxes (..., 2 D) and others, whose shapes are broadcast."""
    ends = zip(*(corner.unbind(-1) for corner in (*corners(boxes), *corners(others))), strict=True)
    return reduce(torch.mul, ((torch.minimum(b, d) - torch.maximum(a, c)).clamp(min=0) for a, b, c, d in ends))


def iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union of boxes (..., 2 D) and others, whose shapes are broadcast.

    It is 0 where both are empty.
    """
    shared = intersection(boxes, others)
    union = area(boxes) + area(others) - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def iou_matrix(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union of each pair, shape (M, N) for boxes (M, 2 D) and (N, 2 D)."""
    return iou(_by_axis(boxes)[:, None], _by_axis(others))


def _by_axis(boxes: Tensor) -> Tensor:
    """Store the coordinates of one axis next to each other, which makes comparisons faster."""
    return boxes.T.contiguous().T


def clip(boxes: Tensor, sizes: Sequence[int]) -> Tensor:
    """Move corners beyond the image, of ``sizes`` along each axis, to its border."""
    return boxes.clamp(min=0).minimum(boxes.new_tensor([*sizes, *sizes]))


def encode(boxes: Tensor, anchors: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Return the position and size of boxes relative to anchors, shape (..., 2 D).

    The first D values are the distance of the centres in units of the anchor's size, the others the logarithm of the
    ratio of sizes; see ``decode``.

    Parameters
    ----------
    weights
        Factors of the first D values and of the others.

    References
    ----------
    Ren et al., NeurIPS 2015, arXiv:1506.01497.
    """
    (first, opposite), (start, end) = corners(boxes), corners(anchors)
    size = end - start
    shift = (first + opposite - start - end) / (2 * size)
    return torch.cat([weights[0] * shift, weights[1] * ((opposite - first) / size).log()], -1)


def decode(codes: Tensor, anchors: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Return the boxes that ``encode`` would turn into these codes; none is more than 62.5 times as long as its anchor.

    Shapes are broadcast: codes (M, K, 2 D) and anchors (M, 1, 2 D) give boxes (M, K, 2 D).
    """
    (shift, growth), (start, end) = corners(codes), corners(anchors)
    size = end - start
    centre = start + size / 2 + shift / weights[0] * size
    half = (growth / weights[1]).clamp(max=LARGEST).exp() * size / 2
    return torch.cat([centre - half, centre + half], -1)


def nms_by_class(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Suppress duplicates among boxes with the same label; see ``nms``."""
    label = labels.to(boxes.dtype)[:, None]
    first, opposite = corners(boxes)
    return nms(torch.cat([label, first, label + 1, opposite], 1), scores, threshold)  # the label is one more axis


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Suppress duplicates (non-maximum suppression).

    The box with the highest score is kept, and all boxes that overlap it too much are removed; then likewise with the
    boxes that remain. Of equal scores, the first comes first. 20,000 boxes take 0.1-0.2 s on a CPU core.

    Parameters
    ----------
    boxes
        Shape (M, 2 D). Boxes that are not finite are removed.
    scores
        Shape (M,).
    threshold
        Largest intersection over union of two boxes that are kept.

    Returns
    -------
    kept
        Indices, highest score first.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[boxes[order].isfinite().all(1)]
    if not len(order):
        return order
    boxes = boxes[order]
    neighbours = _Neighbours(boxes, threshold)
    left = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    kept = []
    while len(block := left.nonzero()[:BLOCK, 0]):
        left[block] = False
        block = block[_greedy(iou_matrix(boxes[block], boxes[block]) > threshold)]
        kept.append(block)
        left[neighbours(block, left)] = False
    return order[torch.cat(kept)]


def _greedy(close: Tensor) -> Tensor:
    """Return which boxes are kept if each of these removes all later ones that are close by the matrix.

    After n steps the first n are right; usually a few steps are enough.
    """
    removes = close.triu(1)
    kept, before = close.new_ones(len(close)), None
    while before is None or not kept.equal(before):
        # Not a matrix product: oneDNN would store code for each number of boxes, up to 1 GB.
        kept, before = ~removes[kept].any(0), kept
    return kept


class _Neighbours:
    """Search for the boxes that overlap given ones.

    Boxes are sorted into strips across one axis, and in each strip by their start along another. If two intervals have
    an intersection over union above t, and one has length a, then the other's centre is less than a (1 - t) / 2 t away,
    and its start less than a (1 - t) / t before or a (1 - t) after. This holds for boxes along each axis.
    """

    def __init__(self, boxes: Tensor, threshold: float) -> None:
        self.coordinates, self.threshold = boxes.T.contiguous(), threshold
        first, opposite = corners(boxes.double())
        low, length = first.amin(0), opposite - first
        extent = opposite.amax(0) - low
        along, across = (extent / length.mean(0)).nan_to_num(0).argsort(descending=True)[[0, min(1, len(extent) - 1)]]
        width = torch.maximum(length[:, across].mean(), extent[across] / STRIPS).clamp(min=1e-6)
        self.start, self.length = (first - low)[:, along], length[:, along]
        self.centre, self.reach = (first - low + length / 2)[:, across] / width, length[:, across] / width
        self.strips, self.step = int(extent[across] / width), 2 * extent[along] + 1
        self.places, self.order = (self.centre.floor() * self.step + self.start).sort()

    def __call__(self, chosen: Tensor, left: Tensor) -> Tensor:
        """Return the indices of boxes still left that overlap any of the chosen, with repetitions."""
        still = left[self.order]
        self.order, self.places = self.order[still], self.places[still]
        after = 1.001 * (1 - self.threshold)  # a little more, for rounding
        before = after / max(self.threshold, 1e-6)
        reach = self.reach[chosen] * before / 2
        low = (self.centre[chosen] - reach).floor().clamp(min=0)
        high = (self.centre[chosen] + reach).floor().clamp(max=self.strips)
        one, number = _count((high - low).long() + 1)
        chosen, strip = chosen[one], (low[one] + number) * self.step
        start, length = self.start[chosen], self.length[chosen]
        low = torch.searchsorted(self.places, strip + (start - before * length).clamp(min=0))
        high = torch.searchsorted(self.places, strip + start + after * length, right=True)
        one, number = _count(high - low)
        one, other = chosen[one], self.order[low[one] + number]
        return other[iou(self.coordinates[:, one].T, self.coordinates[:, other].T) > self.threshold]


def _count(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Count from 0 to each of several numbers, exclusive: return the index of the number and the count."""
    index = torch.arange(len(numbers), device=numbers.device).repeat_interleave(numbers)
    return index, torch.arange(len(index), device=index.device) - (numbers.cumsum(0) - numbers)[index]
