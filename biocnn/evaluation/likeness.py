"""Vectors of examples before the last layer of a network, and how well they separate like from unlike examples."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.dataset import Dataset, read_examples
from biocnn.data.whole_decisions import ALIKE
from biocnn.evaluation import image_baselines
from biocnn.metrics.likeness import few_shot, recall_at, verification
from biocnn.prediction.images import InMemory
from biocnn.prediction.inputs import vector_of
from biocnn.prediction.model import Model

SHOTS = (1, 5)
NEAREST = (1, 5)
MOST = 2000  # test examples that are compared with each other


def write_features(model: Model, data: Path, folder: Path) -> Iterator[str]:
    """Write the vectors of all examples, and metrics of likeness of the test split if each has one class.

    Parameters
    ----------
    model
        Any model that takes such images; it may have been trained on others.
    data
        Stored data set, whose images are brought to the size and intensities that the model was trained on.
    folder
        Existing folder for features.npy (N, F), float32; examples.tsv with id, split and, if each has one, class;
        likeness.tsv as from ``measure``, of these vectors and, to compare, of intensities alone.

    Yields
    ------
    line
        Log line.
    """
    torch.set_num_threads(model.meta.experiment.train.threads)
    dataset = Dataset(data)
    names = dataset.examples["id"]
    images = (InMemory(dataset.x[row], name) for row, name in enumerate(names))
    vectors = np.stack([vector_of(model, image, name) for image, name in zip(images, names, strict=True)])
    np.save(folder / "features.npy", vectors)
    assert model.frame
    seen = np.array([model.frame.scaled(shape[1:]) for shape in dataset.x.shapes]) / model.frame.size
    if larger := (seen > ALIKE).any(axis=1).sum():
        yield f"warning: only the centre is seen of {larger} images, which are larger than those of training"
    table = dataset.examples[["id", "split"]].copy()
    if dataset.task.exclusive:
        y = dataset.y.stacked(np.arange(len(names)))
        table["class"] = np.array(dataset.facts.outputs)[y.argmax(axis=1)]
        every = {"network": vectors, "intensities": _intensities(dataset)}
        found = pd.concat([measure(centred(some, table), table).assign(vectors=name) for name, some in every.items()])
        found.to_csv(folder / "likeness.tsv", sep="\t", index=False, float_format="%.6g")
        for row in found.itertuples():
            yield f"{row.metric} of {row.vectors} {row.value:.3f} ({plural(row.n, 'test example')})"
    table.to_csv(folder / "examples.tsv", sep="\t", index=False)
    yield f"{plural(len(vectors), 'vector')} of {plural(vectors.shape[1], 'number')}"


def centred(vectors: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Subtract the mean of the training split, without which angles between vectors hardly differ."""
    return vectors - vectors[(table["split"] == "train").to_numpy()].mean(axis=0)


def _intensities(dataset: Dataset) -> np.ndarray:
    """Return intensities of images, each number divided by its standard deviation on the training split."""
    found = image_baselines.table(dataset, image_baselines.intensities, np.arange(len(dataset.examples)))
    return found / np.maximum(found[dataset.rows("train")].std(axis=0), 1e-9)


def measure(vectors: np.ndarray, table: pd.DataFrame) -> pd.DataFrame:
    """Return metrics of likeness of the test examples: metric, value, low, high, n; see ``biocnn.metrics.likeness``.

    Low and high are the central 95% of random draws of the known examples.
    """
    rows = np.flatnonzero(table["split"] == "test")
    rows = np.random.default_rng(0).permutation(rows)[:MOST]
    x, labels = vectors[rows].astype(float), table["class"].to_numpy()[rows]
    area, error = verification(x, labels)
    found = [("verification_auroc", area), ("equal_error_rate", error)]
    found += [(f"recall_at_{k}", recall_at(x, labels, k)) for k in NEAREST]
    lines = [(name, value, np.nan, np.nan, len(x)) for name, value in found]
    for shots in SHOTS:
        accuracy = few_shot(x, labels, shots)
        lines.append((f"accuracy_{shots}_shot", accuracy.mean(), *np.quantile(accuracy, [0.025, 0.975]), len(x)))
    return pd.DataFrame(lines, columns=["metric", "value", "low", "high", "n"])


def read_features(folder: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Read vectors and the table with their id, split and class."""
    vectors, table = np.load(folder / "features.npy"), read_examples(folder / "examples.tsv")
    if len(vectors) != len(table):
        raise InputError(
            f"{folder}: {plural(len(vectors), 'vector')} of {plural(len(table), 'example')}",
            "delete the folder and run again",
        )
    return vectors, table
