"""Paired comparison of two experiments on the test examples that they share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.config.settings import Settings
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset, read_examples
from biocnn.evaluation.audit import by_split, compare
from biocnn.evaluation.evaluate import ENSEMBLE
from biocnn.prediction.stored_predictions import read_predictions

COLUMNS = ["output", "metric", "n", "a", "b", "difference", "low", "high"]


def compare_experiments(a: Path, b: Path, settings: Settings) -> pd.DataFrame:
    """Compare the predictions of two experiments, combined over their runs, on the same test examples.

    Parameters
    ----------
    a, b
        Folders ``results/{experiment}``.
    settings
        Settings of the first, for the resampling: metrics.resamples, seed and split.group.

    Returns
    -------
    table
        Columns output, metric, n (number of examples), a, b, difference (b minus a), and the ends of its 95% interval
        from a paired bootstrap over the groups by which metrics are judged. Metrics are the main ones of the task, or
        the means of those in ``metrics_per_example.tsv``.

    Raises
    ------
    InputError
        If the tasks differ, or no test example with the same target is in both.
    """
    datasets = [Dataset(folder / "dataset") for folder in (a, b)]
    tasks = [dataset.facts.task for dataset in datasets]
    if tasks[0] != tasks[1]:
        raise InputError(f"{a} and {b} differ in task: {tasks[0]} and {tasks[1]}", "compare experiments of one task")
    task = datasets[0].task
    units = pd.Series(datasets[0].groups(settings.split.group), index=datasets[0].examples["id"])
    tables = [_per_example(folder) for folder in (a, b)]
    if all(map(len, tables)):
        rows = list(_compare_examples(*tables, units, settings))
    elif task.baselines or task.parts:
        raise InputError(f"{a}: {tasks[0]} has no metrics of each example", "compare the rows of metrics.tsv")
    else:
        rows = list(_compare_vectors((a, b), datasets, units, settings))
    if not rows:
        raise InputError(f"{a} and {b} share no test examples", "use the same data and the same section split")
    return pd.DataFrame(rows, columns=COLUMNS)


def _per_example(folder: Path) -> pd.DataFrame:
    table = read_examples(folder / "metrics_per_example.tsv", ("output", "run"))
    table = table[table["split"] == "test"]
    runs = set(table["run"])
    return table[table["run"] == (ENSEMBLE if ENSEMBLE in runs else min(runs, default=""))]


def _compare_examples(
    a: pd.DataFrame, b: pd.DataFrame, units: pd.Series, settings: Settings
) -> Iterator[dict[str, Any]]:
    keys = ["id", "output", "metric"]
    both = a.merge(b[[*keys, "value"]], on=keys, suffixes=("_a", "_b")).dropna(subset=["value_a", "value_b"])
    for (output, metric), rows in both.groupby(["output", "metric"], sort=False, dropna=False):
        values = rows[["value_a", "value_b"]].to_numpy()
        given = {"seed": settings.seed, "n": settings.metrics.resamples, "groups": units[rows["id"]].to_numpy()}
        low, high = metrics.bootstrap(np.mean, values[:, 1] - values[:, 0], **given)
        mean = values.mean(axis=0)
        yield {
            "output": output, "metric": metric, "n": len(rows), "a": mean[0], "b": mean[1],
            "difference": mean[1] - mean[0], "low": low, "high": high,
        }  # fmt: skip


def _compare_vectors(
    folders: tuple[Path, Path], datasets: list[Dataset], units: pd.Series, settings: Settings
) -> Iterator[dict[str, Any]]:
    task, found, truths = datasets[0].task, [], []
    for folder, dataset in zip(folders, datasets, strict=True):
        names = sorted({*pd.read_csv(folder / "metrics.tsv", sep="\t")["run"]} - {ENSEMBLE})
        runs = (read_predictions(folder / f"runs/{name}/predictions") for name in names)
        found.append(by_split(task, runs).get("test", pd.DataFrame()))
        truths.append(pd.DataFrame(dataset.y.stacked(np.arange(len(dataset.y))), index=dataset.examples["id"]))
    ids = found[0].index.intersection(found[1].index)
    known, other = (truth.loc[ids].to_numpy() for truth in truths)
    if known.shape != other.shape:
        raise InputError(f"{folders[0]} and {folders[1]} have different numbers of outputs", "compare the same outputs")
    ids = ids[((known == other) | ((known != known) & (other != other))).all(axis=1)]
    for output, columns, measures in task.judged() if len(ids) else ():
        target, *sides, groups = metrics.labelled(
            truths[0].loc[ids].to_numpy()[:, columns],
            *(side.loc[ids].to_numpy()[:, columns] for side in found),
            units[ids].to_numpy(),
        )
        for name in [name for name in task.headline if name in measures]:
            values = compare(
                measures[name], sides[1], sides[0], target, settings.metrics.resamples, settings.seed, groups
            )
            yield {
                "output": output, "metric": name, "n": len(target), "a": values["value"], "b": values["network"],
                "difference": values["difference"], "low": values["difference_low"], "high": values["difference_high"],
            }  # fmt: skip
