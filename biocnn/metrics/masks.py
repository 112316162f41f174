"""How well two masks agree: by area (Dice, IoU) and by outline (Hausdorff distance)."""

from collections.abc import Sequence

import numpy as np

from biocnn.errors import InputError

IGNORE = 255  # in a mask: pixels that neither losses nor metrics look at


def confusion(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> tuple[int, int, int]:
    """Count the pixels of one class that agree, are in the mask only, and in the target only.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial).
    target
        True classes, of the same shape; pixels of 255 are left out.
    label
        The class that is counted.

    Returns
    -------
    tp, fp, fn
        Counts; add them up over images before `dice_of_counts` for a pooled value.
    """
    check_shapes(mask, target)
    known = np.asarray(target) != IGNORE
    predicted, true = (np.asarray(mask) == label) & known, np.asarray(target) == label
    both = np.count_nonzero(predicted & true)
    return both, np.count_nonzero(predicted) - both, np.count_nonzero(true) - both


def dice_of_counts(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN), of pixels the Dice coefficient, of objects F1; 1 where nothing is and nothing is found.

    Parameters
    ----------
    tp, fp, fn
        Counts, of one shape.

    Returns
    -------
    dice
        Float64 of that shape, between 0 and 1.
    """
    return _share(2 * np.asarray(tp), np.asarray(fp) + np.asarray(fn))


def iou_of_counts(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """TP / (TP + FP + FN), of pixels the IoU, of objects average precision; 1 where nothing is and nothing is found.

    Parameters
    ----------
    tp, fp, fn
        Counts, of one shape.

    Returns
    -------
    iou
        Float64 of that shape, between 0 and 1.
    """
    return _share(np.asarray(tp), np.asarray(fp) + np.asarray(fn))


def dice(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Dice coefficient of one class: twice the shared pixels over the pixels of both.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial).
    target
        True classes, of the same shape; pixels of 255 are left out.
    label
        The class that is compared.

    Returns
    -------
    dice
        Between 0 and 1; 1 where both are empty.
    """
    return float(dice_of_counts(*confusion(mask, target, label=label)))


def iou(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Intersection over union of one class.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial).
    target
        True classes, of the same shape; pixels of 255 are left out.
    label
        The class that is compared.

    Returns
    -------
    iou
        Between 0 and 1; 1 where both are empty.
    """
    return float(iou_of_counts(*confusion(mask, target, label=label)))


def hausdorff95(
    mask: np.ndarray, target: np.ndarray, *, spacing: float | Sequence[float] = 1.0, label: int = 1
) -> float:
    """95th percentile Hausdorff distance between the outlines of one class.

    From each outline pixel of one mask the distance to the nearest outline pixel of the other is taken; the result
    is the larger of the two 95th percentiles, as MONAI defines it.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial).
    target
        True classes, of the same shape; pixels of 255 are left out of both.
    spacing
        Size of a pixel along each axis, row-major.
    label
        The class that is compared.

    Returns
    -------
    hausdorff95
        In the unit of the spacing. 0 where both are empty; the diagonal of the image, as the worst there can be,
        where only one is.
    """
    check_shapes(mask, target)
    target = np.asarray(target)
    true = target == label
    predicted = (np.asarray(mask) == label) & (target != IGNORE)
    spacing = np.broadcast_to(np.asarray(spacing, float), true.ndim)
    if not (predicted.any() and true.any()):
        return float(np.linalg.norm(spacing * true.shape)) if predicted.any() or true.any() else 0.0
    box = _bounding_box(predicted | true)
    one, other = _outline(predicted[box]), _outline(true[box])
    return max(_distance95(one, other, spacing), _distance95(other, one, spacing))


def _distance95(start: np.ndarray, goal: np.ndarray, spacing: np.ndarray) -> float:
    from scipy.ndimage import distance_transform_edt

    return float(np.percentile(distance_transform_edt(~goal, sampling=spacing)[start], 95))


def _outline(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask)


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around a mask that is not empty."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        box.append(slice(found[0], found[-1] + 1))
    return tuple(box)


def _share(part: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """part / (part + rest), and 1 for nothing of nothing."""
    total = np.asarray(part + rest, float)
    return np.divide(part, total, out=np.ones(total.shape), where=total > 0)


def check_shapes(mask: np.ndarray, target: np.ndarray) -> None:
    """Refuse a pair of maps that do not lie pixel on pixel."""
    if np.shape(mask) != np.shape(target):
        raise InputError(
            f"a mask of shape {np.shape(mask)} was compared with a target of shape {np.shape(target)}",
            "both need the same shape, without channel axis",
        )
