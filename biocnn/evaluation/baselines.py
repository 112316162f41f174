"""Baseline models that a network must outperform to have learned more than e.g. sequence composition.

All are linear: logistic regression for labels of 0 and 1, multinomial regression for classes, ridge regression for
values. They are fitted on the training split; the penalty is chosen on the validation split by the metric that also
chooses the epoch of a network.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack

from biocnn.config.registry import resolve
from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset
from biocnn.data.splits import HELD_OUT
from biocnn.evaluation.map_baselines import Baseline
from biocnn.io.archive import array_archive
from biocnn.io.ragged import Ragged
from biocnn.nn.kmers import kmer_counts
from biocnn.tasks.vectors import VectorTask
from biocnn.training.linear import Features, fit_path, predict_linear, spread
from biocnn.training.word_counts import MOST_LETTERS, log_counts, strands_of, thinned


def gc_content(codes: np.ndarray, strands: str) -> np.ndarray:
    """Return the fraction of G and C among the known bases; shape (N, 1)."""
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    return (strong / np.maximum((codes < 4).sum(axis=1), 1))[:, None]


def dinucleotides(codes: np.ndarray, strands: str) -> np.ndarray:
    """Return mono- and dinucleotide frequencies; shape (N, 4 + 16), or (N, 2 + 10) for both strands."""
    counts = [kmer_counts(codes, range(k, k + 1), strands=strands).toarray() for k in (1, 2)]
    return np.concatenate([found / np.maximum(found.sum(axis=1, keepdims=True), 1) for found in counts], axis=1)


COVARIATES, SIGNAL = "covariates", "mean signal"


class Baselines(NamedTuple):
    """Baselines of a data set and their predictions.

    Parameters
    ----------
    probability
        Shape (number of baselines, K, *spatial) for each example, in the order of ``dataset.rows("val", "test")``.
    table
        One row per baseline and output (or per baseline, if one of all outputs is true): features, training examples
        used and available, penalty, metric on the validation split. Of maps, one row per baseline: what it is.
    weights
        By name of the baseline: weights of its features, intercept last, shape (F + 1, K).
    """

    probability: Iterable[np.ndarray]
    table: pd.DataFrame
    weights: dict[str, np.ndarray]


BASELINES: dict[str, Callable[[np.ndarray, str], Features]] = {
    "GC content": gc_content,
    "dinucleotides": dinucleotides,
    "6-mers": log_counts,
}


def write_baselines(data: Path, settings: Settings, folder: Path) -> list[str]:
    """Fit the baselines in every fold of a stored data set, and store their predictions.

    Parameters
    ----------
    data
        Folder of the data set.
    settings
        Settings of the experiment, including defaults.
    folder
        Receives probability.npy, shape (number of baselines, K, *spatial) for each validation and test example;
        examples.tsv with id and split; baselines.tsv, which describes the baselines; and weights.npz unless the data
        are maps. Nothing if no baselines suit the maps.

    Returns
    -------
    lines
        Log lines.
    """
    first = Dataset(data)
    if first.task.target.spatial and not first.task.baselines:
        return ["no baselines for such maps"]
    stored = [Dataset(data, fold) for fold in range(first.folds)]
    found = [_of_dataset(fold, settings) for fold in stored]
    Ragged.write(folder / "probability.npy", (p for one in found for p in one.probability), np.float32)
    rows = [fold.examples.iloc[fold.rows(*HELD_OUT)][["id", "split"]] for fold in stored]
    table = pd.concat([one.table.assign(fold=fold) for fold, one in enumerate(found)])
    if not first.task.target.spatial:
        with array_archive(folder / "weights.npz") as add:
            for fold, one in enumerate(found):
                for name, weights in one.weights.items():
                    add(f"{name}.{fold}", weights.astype(np.float32))
    for name, frame in (("examples", pd.concat(rows)), ("baselines", table)):
        frame.to_csv(folder / f"{name}.tsv", sep="\t", index=False, float_format="%.6g")
    choosers = {part.name: part.task.monitor for part in first.task.parts}
    return [_described(row, choosers.get(row.get("part", ""), first.task.monitor)) for row in table.to_dict("records")]


def _of_dataset(dataset: Dataset, settings: Settings) -> Baselines:
    """Fit the baselines; of several parts for each, with nan for a baseline that a part does not have."""
    if dataset.task.target.spatial:
        return of_maps(dataset)
    fit = resolve(dataset.input.baselines)
    if not dataset.task.parts:
        return fit(dataset, settings)
    parts = [(part, fit(dataset.of_part(part), settings)) for part in dataset.task.parts]
    tables = [found.table.assign(part=part.name) for part, found in parts]
    names = list(dict.fromkeys(name for table in tables for name in table["baseline"]))
    shape = (len(dataset.rows(*HELD_OUT)), len(names), len(dataset.task.outputs))
    probability = np.full(shape, np.nan, np.float32)
    weights = {}
    for (part, found), table in zip(parts, tables, strict=True):
        own = [names.index(name) for name in dict.fromkeys(table["baseline"])]
        probability[:, own, part.targets] = found.probability
        weights |= {f"{part.name}.{name}": values for name, values in found.weights.items()}
    return Baselines(probability, pd.concat(tables, ignore_index=True), weights)


def of_maps(dataset: Dataset) -> Baselines:
    """Return the baselines of maps, which predict one example after the other and have no weights."""
    own: list[Baseline] = resolve(dataset.task.baselines)(dataset)
    predicted = (np.stack([one.predict(dataset.x[row]) for one in own]) for row in dataset.rows(*HELD_OUT))
    return Baselines(
        predicted, pd.DataFrame({"baseline": [one.name for one in own], "is": [one.what for one in own]}), {}
    )


def _described(row: dict[str, Any], chooser: str) -> str:
    if "is" in row:
        return f"fold {row['fold']}: {row['baseline']}: {row['is']}"
    name = f"{row['part']}, {row['output']}" if "part" in row else row["output"]
    return (
        f"fold {row['fold']}, {name}: {row['baseline']}, {row['features']} features, {row['n']} examples: "
        + (f"{chooser} = {row[chooser]:.4f}" if row[chooser] == row[chooser] else f"no {chooser}")
        + " on the validation split"
    )


def with_signal(features: Features, signal: np.ndarray) -> Features:
    """Return features of sequences (N, F), followed by the mean of each track of their signal (N, S, L)."""
    means = signal.mean(axis=2, dtype=float)
    return hstack([features, means], format="csr") if isinstance(features, csr_matrix) else np.hstack([features, means])


def features_of(name: str, codes: np.ndarray, signal: np.ndarray, strands: str) -> Features:
    """Return the features of a baseline, by its name: of bases, of the signal, or of both."""
    bases = BASELINES.get(name.removesuffix(f" + {SIGNAL}"))
    found = bases(codes, strands) if bases else np.zeros((len(codes), 0))
    return with_signal(found, signal) if name.endswith(SIGNAL) else found


def predict_sequences(folder: Path, fold: int, codes: np.ndarray, signal: np.ndarray, task: VectorTask) -> np.ndarray:
    """Predict other sequences by the baselines of a fold.

    Parameters
    ----------
    folder
        Folder from ``write_baselines``.
    fold
        Fold in whose training split the baselines were fitted.
    codes
        Shape (N, L), uint8, without flanks.
    signal
        Tracks beside them as networks receive them, shape (N, S, L).
    task
        Task of the data set.

    Returns
    -------
    probability
        Shape (N, number of baselines, K).
    """
    table = pd.read_csv(folder / "baselines.tsv", sep="\t").drop_duplicates("baseline")
    with np.load(folder / "weights.npz") as stored:
        found = [
            predict_linear(features_of(name, codes, signal, strands), stored[f"{name}.{fold}"], task)
            for name, strands in zip(table["baseline"], table["strands"], strict=True)
        ]
    return np.stack(found, axis=1)


def of_sequences(dataset: Dataset, settings: Settings) -> Baselines:
    """Call `fit_sequences` with the strands that the network reads."""
    return fit_sequences(dataset, strands_of(settings, dataset.facts))


def fit_sequences(dataset: Dataset, strands: str) -> Baselines:
    """Call `fit_baselines` for sequences.

    Parameters
    ----------
    dataset
        Sequences, split as in their fold.
    strands
        ``both``: a k-mer and its reverse complement are merged.
    """
    train = thinned(dataset.x, dataset.rows("train"), MOST_LETTERS)

    def of(name: str) -> Callable[[np.ndarray], Features]:
        return lambda rows: features_of(name, dataset.windows(rows), dataset.signal_of(rows), strands)

    names = [*BASELINES, *([SIGNAL, f"6-mers + {SIGNAL}"] if dataset.signal else [])]
    found = fit_baselines(dataset, {name: of(name) for name in names}, train)
    found.table.insert(3, "strands", strands)
    return found


def fit_baselines(
    dataset: Dataset, features: Mapping[str, Callable[[np.ndarray], Features]], train: np.ndarray
) -> Baselines:
    """Fit every baseline on the training split, and predict the validation and test splits.

    Parameters
    ----------
    dataset
        Examples, split as in their fold.
    features
        Functions from rows to features (N, F), by name of the baseline; dense features are standardised.
    train
        Rows of the training split to fit.

    If there are covariates, all models with features receive them, and a further one receives only them.
    """
    features = _with_covariates(dataset, features) if dataset.facts.coded else features
    task, rows, held_out = dataset.task, dataset.rows("val"), dataset.rows("val", "test")
    y, val_y = (dataset.y.stacked(chosen).astype(float) for chosen in (train, rows))
    found, weights, table = [], {}, []
    for name, of in features.items():
        x = of(train)
        shift, scale = (0.0, 1.0) if isinstance(x, csr_matrix) else (x.mean(axis=0), spread(x))
        x, val = (_scaled(part, shift, scale) for part in (x, of(rows)))
        fitted = fit_path(x, y, val, val_y, task)
        parts = np.array_split(held_out, max(1, len(held_out) // 20_000))
        unseen = (_scaled(of(part), shift, scale) for part in parts)
        found.append(np.concatenate([fitted.predict(part, task) for part in unseen]))
        weights[name] = fitted.weights / np.append(np.broadcast_to(scale, x.shape[1]), 1)[:, None]
        weights[name][-1] -= shift @ weights[name][:-1] if np.ndim(shift) else 0
        for k, output in enumerate(["all"] if task.exclusive else task.outputs):
            entry = {"baseline": name, "output": output, "features": x.shape[1]}
            entry |= {"n": x.shape[0], "n_train": dataset.facts.n.train}
            table.append(entry | {"penalty": fitted.penalty[k], task.monitor: fitted.validation_score[k]})
    return Baselines(np.stack(found, axis=1), pd.DataFrame(table), weights)


def _with_covariates(
    dataset: Dataset, features: Mapping[str, Callable[[np.ndarray], Features]]
) -> dict[str, Callable[[np.ndarray], Features]]:
    def of_covariates(rows: np.ndarray) -> np.ndarray:
        return dataset.covariates[rows].astype(float)

    def joined(of: Callable[[np.ndarray], Features], rows: np.ndarray) -> Features:
        x, z = of(rows), of_covariates(rows)
        return hstack([x, z], format="csr") if isinstance(x, csr_matrix) else np.concatenate([x, z], axis=1)

    found = {f"{name} + {COVARIATES}": partial(joined, of) for name, of in features.items() if name != "constant"}
    return {name: of for name, of in features.items() if name == "constant"} | found | {COVARIATES: of_covariates}


def _scaled(x: Features, shift: np.ndarray | float, scale: np.ndarray | float) -> Features:
    return x if isinstance(x, csr_matrix) else (x - shift) / scale
