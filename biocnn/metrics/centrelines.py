"""Agreement of tubular structures (vessels, neurites, roots) along their centrelines."""

import numpy as np

from biocnn.metrics.masks import IGNORE, check_shapes
from biocnn.metrics.weighted import ratio


def cldice(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Compute centreline Dice: the harmonic mean of the fractions of each centreline inside the other mask.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial), 2D or 3D.
    target
        True classes, same shape; pixels of 255 are ignored.
    label
        Class to compare.

    Returns
    -------
    cldice
        Between 0 and 1; 1 if both are empty, 0 if only one is.

    References
    ----------
    Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629.
    """
    return float(cldice_of_counts(centreline_counts(mask, target, label=label)))


def centreline_counts(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> np.ndarray:
    """Count the pixels of the predicted centreline inside the true mask and in total, then vice versa.

    The counts add up over images.
    """
    check_shapes(mask, target)
    target = np.asarray(target)
    true = target == label
    predicted = (np.asarray(mask) == label) & (target != IGNORE)
    lines = _centreline(predicted), _centreline(true)
    inside = np.count_nonzero(lines[0] & true), np.count_nonzero(lines[1] & predicted)
    return np.array([inside[0], np.count_nonzero(lines[0]), inside[1], np.count_nonzero(lines[1])])


def cldice_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute clDice from `centreline_counts` (..., 4)."""
    counts = np.asarray(counts, float)
    precision, recall = (ratio(counts[..., i], counts[..., i + 1], empty=0) for i in (0, 2))
    both_empty = (counts[..., 1] == 0) & (counts[..., 3] == 0)
    return np.where(both_empty, 1.0, ratio(2 * precision * recall, precision + recall, empty=0))


def _centreline(mask: np.ndarray) -> np.ndarray:
    """Return the skeleton, or the mask itself if thinning removes all of it (e.g. squares of 2 x 2)."""
    from skimage.morphology import skeletonize

    line = skeletonize(mask) if mask.any() else mask
    return line if line.any() else mask
