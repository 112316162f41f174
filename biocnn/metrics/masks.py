"""Pixel-wise agreement of two masks."""

import numpy as np
from numpy.typing import ArrayLike

from biocnn.core.errors import InputError

IGNORE = 255  # mask value of pixels ignored by losses and metrics


def confusion(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> tuple[int, int, int, int]:
    """Count the pixels of one class: in both masks, in the first only, in the target only, and in neither.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial).
    target
        True classes, same shape; pixels of 255 are ignored.
    label
        Class to count.

    Returns
    -------
    tp, fp, fn, tn
        Counts; sum them over images before `dice_of_counts` (of the first three) for a pooled value.
    """
    check_shapes(mask, target)
    known = np.asarray(target) != IGNORE
    predicted, true = (np.asarray(mask) == label) & known, np.asarray(target) == label
    tp = int(np.count_nonzero(predicted & true))
    fp, fn = int(np.count_nonzero(predicted)) - tp, int(np.count_nonzero(true)) - tp
    return tp, fp, fn, int(np.count_nonzero(known)) - tp - fp - fn


def dice_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> np.ndarray:
    """Compute 2 TP / (2 TP + FP + FN): Dice of pixels, F1 of objects; 1 if all counts are 0.

    The counts are arrays of equal shape; the result is float64 of that shape, between 0 and 1.
    """
    return _share(2 * np.asarray(tp), np.asarray(fp) + np.asarray(fn))


def iou_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> np.ndarray:
    """Compute TP / (TP + FP + FN): IoU of pixels, average precision of objects; 1 if all counts are 0.

    The counts are arrays of equal shape; the result is float64 of that shape, between 0 and 1.
    """
    return _share(np.asarray(tp), np.asarray(fp) + np.asarray(fn))


def dice(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Compute the Dice coefficient of one class, between 0 and 1; 1 if both masks are empty.

    For parameters see `confusion`.
    """
    return float(dice_of_counts(*confusion(mask, target, label=label)[:3]))


def iou(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Compute the intersection over union of one class, between 0 and 1; 1 if both masks are empty.

    For parameters see `confusion`.
    """
    return float(iou_of_counts(*confusion(mask, target, label=label)[:3]))


def sensitivity(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Compute the sensitivity (recall) of one class, TP / (TP + FN), between 0 and 1; 1 if the class is absent.

    For parameters see `confusion`.
    """
    return float(sensitivity_of_counts(*confusion(mask, target, label=label)))


def specificity(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Compute the specificity of one class, TN / (TN + FP), between 0 and 1; 1 if there are no other pixels.

    For parameters see `confusion`.
    """
    return float(specificity_of_counts(*confusion(mask, target, label=label)))


def pixel_error(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """Compute the pixel error of one class against the rest, (FP + FN) / all, 1 minus accuracy; 0 without known pixels.

    For parameters see `confusion`.
    """
    return float(pixel_error_of_counts(*confusion(mask, target, label=label)))


def sensitivity_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> np.ndarray:
    """Compute TP / (TP + FN) from counts of equal shape; 1 if there are no positives."""
    return _share(np.asarray(tp), np.asarray(fn))


def specificity_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> np.ndarray:
    """Compute TN / (TN + FP) from counts of equal shape; 1 if there are no negatives."""
    return _share(np.asarray(tn), np.asarray(fp))


def pixel_error_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> np.ndarray:
    """Compute (FP + FN) / all from counts of equal shape; 0 if there are no pixels."""
    return 1 - _share(np.asarray(tp) + np.asarray(tn), np.asarray(fp) + np.asarray(fn))


def _share(part: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Compute part / (part + rest); 1 if both are 0."""
    total = np.asarray(part + rest, float)
    return np.divide(part, total, out=np.ones(total.shape), where=total > 0)


def check_shapes(mask: np.ndarray, target: np.ndarray) -> None:
    """Check that two maps have the same shape."""
    if np.shape(mask) != np.shape(target):
        raise InputError(
            f"mask of shape {np.shape(mask)} and target of shape {np.shape(target)} differ",
            "both must have the same shape, without a channel axis",
        )
