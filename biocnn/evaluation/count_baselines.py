"""Baselines of counts: the mean count, and a line on brightness; spread evenly over the image."""

from functools import partial

import numpy as np

from biocnn.data.dataset import Dataset
from biocnn.evaluation.map_baselines import Baseline


def baselines(dataset: Dataset) -> list[Baseline]:
    """Return the baselines of a data set, fitted to the training split."""
    rows = dataset.rows("train")
    counts = np.stack([dataset.y[row].sum(axis=tuple(range(1, dataset.y[row].ndim))) for row in rows]).astype(float)
    weights = np.linalg.lstsq(np.stack([brightness(dataset.x[row]) for row in rows]), counts)[0]
    return [
        Baseline("constant", "the mean count of the training images", partial(_constant, counts.mean(axis=0))),
        Baseline(
            "brightness", "a linear model of the size and the summed intensities of an image", partial(_line, weights)
        ),
    ]


def brightness(image: np.ndarray) -> np.ndarray:
    """Return the number of pixels of an image (C, *spatial), and the sum of each channel: shape (1 + C,)."""
    return np.append(image[0].size, image.reshape(len(image), -1).sum(axis=1, dtype=np.float64))


def _constant(counts: np.ndarray, image: np.ndarray) -> np.ndarray:
    return _evenly(counts, image.shape[1:])


def _line(weights: np.ndarray, image: np.ndarray) -> np.ndarray:
    return _evenly(brightness(image) @ weights, image.shape[1:])


def _evenly(counts: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return maps (K, *shape), float32, with these sums."""
    each = np.maximum(counts, 0) / np.prod(shape)
    return np.broadcast_to(each.reshape(-1, *[1] * len(shape)), (len(each), *shape)).astype(np.float32)
