"""How well two masks agree, pixel by pixel."""

import numpy as np
from numpy.typing import ArrayLike

from biocnn.core.errors import InputError

IGNORE = 255  # in a mask: pixels that neither losses nor metrics look at


def confusion(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> tuple[int, int, int, int]:
    """Count the pixels of one class: in both, in the mask only, in the target only, and in neither.

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
    tp, fp, fn, tn
        Counts; add them up over images before `dice_of_counts` (of the first three) for a pooled value.
    """
    check_shapes(mask, target)
    known = np.asarray(target) != IGNORE
    predicted, true = (np.asarray(mask) == label) & known, np.asarray(target) == label
    tp = int(np.count_nonzero(predicted & true))
    fp, fn = int(np.count_nonzero(predicted)) - tp, int(np.count_nonzero(true)) - tp
    return tp, fp, fn, int(np.count_nonzero(known)) - tp - fp - fn


def dice_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> np.ndarray:
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


def iou_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> np.ndarray:
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
    return float(dice_of_counts(*confusion(mask, target, label=label)[:3]))


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
    return float(iou_of_counts(*confusion(mask, target, label=label)[:3]))


def sensitivity(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """The share of the class that was found (recall): TP / (TP + FN).

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
    sensitivity
        Between 0 and 1; 1 where there was nothing to find.
    """
    return float(sensitivity_of_counts(*confusion(mask, target, label=label)))


def specificity(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """The share of all other pixels that was left alone: TN / (TN + FP).

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
    specificity
        Between 0 and 1; 1 where there are no other pixels.
    """
    return float(specificity_of_counts(*confusion(mask, target, label=label)))


def pixel_error(mask: np.ndarray, target: np.ndarray, *, label: int = 1) -> float:
    """The share of pixels on the wrong side: (FP + FN) / all; one less the accuracy.

    Parameters
    ----------
    mask
        Predicted classes (or 0 and 1), shape (*spatial).
    target
        True classes, of the same shape; pixels of 255 are left out.
    label
        The class that is compared with the rest.

    Returns
    -------
    pixel_error
        Between 0 and 1; 0 where no pixel is known.
    """
    return float(pixel_error_of_counts(*confusion(mask, target, label=label)))


def sensitivity_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> np.ndarray:
    """TP / (TP + FN) of counts of one shape; 1 where there is nothing to find."""
    return _share(np.asarray(tp), np.asarray(fn))


def specificity_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> np.ndarray:
    """TN / (TN + FP) of counts of one shape; 1 where there is nothing to leave alone."""
    return _share(np.asarray(tn), np.asarray(fp))


def pixel_error_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> np.ndarray:
    """(FP + FN) / all of counts of one shape; 0 where there are no pixels."""
    return 1 - _share(np.asarray(tp) + np.asarray(tn), np.asarray(fp) + np.asarray(fn))


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
