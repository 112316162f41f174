"""Agreement of the outlines of two masks in 2D or 3D, in units of the spacing."""

from collections.abc import Sequence

import numpy as np

from biocnn.metrics.masks import IGNORE, check_shapes

Spacing = float | Sequence[float]


def surface_distances(
    mask: np.ndarray, target: np.ndarray, *, spacing: Spacing = 1.0, label: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the distance from each outline pixel of one mask to the nearest one of the other, both ways.

    An outline pixel has a neighbour, along an axis, that does not belong to the mask or lies outside the image.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial).
    target
        True classes, same shape; pixels of 255 are ignored.
    spacing
        Pixel size along each axis, row-major.
    label
        Class to compare.

    Returns
    -------
    from_mask, from_target
        One distance per outline pixel, in units of the spacing. If one mask is empty, the distances from the other are
        the diagonal of the image, the worst case.
    """
    check_shapes(mask, target)
    target = np.asarray(target)
    true = target == label
    predicted = (np.asarray(mask) == label) & (target != IGNORE)
    sizes = np.broadcast_to(np.asarray(spacing, float), true.ndim)
    if not (predicted.any() or true.any()):
        return np.empty(0), np.empty(0)
    box = _bounding_box(predicted | true)
    outlines = _outline(predicted[box]), _outline(true[box])
    if predicted.any() and true.any():
        one, other = outlines
        return _distances(one, other, sizes), _distances(other, one, sizes)
    diagonal = float(np.linalg.norm(sizes * true.shape))
    one, other = (np.full(np.count_nonzero(outline), diagonal) for outline in outlines)
    return one, other


def hausdorff95(mask: np.ndarray, target: np.ndarray, *, spacing: Spacing = 1.0, label: int = 1) -> float:
    """95th percentile Hausdorff distance between the outlines of one class.

    This is the larger of the two 95th percentiles of `surface_distances`, whose parameters apply, as defined by MONAI:
    0 if both masks are empty, and the diagonal of the image, the worst case, if only one is.
    """
    return hausdorff95_of(*surface_distances(mask, target, spacing=spacing, label=label))


def hausdorff95_of(from_mask: np.ndarray, from_target: np.ndarray) -> float:
    """Return the larger of the 95th percentiles of `surface_distances`."""
    return max((float(np.percentile(d, 95)) for d in (from_mask, from_target) if d.size), default=0.0)


def surface_dice(
    mask: np.ndarray, target: np.ndarray, *, tolerance: float, spacing: Spacing = 1.0, label: int = 1
) -> float:
    """Normalised surface distance: the fraction of both outlines within a tolerance of the other.

    For further parameters see `surface_distances`.

    Parameters
    ----------
    tolerance
        Largest distance that counts as agreement, in units of the spacing.

    Returns
    -------
    surface_dice
        Between 0 and 1; 1 if both masks are empty, 0 if only one is.

    References
    ----------
    Nikolov et al., Journal of Medical Internet Research 23, e26151 (2021), doi:10.2196/26151.
    """
    distances = surface_distances(mask, target, spacing=spacing, label=label)
    return float(surface_dice_of_counts(surface_counts(*distances, tolerance)))


def average_surface_distance(mask: np.ndarray, target: np.ndarray, *, spacing: Spacing = 1.0, label: int = 1) -> float:
    """Average symmetric surface distance: the mean distance over the pixels of both outlines.

    For parameters see `surface_distances`. The distance is 0 if both masks are empty, and the diagonal of the image if
    only one is.
    """
    distances = surface_distances(mask, target, spacing=spacing, label=label)
    return float(average_surface_distance_of_counts(surface_counts(*distances, np.inf)))


def surface_counts(from_mask: np.ndarray, from_target: np.ndarray, tolerance: float) -> np.ndarray:
    """Return how many distances of both outlines are within the tolerance, their number, and their sum.

    These add up over images; if only one mask has an outline, no distance is within the tolerance.
    """
    distances = np.concatenate([from_mask, from_target])
    within = np.count_nonzero(distances <= tolerance) if from_mask.size and from_target.size else 0
    return np.array([within, distances.size, distances.sum()])


def surface_dice_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute the fraction of outlines within the tolerance from `surface_counts` (..., 3); 1 without outlines."""
    return np.divide(counts[..., 0], counts[..., 1], out=np.ones(counts.shape[:-1]), where=counts[..., 1] > 0)


def average_surface_distance_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute the mean distance from `surface_counts` (..., 3); 0 without outlines."""
    return np.divide(counts[..., 2], counts[..., 1], out=np.zeros(counts.shape[:-1]), where=counts[..., 1] > 0)


def _distances(start: np.ndarray, goal: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(~goal, sampling=spacing)[start]


def _outline(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask)


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box around a non-empty mask."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        box.append(slice(found[0], found[-1] + 1))
    return tuple(box)
