"""Baselines of classes of bases, and the comparison with the network: base rates, and 6-mers around a base."""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from biocnn import metrics
from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset
from biocnn.evaluation.audit import COLUMNS
from biocnn.evaluation.base_judge import Counts, count
from biocnn.evaluation.baselines import Baselines
from biocnn.evaluation.evaluate import combined, rows_of
from biocnn.evaluation.judges import Values
from biocnn.io.fasta import UNKNOWN
from biocnn.metrics.resampling import sum_replicates
from biocnn.nn.kmers import kmer_counts, word_columns
from biocnn.prediction.stored_predictions import Predictions
from biocnn.tasks.facts import Facts
from biocnn.tasks.task import make_task
from biocnn.tasks.vectors import VectorTask
from biocnn.training.linear import fit_path
from biocnn.training.words import strands_of

K = 6
REACHES = (8, 16, 32)  # bases on either side, of which one is chosen on the validation split
MOST = 8000  # bases of each class to fit, and to choose by
RATE, KMERS = "base rate", "6-mers around the base"


def of_bases(dataset: Dataset, settings: Settings) -> Baselines:
    """Fit the baselines on the training split; choose penalty and reach on the validation split.

    The linear model counts the 6-mers within a distance of the base. It is fitted to some bases of each class, and its
    intercept is then corrected for their shares.

    Parameters
    ----------
    dataset
        Sequences with classes of bases, split as in their fold.
    settings
        Settings of the experiment, which determine the strands and the seed.

    Returns
    -------
    baselines
        ``probability`` has an array (2, K, L) for each window of the validation and test splits.
    """
    strands, rng = strands_of(settings, dataset.facts), np.random.default_rng(settings.seed)
    classes = dataset.task.pixel_classes
    task = _task_of(classes)
    train, val = (_drawn(dataset, dataset.rows(split), rng) for split in ("train", "val"))
    targets = [_targets(found, len(classes)) for _, found in (train, val)]
    fits, scores = [], []
    for reach in REACHES:
        middle = slice(max(REACHES) - reach, max(REACHES) + reach + 1)
        x, val_x = (kmer_counts(codes[:, middle], range(K, K + 1), strands=strands) for codes, _ in (train, val))
        fits.append(fit_path(x, targets[0], val_x, targets[1], task))
        columns = zip(fits[-1].predict(val_x, task).T, targets[1].T, strict=True)
        areas = [metrics.auprc(p, y) for p, y in columns][task.exclusive :]  # without the background
        scores.append(float(np.nan_to_num(areas).mean()))
    best = int(np.argmax(scores))
    weights, shares = fits[best].weights.copy(), np.array(dataset.facts.class_shares)
    drawn = np.bincount(train[1], minlength=len(classes)) / len(train[1])
    correction = np.log(shares) - np.log(drawn)
    weights[-1] += correction if task.exclusive else correction[1:] - correction[0]
    rate = (shares if task.exclusive else shares[1:])[:, None]

    def both(row: int) -> np.ndarray:
        z = linear_map(dataset.x[row], weights, REACHES[best], strands)
        p = softmax(z, axis=0) if task.exclusive else expit(z)
        return np.stack([np.broadcast_to(rate, p.shape), p]).astype(np.float32)

    about = {"output": "all", "strands": strands, "n": len(train[1]), "n_train": int(dataset.facts.n.train)}
    fitted = {"features": len(weights) - 1, "reach": REACHES[best], "penalty": fits[best].penalty[0]}
    table = [{"baseline": RATE, **about, "features": 0, dataset.task.monitor: np.nan}]
    table.append({"baseline": KMERS, **about, **fitted, dataset.task.monitor: scores[best]})
    every = [both(row) for row in dataset.rows("val", "test")]
    return Baselines(every, pd.DataFrame(table), {KMERS: weights})


