"""Judge of objects with classes: all of them, and those of each class."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from biocnn.evaluation.judges import ObjectJudge
from biocnn.metrics.catalogue import Metric, TypedCase, defined
from biocnn.metrics.masks import IGNORE

ALL = "objects"  # output of the metrics of all objects, whatever their class


class TypedJudge(ObjectJudge):
    """Judges all objects whatever their class, and the objects of each class.

    A predicted object that matches a true object of unknown class counts for no class.
    """

    def cases(self, p: np.ndarray, decided: np.ndarray, number: int, row: int) -> Iterator[tuple[str, TypedCase]]:
        """Yield all objects as one case, then those of each class."""
        truth, (ids, of_true) = self.dataset.labels[row][0], self.dataset.classes[row].T
        of_predicted = self.task.classes_of(p, decided).number
        found = self.matches(p, decided, row)
        found = found[found["kind"] == "matched"]
        true, called = found["target_class"], found["class"]
        unjudged = found.loc[true == "", "label"].to_numpy(int) - 1
        of_predicted[unjudged] = IGNORE
        each = []
        for k, name in enumerate(self.task.object_classes):
            labels = np.where(np.append(False, of_predicted == k)[decided], decided, 0)
            target = np.where(np.isin(truth, ids[of_true == k]), truth, 0)
            ours = true == name
            each.append(TypedCase(labels, target, np.array([(called[ours] == name).sum(), ours.sum()])))
        right = np.array([(called == true).sum(), (true != "").sum()])
        yield ALL, TypedCase(decided, truth, right, each)
        yield from zip(self.task.object_classes, each, strict=True)

    def matches(self, p: np.ndarray, decided: np.ndarray, row: int) -> pd.DataFrame:
        """Return the matches of `ObjectJudge`, with the predicted class, its probability, and the true class.

        Classes are names, empty where there is no such object or its class is unknown.
        """
        found, classes = super().matches(p, decided, row), self.task.classes_of(p, decided)
        names = np.array([*self.task.object_classes, ""], dtype=object)
        ids, of_true = self.dataset.classes[row].T
        of_true = np.append(-1, np.where(of_true == IGNORE, -1, of_true))
        label, place = found["label"].to_numpy(int), np.searchsorted(np.append(0, ids), found["target_label"])
        return found.assign(
            **{
                "class": names[np.append(-1, classes.number)[label]],
                "class_score": np.append(np.nan, classes.score)[label],
                "target_class": names[of_true[place]],
            }
        )

    def metric_of(self, output: str, metric: Metric) -> Metric:
        """See `defined`; of all objects, images without any count, too."""
        return metric if output == ALL else defined(metric)
