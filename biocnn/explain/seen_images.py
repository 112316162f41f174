"""Images of a data set as a network sees them, and as people do."""

from functools import lru_cache
from typing import Self

import numpy as np
import torch
from torch import Tensor

from biocnn.data.dataset import Dataset
from biocnn.data.frame import Frame
from biocnn.explain.images import coloured, middle, picture
from biocnn.training import batches

EDGE = 255  # value of pixels beyond the edge of an image


class SeenImages:
    """Some images of a data set, each read when it is needed.

    Parameters
    ----------
    dataset
        Data set.
    rows
        Rows of the images.
    device
        Device of the network.
    frame
        Size that images are brought to if the network sees whole images; others are cropped to their central 512
        pixels along each axis.
    """

    def __init__(self, dataset: Dataset, rows: np.ndarray, device: torch.device, frame: Frame | None) -> None:
        self.dataset, self.rows, self.device, self.frame = dataset, rows, device, frame
        self.ids = dataset.examples["id"].iloc[rows].tolist()
        self.x = lru_cache(maxsize=4)(self._x)

    def __len__(self) -> int:
        return len(self.rows)

    def spaced(self, number: int) -> Self:
        """Return evenly spaced ones of these images, at most this number."""
        chosen = np.linspace(0, len(self) - 1, min(number, len(self))).astype(int)
        return type(self)(self.dataset, self.rows[chosen], self.device, self.frame)

    def _x(self, number: int) -> Tensor:
        """Return an image as input of the network, shape (1, C, *spatial), without covariates: these are as if mean."""
        found = batches.make(self.dataset, self.rows[[number]], self.device, frame=self.frame)
        x = next(iter(found.plain()))[0][:, : self.dataset.facts.in_channels]
        return x if self.frame else middle(x[0])[None]

    def patch(self, number: int, centre: list[int], side: int | None) -> np.ndarray:
        """Return a patch of an image for display; of a volume, of the plane through its centre.

        Parameters
        ----------
        number
            Number of the image.
        centre
            Pixel in the image as the network sees it.
        side
            Pixels along each axis; beyond the edges of the image the patch is white. None: the whole image.
        """
        stored = self.dataset.x[self.rows[number]]
        pixels = self.frame.apply(stored) if self.frame else middle(torch.tensor(np.asarray(stored))).numpy()
        x = pixels if coloured(pixels) else self.x(number)[0].cpu().numpy()
        return _cropped(picture(_plane(x, centre, side)), centre[-2:], side)

    def painted(self, x: Tensor, centre: list[int], side: int | None) -> np.ndarray:
        """Return a patch of a made image (C, *spatial) for display, in the colours of 8-bit images if these are."""
        if coloured(self.dataset.x[self.rows[0]]):
            low, high = self.dataset.ranges[self.rows[0]][..., None, None]
            pixels = np.clip(np.rint(x.numpy() * (high - low) + low), 0, 255).astype(np.uint8)
        else:
            pixels = x.numpy()
        return _cropped(picture(_plane(pixels, centre, side)), centre[-2:], side)


def _plane(x: np.ndarray, centre: list[int], side: int | None) -> np.ndarray:
    """Return an image (C, H, W) as it is; of a volume the plane through the centre, or the middle one."""
    if x.ndim == 3:
        return x
    return x[:, x.shape[1] // 2 if side is None else min(max(centre[0], 0), x.shape[1] - 1)]


def _cropped(shown: np.ndarray, centre: list[int], side: int | None) -> np.ndarray:
    if side is None:
        return shown
    found = np.full((side, side, *shown.shape[2:]), EDGE, dtype=np.uint8)
    inside, read = [], []
    for place, length in zip(centre, shown.shape, strict=False):
        start = place - side // 2
        low, high = max(0, start), min(length, start + side)
        read.append(slice(low, max(low, high)))
        inside.append(slice(low - start, max(low, high) - start))
    found[*inside] = shown[*read]
    return found
