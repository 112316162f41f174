"""Measurements of labelled objects: their sizes."""

from collections.abc import Sequence

import numpy as np

from biocnn.tasks.facts import Objects

PERCENTILES = (5, 50, 95)


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
