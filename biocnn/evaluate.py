"""How good the predictions are, each metric with its 95% interval over examples."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.checkpoint import read_meta
from biocnn.data.dataset import Dataset, read_examples
from biocnn.data.ragged import Ragged
from biocnn.metrics.masks import IGNORE
from biocnn.metrics.objects import THRESHOLDS
from biocnn.predict import decide

CLASSIFICATION = (metrics.auroc, metrics.auprc, metrics.recall_at_fdr10, metrics.accuracy, metrics.ece)
Predictions = tuple[Ragged, pd.DataFrame]  # probabilities, and a table with the id and split of each
VECTOR_METRICS: dict[str, tuple[Callable[..., float], ...]] = {
    "binary": CLASSIFICATION,
    "multilabel": CLASSIFICATION,
    "regression": (metrics.pearson, metrics.spearman, metrics.mse),
}


def evaluate_stored(
    dataset: Dataset, runs: Sequence[Path], resamples: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What ``evaluate`` makes of folders with model.safetensors and predictions."""
    predictions = {run.name: read_predictions(run / "predictions") for run in runs}
    postprocess = {run.name: read_meta(run / "model.safetensors").get("postprocess", {}) for run in runs}
    return evaluate(dataset, predictions, postprocess, resamples, seed)


def read_predictions(folder: Path) -> Predictions:
    """Probabilities, and the table with the id and split of each, as the steps predict and baselines write them."""
    return Ragged(folder / "probability.npy"), read_examples(folder / "examples.tsv")


def describe(table: pd.DataFrame, compared: pd.DataFrame) -> Iterator[str]:
    """Metrics of the test part, and what the network has more than each baseline, line by line."""
    for row in table[table["split"] == "test"].itertuples():
        sure = "" if np.isnan(row.low) else f" (95%: {row.low:.4f} to {row.high:.4f})"  # pooled ones have no interval
        yield f"test {row.run}, {row.output} ({row.over}): {row.metric} = {row.value:.4f}{sure}"
    for row in compared[compared["split"] == "test"].itertuples():
        sure = f"{row.difference:+.4f} (95%: {row.difference_low:+.4f} to {row.difference_high:+.4f})"
        yield f"test {row.output}, {row.metric}: network less {row.baseline} = {sure}"


