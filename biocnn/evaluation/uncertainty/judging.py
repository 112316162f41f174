"""Evaluation of uncertainty: calibration, separation of false objects, and risk of images."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from biocnn.data.dataset import Dataset
from biocnn.evaluation.uncertainty.calibration import Reliability
from biocnn.evaluation.uncertainty.maps import Uncertainty, maps
from biocnn.evaluation.uncertainty.objects import best_iou, means, object_uncertainty
from biocnn.evaluation.uncertainty.ranking import area, risk_coverage
from biocnn.metrics import auroc, average_precision_iou, dice, match_objects
from biocnn.metrics.masks import IGNORE

MATCHED = 0.5  # smallest IoU of a matched object


class Judge(ABC):
    """Evaluates the uncertainty of images, added one by one.

    Parameters
    ----------
    dataset
        Data set with the truth.
    """

    stored: ClassVar[tuple[str, ...]] = ()  # maps of an estimate that are stored for test images

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.task = dataset, dataset.task
        self.images: list[dict[str, Any]] = []
        self.objects: list[pd.DataFrame] = []
        self.pixels: dict[tuple[str, str, str], Reliability] = {}

    @abstractmethod
    def estimate(self, samples: Iterable[np.ndarray]) -> Any:
        """Reduce one or more predictions of an image to an estimate, with their ``mean`` to decide from."""

    @abstractmethod
    def add(self, method: str, split: str, row: int, found: Any, decided: np.ndarray) -> None:
        """Add the estimate of a method for the example in this row, and what was decided from its mean."""

    @abstractmethod
    def of_image(self, decided: np.ndarray, found: Any) -> float:
        """Estimate the uncertainty of an image from the predictions alone.

        Parameters
        ----------
        decided
            What was decided from the mean.
        found
            Estimate of the image.

        Returns
        -------
        uncertainty
            Uncertainty from 0 to 1.
        """

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables per_image, per_object, calibration, risk_coverage and summary by name."""
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
            if "target_class" in table and len(known := table[table["target_class"].fillna("") != ""]):
                right = (known["class"] == known["target_class"]).to_numpy()
                found = Reliability(10)
                found.add(known["class_score"], right)
                bins.append(found.table().assign(method=method, split=split, of="classes", output="classes"))
                note(method, split, "classes", "ece", found.ece(), len(known))
                note(method, split, "classes", "auroc", auroc(known["class_entropy"].to_numpy(), 1 - right), len(known))
        for (method, split), table in images.groupby(["method", "split"], sort=False):
            curve = risk_coverage(table["uncertainty"].to_numpy(), table["risk"].to_numpy())
            curves.append(curve.assign(method=method, split=split))
            for measure, value in area(curve).items():
                note(method, split, "images", f"area_{measure}", value, len(table))
        self.summary = pd.DataFrame(rows)
        columns = ["method", "split", "of", "output", "low", "high", "n", "probability", "frequency"]
        calibration = pd.concat(bins, ignore_index=True)[columns] if bins else pd.DataFrame(columns=columns)
        return {
            "per_image": images,
            "per_object": objects,
            "calibration": calibration,
            "risk_coverage": pd.concat(curves)[["method", "split", "coverage", "risk", "random", "oracle"]],
            "summary": self.summary,
        }

    def describe(self) -> Iterator[str]:
        """Yield the summary of the test split as log lines."""
        for row in self.summary[self.summary["split"] == "test"].itertuples():
            yield f"test {row.method}, {row.of}: {row.measure} = {row.value:.4f} (n = {row.n:,})"


