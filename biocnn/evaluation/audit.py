"""Comparison of the network with baseline models of the same examples on the same split."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.config.registry import resolve
from biocnn.data.dataset import Dataset
from biocnn.data.splits import HELD_OUT
from biocnn.evaluation.evaluate import combined
from biocnn.prediction.stored_predictions import Predictions, Reduced, read_of_network, read_predictions
from biocnn.tasks.task import PartTask, Task
from biocnn.training.metadata import read_metadata

NETWORK = "network alone"  # without words
COLUMNS = (
    "baseline", "split", "output", "metric", "value", "low", "high", "network", "mean_of_runs", "sd_of_runs",
    "difference", "difference_low", "difference_high", "n",
)  # fmt: skip


def audit_stored(
    dataset: Dataset, runs: Sequence[Path], baselines: Path, resamples: int, seed: int, group: str = "group"
) -> pd.DataFrame:
    """Apply ``audit`` to folders with predictions; the table is empty if there are no baselines."""
    if not (baselines / "baselines.tsv").is_file():
        return pd.DataFrame(columns=COLUMNS)
    folders = [run / "predictions" for run in runs]
    fitted = pd.read_csv(baselines / "baselines.tsv", sep="\t")
    names = fitted["baseline"].unique()
    mixed = any((folder / "network.npy").is_file() for folder in folders)
    alone = [read_of_network(folder) for folder in folders] if mixed else []
    predictions = [read_predictions(folder) for folder in folders]
    if dataset.task.baselines:
        postprocess = [read_metadata(run / "model.safetensors").postprocess.given() for run in runs]
        found = resolve(dataset.task.comparison)(
            dataset, predictions, read_predictions(baselines), names, resamples, seed, group, postprocess
        )
        return pd.DataFrame(found, columns=COLUMNS)
    simple, found = read_predictions(baselines), []
    for part in dataset.task.parts:
        own = fitted.loc[fitted["part"] == part.name, "baseline"].unique()
        rows = [list(names).index(name) for name in own]
        reduced = Reduced(simple[0], lambda p, rows=rows, part=part: p[rows, part.targets]), simple[1]
        network = [_of_part(one, dataset.task, part) for one in predictions]
        table = audit(dataset.of_part(part), network, reduced, own, resamples, seed, group)
        found.append(table.assign(part=part.name))
    if found:
        return pd.concat(found, ignore_index=True)
    return audit(dataset, predictions, simple, names, resamples, seed, group, alone)


def _of_part(predictions: Predictions, task: Task, part: PartTask) -> Predictions:
    values, rows = predictions
    return Reduced(values, lambda p: task.of_part(p, part)), rows


def audit(
    dataset: Dataset,
    predictions: Iterable[Predictions],
    baselines: Predictions,
    names: Sequence[str],
    resamples: int,
    seed: int,
    group: str = "group",
    alone: Sequence[Predictions] = (),
) -> pd.DataFrame:
    """Compare the network (the mean prediction of its runs) with each baseline.

    Each output is compared, or all together if the task has its headline metrics for these only.

    Parameters
    ----------
    dataset
        Data set with the truth.
    predictions
        Predictions of each run.
    baselines
        Predictions of the baselines, shape (number of baselines, K) for each example; with folds, once per fold.
    names
        Names of the baselines.
    resamples
        Number of bootstrap resamples.
    seed
        Seed of the resampling.
    group
        As for ``evaluate``.
    alone
        Predictions of each run by its network alone, if words are mixed with any; compared as a further baseline.

    Returns
    -------
    table
        Columns as in ``COLUMNS``: metric of the baseline with its 95% confidence interval; metric of the mean
        prediction of the runs; mean and standard deviation of the metric over runs; network minus baseline with its 95%
        confidence interval.
    """
    split_of = partial(by_split, dataset.task)
    runs = [split_of([run]) for run in predictions]
    network = split_of(predictions) if len(runs) > 1 else runs[0]
    simple, inside = split_of([baselines]), split_of(alone) if alone else {}
    truth = pd.DataFrame(dataset.y.stacked(np.arange(len(dataset.y))), index=dataset.examples["id"])
    units = pd.Series(dataset.groups(group), index=dataset.examples["id"])
    judged = [one for one in dataset.task.judged() if set(dataset.task.headline) <= set(one.metrics)]
    rows = []
    for split in HELD_OUT:
        p = network[split]
        every = [simple[split], *([inside[split].iloc[:, : len(dataset.task.outputs)]] if inside else [])]
        other = np.concatenate([found.loc[p.index] for found in every], axis=1)
        other = other.reshape(len(p), len(names) + bool(inside), -1)
        for output, columns, measures in judged:
            target, mine, theirs, unit = metrics.labelled(
                truth.loc[p.index].to_numpy()[:, columns],
                p.to_numpy()[:, columns],
                other[:, :, columns],
                units[p.index].to_numpy(),
            )
            for measure in dataset.task.headline:
                metric, pairs = measures[measure], []
                for run in runs:
                    known = truth.loc[run[split].index].to_numpy()
                    pairs.append(metrics.labelled(known[:, columns], run[split].to_numpy()[:, columns]))
                alone = [metric(found, known) for known, found in pairs]
                about = {"split": split, "output": output, "metric": measure, "n": len(target)}
                about |= {"mean_of_runs": np.mean(alone), "sd_of_runs": np.std(alone, ddof=1) if alone[1:] else np.nan}
                for b, name in enumerate([*names, NETWORK]) if inside else enumerate(names):
                    found = compare(metric, mine, theirs[:, b], target, resamples, seed, unit)
                    rows.append({"baseline": name, **about, **found})
    return pd.DataFrame(rows, columns=COLUMNS)


def compare(
    metric: Callable[[np.ndarray, np.ndarray], float],
    network: np.ndarray,
    baseline: np.ndarray,
    target: np.ndarray,
    resamples: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> dict[str, float]:
    """Compare two predictions of the same examples with a paired bootstrap.

    Parameters
    ----------
    metric
        Metric of vectors (prediction, target).
    network, baseline, target
        Shape (N,).
    resamples
        Number of bootstrap resamples.
    seed
        Seed of the resampling.
    groups
        Group of each example, shape (N,); groups are resampled as a whole. None: each example is its own group.

    Returns
    -------
    found
        ``network``, ``value`` (of the baseline), ``low``, ``high``, ``difference`` (network minus baseline),
        ``difference_low``, ``difference_high``; 95% confidence intervals from the same resamples for both predictions.
    """
    values = {"network": metric(network, target), "value": metric(baseline, target)}
    of_network, of_baseline = (
        metrics.replicates(metric, p, target, seed=seed, n=resamples, groups=groups) for p in (network, baseline)
    )
    for name, found in (("", of_baseline), ("difference_", of_network - of_baseline)):
        values[f"{name}low"], values[f"{name}high"] = metrics.interval(found)
    return values | {"difference": values["network"] - values["value"]}


def by_split(task: Task, every: Iterable[Predictions]) -> dict[str, pd.DataFrame]:
    """Return the flattened predictions of each split, combined over runs: rows by id, columns from 0."""
    of_example, rows = combined(dict(enumerate(every)), task)
    found = np.stack([of_example(i).ravel() for i in range(len(rows))])
    return {split: pd.DataFrame(found[part.index], index=part["id"]) for split, part in rows.groupby("split")}
