"""How well two sets of labelled objects agree, as StarDist and the DSB2018 challenge count it.

Schmidt et al., MICCAI 2018, doi:10.1007/978-3-030-00934-2_30; Kirillov et al., CVPR 2019 (panoptic quality).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from biocnn.metrics.masks import check_shapes, iou_of_counts
from biocnn.metrics.weighted import ratio

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
    found = overlaps(labels, target_labels)
    matched = [found.iou[pairs(found.row, found.column, found.iou, threshold)] for threshold in thresholds]
    tp = np.array([len(ious) for ious in matched], int)
    return Matching(
        tp, len(found.areas) - tp, len(found.target_areas) - tp, np.array([i.sum() for i in matched], float)
    )


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


def aji(labels: np.ndarray, target_labels: np.ndarray) -> float:
    """Aggregated Jaccard index: pixels that true objects share with their best predicted ones, over those of both.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial), 0 = background.
    target_labels
        True objects, of the same shape.

    Returns
    -------
    aji
        Between 0 and 1; 1 where there is no object and none is predicted.

    References
    ----------
    Kumar et al., IEEE Transactions on Medical Imaging 36, 1550-1560 (2017), doi:10.1109/TMI.2017.2677499.
    """
    return float(aji_of_counts(aji_counts(labels, target_labels)))


def aji_counts(labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Intersection and union in pixels, shape (2,), which add up over images.

    Each true object is paired with the predicted one of highest IoU, which other true objects may have, too; true
    objects that nothing overlaps and predicted ones that are no one's best are part of the union only.
    """
    found = overlaps(labels, target_labels)
    order = np.lexsort((-found.row, found.iou, found.column))  # ties: the predicted object of the lower number
    best = order[np.diff(found.column[order], append=-1) != 0]
    rows, columns, common = found.row[best], found.column[best], found.common[best]
    unused = np.delete(found.areas, rows).sum() + np.delete(found.target_areas, columns).sum()
    return np.array([common.sum(), (found.areas[rows] + found.target_areas[columns] - common).sum() + unused])


def aji_of_counts(counts: np.ndarray) -> np.ndarray:
    """AJI of `aji_counts` (..., 2); 1 where there is no object."""
    return ratio(counts[..., 0], counts[..., 1], empty=1)


class Overlaps(NamedTuple):
    """The n pairs of a predicted and a true object that share pixels, and all objects.

    ``row``, ``column`` (n,) number the predicted and the true object of a pair from 0, ``iou`` and ``common`` pixels;
    ``ids`` and ``areas`` of all predicted objects by number, ``target_ids`` and ``target_areas`` of all true ones.
    """

    row: np.ndarray
    column: np.ndarray
    iou: np.ndarray
    common: np.ndarray
    ids: np.ndarray
    areas: np.ndarray
    target_ids: np.ndarray
    target_areas: np.ndarray


def overlaps(labels: np.ndarray, target_labels: np.ndarray) -> Overlaps:
    """Which objects share pixels, and how many.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial), 0 = background; the other numbers need not be consecutive.
    target_labels
        True objects, of the same shape.

    Returns
    -------
    overlaps
        Ordered by predicted, then by true object.
    """
    check_shapes(labels, target_labels)
    (predicted, ids), (true, target_ids) = _consecutive(labels), _consecutive(target_labels)
    areas, target_areas = (
        np.bincount(of, minlength=len(by) + 1)[1:] for of, by in ((predicted, ids), (true, target_ids))
    )
    width = len(target_ids) + 1
    shared = (predicted > 0) & (true > 0)
    keys = predicted[shared] * width + true[shared]
    if (len(ids) + 1) * width <= 4_000_000:  # counting in a table is faster than sorting while it is small
        table = np.bincount(keys)
        keys = np.flatnonzero(table)
        common = table[keys]
    else:
        keys, common = np.unique(keys, return_counts=True)
    row, column = np.divmod(keys, width)
    row, column = row - 1, column - 1
    iou = common / (areas[row] + target_areas[column] - common)
    return Overlaps(row, column, iou, common, ids, areas, target_ids, target_areas)


def _consecutive(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat labels renumbered 1..n in their order, with 0 kept, and the n labels."""
    flat = np.asarray(labels).ravel().astype(np.int64)
    highest = int(flat.max(initial=0))
    if flat.size and (flat.min() < 0 or highest > 4 * flat.size):  # numbers too wild for a table
        ids, flat = np.unique(np.append(flat, 0), return_inverse=True)
        zero = int(np.searchsorted(ids, 0))
        flat = np.where(flat == zero, 0, np.where(flat < zero, flat + 1, flat))[:-1]
        return flat, np.delete(ids, zero)
    used = np.zeros(highest + 1, bool)
    used[flat] = True
    used[0] = False
    return (np.cumsum(used) * used)[flat], np.flatnonzero(used)


def pairs(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray, threshold: float) -> np.ndarray:
    """Which of some overlaps make the best one-to-one matching: as many as possible, then of the largest summed IoU.

    Parameters
    ----------
    rows, columns, ious
        Of each overlap the predicted object, the true object and their IoU, shape (n,).
    threshold
        Two objects can be a pair where their IoU is at least this.

    Returns
    -------
    chosen
        Positions in the arrays. Only objects with several candidates, at an IoU of .5 and below, need an assignment.
    """
    kept = np.flatnonzero(ious >= threshold)
    if len(kept) == 0:
        return kept
    contested = (np.bincount(rows[kept])[rows[kept]] > 1) | (np.bincount(columns[kept])[columns[kept]] > 1)
    if not contested.any():
        return kept
    several = kept[contested]
    return np.concatenate([kept[~contested], several[_assign(rows[several], columns[several], ious[several])]])


def _assign(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray) -> np.ndarray:
    """Positions of the pairs of the best one-to-one assignment: most pairs first, then the largest sum."""
    from scipy.optimize import linear_sum_assignment

    row_ids, rows = np.unique(rows, return_inverse=True)
    column_ids, columns = np.unique(columns, return_inverse=True)
    gain = np.zeros((len(row_ids), len(column_ids)))
    gain[rows, columns] = 1 + ious / (2 * min(gain.shape))
    place = np.full(gain.shape, -1)
    place[rows, columns] = np.arange(len(rows))
    best = place[linear_sum_assignment(gain, maximize=True)]
    return best[best >= 0]
