"""How well two sets of labelled objects agree, as StarDist and the DSB2018 challenge count it.

Schmidt et al., MICCAI 2018, doi:10.1007/978-3-030-00934-2_30; Kirillov et al., CVPR 2019 (panoptic quality).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from biocnn.metrics.masks import check_shapes, iou_of_counts

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


class Matching(NamedTuple):
    """Counts of objects at T thresholds of IoU, each array of shape (T,).

    ``tp`` pairs of matched objects, ``fp`` predicted objects without a partner, ``fn`` true objects without one,
    ``iou_sum`` the IoU of the matched pairs, summed. Add up over images for pooled values; `dice_of_counts` makes F1
    of the first three.
    """

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    iou_sum: np.ndarray


def matching(labels: np.ndarray, target_labels: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> Matching:
    """Pair predicted with true objects, one to one, as many as possible at each IoU threshold.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial): 0 = background; the other numbers need not be consecutive.
    target_labels
        True objects, of the same shape.
    thresholds
        Two objects can be a pair where their IoU is at least this, between 0 and 1, above 0.

    Returns
    -------
    matching
        Counts for each threshold. Among equally many pairs, those with the largest summed IoU are taken.
    """
    check_shapes(labels, target_labels)
    rows, columns, ious, n_predicted, n_true = _overlaps(labels, target_labels)
    pairs = [_pair(rows, columns, ious, threshold) for threshold in thresholds]
    tp = np.array([len(pair) for pair in pairs], int)
    return Matching(tp, n_predicted - tp, n_true - tp, np.array([pair.sum() for pair in pairs], float))


def average_precision_iou(
    labels: np.ndarray, target_labels: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> np.ndarray:
    """TP / (TP + FP + FN) of objects in one image; the mean of this over images is what StarDist's paper reports.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial), 0 = background.
    target_labels
        True objects, of the same shape.
    thresholds
        IoU from which on two objects are a pair.

    Returns
    -------
    average_precision
        One value for each threshold, between 0 and 1; 1 where there is no object and none is predicted.
    """
    found = matching(labels, target_labels, thresholds)
    return iou_of_counts(found.tp, found.fp, found.fn)


def pooled(matchings: Sequence[Matching]) -> Matching:
    """Add up the counts of several images; `iou_of_counts` of the result weighs each object, not each image, alike.

    Parameters
    ----------
    matchings
        One of each image, all at the same thresholds.

    Returns
    -------
    matching
        The sums.
    """
    return Matching(*(np.sum(counts, axis=0) for counts in zip(*matchings, strict=True)))


def panoptic_quality(found: Matching) -> np.ndarray:
    """The mean IoU of the matched pairs times F1.

    Parameters
    ----------
    found
        Counts of one image, or pooled.

    Returns
    -------
    panoptic_quality
        One value for each threshold, between 0 and 1; 1 where there is no object and none is predicted.
    """
    total = found.tp + (found.fp + found.fn) / 2
    return np.divide(found.iou_sum, total, out=np.ones(total.shape), where=total > 0)


def _overlaps(labels: np.ndarray, target_labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    """The pairs of objects that share pixels (predicted, true, IoU), and how many objects there are of each."""
    predicted, n_predicted = _consecutive(labels)
    true, n_true = _consecutive(target_labels)
    sizes = np.bincount(predicted, minlength=n_predicted + 1), np.bincount(true, minlength=n_true + 1)
    shared = (predicted > 0) & (true > 0)
    keys = predicted[shared] * (n_true + 1) + true[shared]
    if (n_predicted + 1) * (n_true + 1) <= 4_000_000:  # counting in a table is faster than sorting while it is small
        table = np.bincount(keys)
        keys = np.flatnonzero(table)
        common = table[keys]
    else:
        keys, common = np.unique(keys, return_counts=True)
    rows, columns = np.divmod(keys, n_true + 1)
    return rows, columns, common / (sizes[0][rows] + sizes[1][columns] - common), n_predicted, n_true


def _consecutive(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Flat labels renumbered 1..n, with 0 kept, and n."""
    flat = np.asarray(labels).ravel().astype(np.int64)
    highest = int(flat.max(initial=0))
    if flat.size and (flat.min() < 0 or highest > 4 * flat.size):  # numbers too wild for a table
        ids, flat = np.unique(np.append(flat, 0), return_inverse=True)
        zero = int(np.searchsorted(ids, 0))
        flat = np.where(flat == zero, 0, np.where(flat < zero, flat + 1, flat))[:-1]
        return flat, len(ids) - 1
    used = np.zeros(highest + 1, bool)
    used[flat] = True
    used[0] = False
    return (np.cumsum(used) * used)[flat], int(used.sum())


def _pair(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray, threshold: float) -> np.ndarray:
    """The IoU of the matched pairs. Only objects with several candidates, below an IoU of .5, need an assignment."""
    keep = ious >= threshold
    rows, columns, ious = rows[keep], columns[keep], ious[keep]
    if len(ious) == 0:
        return ious
    contested = (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)
    if not contested.any():
        return ious
    return np.concatenate([ious[~contested], _assign(rows[contested], columns[contested], ious[contested])])


def _assign(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray) -> np.ndarray:
    """The IoU of the pairs of the best one-to-one assignment: most pairs first, then the largest sum."""
    from scipy.optimize import linear_sum_assignment

    row_ids, rows = np.unique(rows, return_inverse=True)
    column_ids, columns = np.unique(columns, return_inverse=True)
    gain = np.zeros((len(row_ids), len(column_ids)))
    gain[rows, columns] = 1 + ious / (2 * min(gain.shape))
    best = gain[linear_sum_assignment(gain, maximize=True)]
    return (best[best > 0] - 1) * 2 * min(gain.shape)
