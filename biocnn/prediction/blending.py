"""Predictions of overlapping patches, blended: the values of a sliding window, with a Gaussian's weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np
from torch import Tensor

from biocnn.prediction.tiles import Field, Slices, common, inside, plan

WIDTH = 0.125  # standard deviation of the Gaussian, as a share of the patch
LEAST = 1e-3  # weight far from a patch's middle, so that an image's corners have one
BYTES = 8  # of a pixel of one map while patches are added up: the map and what a patch adds to it


@dataclass(frozen=True)
class Blend:
    """Patches of one size, each overlapping the next by a share of it.

    Each pixel's value is the mean of what is said of it in all patches, with a weight that falls as a Gaussian from the
    middle of a patch. Next to the values of the whole image, which exact tiles give, this hides what patches say
    differently near their ends; it is for comparison with tools that work so, and for networks that see all of an
    image at once, of which large images can only be predicted in patches.
    """

    patch: tuple[int, ...]
    overlap: float = 0.5

    def region(self, region: Slices, shape: Sequence[int], answer: Callable[[Slices], Tensor]) -> np.ndarray:
        """The blended maps of a region: (K, *region), float32.

        Parameters
        ----------
        region
            Of the image.
        shape
            Of all maps, (K, *spatial).
        answer
            What is said of a patch of the image: (1, K, *patch).
        """
        sizes = [part.stop - part.start for part in region]
        total, weights = np.zeros((shape[0], *sizes), np.float32), np.zeros(sizes, np.float32)
        patch = tuple(min(p, n) for p, n in zip(self.patch, shape[1:], strict=True))
        weight = gaussian(patch)
        for window in self._windows(region, patch, shape[1:]):
            both = common(region, window)
            found, here, there = answer(window)[0].cpu().numpy(), inside(both, region), inside(both, window)
            total[:, *here] += found[:, *there] * weight[there]
            weights[here] += weight[there]
        return total / weights

    def regions(self, shape: tuple[int, ...], room: float, maps: int) -> list[Slices]:
        """The image, in as few pieces as leave half of the memory to the network."""
        apart = Field((1,) * len(shape), (0,) * len(shape))
        return [tile.write for tile in plan(shape, apart, room / 2 / (maps + 1) / BYTES)]

    def _windows(self, region: Slices, patch: tuple[int, ...], shape: Sequence[int]) -> list[Slices]:
        """The patches that touch a region, in reading order."""
        along = []
        for part, size, length in zip(region, patch, shape, strict=True):
            starts = [s for s in _starts(length, size, self.overlap) if s < part.stop and s + size > part.start]
            along.append([slice(s, s + size) for s in starts])
        return list(product(*along))


def gaussian(patch: Sequence[int]) -> np.ndarray:
    """The weight of each pixel of a patch: 1 in the middle, nowhere less than ``LEAST``."""
    axes = [np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in patch]
    bells = [np.exp(-(x**2) / (2 * (WIDTH * n) ** 2)) for x, n in zip(axes, patch, strict=True)]
    return np.maximum(reduce(np.multiply.outer, bells), np.float32(LEAST))


def _starts(length: int, size: int, overlap: float) -> list[int]:
    """Where patches start along one axis; the last one ends with the image."""
    step = max(1, int(size * (1 - overlap)))
    starts = list(range(0, max(length - size, 0), step))
    return [*starts, length - size]
