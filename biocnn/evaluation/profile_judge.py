"""Judge of numbers along sequences: over all bases, within windows, and of the totals of windows."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation.judges import NO_MATCHES, Keep, Tables, Values, refuse_settings_of_maps
from biocnn.metrics import profiles
from biocnn.metrics.resampling import sum_replicates

RANKED = 2**22  # most bases whose ranks are compared
OF_WINDOWS = ("window_pearson", "window_spearman", "shape_distance")
# Each metric from the sums over windows of an array with one row for each of them.
VALUE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "pearson": profiles.pearson_of,
    "spearman": profiles.pearson_of,
    **dict.fromkeys(OF_WINDOWS, profiles.mean_of),
    "total_r2": profiles.r2_of,
}
OVER = dict.fromkeys(OF_WINDOWS, "per_window")


class ProfileJudge:
    """Judges each track, with confidence intervals over windows; see `Judge`."""

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        refuse_settings_of_maps(dataset.task, settings)
        self.dataset, self.task, self.groups = dataset, dataset.task, dataset.groups(group)
        self.replicates = partial(sum_replicates, seed=seed, n=settings.resamples)

    def choose(self, *_: Any) -> None:
        """Do nothing, because there is nothing to choose."""

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """See `Judge`."""
        of_outputs, details = parts(self.dataset, values, numbers, rows)
        lines = []
        for output, metric, sums in of_outputs:
            value = VALUE[metric]
            low, high = metrics.interval(self.replicates(value, sums, self.groups[rows]))
            number = int(sums[:, -1].sum()) if metric in OF_WINDOWS else len(rows)
            line = {"output": output, "metric": metric, "over": OVER.get(metric, "all"), "n": number}
            lines.append(line | {"value": float(value(sums.sum(axis=0))), "low": low, "high": high})
        return pd.DataFrame(lines).assign(unit=""), details.assign(unit=""), NO_MATCHES


def parts(
    dataset: Dataset, values: Values, numbers: Sequence[int], rows: np.ndarray
) -> tuple[list[tuple[str, str, np.ndarray]], pd.DataFrame]:
    """Return what metrics are computed from, and the metrics of each window.

    Parameters
    ----------
    dataset
        Data set with the truth.
    values
        Prediction of a window by its number, (K, L).
    numbers, rows
        Numbers of the windows, and their rows in the data set.

    Returns
    -------
    parts
        Output, metric, and an array (N, k) with one row for each window, from whose sum `VALUE` computes the metric.
    details
        Columns id, output, metric, value; defined values only.
    """
    task, ids, each = dataset.task, dataset.examples["id"].to_numpy()[rows], []
    products = np.zeros((len(task.outputs), len(rows), 6))
    step = -(-int(dataset.y.shapes[rows][:, 1:].sum()) // RANKED) or 1
    ranked: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in task.outputs]
    for place, (number, row) in enumerate(zip(numbers, rows, strict=True)):
        p, y = values(number), np.asarray(dataset.y[row])
        each += [(ids[place], place, *found) for found in task.judged(p, y, dataset.x[row])]
        for k, (one, true) in enumerate(zip(p, y, strict=True)):
            known = ~np.isnan(true)
            pair = task.scaled(one[known]), task.scaled(true[known])
            products[k, place] = profiles.products(*pair)
            ranked[k].append((pair[0][::step], pair[1][::step]))
    details = pd.DataFrame(each, columns=["id", "place", "output", "metric", "value"]).dropna(subset="value")
    found: list[tuple[str, str, np.ndarray]] = []
    for k, output in enumerate(task.outputs):
        of_output = details[details["output"] == output].pivot(index="place", columns="metric", values="value")
        of_output = of_output.reindex(range(len(rows)))
        found += [(output, "pearson", products[k]), (output, "spearman", _rank_products(ranked[k]))]
        for metric in OF_WINDOWS:
            if metric in of_output:
                column = of_output[metric].to_numpy()
                known = ~np.isnan(column)
                found.append((output, metric, np.stack([np.where(known, column, 0), known], axis=1)))
        pairs = of_output[["total", "true_total"]].to_numpy()
        totals = np.stack([profiles.errors(*task.scaled(pair)) for pair in np.nan_to_num(pairs)])
        found.append((output, "total_r2", totals * ~np.isnan(pairs).any(axis=1, keepdims=True)))
    return found, details.drop(columns="place")


def _rank_products(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the sums of `products` of the ranks, among all bases, of the bases of each window: shape (N, 6)."""
    ends = np.cumsum([len(one) for one, _ in pairs])[:-1]
    ranked = [np.split(profiles.ranks(np.concatenate(every)), ends) for every in zip(*pairs, strict=True)]
    return np.stack([profiles.products(*pair) for pair in zip(*ranked, strict=True)])
