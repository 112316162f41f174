"""Judge of maps of numbers: the metrics of each example, and their means."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation.judges import NO_MATCHES, Keep, Tables, Values, refuse_settings_of_maps


class ValueJudge:
    """Judges each example as its task requires, and the mean over examples, with confidence intervals over groups."""

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        refuse_settings_of_maps(dataset.task, settings)
        self.dataset, self.task, self.groups = dataset, dataset.task, dataset.groups(group)
        self.bootstrap = partial(metrics.bootstrap, np.mean, seed=seed, n=settings.resamples)

    def choose(self, *_: Any) -> None:
        """Do nothing, because there is nothing to choose."""

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """See `Judge`."""
        ids = self.dataset.examples["id"].to_numpy()[rows]
        each = pd.DataFrame(
            [
                (id, row, *found)
                for id, number, row in zip(ids, numbers, rows, strict=True)
                for found in self.task.judged(values(number), self.dataset.y[row], self.dataset.x[row])
            ],
            columns=["id", "row", "output", "metric", "value"],
        )
        each["unit"] = each["metric"].map(self.task.units).fillna("")
        lines = []
        for (output, metric, unit), found in each.groupby(["output", "metric", "unit"], sort=False):
            known = found[np.isfinite(found["value"])]
            low, high = self.bootstrap(known["value"].to_numpy(), groups=self.groups[known["row"]])
            mean = known["value"].mean()  # nan if no example has a value
            line = {"output": output, "metric": metric, "over": "per_image", "value": mean, "low": low, "high": high}
            lines.append(line | {"n": len(known), "unit": unit})
        return pd.DataFrame(lines), each[each["value"].notna()].drop(columns="row"), NO_MATCHES
