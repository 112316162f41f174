"""Positions of each class in each image: a stored sample of its pixels, for patches centred on rare classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.ragged import Ragged
from biocnn.metrics.masks import IGNORE

MOST = 400_000  # pixels stored over all images
EACH = (32, 4096)  # bounds of the pixels stored per class and image, depending on the number of images


def write_places(masks: Ragged, path: Path, seed: int) -> None:
    """Sample and store pixels of each class of each mask, determined by the seed.

    Parameters
    ----------
    masks
        Masks (K, *spatial), with the classes in the first channel.
    path
        The ``.npy`` file to write: int64, columns image, class, pixel (flat index in the image).
    seed
        Seed of the experiment.
    """
    low, high = EACH
    most = min(high, max(low, MOST // max(1, 2 * len(masks))))
    found = [_places(masks[i][0].ravel(), i, most, np.random.default_rng([seed, i])) for i in range(len(masks))]
    np.save(path, np.concatenate(found))


def _places(mask: np.ndarray, image: int, most: int, rng: np.random.Generator) -> np.ndarray:
    parts = [np.zeros((0, 3), np.int64)]
    counts = np.bincount(mask, minlength=IGNORE)[:IGNORE]
    for value in np.flatnonzero(counts):
        if counts[value] > max(mask.size // 2, most):  # listing all of them would take much memory
            pixels = rng.integers(mask.size, size=4 * most)
            pixels = pixels[mask[pixels] == value][:most]
        else:
            pixels = np.flatnonzero(mask == value)
        if len(pixels) > most:
            pixels = pixels[rng.integers(len(pixels), size=most)]
        parts.append(np.column_stack([np.full_like(pixels, image), np.full_like(pixels, value), pixels]))
    return np.concatenate(parts)


class Foreground:
    """Draw patches that show all classes but the most common one.

    Parameters
    ----------
    path
        File from ``write_places``.
    rows
        Images to draw from.
    shapes
        Shape of each of these, (N, axes).
    shares
        Share of each class in the pixels of the training split.

    Raises
    ------
    InputError
        If the file does not exist, as in data sets made by biocnn 0.1.
    """

    def __init__(self, path: Path, rows: np.ndarray, shapes: np.ndarray, shares: Sequence[float]) -> None:
        if not path.exists():
            raise InputError(f"{path}: is missing, but train.foreground is above 0", "create the data set again")
        image, value, pixel = np.load(path).T
        position = np.full(1 + max(rows.max(initial=-1), image.max(initial=-1)), -1)
        position[rows] = np.arange(len(rows))
        wanted = (position[image] >= 0) & (value != int(np.argmax(shares)))
        image, value, self.pixel = position[image[wanted]], value[wanted], pixel[wanted]
        # Pixels are sorted by image and within it by class; those of one class and image form a group.
        key = np.stack([value, image])
        self.starts = np.flatnonzero((np.diff(key, axis=1, prepend=-1) != 0).any(axis=0))
        self.counts = np.diff(self.starts, append=len(self.pixel))
        self.image, group_class = image[self.starts], value[self.starts]
        self.groups = [np.flatnonzero(group_class == k) for k in np.unique(group_class)]  # by class
        self.shapes = shapes

    def __bool__(self) -> bool:
        return bool(self.groups)

    def draw(self, u: np.ndarray, patch: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Draw patches: classes with equal probability, and for each class its images with equal probability.

        Parameters
        ----------
        u
            Draws of shape (M, 3 + axes).
        patch
            Length of each side, in pixels.

        Returns
        -------
        image, where
            Indices among ``rows``, (M,), and positions in the images as for ``biocnn.training.patches.Cutter``,
            (M, axes). The pixel that was drawn lies in the middle half of the patch along each axis, except near the
            edges of the image.
        """
        choice = (u[:, 0] * len(self.groups)).astype(int)
        sizes = np.array([len(groups) for groups in self.groups])
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        group = np.concatenate(self.groups)[offsets[choice] + (u[:, 1] * sizes[choice]).astype(int)]
        pixel = self.pixel[self.starts[group] + (u[:, 2] * self.counts[group]).astype(int)]
        image = self.image[group]
        where = np.empty((len(u), len(patch)))
        for axis in reversed(range(len(patch))):
            length, side = self.shapes[image, axis], patch[axis]
            pixel, place = np.divmod(pixel, length)
            free = np.maximum(length - side, 0)
            start = np.clip(place - (side * (0.25 + 0.5 * u[:, 3 + axis])).astype(int), 0, free)
            where[:, axis] = (start + 0.5) / (free + 1)
        return image, where
