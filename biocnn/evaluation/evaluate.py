"""How good the predictions are, each metric with its 95% interval: over loci of sequences, over groups of images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from biocnn.config.registry import resolve
from biocnn.config.settings import Metrics
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.evaluation.judges import Keep
from biocnn.metrics.matches import COLUMNS as MATCH_COLUMNS
from biocnn.prediction.stored import Decided, Predictions, read_predictions
from biocnn.training.metadata import read_metadata

ENSEMBLE = "ensemble"
COLUMNS = {
    "metrics": ["run", "split", "output", "metric", "over", "value", "low", "high", "n", "unit"],
    "per_example": ["run", "split", "id", "output", "metric", "value", "unit"],
    "matches": ["run", "split", "id", *MATCH_COLUMNS],
}


class Evaluation(NamedTuple):
    """Tables: ``metrics`` with columns run, split, output, metric, over, value, low, high, n and unit (of distances,
    else empty); ``per_example`` with run, split, id, output, metric, value, unit; ``matches`` with run, split, id and
    those of `match_objects`.
    """

    metrics: pd.DataFrame
    per_example: pd.DataFrame
    matches: pd.DataFrame


def evaluate_stored(
    dataset: Dataset,
    runs: Sequence[Path],
    settings: Metrics,
    seed: int,
    group: str = "group",
    keep: Keep | None = None,
) -> Evaluation:
    """What ``evaluate`` makes of folders with model.safetensors and predictions."""
    predictions = {run.name: read_predictions(run / "predictions") for run in runs}
    postprocess = {run.name: read_metadata(run / "model.safetensors").postprocess.given() for run in runs}
    return evaluate(dataset, predictions, postprocess, settings, seed, group, keep)


def describe(table: pd.DataFrame, compared: pd.DataFrame) -> Iterator[str]:
    """Metrics of the test part, where defined, and what the network has more than each baseline, line by line."""
    table, compared = table[table["value"].notna()], compared[compared["difference"].notna()]
    for row in table[table["split"] == "test"].itertuples():
        sure = "" if np.isnan(row.low) else f" (95%: {row.low:.4g} to {row.high:.4g})"  # of too few examples
        yield f"test {row.run}, {row.output} ({row.over}): {row.metric} = {row.value:.4g}{sure}"
    for row in compared[compared["split"] == "test"].itertuples():
        sure = f"{row.difference:+.4f} (95%: {row.difference_low:+.4f} to {row.difference_high:+.4f})"
        yield f"test {row.output}, {row.metric}: network less {row.baseline} = {sure}"


def evaluate(
    dataset: Dataset,
    predictions: dict[str, Predictions],
    postprocess: dict[str, dict[str, Any]],
    settings: Metrics,
    seed: int,
    group: str = "group",
    keep: Keep | None = None,
) -> Evaluation:
    """Metrics of every run, and of the ensemble where there are several: each example's mean over all that have it.

    With folds, the ensemble has the test parts of all of them, each example as those see it that never trained on it,
    and judged with what was chosen on their validation part. Of a validation part itself all of this is known.

    Parameters
    ----------
    dataset
        Holds the truth.
    predictions
        Of each run: probabilities, and a table with the id and split of each.
    postprocess
        Of each run: settings that turn maps into objects; an ensemble uses those of the first of its runs.
    settings
        The experiment's section metrics.
    seed
        Of the resampling.
    group
        Column of the examples table: images are resampled by these groups; sequences by ``biocnn.data.loci``.
    keep
        Gets the masks or labels that the ensemble, or the only run, decides, under the names of `Decided`.

    Returns
    -------
    evaluation
        Its tables; ``per_example`` and ``matches`` have no rows for sequences.

    Raises
    ------
    InputError
        For settings that do not fit the task.
    """
    found: dict[str, list[pd.DataFrame]] = {"metrics": [], "per_example": [], "matches": []}
    for run, values, rows in _with_ensemble(predictions):
        index = rows_of(dataset, rows["id"])
        judge = resolve(dataset.task.judge)(dataset, settings, group, seed)
        for runs, fold in rows.groupby("runs"):
            val = fold.index[fold["split"] == "val"].to_numpy()
            settled = next(filter(None, map(postprocess.get, runs)), {})
            judge.choose(fold.index, values, val, index[val], settled)
        for split in ("val", "test"):
            numbers = np.flatnonzero(rows["split"] == split)
            kept = partial(_keep, keep, split) if keep and (run == ENSEMBLE or len(predictions) == 1) else None
            for name, table in zip(found, judge.judge(values, numbers, index[numbers], kept), strict=True):
                found[name].append(table.assign(run=run, split=split))
    return Evaluation(*(_joined(tables, name) for name, tables in found.items()))


def _keep(keep: Keep, split: str, id: str, decided: np.ndarray) -> None:
    keep(Decided.name(split, id), decided)


def _joined(tables: list[pd.DataFrame], name: str) -> pd.DataFrame:
    tables = [table for table in tables if len(table)]
    return pd.concat(tables)[COLUMNS[name]] if tables else pd.DataFrame(columns=COLUMNS[name])


def average(predictions: Mapping[Any, Predictions]) -> tuple[Callable[[int], np.ndarray], pd.DataFrame]:
    """The mean of all predictions of an example in a split: a function of its number, and a table with id, split, runs.

    Of folds, each has its own examples in a split: ``runs`` are those that the mean is of.
    """
    places: dict[tuple[str, str], dict[Any, int]] = {}
    for run, (_, rows) in predictions.items():
        for i, key in enumerate(zip(rows["id"], rows["split"], strict=True)):
            places.setdefault(key, {})[run] = i
    found = list(places.values())

    def mean(number: int) -> np.ndarray:
        return np.mean([np.asarray(predictions[run][0][i], np.float32) for run, i in found[number].items()], axis=0)

    return mean, pd.DataFrame(places.keys(), columns=["id", "split"]).assign(runs=[tuple(each) for each in found])


def rows_of(dataset: Dataset, ids: pd.Series) -> np.ndarray:
    """Where the examples of these names are in the data set."""
    found = pd.Series(range(len(dataset.examples)), index=dataset.examples["id"])
    if len(strange := ids[~ids.isin(found.index)]):
        raise InputError(
            f"predictions of {strange.iloc[0]!r}, which is no example of {dataset.folder}",
            "predict again: they are of another data set",
        )
    return found[ids].to_numpy()


def _with_ensemble(predictions: dict[str, Predictions]) -> Iterator[tuple[str, Callable, pd.DataFrame]]:
    for run, one in predictions.items():
        yield run, *average({run: one})
    if len(predictions) > 1:
        yield ENSEMBLE, *average(predictions)
