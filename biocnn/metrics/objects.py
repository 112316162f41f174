"""Agreement of two sets of labelled objects, as in StarDist and the DSB2018 challenge.

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

    ``tp`` are matched pairs, ``fp`` unmatched predicted objects, ``fn`` unmatched true objects, and ``iou_sum`` is the
    summed IoU of the matched pairs. Sum over images for pooled values; `dice_of_counts` computes F1 from the first
    three.
    """

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    iou_sum: np.ndarray


def matching(labels: np.ndarray, target_labels: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> Matching:
    """Match predicted with true objects, one to one, as many as possible at each IoU threshold.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial): 0 = background; numbers need not be consecutive.
    target_labels
        True objects, same shape.
    thresholds
        Smallest IoU of a pair, above 0 and up to 1.

    Returns
    -------
    matching
        Counts at each threshold. Among matchings with equally many pairs, that with the largest summed IoU is used.
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
    """Compute TP / (TP + FP + FN) of objects in an image; StarDist's paper reports its mean over images.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial), 0 = background.
    target_labels
        True objects, same shape.
    thresholds
        Smallest IoU of a pair.

    Returns
    -------
    average_precision
        One value per threshold, between 0 and 1; 1 if there are no objects and none are predicted.
    """
    found = matching(labels, target_labels, thresholds)
    return iou_of_counts(found.tp, found.fp, found.fn)


def pooled(matchings: Sequence[Matching]) -> Matching:
    """Sum the counts of several images, so that `iou_of_counts` weights objects, not images, equally.

    Parameters
    ----------
    matchings
        One per image, all at the same thresholds.

    """
    return Matching(*(np.sum(counts, axis=0) for counts in zip(*matchings, strict=True)))


def panoptic_quality(found: Matching) -> np.ndarray:
    """Compute panoptic quality: the mean IoU of the matched pairs times F1.

    Parameters
    ----------
    found
        Counts of one image, or pooled counts.

    Returns
    -------
    panoptic_quality
        One value per threshold, between 0 and 1; 1 if there are no objects and none are predicted.
    """
    total = found.tp + (found.fp + found.fn) / 2
    return np.divide(found.iou_sum, total, out=np.ones(total.shape), where=total > 0)


def aji(labels: np.ndarray, target_labels: np.ndarray) -> float:
    """Compute the aggregated Jaccard index: shared over joint pixels of true objects and their best predictions.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial), 0 = background.
    target_labels
        True objects, same shape.

    Returns
    -------
    aji
        Between 0 and 1; 1 if there are no objects and none are predicted.

    References
    ----------
    Kumar et al., IEEE Transactions on Medical Imaging 36, 1550-1560 (2017), doi:10.1109/TMI.2017.2677499.
    """
    return float(aji_of_counts(aji_counts(labels, target_labels)))


def aji_counts(labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Count intersection and union in pixels, shape (2,), which add up over images.

    Each true object is paired with the predicted one of highest IoU, which may be shared with other true objects. True
    objects without overlap and predicted ones that are no object's best count in the union only.
    """
    found = overlaps(labels, target_labels)
    order = np.lexsort((-found.row, found.iou, found.column))  # ties: the predicted object with the lower number
    best = order[np.diff(found.column[order], append=-1) != 0]
    rows, columns, common = found.row[best], found.column[best], found.common[best]
    unused = np.delete(found.areas, rows).sum() + np.delete(found.target_areas, columns).sum()
    return np.array([common.sum(), (found.areas[rows] + found.target_areas[columns] - common).sum() + unused])


def aji_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute AJI from `aji_counts` (..., 2); 1 if there are no objects."""
    return ratio(counts[..., 0], counts[..., 1], empty=1)


class Overlaps(NamedTuple):
    """The n pairs of predicted and true objects that share pixels, and all objects.

    ``row`` and ``column`` (n,) number the predicted and true object of each pair from 0; ``iou`` and ``common`` give
    its IoU and shared pixels. ``ids`` and ``areas`` list all predicted objects, ``target_ids`` and ``target_areas`` all
    true ones.
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
    """Find the objects that share pixels, and how many.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial), 0 = background; numbers need not be consecutive.
    target_labels
        True objects, same shape.

    Returns
    -------
    overlaps
        Pairs ordered by predicted, then by true object.
    """
    check_shapes(labels, target_labels)
    (predicted, ids), (true, target_ids) = _consecutive(labels), _consecutive(target_labels)
    areas, target_areas = (
        np.bincount(of, minlength=len(by) + 1)[1:] for of, by in ((predicted, ids), (true, target_ids))
    )
    width = len(target_ids) + 1
    shared = (predicted > 0) & (true > 0)
    keys = predicted[shared] * width + true[shared]
    if (len(ids) + 1) * width <= 4_000_000:  # counting in a table is faster than sorting if the table is small
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
    """Renumber flattened labels to 1..n, keeping order and 0; return them and the n labels."""
    flat = np.asarray(labels).ravel().astype(np.int64)
    highest = int(flat.max(initial=0))
    if flat.size and (flat.min() < 0 or highest > 4 * flat.size):  # numbers out of range for a table
        ids, flat = np.unique(np.append(flat, 0), return_inverse=True)
        zero = int(np.searchsorted(ids, 0))
        flat = np.where(flat == zero, 0, np.where(flat < zero, flat + 1, flat))[:-1]
        return flat, np.delete(ids, zero)
    used = np.zeros(highest + 1, bool)
    used[flat] = True
    used[0] = False
    return (np.cumsum(used) * used)[flat], np.flatnonzero(used)


def pairs(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray, threshold: float) -> np.ndarray:
    """Select the best one-to-one matching among overlaps: most pairs first, then the largest summed IoU.

    Parameters
    ----------
    rows, columns, ious
        Predicted object, true object and IoU of each overlap, shape (n,).
    threshold
        Smallest IoU of a pair.

    Returns
    -------
    chosen
        Positions in the arrays. Only objects with several candidates, at IoU up to 0.5, need an assignment.
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
    """Return the positions of the best one-to-one assignment: most pairs first, then the largest sum."""
    from scipy.optimize import linear_sum_assignment

    row_ids, rows = np.unique(rows, return_inverse=True)
    column_ids, columns = np.unique(columns, return_inverse=True)
    gain = np.zeros((len(row_ids), len(column_ids)))
    gain[rows, columns] = 1 + ious / (2 * min(gain.shape))
    place = np.full(gain.shape, -1)
    place[rows, columns] = np.arange(len(rows))
    best = place[linear_sum_assignment(gain, maximize=True)]
    return best[best >= 0]
