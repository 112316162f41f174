"""Areas under the curves of pixels, exact and in little memory: from counts of each probability that float16 can tell.

Probabilities are stored as float16, of which 15,361 lie between 0 and 1; counting them takes no sorting, and counts
add up over images of any number and size.
"""

import numpy as np

from biocnn.metrics.masks import IGNORE, check_shapes
from biocnn.metrics.weighted import ratio

BINS = int(np.float16(1).view(np.uint16)) + 1  # as integers, the float16 from 0 to 1 are 0, 1, ..., in their order


def pixel_histogram(probability: np.ndarray, target: np.ndarray, *, label: int = 1) -> np.ndarray:
    """Count the pixels of each probability, those outside and those of the class.

    Parameters
    ----------
    probability
        Of the class, between 0 and 1, shape (*spatial); taken as float16.
    target
        True classes (or 0 and 1), of the same shape; pixels of 255, outside the field of view, are left out.
    label
        The class.

    Returns
    -------
    counts
        Shape (2, 15361), int64: of other pixels, of those of the class; by rising probability.
    """
    check_shapes(probability, target)
    known = np.asarray(target) != IGNORE
    keys = np.asarray(probability, np.float16)[known].view(np.uint16) & 0x7FFF  # without the sign of -0
    positive = np.asarray(target)[known] == label
    counts = np.bincount(keys.astype(np.int64) + BINS * positive, minlength=2 * BINS)
    return counts.reshape(2, BINS)


def auroc_of_counts(counts: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of `pixel_histogram`.

    Parameters
    ----------
    counts
        Shape (..., 2, T), of one image, summed over images, or weighted.

    Returns
    -------
    auroc
        Shape (...); nan where there are no pixels of the class, or no others: it is not defined there.
    """
    others, positives = _sides(counts)
    below = np.cumsum(others, axis=-1) - others / 2
    return ratio((positives * below).sum(axis=-1), others.sum(axis=-1) * positives.sum(axis=-1))


def auprc_of_counts(counts: np.ndarray) -> np.ndarray:
    """Average precision of `pixel_histogram`, as scikit-learn defines it.

    Parameters
    ----------
    counts
        Shape (..., 2, T), of one image, summed over images, or weighted.

    Returns
    -------
    auprc
        Shape (...); nan where there are no pixels of the class, or no others.
    """
    others, positives = (side[..., ::-1] for side in _sides(counts))
    hits, alarms = np.cumsum(positives, axis=-1), np.cumsum(others, axis=-1)
    area = (positives * ratio(hits, hits + alarms, empty=0)).sum(axis=-1)
    return ratio(area, np.where(alarms[..., -1] > 0, hits[..., -1], 0))


def coarse(counts: np.ndarray, bins: int = 1000) -> np.ndarray:
    """Put neighbouring probabilities together, (N, 2, 15361) to (N, 2, at most ``bins``), alike in number of pixels.

    For intervals, which need many weighted sums, and to which a thousandth of the pixels does not matter.
    """
    total = counts.sum(axis=(0, 1))
    upto = np.cumsum(total) - total
    share = upto * bins // max(int(total.sum()), 1)
    starts = np.flatnonzero(np.diff(share, prepend=-1) > 0)
    return np.add.reduceat(counts, starts, axis=-1)


def _sides(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.asarray(counts, float)
    return counts[..., 0, :], counts[..., 1, :]
