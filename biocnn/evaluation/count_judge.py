"""Judge of numbers of objects, from maps of their density."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation.judges import NO_MATCHES, Keep, Tables, Values, refuse_settings_of_maps

_MEANS = ("count_mae", "count_bias", "relative_error", "game1", "game2", "coverage90")  # over images
_POOLED = {"count_rmse": metrics.count_rmse, "pearson": metrics.pearson}


class CountJudge:
    """Judges the counts of each class, and where objects are counted, with confidence intervals over groups."""

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        refuse_settings_of_maps(dataset.task, settings)
        self.dataset, self.task, self.groups = dataset, dataset.task, dataset.groups(group)
        self.bootstrap = partial(metrics.bootstrap, seed=seed, n=settings.resamples)
        self.postprocess: dict[int, dict[str, Any]] = {}

    def choose(
        self, numbers: Iterable[int], values: Values, val: Sequence[int], rows: np.ndarray, postprocess: dict[str, Any]
    ) -> None:
        """See `Judge`."""
        self.postprocess |= dict.fromkeys(numbers, postprocess)

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """See `Judge`."""
        found: dict[str, list[pd.Series]] = {output: [] for output in self.task.outputs}
        for number, row in zip(numbers, rows, strict=True):
            for output, each in self._of_image(values(number), self.postprocess[number], row).items():
                found[output].append(pd.Series(each))
        lines, details = [], []
        for output, images in found.items():
            of_images = pd.DataFrame(images).set_index(self.dataset.examples["id"].iloc[rows])
            lines += [{"output": output, **line} for line in self._lines(of_images, self.groups[rows])]
            details.append(of_images.melt(var_name="metric", ignore_index=False).reset_index().assign(output=output))
        per_example = pd.concat(details).dropna(subset="value").assign(unit="")
        return pd.DataFrame(lines).assign(over="all", unit=""), per_example, NO_MATCHES

    def _of_image(self, p: np.ndarray, postprocess: dict[str, Any], row: int) -> dict[str, dict[str, float]]:
        """Return numbers of an image by class and name."""
        density, found = self.task.decide(p, postprocess), {}
        ends = self.task.interval(self.task.total(density), postprocess)
        for output, name, value in self.task.judged(density, self.dataset.y[row], self.dataset.x[row]):
            found.setdefault(output, {})[name] = value
        for one, low, high in zip(found.values(), ends.low, ends.high, strict=True):
            inside = np.nan if np.isnan(low) else float(low <= one["true_count"] <= high)
            one |= {"low": low, "high": high, "coverage90": inside}
        return found

    def _lines(self, of_images: pd.DataFrame, groups: np.ndarray) -> Iterator[dict[str, Any]]:
        """Yield the metrics of one class, given columns of numbers of each image."""
        for name in (*_MEANS, *_POOLED):
            columns, metric = (["count", "true_count"], _POOLED[name]) if name in _POOLED else ([name], np.mean)
            known = of_images[columns].notna().all(axis=1).to_numpy()
            arrays = of_images[columns].to_numpy()[known].T
            low, high = self.bootstrap(metric, *arrays, groups=groups[known])
            value = metric(*arrays) if known.any() else np.nan
            yield {"metric": name, "value": value, "low": low, "high": high, "n": int(known.sum())}
