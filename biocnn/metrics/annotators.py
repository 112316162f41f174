"""Agreement of two annotations of the same images, which limits what a network can reach."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from biocnn.metrics.boxes import box_iou
from biocnn.metrics.masks import dice_of_counts
from biocnn.metrics.objects import pairs


class Agreement(NamedTuple):
    """Counts of objects: in the first and in the second annotation, in both, and in both with the same class."""

    first: int
    second: int
    matched: int
    same: int

    @property
    def f1(self) -> float:
        """Return F1 of the objects, whatever their classes; 1 without objects."""
        return float(dice_of_counts(self.matched, self.first - self.matched, self.second - self.matched))

    @property
    def class_agreement(self) -> float:
        """Return the share of the matched objects that have the same class; NaN if none are matched."""
        return self.same / self.matched if self.matched else float("nan")


def annotator_agreement(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], *, iou: float = 0.5, distance: float | None = None
) -> Agreement:
    """Match the objects of two annotations one to one, whatever their classes: as many as possible, then the closest.

    Parameters
    ----------
    first, second
        Objects in each image by both annotators: boxes (label, corners), shape (M, 1 + 2 D), or points (label,
        coordinates), shape (M, 1 + D).
    iou
        Smallest IoU of matched boxes.
    distance
        Largest distance of matched points, in the unit of the coordinates; None: the objects are boxes.
    """
    total = np.zeros(4, int)
    for one, other in zip(first, second, strict=True):
        if distance is None:
            near, threshold = box_iou(one[:, 1:], other[:, 1:]), iou
        else:
            apart = np.linalg.norm(one[:, None, 1:].astype(float) - other[None, :, 1:], axis=-1)
            near, threshold = 1 - apart / (2 * distance), 0.5
        rows, columns = np.nonzero(near >= threshold)
        chosen = pairs(rows, columns, near[rows, columns], threshold)
        same = one[rows[chosen], 0] == other[columns[chosen], 0]
        total += len(one), len(other), len(chosen), np.count_nonzero(same)
    return Agreement(*total.tolist())
