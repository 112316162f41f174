"""Exact areas under the curves of pixels in little memory, from counts of each float16 probability.

Probabilities are stored as float16, which has 15,361 values between 0 and 1. Counting needs no sorting, and counts add
up over any number of images.
"""

import numpy as np

from biocnn.metrics.masks import IGNORE, check_shapes
from biocnn.metrics.weighted import ratio

BINS = (
    int(np.float16(1).view(np.uint16)) + 1
)  # reinterpreted as integers, the float16 from 0 to 1 are 0, 1, ..., in order


def pixel_histogram(probability: np.ndarray, target: np.ndarray, *, label: int = 1) -> np.ndarray:
    """Count the pixels at each probability, outside and inside the class.

    Parameters
    ----------
    probability
        Probability of the class, between 0 and 1, shape (*spatial); converted to float16.
    target
        True classes (or 0 and 1), same shape; pixels of 255 are ignored.
    label
        Class to count.

    Returns
    -------
    counts
        Shape (2, 15361), int64: pixels outside and inside the class, by increasing probability.
    """
    check_shapes(probability, target)
    known = np.asarray(target) != IGNORE
    keys = np.asarray(probability, np.float16)[known].view(np.uint16) & 0x7FFF  # without the sign of -0
    positive = np.asarray(target)[known] == label
    counts = np.bincount(keys.astype(np.int64) + BINS * positive, minlength=2 * BINS)
    return counts.reshape(2, BINS)


def auroc_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute the area under the ROC curve from `pixel_histogram`.

    Parameters
    ----------
    counts
        Shape (..., 2, T), for one image, summed over images, or weighted.

    Returns
    -------
    auroc
        Shape (...); NaN if there are no pixels inside or none outside the class.
    """
    others, positives = _sides(counts)
    below = np.cumsum(others, axis=-1) - others / 2
    return ratio((positives * below).sum(axis=-1), others.sum(axis=-1) * positives.sum(axis=-1))


def auprc_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute average precision, as defined by scikit-learn, from `pixel_histogram`.

    Parameters
    ----------
    counts
        Shape (..., 2, T), for one image, summed over images, or weighted.

    Returns
    -------
    auprc
        Shape (...); NaN if there are no pixels inside or none outside the class.
    """
    others, positives = (side[..., ::-1] for side in _sides(counts))
    hits, alarms = np.cumsum(positives, axis=-1), np.cumsum(others, axis=-1)
    area = (positives * ratio(hits, hits + alarms, empty=0)).sum(axis=-1)
    return ratio(area, np.where(alarms[..., -1] > 0, hits[..., -1], 0))


def coarse(counts: np.ndarray, bins: int = 1000) -> np.ndarray:
    """Merge neighbouring probabilities: (N, 2, 15361) to (N, 2, at most ``bins``), with similar pixel counts.

    For intervals, which need many weighted sums and for which a thousandth of the pixels does not matter.
    """
    return np.add.reduceat(counts, starts_of(counts.sum(axis=0), bins), axis=-1)


def starts_of(counts: np.ndarray, bins: int) -> np.ndarray:
    """Return the first probability of each of at most ``bins`` cells with similar pixel counts, from counts (2, T)."""
    total = counts.sum(axis=0)
    upto = np.cumsum(total) - total
    share = upto * bins // max(int(total.sum()), 1)
    return np.flatnonzero(np.diff(share, prepend=-1) > 0)


def _sides(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.asarray(counts, float)
    return counts[..., 0, :], counts[..., 1, :]
