"""Baselines of classes of bases, and the comparison with the network: base rates, and the 6-mers around a base."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from biocnn import metrics
from biocnn.config.strands import RNA
from biocnn.data.dataset import Dataset
from biocnn.evaluation.base_judge import count
from biocnn.evaluation.judges import Values
from biocnn.evaluation.map_baselines import Baseline
from biocnn.evaluation.pooled import Pooled, compare_pooled
from biocnn.io.fasta import UNKNOWN
from biocnn.nn.kmers import kmer_counts, word_columns
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
    about = {"kind": "sequence", "spatial_dims": 1, "in_channels": 4, "out_channels": len(outputs), "outputs": outputs}
    return make_task(Facts(task="multiclass" if outputs[1:] else "binary", **about))


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


def compare(dataset: Dataset, *more: Any) -> list[dict[str, Any]]:
    """Compare the network with each baseline; see `compare_pooled`."""
    task = dataset.task
    every, members = task.catalogue(), {name: [k] for name, k in task.classes().items()}

    def measure(values: Values, numbers: Sequence[int], rows: np.ndarray) -> dict[tuple[str, str], Pooled]:
        counts = count(dataset, members, values, numbers, rows)
        return {
            (output, name): Pooled(found.value(every[name]), every[name].value, found.parts(every[name]))
            for output, found in counts.items()
            for name in task.headline
        }

    return compare_pooled(measure, dataset, *more)
