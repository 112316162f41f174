"""Comparison of a network with baselines by metrics of all bases together, whose sums add up over windows."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from biocnn import metrics
from biocnn.data.dataset import Dataset
from biocnn.data.splits import HELD_OUT
from biocnn.evaluation.evaluate import combined, rows_of
from biocnn.evaluation.judges import Values
from biocnn.metrics.resampling import sum_replicates
from biocnn.prediction.stored_predictions import Predictions


class Pooled(NamedTuple):
    """A metric: its value, and the sums of each window, (N, *k), with the function of their total that gives it."""

    value: float
    function: Callable[[np.ndarray], np.ndarray]
    parts: np.ndarray


# From predictions, numbers of windows, and their rows in the data set, to each metric by output and name.
Measure = Callable[[Values, Sequence[int], np.ndarray], Mapping[tuple[str, str], Pooled]]


def compare_pooled(
    measure: Measure,
    dataset: Dataset,
    predictions: Sequence[Predictions],
    simple: Predictions,
    names: Sequence[str],
    resamples: int,
    seed: int,
    group: str = "group",
    postprocess: object = (),
) -> list[dict[str, Any]]:
    """Compare the network with each baseline on the same windows; see `compare_map_baselines`.

    ``postprocess`` plays no part in metrics of windows.
    """
    units, rows = dataset.groups(group), []
    network, table = combined(dict(enumerate(predictions)), dataset.task)
    of_baselines, others = combined({0: simple}, dataset.task)
    places = {key: i for i, key in enumerate(zip(others["id"], others["split"], strict=True))}
    for split in HELD_OUT:
        numbers = np.flatnonzero(table["split"] == split)
        index = rows_of(dataset, table["id"])[numbers]
        theirs = [places[name, split] for name in table["id"].iloc[numbers]]
        mine = measure(network, numbers, index)
        runs = [_of_run(measure, dataset, run, split) for run in predictions] if predictions[1:] else [mine]
        for place, name in enumerate(names):
            found = measure(partial(_one, of_baselines, place), theirs, index)
            for key, pair in ((key, (mine[key], found[key])) for key in mine):
                drawn = [sum_replicates(one.function, one.parts, units[index], seed=seed, n=resamples) for one in pair]
                line: dict[str, Any] = {"baseline": name, "split": split, "n": len(index)}
                line |= dict(zip(("output", "metric"), key, strict=True))
                line |= dict(zip(("network", "value"), (one.value for one in pair), strict=True))
                line |= {"difference": line["network"] - line["value"]}
                line |= dict(zip(("low", "high"), metrics.interval(drawn[1]), strict=True))
                ends = metrics.interval(drawn[0] - drawn[1])
                line |= dict(zip(("difference_low", "difference_high"), ends, strict=True))
                own = [run[key].value for run in runs]
                rows.append(
                    line | {"mean_of_runs": np.mean(own), "sd_of_runs": np.std(own, ddof=1) if own[1:] else np.nan}
                )
    return rows


def _of_run(measure: Measure, dataset: Dataset, run: Predictions, split: str) -> Mapping[tuple[str, str], Pooled]:
    values, table = run
    numbers = np.flatnonzero(table["split"] == split)
    return measure(values.__getitem__, numbers, rows_of(dataset, table["id"].iloc[numbers]))


def _one(values: Values, place: int, number: int) -> np.ndarray:
    """Return the prediction of one of the baselines."""
    return values(number)[place]
