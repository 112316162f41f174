"""Baselines of classes of bases, and the comparison with the network: base rates, and the 6-mers around a base."""

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from biocnn import metrics
from biocnn.config.strands import RNA
from biocnn.data.dataset import Dataset
from biocnn.data.splits import HELD_OUT
from biocnn.evaluation.base_judge import Counts, count
from biocnn.evaluation.evaluate import combined, rows_of
from biocnn.evaluation.judges import Values
from biocnn.evaluation.map_baselines import Baseline
from biocnn.io.fasta import UNKNOWN
from biocnn.metrics.resampling import sum_replicates
from biocnn.nn.kmers import kmer_counts, word_columns
from biocnn.prediction.stored_predictions import Predictions
from biocnn.tasks.facts import Facts
from biocnn.tasks.task import make_task
from biocnn.tasks.vectors import VectorTask
from biocnn.training.linear import fit_path

K = 6
REACHES = (8, 16, 32)  # bases on either side, of which one is chosen on the validation split
MOST = 8000  # bases of each class to fit, and to choose by
RATE, KMERS = "base rate", "6-mers around the base"


def baselines(dataset: Dataset) -> list[Baseline]:
    """Return the share of each class, and a linear model that counts the 6-mers within a distance of a base.

    The model is fitted to some bases of each class of the training split, with penalty and distance chosen on the
    validation split; its intercept is then corrected for the shares of the classes.
    """
    strands, rng = "single" if dataset.facts.alphabet == RNA else "both", np.random.default_rng(0)
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
    weights, shares, reach = fits[best].weights.copy(), np.array(dataset.facts.class_shares), REACHES[best]
    correction = np.log(shares) - np.log(np.bincount(train[1], minlength=len(classes)) / len(train[1]))
    weights[-1] += correction if task.exclusive else correction[1:] - correction[0]
    rate = (shares if task.exclusive else shares[1:]).astype(np.float32)

    def linear_model(codes: np.ndarray) -> np.ndarray:
        z = linear_map(codes, weights, reach, strands)
        return (softmax(z, axis=0) if task.exclusive else expit(z)).astype(np.float32)

    of_sample = f"AUPRC {scores[best]:.3f} on validation bases drawn evenly from the classes"
    return [
        Baseline(
            RATE, "the share of the class in the training split", lambda codes: np.repeat(rate[:, None], len(codes), 1)
        ),
        Baseline(KMERS, f"a linear model of the {K}-mers within {reach} bp ({of_sample})", linear_model),
    ]


def linear_map(codes: np.ndarray, weights: np.ndarray, reach: int, strands: str) -> np.ndarray:
    """Return the logits of each base of a sequence, (K, L), from the 6-mers within ``reach`` of it.

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


def compare(
    dataset: Dataset,
    predictions: Sequence[Predictions],
    simple: Predictions,
    names: Sequence[str],
    resamples: int,
    seed: int,
    group: str = "group",
) -> list[dict[str, Any]]:
    """Compare the network with each baseline by all bases together; see `compare_map_baselines`."""
    task, units, rows = dataset.task, dataset.groups(group), []
    every, members = task.catalogue(), {name: [k] for name, k in task.classes().items()}
    network, table = combined(dict(enumerate(predictions)), task)
    of_baselines, others = combined({0: simple}, task)
    places = {key: i for i, key in enumerate(zip(others["id"], others["split"], strict=True))}
    for split in HELD_OUT:
        numbers = np.flatnonzero(table["split"] == split)
        index = rows_of(dataset, table["id"])[numbers]
        theirs = [places[name, split] for name in table["id"].iloc[numbers]]
        mine = count(dataset, members, network, numbers, index)
        runs = [_of_run(dataset, members, run, split) for run in predictions] if predictions[1:] else [mine]
        for place, name in enumerate(names):
            found = count(dataset, members, partial(_one, of_baselines, place), theirs, index)
            for output, measure in product(members, task.headline):
                metric, pair = every[measure], (mine[output], found[output])
                drawn = [
                    sum_replicates(metric.value, one.parts(metric), units[index], seed=seed, n=resamples)
                    for one in pair
                ]
                line: dict[str, Any] = {"baseline": name, "split": split, "output": output, "metric": measure}
                line |= dict(zip(("network", "value"), (one.value(metric) for one in pair), strict=True))
                line |= {"difference": line["network"] - line["value"], "n": len(index)}
                line |= dict(zip(("low", "high"), metrics.interval(drawn[1]), strict=True))
                ends = metrics.interval(drawn[0] - drawn[1])
                line |= dict(zip(("difference_low", "difference_high"), ends, strict=True))
                own = [run[output].value(metric) for run in runs]
                rows.append(
                    line | {"mean_of_runs": np.mean(own), "sd_of_runs": np.std(own, ddof=1) if own[1:] else np.nan}
                )
    return rows


def _of_run(dataset: Dataset, members: dict[str, list[int]], run: Predictions, split: str) -> dict[str, Counts]:
    values, table = run
    numbers = np.flatnonzero(table["split"] == split)
    return count(dataset, members, values.__getitem__, numbers, rows_of(dataset, table["id"].iloc[numbers]))


def _one(values: Values, place: int, number: int) -> np.ndarray:
    """Return the prediction of one of the baselines."""
    return values(number)[place]