def linear_map(codes: np.ndarray, weights: np.ndarray, reach: int, strands: str) -> np.ndarray:
    """Return the logits of each base of a sequence, (K, L), from the 6-mers that end within ``reach`` of it.

    Parameters
    ----------
    codes
        Shape (L,), uint8; 6-mers with unknown bases do not count.
    weights
        Shape (F + 1, K), intercept last.
    reach
        A base sees the 6-mers between this many bases before and after it.
    strands
        As for ``kmer_counts``.
    """
    length = len(codes)
    padded = np.pad(codes, reach + K, constant_values=UNKNOWN)
    words = np.lib.stride_tricks.sliding_window_view(padded, K)
    known = (words < UNKNOWN).all(axis=1)
    columns = word_columns(K, strands)[np.where(known[:, None], words, 0).astype(np.int64) @ 4 ** np.arange(K)[::-1]]
    total = np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(weights[columns] * known[:, None], axis=0)])
    first = K + np.arange(length)  # of the words that the base sees: it is at reach + K in the padded sequence
    return (total[first + 2 * reach + 2 - K] - total[first] + weights[-1]).T


def _task_of(classes: Sequence[str]) -> VectorTask:
    """Return the task of a linear model of single bases."""
    outputs = list(classes) if len(classes) > 2 else [classes[1]]
    told = {"kind": "sequence", "spatial_dims": 1, "in_channels": 4, "out_channels": len(outputs), "outputs": outputs}
    return make_task(Facts(task="multiclass" if outputs[1:] else "binary", **told))


def _drawn(dataset: Dataset, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw bases of each class: the codes around each, (N, 2 * the longest reach + 1), and its class, (N,)."""
    y, reach = dataset.y.stacked(rows)[:, 0], max(REACHES)
    places = [np.flatnonzero(y == k) for k in range(len(dataset.task.pixel_classes))]
    chosen = np.concatenate([rng.permutation(found)[:MOST] for found in places])
    window, base = np.divmod(chosen, y.shape[1])
    x = np.pad(dataset.x.stacked(rows), ((0, 0), (reach, reach)), constant_values=UNKNOWN)
    return x[window[:, None], base[:, None] + np.arange(2 * reach + 1)], y.ravel()[chosen]


def _targets(found: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[found] if classes > 2 else found[:, None].astype(float)


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
    """Compare the network with each baseline by all bases together; see `biocnn.evaluation.audit.audit`."""
    task, units, rows = dataset.task, dataset.groups(group), []
    every, members = task.catalogue(), {name: [k] for name, k in task.classes().items()}
    runs = list(predictions)
    network, table = combined(dict(enumerate(runs)), task)
    simple, others = combined({0: baselines}, task)
    where = pd.Series(others.index, index=pd.MultiIndex.from_frame(others[["id", "split"]]))
    for split in ("val", "test"):
        numbers = np.flatnonzero(table["split"] == split)
        index = rows_of(dataset, table["id"])[numbers]
        theirs = where[pd.MultiIndex.from_frame(table.iloc[numbers][["id", "split"]])].to_numpy()
        mine = count(dataset, members, network, numbers, index)
        alike = [_of_run(dataset, members, run, split) for run in runs] if runs[1:] else [mine]
        for place, name in enumerate(names):
            found = count(dataset, members, partial(_one, simple, place), theirs, index)
            for output in members:
                for measure in task.headline:
                    metric = every[measure]
                    pair = [one[output] for one in (mine, found)]
                    drawn = [
                        sum_replicates(metric.value, one.parts(metric), units[index], seed=seed, n=resamples)
                        for one in pair
                    ]
                    value = [one.value(metric) for one in pair]
                    line = {"baseline": name, "split": split, "output": output, "metric": measure, "n": len(index)}
                    line |= {"network": value[0], "value": value[1], "difference": value[0] - value[1]}
                    line["low"], line["high"] = metrics.interval(drawn[1])
                    line["difference_low"], line["difference_high"] = metrics.interval(drawn[0] - drawn[1])
                    each = [one[output].value(metric) for one in alike]
                    line |= {"mean_of_runs": np.mean(each), "sd_of_runs": np.std(each, ddof=1) if each[1:] else np.nan}
                    rows.append(line)
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_run(dataset: Dataset, members: dict[str, list[int]], run: Predictions, split: str) -> dict[str, Counts]:
    values, table = run
    numbers = np.flatnonzero(table["split"] == split)
    return count(dataset, members, values.__getitem__, numbers, rows_of(dataset, table["id"].iloc[numbers]))


def _one(values: Values, place: int, number: int) -> np.ndarray:
    """Return the prediction of one of the baselines."""
    return values(number)[place]