class MapJudge(Judge):
    """Judges the uncertainty maps of images."""

    stored = ("entropy", "mutual_information")

    def estimate(self, samples: Iterable[np.ndarray]) -> Uncertainty:
        """Return the uncertainty maps."""
        return maps(samples, self.task)

    def add(self, method: str, split: str, row: int, found: Uncertainty, decided: np.ndarray) -> None:
        """Add the maps of a method for the example in this row, and the mask or labels decided from their mean."""
        target = self.dataset.y[row][0]
        known = target != IGNORE
        judged = Uncertainty(found.mean[:, known], found.entropy[known], found.mutual_information[known])
        name = {"method": method, "split": split, "id": self.dataset.examples["id"].iloc[row]}
        probabilities = self.task.distribution(judged.mean)
        for output, k in self.task.calibrated().items():
            self.pixels.setdefault((method, split, output), Reliability()).add(probabilities[k], target[known] == k)
        table = self.table_of(decided, target, row, found)
        self.objects.append(table.assign(**name)[[*name, *table.columns]])
        self.images.append(
            name
            | {
                "uncertainty": self.of_image(decided[known], judged),
                "entropy": judged.entropy.mean(),
                "mutual_information": judged.mutual_information.mean(),
                "objects": len(table),
                "risk": self.risk(decided, target, row),
            }
        )

    @abstractmethod
    def pieces(self, decided: np.ndarray, target: np.ndarray, row: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield name, predicted and true objects (or connected pieces) of each class except the background."""

    def table_of(self, decided: np.ndarray, target: np.ndarray, row: int, found: Uncertainty) -> pd.DataFrame:
        """Return a row for each predicted object."""
        objects = [_objects(output, *pair, found) for output, *pair in self.pieces(decided, target, row)]
        return pd.concat(objects, ignore_index=True)

    @abstractmethod
    def risk(self, decided: np.ndarray, target: np.ndarray, row: int) -> float:
        """Return the loss of the image in this row, 0 to 1."""


class ClassJudge(MapJudge):
    """Judges classes of pixels."""

    def of_image(self, decided: np.ndarray, found: Uncertainty) -> float:
        """Return 1 minus the Dice of mask and probabilities, averaged over all classes except the background.

        For a class without pixels, its largest probability is used.
        """
        p = self.task.distribution(found.mean)
        return float(np.mean([_expected_loss(decided == k, p[k]) for k in self.task.classes().values()]))

    def pieces(self, decided: np.ndarray, target: np.ndarray, row: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield the connected pieces of each class."""
        from skimage.measure import label

        for name, k in self.task.classes().items():
            yield name, label((decided == k) & (target != IGNORE)), label(target == k)

    def risk(self, decided: np.ndarray, target: np.ndarray, row: int) -> float:
        """Return 1 minus the mean Dice of all classes except the background."""
        return 1 - float(np.mean([dice(decided, target, label=k) for k in self.task.classes().values()]))


class ObjectJudge(MapJudge):
    """Judges labelled objects."""

    def of_image(self, decided: np.ndarray, found: Uncertainty) -> float:
        """Return the mean `object_uncertainty` or, without objects, the largest foreground probability."""
        return float(object_uncertainty(decided, found).mean() if decided.any() else (1 - found.mean[0]).max())

    def pieces(self, decided: np.ndarray, target: np.ndarray, row: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield all objects."""
        yield "object", decided, self.dataset.labels[row][0]

    def risk(self, decided: np.ndarray, target: np.ndarray, row: int) -> float:
        """Return 1 minus the mean average precision at IoU .5 to .9."""
        return 1 - float(average_precision_iou(decided, self.dataset.labels[row][0]).mean())


class TypedJudge(ObjectJudge):
    """Judges labelled objects with classes."""

    def table_of(self, decided: np.ndarray, target: np.ndarray, row: int, found: Uncertainty) -> pd.DataFrame:
        """Return also the class of each object, its probability, the entropy of the classes, and the true class.

        The true class is empty for objects that match no true object, or one of unknown class.
        """
        table = super().table_of(decided, target, row, found)
        classes, names = (
            self.task.classes_of(found.mean, decided),
            np.array([*self.task.object_classes, ""], dtype=object),
        )
        matches = match_objects(decided, self.dataset.labels[row][0])
        matches = matches[matches["kind"] == "matched"].set_index("label")["target_label"]
        ids, of_true = self.dataset.classes[row].T
        true = dict(zip(ids, np.where(of_true == IGNORE, -1, of_true), strict=True))
        numbers = table["label"].map(matches).map(true).fillna(-1).astype(int)
        return table.assign(
            **{
                "class": names[classes.number],
                "class_score": classes.score,
                "class_entropy": classes.entropy,
                "target_class": names[numbers],
            }
        )


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


def _expected_loss(mask: np.ndarray, p: np.ndarray) -> float:
    """Return 1 minus the Dice of a mask and its probabilities."""
    return 1 - 2 * float(p[mask].sum()) / float(mask.sum() + p.sum()) if mask.any() else float(p.max())
