"""Evaluation of the uncertainty of boxes, which is 1 minus their score.

Scores are calibrated on the validation split; those of several runs are fused, so that a box that not all runs find has
a lower score.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from biocnn.evaluation.uncertainty.judging import Judge
from biocnn.metrics import dice_of_counts, match_boxes


class Fused(NamedTuple):
    """Boxes in an image, fused over several predictions, (M, 2 + 2 spatial_dims)."""

    mean: np.ndarray


class BoxJudge(Judge):
    """Judges boxes."""

    def estimate(self, samples: Iterable[np.ndarray]) -> Fused:
        """Fuse the boxes of several predictions."""
        return Fused(self.task.combine(list(samples)))

    def add(self, method: str, split: str, row: int, found: Fused, decided: np.ndarray) -> None:
        """Match the boxes with the true ones of their class at an IoU of .5; those that cannot be judged do not count.

        The risk of an image is 1 minus F1.
        """
        name = {"method": method, "split": split, "id": self.dataset.examples["id"].iloc[row]}
        matches = match_boxes(decided, self.dataset.y[row])
        missed = (matches["kind"] == "missed").sum() + (matches["kind"] == "confused").sum()
        boxes = matches[~matches["kind"].isin(["missed", "ignored"])]
        matched = boxes["kind"] == "matched"
        sides = [boxes[f"{axis}_max"] - boxes[f"{axis}_min"] for axis in "zyx"[-self.dataset.facts.spatial_dims :]]
        table = pd.DataFrame(
            {
                "class": np.array(self.task.outputs)[boxes["label"]],
                "label": np.arange(1, len(boxes) + 1),
                "area": np.prod(sides, axis=0),
                "uncertainty": 1 - boxes["score"],
                "iou": boxes["iou"],
                "matched": matched.astype(int),
            }
        )
        self.objects.append(table.assign(**name)[[*name, *table.columns]])
        risk = 1 - float(dice_of_counts(matched.sum(), (~matched).sum(), missed))
        uncertainty = self.of_image(decided, found)
        self.images.append(name | {"uncertainty": uncertainty, "objects": len(table), "risk": risk})

    def of_image(self, decided: np.ndarray, found: Fused) -> float:
        """Return 1 minus the mean score or, without boxes, the highest score that is too low for a box."""
        return float(1 - decided[:, 1].mean() if len(decided) else found.mean[:, 1].max(initial=0))
