"""Baselines of maps of numbers: simple methods that a network must exceed, and the comparison with them.

A task names the function that returns its baselines, each a `Baseline`, for a data set.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.data.dataset import Dataset
from biocnn.data.splits import HELD_OUT
from biocnn.evaluation.evaluate import combined, rows_of
from biocnn.prediction.stored_predictions import Predictions

Apply = Callable[[np.ndarray], np.ndarray]  # an example as stored to its prediction (K, *spatial), float32


class Baseline(NamedTuple):
    """A simple method: its name, what it is, and its prediction of an example."""

    name: str
    what: str
    predict: Apply


def compare_map_baselines(
    dataset: Dataset,
    predictions: Sequence[Predictions],
    baselines: Predictions,
    names: Sequence[str],
    resamples: int,
    seed: int,
    group: str = "group",
    postprocess: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Compare the network (the mean prediction of its runs) with each baseline by all metrics of an example.

    Parameters
    ----------
    dataset, predictions, resamples, seed, group
        As for ``biocnn.evaluation.audit.audit``.
    baselines
        Predictions of the baselines, shape (number of baselines, K, *spatial) for each example.
    names
        Names of the baselines.
    postprocess
        Settings of each run with which its predictions are decided, as for ``evaluate``.

    Returns
    -------
    rows
        Rows of the table of ``audit``, whose intervals are over groups of examples.
    """
    settings = postprocess or [{}] * len(predictions)
    runs = [_measured(dataset, [run], [own]) for run, own in zip(predictions, settings, strict=True)]
    network = _measured(dataset, predictions, settings) if len(runs) > 1 else runs[0]
    theirs = [_measured(dataset, [baselines], [{}], place) for place in range(len(names))]
    units = pd.Series(dataset.groups(group), index=dataset.examples["id"])
    rows = []
    for (split, output, metric), mine in network.groupby(level=["split", "output", "metric"], sort=False):
        key = (split, output, metric)
        own = [float(run.xs(key, level=["split", "output", "metric"]).mean()) for run in runs]
        for name, baseline in zip(names, theirs, strict=True):
            both = mine, baseline.loc[mine.index]
            pair = pd.concat([one.droplevel([0, 2, 3]) for one in both], axis=1).dropna()
            if pair.empty:  # a metric that the baseline has for no example
                continue
            values, groups = pair.to_numpy().T, units[pair.index].to_numpy()
            ends = [
                metrics.bootstrap(np.mean, one, seed=seed, n=resamples, groups=groups)
                for one in (values[1], values[0] - values[1])
            ]
            found = dict(zip(("low", "high", "difference_low", "difference_high"), np.ravel(ends), strict=True))
            found |= {"baseline": name, "split": split, "output": output, "metric": metric, "n": len(pair)}
            found |= {"network": values[0].mean(), "value": values[1].mean()}
            found |= {"mean_of_runs": np.mean(own), "sd_of_runs": np.std(own, ddof=1) if own[1:] else np.nan}
            rows.append(found | {"difference": found["network"] - found["value"]})
    return rows


def _measured(
    dataset: Dataset,
    predictions: Sequence[Predictions],
    postprocess: Sequence[dict[str, Any]],
    place: int | None = None,
) -> pd.Series:
    """Return the metrics of each example, by split, id, output and metric; ``place``: number of a baseline."""
    of_example, rows = combined(dict(enumerate(predictions)), dataset.task)
    found = {}
    for number, (row, split, name, runs) in enumerate(
        zip(rows_of(dataset, rows["id"]), rows["split"], rows["id"], rows["runs"], strict=True)
    ):
        if split not in HELD_OUT:
            continue
        p = of_example(number)
        p = p if place is None else p[place]
        if any(own := [postprocess[run] for run in runs]):
            p = dataset.task.decide(p, dataset.task.shared(own))
        for output, metric, value in dataset.task.judged(p, dataset.y[row], dataset.x[row]):
            found[split, name, output, metric] = value
    index = pd.MultiIndex.from_tuples(found, names=["split", "id", "output", "metric"])
    return pd.Series(list(found.values()), index, dtype=float).replace([np.inf, -np.inf], np.nan)
