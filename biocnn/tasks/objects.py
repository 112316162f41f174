"""Labelled objects: their order and sizes."""

from collections.abc import Sequence

import numpy as np

from biocnn.tasks.facts import Objects

PERCENTILES = (5, 50, 95)


def in_reading_order(labels: np.ndarray) -> np.ndarray:
    """Number objects 1..n by their first pixel in reading order, as all results for new images do.

    Parameters
    ----------
    labels
        Integers, shape (*spatial), 0 = background.
    """
    found, first = np.unique(labels, return_index=True)
    objects = np.flatnonzero(found > 0)
    number = np.zeros(int(found.max(initial=0)) + 1, labels.dtype)
    number[found[objects[np.argsort(first[objects])]]] = np.arange(1, len(objects) + 1)
    return number[labels]


def diameters(labels: np.ndarray) -> np.ndarray:
    """Return the diameter of the disc (ball) with the size of each object, in pixels; shape (n,), float32.

    Parameters
    ----------
    labels
        Integers, shape (*spatial), 0 = background.
    """
    _, sizes = np.unique(labels[labels > 0], return_counts=True)
    if labels.ndim == 2:
        return np.sqrt(sizes * 4 / np.pi).astype(np.float32)
    return np.cbrt(sizes * 6 / np.pi).astype(np.float32)


def measure_objects(found: Sequence[np.ndarray]) -> Objects:
    """Return the number of objects and percentiles of their diameters, given those of each image."""
    every = np.concatenate(found) if found else np.zeros(0)
    if not len(every):
        return Objects()
    values = np.percentile(every, PERCENTILES).round(2).tolist()
    return Objects(number=len(every), diameter=dict(zip(map(str, PERCENTILES), values, strict=True)))
