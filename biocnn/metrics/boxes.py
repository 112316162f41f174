"""Overlap of boxes, and matching of detections with true boxes as in COCO.

Rows of truth are (label, corners), rows of detections (label, score, corners); corners are as in
`biocnn.tasks.target.Boxes`. True boxes with label -1 mark regions in which nothing is judged, e.g. crowds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from biocnn.metrics.weighted import ratio

UNJUDGED = -1
THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())  # as COCO computes them


def box_iou(boxes: np.ndarray, others: np.ndarray, unjudged: np.ndarray | None = None) -> np.ndarray:
    """Compute the IoU of each box with each of the others.

    Parameters
    ----------
    boxes, others
        Corners, shapes (n, 2 D) and (m, 2 D).
    unjudged
        Others for which the intersection is divided by the size of the box alone, (m,), boolean.

    Returns
    -------
    iou
        Shape (n, m), float64.
    """
    first, second = np.asarray(boxes, float)[:, None], np.asarray(others, float)[None]
    dims = first.shape[-1] // 2
    low, high = np.maximum(first[..., :dims], second[..., :dims]), np.minimum(first[..., dims:], second[..., dims:])
    common = (high - low).clip(min=0).prod(axis=-1)
    size, other_size = ((corners[..., dims:] - corners[..., :dims]).prod(axis=-1) for corners in (first, second))
    union = size + other_size - common
    return ratio(common, union if unjudged is None else np.where(unjudged, size, union), empty=0)


class Matched(NamedTuple):
    """The n detections of one class in N images, highest score first, matched at T thresholds of IoU.

    ``image`` and ``score`` (n,) give the number of the image, from 0, and the score of each detection; ``rank`` (n,)
    its place in its image, from 0. ``true`` (T, n) marks those matched with a true box, ``unjudged`` (T, n) those
    matched only with a region that is not judged: these are neither true nor false. ``number`` (N,) counts true boxes.
    """

    image: np.ndarray
    score: np.ndarray
    rank: np.ndarray
    true: np.ndarray
    unjudged: np.ndarray
    number: np.ndarray


def match_detections(
    found: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    classes: int,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[Matched]:
    """Match the detections of each class with true boxes, as in COCO.

    Detections choose in the order of their scores: each takes, of the true boxes of its class that are still free, the
    one with the largest IoU. Without such a box, it may share a region that is not judged.

    Parameters
    ----------
    found
        Detections in each of N images, in any order, (M_i, 2 + 2 D).
    truth
        True boxes of each image, (G_i, 1 + 2 D).
    classes
        Number of classes K.
    thresholds
        Smallest IoU of a match; for regions that are not judged, smallest part of the detection inside.

    Returns
    -------
    matched
        One per class.
    """
    number = np.zeros((classes, len(truth)), int)
    parts: list[tuple[np.ndarray, ...]] = []
    for i, (rows, boxes) in enumerate(zip(found, truth, strict=True)):
        labels = boxes[:, 0].astype(int)
        number[:, i] = np.bincount(labels[labels >= 0], minlength=classes)
        rows = rows[np.argsort(-rows[:, 1], kind="stable")]
        of, iou = rows[:, 0].astype(int), _of_same_class(rows, boxes)
        partners = np.stack([partners_of(iou, labels < 0, threshold) for threshold in thresholds])
        true, unjudged = _kinds(partners, labels)
        parts.append((of, np.full(len(rows), i), rows[:, 1], _ranks(of, classes), *true, *unjudged))
    of, image, score, rank, *flags = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    true, unjudged = np.split(np.array(flags, bool), 2)
    found_by_class = []
    for k in range(classes):
        mine = np.flatnonzero(of == k)
        mine = mine[np.argsort(-score[mine], kind="stable")]
        columns = image[mine], score[mine], rank[mine], true[:, mine], unjudged[:, mine]
        found_by_class.append(Matched(*columns, number[k]))
    return found_by_class


def partners_of(iou: np.ndarray, shared: np.ndarray, threshold: float) -> np.ndarray:
    """Match detections one by one, each with the free true box of largest IoU, otherwise with a shared region.

    Parameters
    ----------
    iou
        Shape (n, m), detections in the order in which they choose.
    shared
        Regions that several detections may share, (m,), boolean.
    threshold
        Smallest IoU of a match.

    Returns
    -------
    partners
        Column of the partner of each detection, (n,); -1 if there is none. Of equal IoUs, the last column is chosen.
    """
    rows, columns = np.nonzero(iou >= threshold)
    order = np.lexsort((-columns, -iou[rows, columns], shared[columns], rows))
    partners, free = [-1] * len(iou), [True] * len(shared)
    several = shared.tolist()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if partners[row] < 0 and free[column]:
            partners[row], free[column] = column, several[column]
    return np.array(partners, int)


def _of_same_class(rows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the IoU of detections and true boxes; 0 if the classes differ, unless the truth is not judged."""
    unjudged = boxes[:, 0] < 0
    return box_iou(rows[:, 2:], boxes[:, 1:], unjudged) * (unjudged | (rows[:, :1] == boxes[:, 0]))


def _kinds(partners: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which partners are true boxes, and which are regions that are not judged."""
    judged = np.append(labels >= 0, False)[partners]
    return judged, (partners >= 0) & ~judged


def _ranks(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the place of each entry among those with the same label."""
    same = labels[:, None] == np.arange(classes)
    return (np.cumsum(same, axis=0) - 1)[np.arange(len(labels)), labels] if classes else np.zeros(0, int)