def evaluate(
    dataset: Dataset,
    predictions: dict[str, Predictions],
    postprocess: dict[str, dict[str, Any]],
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of every run, and of the ensemble where there are several: each example's mean over all that have it.

    With folds, the ensemble has the test parts of all of them, each example as those see it that never trained on it.

    Parameters
    ----------
    dataset
        Holds the truth.
    predictions
        Of each run: probabilities, and a table with the id and split of each.
    postprocess
        Of each run: settings that turn maps into objects; the ensemble uses those of the first run.
    resamples
        Bootstrap resamples for the intervals.
    seed
        Of the resampling.

    Returns
    -------
    table, per_example
        Columns run, split, output, metric, over, value, low, high, n; and run, split, id, output, metric, value.
    """
    tables, details = [], []
    for run, values, rows in _with_ensemble(predictions):
        index = rows_of(dataset, rows["id"])
        for split in ("val", "test"):
            chosen = np.flatnonzero(rows["split"] == split)
            p, truth = [values(i) for i in chosen], index[chosen]
            if dataset.facts["kind"] == "sequence":
                table = _vectors(dataset, np.stack(p), truth, resamples, seed)
            else:
                settings = postprocess.get(run) or next(iter(postprocess.values()))
                table, detail = _images(dataset, p, truth, settings, resamples, seed)
                details.append(detail.assign(run=run, split=split))
            tables.append(table.assign(run=run, split=split))
    columns = ["run", "split", "output", "metric", "over", "value", "low", "high", "n"]
    detail_columns = ["run", "split", "id", "output", "metric", "value"]
    per_example = pd.concat(details) if details else pd.DataFrame(columns=detail_columns)
    return pd.concat(tables)[columns], per_example[detail_columns]


def average(every: Iterable[Predictions]) -> tuple[Callable[[int], np.ndarray], pd.DataFrame]:
    """The mean of all predictions of an example in a split: a function of its number, and a table with id and split."""
    places: dict[tuple[str, str], list[tuple[Ragged, int]]] = {}
    for values, rows in every:
        for i, key in enumerate(zip(rows["id"], rows["split"], strict=True)):
            places.setdefault(key, []).append((values, i))
    found = list(places.values())

    def mean(number: int) -> np.ndarray:
        return np.mean([np.asarray(values[i], np.float32) for values, i in found[number]], axis=0)

    return mean, pd.DataFrame(places.keys(), columns=["id", "split"])


def rows_of(dataset: Dataset, ids: pd.Series) -> np.ndarray:
    """Where the examples of these names are in the data set."""
    return pd.Series(range(len(dataset.examples)), index=dataset.examples["id"])[ids].to_numpy()


def _with_ensemble(predictions: dict[str, Predictions]) -> Iterator[tuple[str, Callable, pd.DataFrame]]:
    for run, one in predictions.items():
        yield run, *average([one])
    if len(predictions) > 1:
        yield "ensemble", *average(predictions.values())


def _row(output: str, metric: str, over: str, value: float, interval: tuple[float, float], n: int) -> dict[str, Any]:
    low, high = interval
    return {"output": output, "metric": metric, "over": over, "value": value, "low": low, "high": high, "n": n}


def _vectors(dataset: Dataset, p: np.ndarray, truth: np.ndarray, resamples: int, seed: int) -> pd.DataFrame:
    y = np.stack([dataset.y[i] for i in truth])
    rows = []
    for k, output in enumerate(dataset.facts["outputs"]):
        for metric in VECTOR_METRICS[dataset.facts["task"]]:
            interval = metrics.bootstrap(metric, p[:, k], y[:, k], seed=seed, n=resamples)
            rows.append(_row(output, metric.__name__, "all", metric(p[:, k], y[:, k]), interval, len(y)))
    return pd.DataFrame(rows)


def _images(
    dataset: Dataset, p: Sequence[np.ndarray], truth: np.ndarray, postprocess: dict[str, Any], resamples: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    score = _objects if dataset.facts["task"] == "instances" else _masks
    detail, pooled = score(dataset, p, truth, postprocess)
    detail["id"] = dataset.examples["id"].to_numpy()[truth][detail.pop("row")]
    rows = []
    for (output, metric), found in detail.groupby(["output", "metric"], sort=False):
        values = found["value"].to_numpy()
        interval = metrics.bootstrap(np.mean, values, seed=seed, n=resamples)
        rows.append(_row(output, metric, "per_image", values.mean(), interval, len(values)))
    blank = (float("nan"), float("nan"))
    rows += [_row(output, metric, "pooled", value, blank, len(truth)) for output, metric, value in pooled]
    return pd.DataFrame(rows), detail


def _masks(
    dataset: Dataset, p: Sequence[np.ndarray], truth: np.ndarray, _: dict[str, Any]
) -> tuple[pd.DataFrame, list[tuple[str, str, float]]]:
    """Dice, IoU and HD95 (in units of spacing, else pixels) of each class but the background."""
    task, outputs = dataset.facts["task"], dataset.facts["outputs"]
    spacing = dataset.facts.get("spacing") or 1.0
    classes = {1: outputs[0]} if task == "mask" else dict(enumerate(outputs))
    classes.pop(0, None)
    rows, counts = [], {name: np.zeros(3) for name in classes.values()}
    for row, i in enumerate(truth):
        target, mask = dataset.y[i][0], decide(p[row], task, {})
        mask = np.where(target == IGNORE, 0, mask)
        for k, name in classes.items():
            counts[name] += metrics.confusion(mask, target, label=k)
            values = {
                "dice": metrics.dice(mask, target, label=k),
                "iou": metrics.iou(mask, target, label=k),
                "hausdorff95": metrics.hausdorff95(mask, target, spacing=spacing, label=k),
            }
            rows += [{"row": row, "output": name, "metric": m, "value": v} for m, v in values.items()]
    pooled = []
    for name, found in counts.items():
        pooled.append((name, "dice", float(metrics.dice_of_counts(*found))))
        pooled.append((name, "iou", float(metrics.iou_of_counts(*found))))
    return pd.DataFrame(rows), pooled


def _objects(
    dataset: Dataset, p: Sequence[np.ndarray], truth: np.ndarray, postprocess: dict[str, Any]
) -> tuple[pd.DataFrame, list[tuple[str, str, float]]]:
    """TP / (TP + FP + FN) of objects at IoU .5 to .9, and the mean over these thresholds."""
    rows, found = [], []
    names = [f"average_precision_iou_{t:g}" for t in THRESHOLDS]
    for row, i in enumerate(truth):
        labels = decide(p[row], "instances", postprocess)
        found.append(metrics.matching(labels, dataset.labels[i][0]))
        values = metrics.iou_of_counts(*found[-1][:3])
        named = {**dict(zip(names, values, strict=True)), "average_precision_iou": values.mean()}
        rows += [{"row": row, "output": "objects", "metric": m, "value": float(v)} for m, v in named.items()]
    values = metrics.iou_of_counts(*metrics.pooled(found)[:3])
    pooled = [("objects", name, float(v)) for name, v in zip(names, values, strict=True)]
    return pd.DataFrame(rows), [*pooled, ("objects", "average_precision_iou", float(values.mean()))]
