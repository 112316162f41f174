"""Judge of boxes around objects."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation.judges import Keep, Postprocess, Tables, Values, decide, refuse_settings_of_maps
from biocnn.metrics.boxes import THRESHOLDS
from biocnn.metrics.detections import OF_SCORES, counts, measures
from biocnn.metrics.resampling import unbiased, weighted_replicates
from biocnn.metrics.weighted import defined_mean


class BoxJudge:
    """Judges all boxes, and those of each class if there are several, with confidence intervals over groups of images.

    Metrics of all boxes are means over the classes with true boxes.
    """

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        refuse_settings_of_maps(dataset.task, settings)
        self.dataset, self.task, self.groups = dataset, dataset.task, dataset.groups(group)
        self.seed, self.resamples = seed, settings.resamples
        self.postprocess: dict[int, Postprocess] = {}

    def choose(
        self, numbers: Iterable[int], values: Values, val: Sequence[int], rows: np.ndarray, postprocess: Postprocess
    ) -> None:
        """See `Judge`."""
        self.postprocess |= dict.fromkeys(numbers, postprocess)

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """See `Judge`."""
        ids, truth = self.dataset.examples["id"].to_numpy()[rows], [self.dataset.y[row] for row in rows]
        pairs = (decide(self.task, values(number), self.postprocess[number]) for number in numbers)
        found, decided = zip(*pairs, strict=True)
        ranked = not any(self.postprocess[number] is None for number in numbers)  # a person gives no scores
        if keep:
            for name, boxes in zip(ids, decided, strict=True):
                keep(name, boxes)
        classes = len(self.task.outputs)
        all_matched = metrics.match_detections(found, truth, classes)
        decided_matched = metrics.match_detections(decided, truth, classes, THRESHOLDS[:1])

        def of_weights(weights: np.ndarray) -> np.ndarray:
            """Return all metrics, for all classes and each of them, shape (B, 1 + K, metrics)."""
            pairs = zip(all_matched, decided_matched, strict=True)
            each = np.stack([np.stack([*measures(weights, *pair).values()], axis=1) for pair in pairs])
            return np.stack([defined_mean(each), *each], axis=1)

        names = list(measures(np.ones((1, len(rows))), all_matched[0], decided_matched[0]))
        value = of_weights(np.ones((1, len(rows))))[0]
        width = max(len(one.score) for one in all_matched)
        drawn = weighted_replicates(of_weights, self.groups[rows], seed=self.seed, n=self.resamples, width=width)
        table = []
        for k, output in enumerate(["all", *self.task.outputs][: classes + (classes > 1)]):
            for m, name in enumerate(names):
                if name in OF_SCORES and not ranked:
                    continue
                replicates = drawn[:, k, m]
                low, high = metrics.interval(unbiased(replicates, value[k, m]) if name == "ece" else replicates)
                line = {"output": output, "metric": name, "over": "all", "value": value[k, m]}
                table.append(line | {"low": low, "high": high, "n": len(rows), "unit": ""})
        matches = [
            self._named(metrics.match_boxes(boxes, true)).assign(id=name)
            for boxes, true, name in zip(decided, truth, ids, strict=True)
        ]
        return pd.DataFrame(table), _per_image(ids, sum(map(counts, decided_matched))), pd.concat(matches)

    def _named(self, matches: pd.DataFrame) -> pd.DataFrame:
        """Replace numbers of classes by their names."""
        names = np.array([*self.task.outputs, ""])
        return matches.assign(**{column: names[matches[column]] for column in ("label", "target_label")})


def _per_image(ids: np.ndarray, found: np.ndarray) -> pd.DataFrame:
    """Return F1 and numbers of matched, false and missed boxes of each image, from `counts` of all classes."""
    values = {"f1": metrics.dice_of_counts(*found.T)} | dict(zip(("matched", "false", "missed"), found.T, strict=True))
    tables = [pd.DataFrame({"id": ids, "metric": name, "value": each}) for name, each in values.items()]
    return pd.concat(tables).assign(output="all", unit="")
