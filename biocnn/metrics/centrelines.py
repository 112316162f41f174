"""How well two networks of tubes (vessels, neurites, roots) agree along their centrelines."""

import numpy as np

from biocnn.metrics.masks import IGNORE, check_shapes
from biocnn.metrics.weighted import ratio


def cldice(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Centreline Dice: the harmonic mean of how much of either centreline lies inside the other mask.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial), 2D or 3D.
    target
        True classes, of the same shape; pixels of 255 are left out of both.
    label
        The class that is compared.

    Returns
    -------
    cldice
        Between 0 and 1; 1 where both are empty, 0 where only one is.

    References
    ----------
    Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629.
    """
    return float(cldice_of_counts(centreline_counts(mask, target, label=label)))


def centreline_counts(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> np.ndarray:
    """Pixels of the predicted centreline inside the true mask, and in all; the same of the true one.

    They add up over images.
    """
    check_shapes(mask, target)
    target = np.asarray(target)
    true = target == label
    predicted = (np.asarray(mask) == label) & (target != IGNORE)
    lines = _centreline(predicted), _centreline(true)
    inside = np.count_nonzero(lines[0] & true), np.count_nonzero(lines[1] & predicted)
    return np.array([inside[0], np.count_nonzero(lines[0]), inside[1], np.count_nonzero(lines[1])])


def cldice_of_counts(counts: np.ndarray) -> np.ndarray:
    """clDice of `centreline_counts` (..., 4)."""
    counts = np.asarray(counts, float)
    precision, found = (ratio(counts[..., i], counts[..., i + 1], empty=0) for i in (0, 2))
    both_empty = (counts[..., 1] == 0) & (counts[..., 3] == 0)
    return np.where(both_empty, 1.0, ratio(2 * precision * found, precision + found, empty=0))


def _centreline(mask: np.ndarray) -> np.ndarray:
    """The skeleton; of masks that thinning would wipe out, squares of two by two say, the mask."""
    from skimage.morphology import skeletonize

    line = skeletonize(mask) if mask.any() else mask
    return line if line.any() else mask
