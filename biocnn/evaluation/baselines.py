"""Baseline models that a network must outperform to have learned more than e.g. sequence composition.

All are linear: logistic regression for labels of 0 and 1, multinomial regression for classes, ridge regression for
values. They are fitted on the training split; the penalty is chosen on the validation split by the metric that also
chooses the epoch of a network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, log_softmax, softmax

from biocnn import metrics
from biocnn.config.registry import resolve
from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset
from biocnn.evaluation.kmers import kmer_counts
from biocnn.io.padded import pad
from biocnn.io.ragged import Ragged
from biocnn.metrics.weighted import ratio
from biocnn.tasks.facts import Facts
from biocnn.tasks.vectors import VectorTask

MOST_LETTERS = 12_000_000  # bases of the training split; of larger ones, only every n-th example is used
PENALTIES = tuple(10 ** (-power / 2) for power in range(-1, 10))  # from strong to weak
STEPS = 100  # iterations of the solver at each penalty

Features = csr_matrix | np.ndarray


def strands_of(settings: Settings, facts: Facts) -> str:
    """Return whether a k-mer and its reverse complement are merged, as for networks that read both strands of DNA."""
    turned = any(section.name == "reverse_complement" for section in settings.augment)
    both = getattr(settings.model, "strands", "") == "both" or turned
    return "both" if both and "U" not in facts.alphabet else "single"


def gc_content(codes: np.ndarray, strands: str) -> np.ndarray:
    """Return the fraction of G and C among the known bases; shape (N, 1)."""
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    return (strong / np.maximum((codes < 4).sum(axis=1), 1))[:, None]


def dinucleotides(codes: np.ndarray, strands: str) -> np.ndarray:
    """Return mono- and dinucleotide frequencies; shape (N, 4 + 16), or (N, 2 + 10) for both strands."""
    counts = [kmer_counts(codes, range(k, k + 1), strands=strands).toarray() for k in (1, 2)]
    return np.concatenate([found / np.maximum(found.sum(axis=1, keepdims=True), 1) for found in counts], axis=1)


def words(codes: np.ndarray, strands: str) -> csr_matrix:
    """Return log(1 + count) of all 1- to 6-mers."""
    counts = kmer_counts(codes, range(1, 7), strands=strands)
    counts.data = np.log1p(counts.data)
    return counts


BASELINES: dict[str, Callable[[np.ndarray, str], Features]] = {
    "GC content": gc_content,
    "dinucleotides": dinucleotides,
    "6-mers": words,
}


@dataclass(frozen=True)
class Fitted:
    """A linear model of K outputs; ``weights`` has shape (F + 1, K), intercept last."""

    weights: np.ndarray
    penalty: np.ndarray
    validation_score: np.ndarray

    def predict(self, x: Features, task: VectorTask) -> np.ndarray:
        """Predict probabilities, or values for regression; shape (N, K), float32."""
        return _predicted(_linear(x, self.weights), task).astype(np.float32)


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
        return lambda rows: features(_windows(dataset, rows), strands)

    features = {name: of(function) for name, function in BASELINES.items()}
    probability, table = fit_baselines(dataset, features, train)
    table.insert(3, "strands", strands)
    return probability, table


def thinned(x: Ragged, rows: np.ndarray, most: int) -> np.ndarray:
    """Return every n-th of the rows, with at most about ``most`` values of x altogether."""
    return rows[:: -(-int(x.shapes[rows].prod(axis=1).sum()) // most)]


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
        shift, scale = (0.0, 1.0) if isinstance(x, csr_matrix) else (x.mean(axis=0), _spread(x))
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


def fit_path(x: Features, y: np.ndarray, val: Features, val_y: np.ndarray, task: VectorTask) -> Fitted:
    """Fit linear models with decreasing penalty, each from the previous one, until no output improves.

    Parameters
    ----------
    x, val
        Features (N, F) of the training and validation splits.
    y, val_y
        Targets (N, K), nan if unknown.
    task
        Task that determines loss and metric.

    Returns
    -------
    fitted
        For each output, or for all together if they are classes of which one is true, the model with the best metric
        on the validation split; among equal ones, or if the metric is not defined (``validation_score`` is nan), the
        one with the lowest loss on that split.
    """
    # Regression targets are standardised, so that the same penalties suit all of them.
    shift, scale = (np.nanmean(y, axis=0), _spread(y)) if task.standardised else (0.0, 1.0)
    y, val_y = (y - shift) / scale, (val_y - shift) / scale
    weights = np.zeros((x.shape[1] + 1, y.shape[1]))
    best = Fitted(weights.copy(), np.full(y.shape[1], np.nan), np.full(y.shape[1], -np.inf))
    metric = getattr(metrics, task.monitor)
    lowest, fruitless = np.full(y.shape[1], np.inf), 0
    for penalty in PENALTIES:
        weights = fit(x, y, penalty, weights, task)
        z = _linear(val, weights)
        ranked = _predicted(z, task) if task.exclusive else z  # a probability depends on the logits of all classes
        known = [
            metrics.labelled(*columns) for columns in zip(val_y.T, ranked.T, _losses(z, val_y, task).T, strict=True)
        ]
        score = np.array([metric(found, target) for target, found, _ in known])
        cost = np.array([each.sum() for *_, each in known])
        if task.exclusive:
            score[:], cost[:] = ratio(np.nansum(score), (~np.isnan(score)).sum()), cost.sum()
        score = np.nan_to_num(score, nan=-np.inf)
        equal = score == best.validation_score
        better = (score > best.validation_score) | (equal & (cost < lowest)) | np.isnan(best.penalty)
        best.weights[:, better] = weights[:, better]
        best.penalty[better], best.validation_score[better], lowest[better] = penalty, score[better], cost[better]
        fruitless = 0 if better.any() else fruitless + 1
        if fruitless == 2:
            break
    weights = best.weights * scale
    weights[-1] += shift
    score = np.where(np.isfinite(best.validation_score), best.validation_score, np.nan)
    return Fitted(weights, best.penalty, score)


def fit(x: Features, y: np.ndarray, penalty: float, start: np.ndarray, task: VectorTask) -> np.ndarray:
    """Minimise mean loss + penalty / 2 |weights|² for all outputs at once, without intercept penalty.

    The loss is the log loss, or half the squared error for regression, over known targets. Outputs are independent of
    each other, unless they are classes of which one is true.

    Parameters
    ----------
    x
        Features (N, F).
    y
        Targets (N, K), nan if unknown.
    penalty
        Strength of the penalty, above 0.
    start
        Initial weights, (F + 1, K), intercept last.
    task
        Task that determines the loss.

    Returns
    -------
    weights
        Shape (F + 1, K).
    """
    shape, known = start.shape, ~np.isnan(y)
    share, y = known / np.maximum(known.sum(axis=0), 1), np.nan_to_num(y)
    transposed = x.T.tocsr() if isinstance(x, csr_matrix) else x.T

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        z = _linear(x, weights)
        value, slope = (share * _losses(z, y, task)).sum(), share * (_predicted(z, task) - y)
        gradient = np.concatenate([transposed @ slope.astype(x.dtype), slope.sum(axis=0, keepdims=True)])
        gradient[:-1] += penalty * weights[:-1]
        return value + penalty / 2 * (weights[:-1] ** 2).sum(), gradient.ravel()

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "ftol": 1e-7})
    return found.x.reshape(shape)


def _losses(z: np.ndarray, y: np.ndarray, task: VectorTask) -> np.ndarray:
    """Return the loss of each example and output."""
    if task.exclusive:
        return -y * log_softmax(z, axis=1)
    return np.logaddexp(0, z) - y * z if task.positives else (z - y) ** 2 / 2


def _predicted(z: np.ndarray, task: VectorTask) -> np.ndarray:
    """Return probabilities, or values for regression."""
    if task.exclusive:
        return softmax(z, axis=1)
    return expit(z) if task.positives else z


def _linear(x: Features, weights: np.ndarray) -> np.ndarray:
    return (x @ weights[:-1].astype(x.dtype)).astype(float) + weights[-1]


def _scaled(x: Features, shift: np.ndarray | float, scale: np.ndarray | float) -> Features:
    return x if isinstance(x, csr_matrix) else (x - shift) / scale


def _spread(values: np.ndarray) -> np.ndarray:
    spread = np.nanstd(values, axis=0)
    return np.where(spread > 0, spread, 1.0)


def _windows(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return codes without flanks, (N, L), padded to equal length."""
    flank = dataset.facts.flank
    same = (dataset.x.shapes == dataset.x.shapes[0]).all()
    codes = dataset.x.stacked(rows) if same else pad([dataset.x[i] for i in rows])
    return codes[:, flank : codes.shape[1] - flank]
