"""The attention that images of test bags get, and how well it agrees with labels of images, if these are known."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.data.dataset import Dataset
from biocnn.explain.request import Request
from biocnn.metrics import auroc
from biocnn.prediction.bags import attend_stored

SHOWN = 6  # most and least attended images of a bag
RESAMPLES = 1000
COLUMNS = ["metric", "value", "low", "high", "n"]


def explain_bags(request: Request) -> Iterator[str]:
    """Write attention.tsv and bags.npz of the test split, and attention_auroc.tsv if labels of images are known.

    attention.tsv has a row for each image: id (of the bag), image, attention (sums to 1 over the bag), relative
    (attention times the number of images) and, if given, instance_label. bags.npz has the most and least attended
    images of the bags that the task chooses: ``id`` (n,), ``images`` (n, 2, m, C, *spatial), ``attention`` (n, 2, m),
    relative, NaN where a bag has fewer than m images.
    """
    model, dataset, folder = request.model, request.dataset, request.folder
    if not hasattr(model.network.pool, "attention"):
        yield "no attention: the network pools images without weights"
        return
    rows = dataset.rows("test")
    names = dataset.examples["id"].iloc[rows].tolist()
    found = [attention for _, attention in attend_stored(model, dataset, rows)]
    columns = [column for column in ("images", "instance_labels") if column in dataset.examples]
    parts = []
    for row, name, attention in zip(rows, names, found, strict=True):
        listed = {column.rstrip("s"): json.loads(dataset.examples[column].iloc[row]) for column in columns}
        relative = attention * len(attention)
        parts.append(pd.DataFrame({"id": name, **listed, "attention": attention, "relative": relative}))
    table = pd.concat(parts)
    table.to_csv(folder / "attention.tsv", sep="\t", index=False, float_format="%.6g")
    yield f"attention of {plural(len(table), 'image')} in {plural(len(rows), 'test bag')}"
    if "instance_label" in table and len(areas := attention_auroc(table)):
        areas.to_csv(folder / "attention_auroc.tsv", sep="\t", index=False, float_format="%.6g")
        yield f"AUROC of attention {areas['value'].iloc[0]:.3f} ({areas['n'].iloc[0]} bags with labels of both kinds)"
    every = np.stack(request.predicted(names))
    chosen = model.task.instructive(every, dataset.y.stacked(rows), request.settings.explain.examples)
    with atomic(folder / "bags.npz") as path:
        np.savez_compressed(path, **_extremes(dataset, rows, names, found, chosen))


def attention_auroc(table: pd.DataFrame) -> pd.DataFrame:
    """Return how well attention separates images with label 1 from others: the mean AUROC of the bags that have both.

    Parameters
    ----------
    table
        Columns id, relative, and instance_label: 0, 1, or "" (unknown).

    Returns
    -------
    areas
        One row: metric, value, low and high (95% interval over bags), n (bags); no row if no bag has both.
    """
    known = table.assign(y=pd.to_numeric(table["instance_label"], errors="coerce")).dropna(subset="y")
    areas = np.array([auroc(part["relative"].to_numpy(), part["y"].to_numpy()) for _, part in known.groupby("id")])
    areas = areas[~np.isnan(areas)]
    if not len(areas):
        return pd.DataFrame(columns=COLUMNS)
    draws = np.random.default_rng(0).integers(len(areas), size=(RESAMPLES, len(areas)))
    low, high = np.quantile(areas[draws].mean(axis=1), [0.025, 0.975])
    return pd.DataFrame([("attention_auroc", areas.mean(), low, high, len(areas))], columns=COLUMNS)


def _extremes(
    dataset: Dataset, rows: np.ndarray, names: list[str], attention: list[np.ndarray], chosen: list[int]
) -> dict[str, np.ndarray]:
    """Return the arrays of bags.npz; images of other sizes than those of the first bag are cut or filled with zeros."""
    shape = dataset.x.shapes[rows[chosen[0] if chosen else 0], 1:]
    images = np.zeros((len(chosen), 2, SHOWN, *shape), dataset.x.values.dtype)
    weights = np.full(images.shape[:3], np.nan, np.float32)
    for place, bag in enumerate(chosen):
        order = attention[bag].argsort(kind="stable")
        half = -(-len(order) // 2)
        for side, part in enumerate((order[::-1][:half][:SHOWN], order[:-half][:SHOWN][::-1])):
            weights[place, side, : len(part)] = attention[bag][part] * len(order)
            for k, image in enumerate(part):
                x = dataset.x[rows[bag]][image]
                common = tuple(slice(0, min(a, b)) for a, b in zip(x.shape, shape, strict=True))
                images[(place, side, k, *common)] = x[common]
    return {"id": np.array([names[bag] for bag in chosen], str), "images": images, "attention": weights}
