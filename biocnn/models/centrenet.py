"""CentreNet: objects as points with a size, without anchors."""

from collections.abc import Sequence
from itertools import pairwise
from math import log, prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from biocnn.core.ranges import Size
from biocnn.metrics.boxes import UNJUDGED
from biocnn.models.detector import Detector
from biocnn.models.resnet import STRIDES, ResNet
from biocnn.nn.blocks import ConvBlock, kaiming, pool
from biocnn.nn.boxes import area, clip, corners, intersection, nms_by_class
from biocnn.nn.layers import Conv
from biocnn.nn.unet_blocks import Up, fit_to_multiple
from biocnn.nn.unravel import unravel

SPREAD = 0.54  # length of the region that learns an object, as a share of the object's
PRIOR = 0.1  # initial probability of a centre
OF_BOXES = 5.0  # weight of the loss of boxes
UNIT = 8.0  # initial side of boxes, in cells
LARGEST = 8.0  # of the logarithm of a side, in these units
MOST = 1000  # boxes per image, or one per CLOSEST cells of a large image
CLOSEST = 25
LEAST = 0.01  # lowest score
OVERLAP = 0.5  # intersection over union above which the lower of two scores of a class is dropped


class CentreNet(Detector):
    """Find the centre of each object on a map, and its box: (N, in_channels, *spatial) to a list of boxes per image.

    A residual body and a decoder with skip connections give a map with one cell per 8 (stem ``huge``), 4 (``large``), 2
    (``medium``) or 1 (``small``) pixels along each axis. It has a logit for each class, the logarithms of the object's
    sides, and the offset from the cell to the object's centre. Input may have any size.

    Parameters
    ----------
    depth, channels, stem
        Of the body, as for ``ResNet``.

    References
    ----------
    Zhou et al. 2019, arXiv:1904.07850. All cells near a centre learn the box, by generalised intersection over union:
    Liu et al., AAAI 2020, arXiv:1909.00700.
    """

    BODY = ("features",)

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        depth: Literal[18, 34, 50, 101, 152] | None = None,
        channels: tuple[Size, Size, Size, Size] | None = None,
        stem: Literal["small", "medium", "large", "huge"] | None = None,
    ) -> None:
        super().__init__()
        body = ResNet(spatial_dims, in_channels, 1, depth=depth, channels=channels, stem=stem)
        self.features, self.stride, self.classes = body.features, STRIDES[stem or "large"], out_channels
        self.up = nn.ModuleList(Up(spatial_dims, coarse, fine, fine) for coarse, fine in pairwise(body.widths[::-1]))
        last = Conv(spatial_dims, body.widths[0], out_channels + 2 * spatial_dims, 1)
        self.head = nn.Sequential(ConvBlock(spatial_dims, body.widths[0], body.widths[0]), last)
        self.neighbourhood = pool("max", spatial_dims, 3, stride=1, padding="same")
        kaiming(self.up)
        kaiming(self.head)
        with torch.no_grad():
            last.conv.weight.mul_(0.1)
            assert last.conv.bias is not None
            last.conv.bias[:out_channels] = -log(1 / PRIOR - 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = self._maps(x)
        logits = maps[:, : self.classes]
        p = torch.where(self.neighbourhood(logits) == logits, logits.sigmoid(), 0).flatten(1)
        cells = prod(maps.shape[2:])
        scores, places = p.topk(min(max(MOST, cells // CLOSEST), p.shape[1]))
        return [
            self._found(one.flatten(1), where // cells, score, where % cells, maps.shape[2:], x.shape[2:])
            for one, score, where in zip(maps, scores, places, strict=True)
        ]

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        maps = self._maps(x)
        whole, ignored = y[y[:, 1] != UNJUDGED], y[y[:, 1] == UNJUDGED]
        image, label, boxes = whole[:, 0].long(), whole[:, 1].long(), whole[:, 2:]
        sizes, cells = maps.shape[2:], prod(maps.shape[2:])
        owner, cell, near = self._near(boxes, sizes)
        number = max(1, len(boxes))
        # How near to the centre of an object of its class each cell is, 0 to 1.
        target = maps.new_zeros(len(maps) * self.classes * cells)
        target.scatter_reduce_(0, (image[owner] * self.classes + label[owner]) * cells + cell, near, "amax")
        target = target.view(len(maps), self.classes, cells)
        known = (~self._inside(ignored, len(maps), sizes)).float()[:, None]
        logits = maps[:, : self.classes].flatten(2)
        p = logits.sigmoid()
        there = (target == 1) * (1 - p) ** 2 * logsigmoid(logits)
        elsewhere = known * (1 - target) ** 4 * p**2 * logsigmoid(-logits)
        centres = -(there + elsewhere).sum() / number
        # A cell near several objects learns the nearest.
        place = image[owner] * cells + cell
        nearest = near.new_zeros(len(maps) * cells).scatter_reduce_(0, place, near, "amax")
        mine = near == nearest[place]
        owner, cell, near = owner[mine], cell[mine], near[mine]
        weight = near / near.new_zeros(number).index_add_(0, owner, near)[owner]
        found = self._boxes(maps.flatten(2)[image[owner], self.classes :, cell], cell, sizes)
        return centres + OF_BOXES * (weight * (1 - _generalised_iou(found, boxes[owner]))).sum() / number

    def _maps(self, x: Tensor) -> Tensor:
        """Return logits of classes, logarithms of sides, and offsets: (N, classes + 2 spatial_dims, *cells)."""
        x, skips = fit_to_multiple(x, 8 * self.stride), []
        for stage in self.features:
            x = stage(x)
            skips.append(x)
        for up, skip in zip(self.up, skips[-2:0:-1], strict=True):  # the stem has no skip connection
            x = up(x, skip)
        return self.head(x).float()

    def _found(
        self, maps: Tensor, label: Tensor, score: Tensor, cell: Tensor, cells: Sequence[int], sizes: Sequence[int]
    ) -> Tensor:
        """Return the boxes at cells of an image, in rows of the contract."""
        boxes = clip(self._boxes(maps[self.classes :, cell].T, cell, cells), sizes)
        kept = nms_by_class(boxes, score, label, OVERLAP)
        kept = kept[(score[kept] >= LEAST) & (area(boxes[kept]) > 0)]
        return torch.cat([label[kept, None], score[kept, None], boxes[kept]], 1)

    def _boxes(self, values: Tensor, cell: Tensor, cells: Sequence[int]) -> Tensor:
        """Return the boxes predicted at cells, (M, 2 spatial_dims), from the map's values there, of the same shape."""
        side, offset = values.chunk(2, 1)
        centre = torch.stack(unravel(cell, cells), 1) + 0.5 + offset
        half = UNIT / 2 * side.clamp(max=LARGEST).exp()
        return self.stride * torch.cat([centre - half, centre + half], 1)

    def _near(self, boxes: Tensor, cells: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return cells near the centres of boxes: number of the box, number of the cell, and how near, up to 1."""
        first, opposite = (corner / self.stride for corner in corners(boxes))
        centre = ((first + opposite) / 2).long().minimum(boxes.new_tensor(cells).long() - 1)
        reach = ((opposite - first) * SPREAD / 2).long()
        owner, at = _windows(centre - reach, centre + reach + 1)
        inside = ((at >= 0) & (at < at.new_tensor(cells))).all(1)
        owner, at = owner[inside], at[inside]
        sd = (2 * reach[owner] + 1) / 6
        near = (-((at - centre[owner]) ** 2) / (2 * sd**2)).sum(1).exp()
        return owner, _ravel(at, cells), near

    def _inside(self, rows: Tensor, images: int, cells: Sequence[int]) -> Tensor:
        """Return which cells touch boxes, in rows of a target: shape (images, cells), bool."""
        first, opposite = corners(rows[:, 2:] / self.stride)
        low = first.floor().long().clamp(min=0)
        owner, at = _windows(low, opposite.ceil().long().minimum(low.new_tensor(cells)))
        mask = torch.zeros(images, prod(cells), dtype=torch.bool, device=rows.device)
        mask[rows[owner, 0].long(), _ravel(at, cells)] = True
        return mask


def _windows(start: Tensor, stop: Tensor) -> tuple[Tensor, Tensor]:
    """List the cells of windows, (M, D) to (M, D): number of the window, shape (n,), and coordinates, (n, D)."""
    sides = (stop - start).clamp(min=0)
    number = sides.prod(1)
    window = torch.arange(len(sides), device=sides.device).repeat_interleave(number)
    index = torch.arange(len(window), device=sides.device) - (number.cumsum(0) - number)[window]
    along: list[Tensor] = []
    for axis in reversed(range(sides.shape[1])):
        along.insert(0, index % sides[window, axis])
        index = index // sides[window, axis]
    return window, start[window] + torch.stack(along, 1)


def _ravel(at: Tensor, cells: Sequence[int]) -> Tensor:
    """Return the number of each cell, given coordinates (n, D)."""
    number = torch.zeros_like(at[:, 0])
    for axis, side in enumerate(cells):
        number = number * side + at[:, axis]
    return number


def _generalised_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the generalised intersection over union of pairs of boxes, from -1 to 1 (arXiv:1902.09630)."""
    shared = intersection(boxes, others)
    union = area(boxes) + area(others) - shared
    (a, b), (c, d) = corners(boxes), corners(others)
    hull = area(torch.cat([a.minimum(c), b.maximum(d)], 1))
    return shared / union - 1 + union / hull
