"""Weighted fusion of the detections of several runs, or of several views of an image.

Solovyev et al., Image and Vision Computing 107, 104117 (2021), doi:10.1016/j.imavis.2021.104117.
"""

from collections.abc import Sequence

import numpy as np

from biocnn.metrics.boxes import box_iou


def fuse_boxes(runs: Sequence[np.ndarray], iou: float = 0.55) -> tuple[np.ndarray, np.ndarray]:
    """Fuse the detections of several runs.

    Boxes join, highest score first, the fused box of the same label with the largest IoU, or start a new one. Unlike in
    the publication, a fused box takes one box of each run, because a run separates objects itself; so identical runs
    are fused to one of them.

    Parameters
    ----------
    runs
        Detections of each run, in any order, shape (M_i, 2 + 2 D).
    iou
        Smallest IoU of a box with the fused box that it joins.

    Returns
    -------
    fused
        Shape (M, 2 + 2 D), float32, highest score first: the mean of the corners, weighted by score; and the sum of the
        scores divided by the number of runs, so that boxes that not all runs found have lower scores.
    agreement
        Share of the runs that found each box, shape (M,).
    """
    of_run = np.repeat(np.arange(len(runs)), [len(rows) for rows in runs])
    every = np.concatenate(runs).astype(float)
    fused: list[np.ndarray] = [np.zeros((0, every.shape[1]))]
    agreement: list[np.ndarray] = [np.zeros(0)]
    for label in np.unique(every[:, 0]):
        mine = np.flatnonzero(every[:, 0] == label)
        mine = mine[np.argsort(-every[mine, 1], kind="stable")]
        corners, scores, members = _fuse(every[mine, 2:], every[mine, 1], of_run[mine], len(runs), iou)
        fused.append(np.column_stack([np.full(len(scores), label), scores, corners]))
        agreement.append(members)
    boxes, shares = np.concatenate(fused), np.concatenate(agreement)
    order = np.argsort(-boxes[:, 1], kind="stable")
    return boxes[order].astype(np.float32), shares[order]


def _fuse(
    corners: np.ndarray, scores: np.ndarray, of_run: np.ndarray, runs: int, iou: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fuse the boxes of one label, highest score first; return corners, scores and agreement of the fused ones."""
    sums, fused = np.zeros_like(corners), np.zeros_like(corners)
    totals, members = np.zeros(len(corners)), np.zeros((len(corners), runs), bool)
    size = 0
    for box, score, run in zip(corners, scores, of_run, strict=True):
        overlap = np.where(members[:size, run], 0, box_iou(box[None], fused[:size])[0])
        place = int(overlap.argmax()) if size and overlap.max() >= iou else size
        size = max(size, place + 1)
        sums[place] += score * box
        totals[place] += score
        members[place, run] = True
        fused[place] = sums[place] / totals[place] if totals[place] else box
    return fused[:size], totals[:size] / runs, members[:size].mean(axis=1)
