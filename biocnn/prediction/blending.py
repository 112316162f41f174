"""Sliding-window prediction: overlapping patches blended with Gaussian weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np
from torch import Tensor

from biocnn.io.stored_image import Slices
from biocnn.prediction.tiles import Field, common, inside, plan

WIDTH = 0.125  # standard deviation of the Gaussian, as a fraction of the patch size
LEAST = 1e-3  # smallest weight, so that the corners of an image have a non-zero one
BYTES = 8  # per pixel and map while patches are summed: the sum and the patch


@dataclass(frozen=True)
class Blend:
    """Overlapping patches of one size.

    The value of a pixel is the mean over all patches that cover it, with Gaussian weights that fall from the centre of
    a patch. Unlike exact tiles, which give the values of the whole image, this smooths over differences between patches
    near their edges. It serves for comparison with tools that work this way, and for networks that see the whole image
    at once, with which large images can only be predicted in patches.
    """

    patch: tuple[int, ...]
    overlap: float = 0.5

    def region(self, region: Slices, shape: Sequence[int], predict: Callable[[Slices], Tensor]) -> np.ndarray:
        """Return the blended maps of a region: shape (K, *region), float32.

        Parameters
        ----------
        region
            Region of the image.
        shape
            Shape of the maps, (K, *spatial).
        predict
            Maps a patch of the image to its prediction, shape (1, K, *patch).
        """
        sizes = [part.stop - part.start for part in region]
        total, weights = np.zeros((shape[0], *sizes), np.float32), np.zeros(sizes, np.float32)
        patch = tuple(min(p, n) for p, n in zip(self.patch, shape[1:], strict=True))
        weight = gaussian(patch)
        for window in self._windows(region, patch, shape[1:]):
            both = common(region, window)
            found, here, there = predict(window)[0].cpu().numpy(), inside(both, region), inside(both, window)
            total[:, *here] += found[:, *there] * weight[there]
            weights[here] += weight[there]
        return total / weights

    def regions(self, shape: tuple[int, ...], room: float, maps: int) -> list[Slices]:
        """Cut the image into the fewest regions that leave half of the memory to the network."""
        apart = Field((1,) * len(shape), (0,) * len(shape))
        return [tile.write for tile in plan(shape, apart, room / 2 / (maps + 1) / BYTES)]

    def _windows(self, region: Slices, patch: tuple[int, ...], shape: Sequence[int]) -> list[Slices]:
        """Return the patches that overlap a region, in reading order."""
        along = []
        for part, size, length in zip(region, patch, shape, strict=True):
            starts = [s for s in _starts(length, size, self.overlap) if s < part.stop and s + size > part.start]
            along.append([slice(s, s + size) for s in starts])
        return list(product(*along))


def gaussian(patch: Sequence[int]) -> np.ndarray:
    """Return the weight of each pixel of a patch: 1 in the centre, never below ``LEAST``."""
    axes = [np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in patch]
    bells = [np.exp(-(x**2) / (2 * (WIDTH * n) ** 2)) for x, n in zip(axes, patch, strict=True)]
    return np.maximum(reduce(np.multiply.outer, bells), np.float32(LEAST))


def _starts(length: int, size: int, overlap: float) -> list[int]:
    """Return where patches start along one axis; the last patch ends at the end of the image."""
    step = max(1, int(size * (1 - overlap)))
    starts = list(range(0, max(length - size, 0), step))
    return [*starts, length - size]
