"""Metrics of predictions with 95% confidence intervals over loci (sequences) or groups (images)."""

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
from biocnn.data.splits import HELD_OUT, PREDICTED
from biocnn.evaluation.judges import Keep
from biocnn.metrics.resampling import FEWEST, interval_text
from biocnn.prediction.stored_predictions import Decided, Predictions, read_predictions
from biocnn.tasks.task import Task
from biocnn.training.metadata import read_metadata

ENSEMBLE = "ensemble"
SECOND, HUMAN = "second annotator", "human"  # run and split of a second annotator
FIRST = {  # columns in this order; the judge names those after them
    "metrics": ["run", "split", "output", "metric", "over", "value", "low", "high", "n", "unit"],
    "per_example": ["run", "split", "id", "output", "metric", "value", "unit"],
    "matches": ["run", "split", "id"],
}


class Evaluation(NamedTuple):
    """Tables of an evaluation.

    ``metrics`` has the columns run, split, output, metric, over, value, low, high, n and unit (empty except for
    distances); ``per_example`` run, split, id, output, metric, value, unit; ``matches`` run, split, id and those of
    `match_objects` or `match_boxes`.
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
    """Apply ``evaluate`` to folders with model.safetensors and predictions."""
    predictions = {run.name: read_predictions(run / "predictions") for run in runs}
    postprocess = {run.name: read_metadata(run / "model.safetensors").postprocess.given() for run in runs}
    return evaluate(dataset, predictions, postprocess, settings, seed, group, keep)


def describe(table: pd.DataFrame, compared: pd.DataFrame) -> Iterator[str]:
    """Yield log lines with the defined metrics of the test split, and the differences from baselines."""
    table = table[table["value"].notna() & (table["split"] == "test")]
    compared = compared[compared["difference"].notna() & (compared["split"] == "test")]
    for row in table.itertuples():
        interval = interval_text(row.low, row.high, ".4g")
        yield f"test {row.run}, {row.output} ({row.over}): {row.metric} = {row.value:.4g}{interval}"
    for row in compared.itertuples():
        interval = interval_text(row.difference_low, row.difference_high, "+.4f")
        yield f"test {row.output}, {row.metric}: network minus {row.baseline} = {row.difference:+.4f}{interval}"
    if table["low"].isna().any():
        yield f"a number without 95% CI: this needs resamples of at least {FEWEST} groups"


def evaluate(
    dataset: Dataset,
    predictions: dict[str, Predictions],
    postprocess: dict[str, dict[str, Any]],
    settings: Metrics,
    seed: int,
    group: str = "group",
    keep: Keep | None = None,
) -> Evaluation:
    """Evaluate every run and, if there are several, the ensemble: the combined predictions of all runs with an example.

    Masks, labels or boxes by a second annotator are evaluated in the same way, as the run "second annotator" on the
    split "human"; metrics that need scores are left out for boxes.

    With folds, the ensemble covers the test splits of all folds. Each test example is predicted only by runs that were
    not trained on it, and evaluated with the settings chosen on the validation split of these runs. For a validation
    split itself, these settings are not independent.

    Parameters
    ----------
    dataset
        Data set with the truth.
    predictions
        Probabilities of each run, and a table with their id and split.
    postprocess
        Settings of each run with which its predictions are decided; for an ensemble see ``Task.shared``.
    settings
        Section metrics of the experiment.
    seed
        Seed of the resampling.
    group
        Column of the examples table with the groups by which images are resampled; sequences are resampled by
        ``biocnn.data.loci``.
    keep
        Receives the masks, labels or boxes of the ensemble, or of the only run, under the names of `Decided`.

    Returns
    -------
    evaluation
        Tables; ``per_example`` and ``matches`` have no rows for sequences.

    Raises
    ------
    InputError
        If settings do not fit the task.
    """
    found: dict[str, list[pd.DataFrame]] = {"metrics": [], "per_example": [], "matches": []}
    for run, values, rows in _with_ensemble(predictions, dataset.task):
        index = rows_of(dataset, rows["id"])
        judge = resolve(dataset.task.judge)(dataset, settings, group, seed)
        for runs, fold in rows.groupby("runs"):
            val = fold.index[fold["split"] == "val"].to_numpy()
            shared = dataset.task.shared([postprocess.get(run, {}) for run in runs])
            judge.choose(fold.index, values, val, index[val], shared)
        decides = keep and (run == ENSEMBLE or len(predictions) == 1)
        for split in [name for name in PREDICTED if (rows["split"] == name).any()]:
            numbers = np.flatnonzero(rows["split"] == split)
            kept = partial(_keep, keep, split) if decides and split in HELD_OUT else None
            for name, table in zip(found, judge.judge(values, numbers, index[numbers], kept), strict=True):
                found[name].append(table.assign(run=run, split=split))
    if dataset.second is not None:
        rows, drawn = np.flatnonzero(dataset.second.shapes.any(axis=1)), dataset.second
        judge = resolve(dataset.task.judge)(dataset, settings, group, seed)

        def of_person(number: int) -> np.ndarray:
            return np.asarray(drawn[rows[number]])

        judge.choose(range(len(rows)), of_person, (), rows[:0], None)
        for name, table in zip(found, judge.judge(of_person, range(len(rows)), rows), strict=True):
            found[name].append(table.assign(run=SECOND, split=HUMAN))
    return Evaluation(*(_joined(tables, name) for name, tables in found.items()))


def _keep(keep: Keep, split: str, id: str, decided: np.ndarray) -> None:
    keep(Decided.name(split, id), decided)


def _joined(tables: list[pd.DataFrame], name: str) -> pd.DataFrame:
    found = pd.concat([table for table in tables if len(table)] or tables[:1])
    return found[[*FIRST[name], *found.columns.difference(FIRST[name], sort=False)]]


def combined(predictions: Mapping[Any, Predictions], task: Task) -> tuple[Callable[[int], np.ndarray], pd.DataFrame]:
    """Combine the predictions of several runs for each example in a split, as the task does.

    Returns a function of the number of an example, and a table with id, split and the combined ``runs``, which differ
    between folds.
    """
    places: dict[tuple[str, str], dict[Any, int]] = {}
    for run, (_, rows) in predictions.items():
        for i, key in enumerate(zip(rows["id"], rows["split"], strict=True)):
            places.setdefault(key, {})[run] = i
    found = list(places.values())

    def of_example(number: int) -> np.ndarray:
        return task.combine([predictions[run][0][i] for run, i in found[number].items()])

    return of_example, pd.DataFrame(places.keys(), columns=["id", "split"]).assign(runs=[tuple(each) for each in found])


def rows_of(dataset: Dataset, ids: pd.Series) -> np.ndarray:
    """Return the rows of the examples with these ids in the data set."""
    found = pd.Series(range(len(dataset.examples)), index=dataset.examples["id"])
    if len(strange := ids[~ids.isin(found.index)]):
        raise InputError(
            f"there are predictions for {strange.iloc[0]!r}, which is not an example of {dataset.folder}",
            "run predict again, because the predictions belong to another data set",
        )
    return found[ids].to_numpy()


def _with_ensemble(predictions: dict[str, Predictions], task: Task) -> Iterator[tuple[str, Callable, pd.DataFrame]]:
    for run, one in predictions.items():
        yield run, *combined({run: one}, task)
    if len(predictions) > 1:
        yield ENSEMBLE, *combined(predictions, task)
