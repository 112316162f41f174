"""Baseline models that a network must outperform to have learned more than e.g. sequence composition.

All are linear: logistic regression for labels of 0 and 1, multinomial regression for classes, ridge regression for
values. They are fitted on the training split; the penalty is chosen on the validation split by the metric that also
chooses the epoch of a network.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from biocnn.config.registry import resolve
from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset
from biocnn.io.ragged import Ragged
from biocnn.nn.kmers import kmer_counts
from biocnn.training.linear import Features, fit_path, spread
from biocnn.training.words import MOST_LETTERS, log_counts, strands_of, thinned


def gc_content(codes: np.ndarray, strands: str) -> np.ndarray:
    """Return the fraction of G and C among the known bases; shape (N, 1)."""
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    return (strong / np.maximum((codes < 4).sum(axis=1), 1))[:, None]


def dinucleotides(codes: np.ndarray, strands: str) -> np.ndarray:
    """Return mono- and dinucleotide frequencies; shape (N, 4 + 16), or (N, 2 + 10) for both strands."""
    counts = [kmer_counts(codes, range(k, k + 1), strands=strands).toarray() for k in (1, 2)]
    return np.concatenate([found / np.maximum(found.sum(axis=1, keepdims=True), 1) for found in counts], axis=1)


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
        Receives probability.npy, shape (number of baselines, K) for each example; examples.tsv with id and split; and
        baselines.tsv, which describes the fits. No files if the task predicts maps.

    Returns
    -------
    lines
        Log lines.
    """
    first = Dataset(data)
    if first.task.target.spatial:
        return ["no baselines for maps"]
    stored = [Dataset(data, fold) for fold in range(first.folds)]
    found = [resolve(first.input.baselines)(fold, settings) for fold in stored]
    Ragged.write(folder / "probability.npy", (p for values, _ in found for p in values), np.float32)
    rows = [fold.examples.iloc[fold.rows("val", "test")][["id", "split"]] for fold in stored]
    table = pd.concat([about.assign(fold=fold.fold) for fold, (_, about) in zip(stored, found, strict=True)])
    for name, frame in (("examples", pd.concat(rows)), ("baselines", table)):
        frame.to_csv(folder / f"{name}.tsv", sep="\t", index=False, float_format="%.6g")
    chooser = first.task.monitor
    return [
        f"fold {row['fold']}, {row['output']}: {row['baseline']}, {row['features']} features, {row['n']} examples: "
        + (f"{chooser} = {row[chooser]:.4f}" if row[chooser] == row[chooser] else f"no {chooser}")
        + " on the validation split"
        for row in table.to_dict("records")
    ]


def of_sequences(dataset: Dataset, settings: Settings) -> tuple[np.ndarray, pd.DataFrame]:
    """Call `fit_sequences` with the strands that the network reads."""
    return fit_sequences(dataset, strands_of(settings, dataset.facts))


def fit_sequences(dataset: Dataset, strands: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Call `fit_baselines` for sequences.

    Parameters
    ----------
    dataset
        Sequences, split as in their fold.
    strands
        ``both``: a k-mer and its reverse complement are merged.
    """
    train = thinned(dataset.x, dataset.rows("train"), MOST_LETTERS)

    def of(features: Callable[[np.ndarray, str], Features]) -> Callable[[np.ndarray], Features]:
        return lambda rows: features(dataset.windows(rows), strands)

    features = {name: of(function) for name, function in BASELINES.items()}
    probability, table = fit_baselines(dataset, features, train)
    table.insert(3, "strands", strands)
    return probability, table


def fit_baselines(
    dataset: Dataset, features: Mapping[str, Callable[[np.ndarray], Features]], train: np.ndarray
) -> tuple[np.ndarray, pd.DataFrame]:
    """Fit every baseline on the training split, and predict the validation and test splits.

    Parameters
    ----------
    dataset
        Examples, split as in their fold.
    features
        Functions from rows to features (N, F), by name of the baseline; dense features are standardised.
    train
        Rows of the training split to fit.

    Returns
    -------
    probability, table
        Shape (N, number of baselines, K), in the order of ``dataset.rows("val", "test")`` and ``features``, and a table
        with one row per baseline and output (or per baseline, if one of all outputs is true): features, training
        examples used and available, penalty, metric on the validation split.
    """
    task, rows, held_out = dataset.task, dataset.rows("val"), dataset.rows("val", "test")
    y, val_y = (dataset.y.stacked(chosen).astype(float) for chosen in (train, rows))
    found, table = [], []
    for name, of in features.items():
        x = of(train)
        shift, scale = (0.0, 1.0) if isinstance(x, csr_matrix) else (x.mean(axis=0), spread(x))
        x, val = (_scaled(part, shift, scale) for part in (x, of(rows)))
        fitted = fit_path(x, y, val, val_y, task)
        parts = np.array_split(held_out, max(1, len(held_out) // 20_000))
        unseen = (_scaled(of(part), shift, scale) for part in parts)
        found.append(np.concatenate([fitted.predict(part, task) for part in unseen]))
        for k, output in enumerate(["all"] if task.exclusive else task.outputs):
            entry = {"baseline": name, "output": output, "features": x.shape[1]}
            entry |= {"n": x.shape[0], "n_train": dataset.facts.n.train}
            table.append(entry | {"penalty": fitted.penalty[k], task.monitor: fitted.validation_score[k]})
    return np.stack(found, axis=1), pd.DataFrame(table)


def _scaled(x: Features, shift: np.ndarray | float, scale: np.ndarray | float) -> Features:
    return x if isinstance(x, csr_matrix) else (x - shift) / scale
