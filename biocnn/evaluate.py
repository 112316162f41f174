"""How good the predictions are, each metric with its 95% interval over examples."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.data.dataset import Dataset
from biocnn.data.ragged import Ragged
from biocnn.metrics.masks import IGNORE
from biocnn.metrics.objects import THRESHOLDS
from biocnn.predict import decide

VECTOR_METRICS: dict[str, tuple[Callable[..., float], ...]] = {
    "binary": (metrics.auroc, metrics.auprc, metrics.accuracy),
    "multilabel": (metrics.auroc, metrics.auprc, metrics.accuracy),
    "regression": (metrics.pearson, metrics.spearman, metrics.mse),
}


def evaluate(
    dataset: Dataset,
    predictions: dict[str, tuple[Ragged, pd.DataFrame]],
    postprocess: dict[str, dict[str, Any]],
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of every run, and of their mean where there are several.

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
        index = pd.Series(range(len(dataset.examples)), index=dataset.examples["id"])[rows["id"]].to_numpy()
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


def _with_ensemble(
    predictions: dict[str, tuple[Ragged, pd.DataFrame]],
) -> Iterator[tuple[str, Callable[[int], np.ndarray], pd.DataFrame]]:
    for run, (values, rows) in predictions.items():
        yield run, lambda i, values=values: np.asarray(values[i], np.float32), rows
    if len(predictions) > 1:
        every = [values for values, _ in predictions.values()]
        rows = next(iter(predictions.values()))[1]
        yield "ensemble", lambda i: np.mean([np.asarray(v[i], np.float32) for v in every], axis=0), rows


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
