"""Stored predictions of examples, and the masks or labels decided from them."""

from collections.abc import Callable, Sequence
from copy import copy
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset, read_examples
from biocnn.data.splits import HELD_OUT, TRAIN_DEV
from biocnn.io.ragged import Ragged

if TYPE_CHECKING:
    from biocnn.prediction.model import Model


class Reduced(Sequence):
    """Predictions of which only a part is of interest: the result of a function for each."""

    def __init__(self, values: Sequence[np.ndarray] | Ragged, reduce: Callable[[np.ndarray], np.ndarray]) -> None:
        self.values, self.reduce = values, reduce

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, number: Any) -> np.ndarray:
        return self.reduce(self.values[number])


Predictions = tuple[Ragged | Reduced, pd.DataFrame]  # of each example, and a table with its id and split


def read_predictions(folder: Path) -> Predictions:
    """Read the probabilities written by the steps predict and baselines, and the table with their id and split."""
    values, table = Ragged(folder / "probability.npy"), read_examples(folder / "examples.tsv")
    if len(values) != len(table):
        raise InputError(f"{folder}: {len(values)} predictions for {len(table)} examples", "run predict again")
    return values, table


def write_predictions(folder: Path, model: "Model", dataset: Dataset) -> None:
    """Write the predictions of all splits, of train a sample, and for mixtures also those of the network alone.

    Files in the existing folder: probability.npy, for mixtures network.npy, and examples.tsv with id and split.
    """
    # One call for each: examples predicted together may affect the last bits of each other.
    parts = dataset.rows(*HELD_OUT), dataset.rows(TRAIN_DEV), sample_of_train(dataset)
    dtype = dataset.task.stored or dataset.input.stored
    networks = {"probability": model}
    if model.meta.words:
        networks["network"] = copy(model)
        networks["network"].fused = model.fused.network
    for name, network in networks.items():
        found = chain.from_iterable(network.predict_stored(dataset, rows) for rows in parts if len(rows))
        Ragged.write(folder / f"{name}.npy", found, dtype)
    examples = dataset.examples.iloc[np.concatenate(parts)]
    examples[["id", "split"]].to_csv(folder / "examples.tsv", sep="\t", index=False)


def sample_of_train(dataset: Dataset) -> np.ndarray:
    """Return the rows of random training examples, as many as val or test has; no row is drawn in two folds."""
    order, trained = np.random.default_rng(0).permutation(len(dataset.examples)), dataset.trained
    chosen = order % np.maximum(trained.sum(axis=1), 1) + 1  # which of the folds that train on an example draws it
    rows = np.flatnonzero(trained[:, dataset.fold] & (trained.cumsum(axis=1)[:, dataset.fold] == chosen))
    number = max(len(dataset.rows("val")), len(dataset.rows("test")))
    return np.sort(rows[order[rows].argsort()][:number])


def read_of_network(folder: Path) -> Predictions:
    """Read the predictions of the network alone; they differ from those of the model if words were mixed with it."""
    values, table = read_predictions(folder)
    return Ragged(folder / "network.npy") if (folder / "network.npy").is_file() else values, table


def predictions_of(folder: Path, split: str, ids: Sequence[str]) -> list[np.ndarray]:
    """Read the predictions of examples of a split, float32."""
    values, table = read_predictions(folder)
    places = dict(zip(zip(table["split"], table["id"], strict=True), range(len(table)), strict=True))
    if missing := [id for id in ids if (split, id) not in places]:
        raise InputError(f"{folder}: no prediction for the {split} example {missing[0]!r}", "run predict again")
    return [np.array(values[places[split, id]], np.float32) for id in ids]


class Decided:
    """Masks or labels of validation and test examples, decided and stored by the step evaluate.

    Parameters
    ----------
    path
        File (.npz).
    """

    def __init__(self, path: Path) -> None:
        self.path, self.stored = path, np.load(path)

    @staticmethod
    def name(split: str, id: str) -> str:
        """Return the name of an array in the file."""
        return f"{id}.{split}"

    def of(self, split: str, id: str) -> np.ndarray:
        """Return the mask or labels of an example from the ensemble of runs with it in this split; (*spatial)."""
        if (name := self.name(split, id)) not in self.stored:
            raise InputError(f"{self.path}: no {split} example {id!r}", "run evaluate again")
        return self.stored[name]
