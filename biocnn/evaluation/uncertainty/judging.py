"""Uncertainty held against the truth: are probabilities frequencies, are unsure objects false, unsure images bad?"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from biocnn.data.dataset import Dataset
from biocnn.evaluation.uncertainty.calibration import Reliability
from biocnn.evaluation.uncertainty.maps import CLASSES_OF_INSTANCES, Uncertainty
from biocnn.evaluation.uncertainty.objects import best_iou, image_uncertainty, means, object_uncertainty
from biocnn.evaluation.uncertainty.ranking import area, risk_coverage
from biocnn.metrics import auroc, average_precision_iou, dice
from biocnn.metrics.masks import IGNORE
from biocnn.prediction.model import decide

MATCHED = 0.5  # IoU from which on an object is said to be true


class Judge:
    """Takes the maps of one image after the other; gives tables.

    Parameters
    ----------
    dataset
        Holds the truth.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.task, self.outputs = dataset.facts.task, dataset.facts.outputs
        self.images: list[dict[str, Any]] = []
        self.objects: list[pd.DataFrame] = []
        self.pixels: dict[tuple[str, str, str], Reliability] = {}

    def add(self, method: str, split: str, row: int, found: Uncertainty, postprocess: dict[str, Any]) -> None:
        """Judge what a method says of the example of this row; ``postprocess`` turns its maps into objects."""
        target = self.dataset.y[row][0]
        known = target != IGNORE
        decided = decide(found.mean, self.task, postprocess)
        judged = Uncertainty(found.mean[:, known], found.entropy[known], found.mutual_information[known])
        name = {"method": method, "split": split, "id": self.dataset.examples["id"].iloc[row]}
        for k, (output, p) in enumerate(zip(self._classes(), judged.mean, strict=False)):
            bins = self.pixels.setdefault((method, split, output), Reliability())
            bins.add(p, target[known] == (1 if self.task == "mask" else k))
        objects = [self._objects(output, *pair, found) for output, *pair in self._pieces(decided, target, row)]
        table = pd.concat(objects, ignore_index=True)
        self.objects.append(table.assign(**name)[[*name, *table.columns]])
        self.images.append(
            name
            | {
                "uncertainty": image_uncertainty(decided[known], judged, self.task),
                "entropy": judged.entropy.mean(),
                "mutual_information": judged.mutual_information.mean(),
                "objects": len(table),
                "risk": self._risk(decided, target, row),
            }
        )

    def _classes(self) -> list[str]:
        return self.outputs[:CLASSES_OF_INSTANCES] if self.task == "instances" else self.outputs

    def _pieces(
        self, decided: np.ndarray, target: np.ndarray, row: int
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Of each class but the background: its name, predicted and true objects, or connected pieces."""
        from skimage.measure import label

        if self.task == "instances":
            yield "object", decided, self.dataset.labels[row][0]
            return
        names = {1: self.outputs[0]} if self.task == "mask" else dict(enumerate(self.outputs))
        for k, name in names.items():
            if k:
                yield name, label((decided == k) & (target != IGNORE)), label(target == k)

    @staticmethod
    def _objects(output: str, labels: np.ndarray, target_labels: np.ndarray, found: Uncertainty) -> pd.DataFrame:
        ids, counts = np.unique(labels[labels > 0], return_counts=True)
        iou = best_iou(labels, target_labels)
        return pd.DataFrame(
            {
                "class": output,
                "label": ids,
                "area": counts,
                "uncertainty": object_uncertainty(labels, found),
                "mutual_information": means(labels, found.mutual_information),
                "iou": iou,
                "matched": (iou >= MATCHED).astype(int),
            }
        )

    def _risk(self, decided: np.ndarray, target: np.ndarray, row: int) -> float:
        """One less the mean Dice of all classes but the background; of objects, the mean precision at IoU .5 to .9."""
        if self.task == "instances":
            return 1 - float(average_precision_iou(decided, self.dataset.labels[row][0]).mean())
        classes = range(1, 2 if self.task == "mask" else len(self.outputs))
        return 1 - float(np.mean([dice(decided, target, label=k) for k in classes]))

    def tables(self) -> dict[str, pd.DataFrame]:
        """By name: per_image, per_object, calibration, risk_coverage, summary."""
        images, objects = pd.DataFrame(self.images), pd.concat(self.objects, ignore_index=True)
        bins, curves, rows = [], [], []

        def note(method: str, split: str, of: str, measure: str, value: float, n: int) -> None:
            rows.append({"method": method, "split": split, "of": of, "measure": measure, "value": value, "n": n})

        for (method, split, output), found in self.pixels.items():
            bins.append(found.table().assign(method=method, split=split, of="pixels", output=output))
            note(method, split, output, "ece", found.ece(), int(found.counts[0].sum()))
        for (method, split), table in objects.groupby(["method", "split"], sort=False):
            found = Reliability(10)
            found.add(1 - table["uncertainty"], table["matched"])
            bins.append(found.table().assign(method=method, split=split, of="objects", output="objects"))
            note(method, split, "objects", "ece", found.ece(), len(table))
            separated = auroc(table["uncertainty"].to_numpy(), 1 - table["matched"].to_numpy())
            note(method, split, "objects", "auroc", separated, len(table))
        for (method, split), table in images.groupby(["method", "split"], sort=False):
            curve = risk_coverage(table["uncertainty"].to_numpy(), table["risk"].to_numpy())
            curves.append(curve.assign(method=method, split=split))
            for measure, value in area(curve).items():
                note(method, split, "images", f"area_{measure}", value, len(table))
        self.summary = pd.DataFrame(rows)
        columns = ["method", "split", "of", "output", "low", "high", "n", "probability", "frequency"]
        return {
            "per_image": images,
            "per_object": objects,
            "calibration": pd.concat(bins, ignore_index=True)[columns],
            "risk_coverage": pd.concat(curves)[["method", "split", "coverage", "risk", "random", "oracle"]],
            "summary": self.summary,
        }

    def describe(self) -> Iterator[str]:
        """The summary of the test part, line by line."""
        for row in self.summary[self.summary["split"] == "test"].itertuples():
            yield f"test {row.method}, {row.of}: {row.measure} = {row.value:.4f} (n = {row.n:,})"
