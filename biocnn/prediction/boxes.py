"""Boxes in images of any size, tile by tile; an object that lies across tiles is found once."""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import ceil, inf, prod

import numpy as np
import torch
from torch import Tensor

from biocnn.core.memory import bytes_per, room
from biocnn.io.intensity import range_of
from biocnn.metrics.fusion import fuse_boxes
from biocnn.nn.boxes import nms_by_class
from biocnn.nn.encode import normalise, to_tensor
from biocnn.nn.layers import LAST
from biocnn.nn.views import View, turn
from biocnn.prediction.compatibility import Adapted
from biocnn.prediction.tiles import NARROW, Field, Tile, plan
from biocnn.tasks.facts import Facts

# Tiles start at multiples of it, in pixels, as do the cells of all networks, except for the coarsest level of a
# FasterRCNN with a huge stem, whose objects are hundreds of pixels wide.
STRIDE = 64
MARGIN = 2  # what a tile sees around itself, in units of the diameter of large objects
LARGEST = 4000  # tile, in units of the square (cube) of the median diameter: a network finds a limited number of boxes
OVERLAP = 0.5  # intersection over union from which two boxes of different tiles are one object


class BoxPredictor:
    """Finding of boxes with one model.

    Parameters
    ----------
    detect
        Maps scaled images x (N, C, *spatial) to the boxes in each, (M, 2 + 2 spatial_dims).
    facts
        Facts of the data set that the model was trained on.
    device
        Device of the network.
    every
        Views of an image whose boxes are fused.
    """

    def __init__(
        self, detect: Callable[[Tensor], list[Tensor]], facts: Facts, device: torch.device, every: Sequence[View]
    ) -> None:
        self.detect, self.facts, self.device, self.every = detect, facts, device, list(every)

    @torch.inference_mode()
    def predict(self, image: Adapted, memory_gb: float) -> np.ndarray:
        """Return the boxes in an image, in its own pixels: (M, 2 + 2 spatial_dims), float32, highest score first."""
        own_range = image.own_range or self.facts.normalise == "image"
        low, high = map(torch.from_numpy, range_of(image, None if own_range else self.facts.intensity))
        tiles = plan(image.shape[1:], self._field, min(self._most_pixels, room(memory_gb) / self._bytes_per_pixel))
        found = []
        for tile in tiles:
            x = normalise(to_tensor(image.read(tile.read))[None].to(self.device), low, high)
            found.append(_kept(self._seen(x), tile))
        boxes = np.concatenate(found)
        if len(tiles) > 1:
            rows = torch.from_numpy(boxes)
            boxes = boxes[nms_by_class(rows[:, 2:], rows[:, 1], rows[:, 0], OVERLAP).numpy()]
        boxes[:, 2:] *= np.tile(np.float32(image.zoom), 2)
        return boxes

    def _seen(self, x: Tensor) -> np.ndarray:
        """Return the boxes in a piece of an image, fused over all views."""
        found = []
        for view in self.every:
            (rows,) = self.detect(turn(x, view).contiguous(memory_format=LAST[x.ndim]))
            found.append(undo_boxes(rows.cpu().numpy(), view, x.shape[2:]))
        return fuse_boxes(found)[0] if len(found) > 1 else found[0]

    @cached_property
    def _field(self) -> Field:
        """Stride and margin of tiles."""
        dims, objects = self.facts.spatial_dims, self.facts.objects
        margin = MARGIN * objects.diameter["95"] if objects.number else 0
        return Field((STRIDE,) * dims, (STRIDE * max(1, ceil(margin / STRIDE)),) * dims)

    @cached_property
    def _most_pixels(self) -> float:
        objects = self.facts.objects
        return LARGEST * objects.diameter["50"] ** self.facts.spatial_dims if objects.number else inf

    @cached_property
    def _bytes_per_pixel(self) -> float:
        size = [1, self.facts.in_channels, *[NARROW] * (self.facts.spatial_dims - 1)]
        strip = bytes_per(lambda n: self.detect(torch.zeros(*size, n, device=self.device)), NARROW)
        return strip / prod(size[2:])


def _kept(boxes: np.ndarray, tile: Tile) -> np.ndarray:
    """Return the boxes whose centre lies in a tile, without its margin, in pixels of the image."""
    first, opposite = np.split(boxes[:, 2:], 2, axis=1)
    start = np.float32([side.start for side in tile.read])
    centre = start + (first + opposite) / 2
    ends = np.float32([[side.start, side.stop] for side in tile.write]).T
    moved = boxes + np.concatenate([np.zeros(2, np.float32), start, start])
    return moved[((centre >= ends[0]) & (centre < ends[1])).all(axis=1)]


def undo_boxes(boxes: np.ndarray, view: View, sizes: Sequence[int]) -> np.ndarray:
    """Move boxes found in a view, (M, 2 + 2 spatial_dims), back to the image, whose sizes are given."""
    first, opposite = np.split(boxes[:, 2:], 2, axis=1)
    if view.swap:
        order = [*range(len(sizes) - 2), -1, -2]
        first, opposite = first[:, order], opposite[:, order]
    flip = np.array(view.flips)
    size = np.array(sizes, boxes.dtype)
    corners = np.where(flip, size - opposite, first), np.where(flip, size - first, opposite)
    return np.concatenate([boxes[:, :2], *corners], axis=1)
