"""Baselines of numbers along sequences, and the comparison with the network: mean profile, and 6-mers around a base."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from biocnn.config.strands import RNA
from biocnn.data.dataset import Dataset
from biocnn.evaluation.judges import Values
from biocnn.evaluation.map_baselines import Baseline
from biocnn.evaluation.per_base_baselines import REACHES, K, linear_map
from biocnn.evaluation.pooled import Pooled, compare_pooled
from biocnn.evaluation.profile_judge import VALUE, parts
from biocnn.io.fasta import UNKNOWN
from biocnn.nn.kmers import kmer_counts
from biocnn.tasks.facts import Facts
from biocnn.tasks.task import make_task
from biocnn.training.linear import fit_path, linear

MOST = 12_000  # bases to fit, and to choose by
MEAN, KMERS = "mean profile", "6-mers around the base"


def baselines(dataset: Dataset) -> list[Baseline]:
    """Return the mean of each position of a window, and a linear model of the 6-mers within a distance of a base.

    The model is fitted, on the scale of the data set, to bases of the training split, half of them drawn by their
    values. Penalty and distance are chosen on the validation split; its intercept is then corrected for the mean.
    Where strands have their own tracks, it reads the given strand only.
    """
    facts, task, rng = dataset.facts, dataset.task, np.random.default_rng(0)
    strands = "single" if facts.alphabet == RNA or facts.opposite else "both"
    (x, y), (val_x, val_y) = (_drawn(dataset, dataset.rows(split), rng) for split in ("train", "val"))
    about = {"kind": "sequence", "spatial_dims": 1, "in_channels": 4}
    regression = make_task(Facts(task="regression", out_channels=y.shape[1], outputs=task.outputs, **about))
    fits, residuals = [], []
    for reach in REACHES:
        middle = slice(max(REACHES) - reach, max(REACHES) + reach + 1)
        counts, val_counts = (kmer_counts(codes[:, middle], range(K, K + 1), strands=strands) for codes in (x, val_x))
        fits.append(fit_path(counts, y, val_counts, val_y, regression))
        residuals.append((y - linear(counts, fits[-1].weights))[: len(y) // 2])
    scores = [float(np.nan_to_num(fit.validation_score).mean()) for fit in fits]
    best = int(np.argmax(scores))
    weights, reach = fits[best].weights.copy(), REACHES[best]
    weights[-1] += np.nanmean(residuals[best], axis=0)

    def linear_model(codes: np.ndarray) -> np.ndarray:
        return task.unscaled(linear_map(codes, weights, reach, strands)).astype(np.float32)

    mean = task.unscaled(_mean(dataset)).astype(np.float32)
    of_sample = f"Pearson r {scores[best]:.3f} on a sample of validation bases"
    return [
        Baseline(MEAN, "the mean of the training split at each position of a window", lambda codes: mean),
        Baseline(KMERS, f"a linear model of the {K}-mers within {reach} bp ({of_sample})", linear_model),
    ]


def _drawn(dataset: Dataset, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw bases, the first half evenly, the others in proportion to their distance from the median value.

    Returns the codes around each, (N, 2 * the longest reach + 1), and its values on the scale of the data set, (N, K).
    """
    reach, values = max(REACHES), dataset.task.scaled(dataset.y.stacked(rows))
    known = ~np.isnan(values).all(axis=1)
    places = np.flatnonzero(known)
    distance = np.abs(np.nan_to_num(values - np.nanmedian(values, axis=(0, 2))[:, None])).sum(axis=1)[known]
    number = min(len(places), MOST // 2)
    share = distance / distance.sum() if distance.sum() > 0 else None
    chosen = np.concatenate([rng.choice(places, number, replace=False), rng.choice(places, number, p=share)])
    window, base = np.divmod(chosen, values.shape[2])
    x = np.pad(dataset.x.stacked(rows), ((0, 0), (reach, reach)), constant_values=UNKNOWN)
    return x[window[:, None], base[:, None] + np.arange(2 * reach + 1)], values[window, :, base]


def _mean(dataset: Dataset) -> np.ndarray:
    """Return the mean of the training split, on the scale of the data set, at each position of a window: (K, L)."""
    y = dataset.task.scaled(dataset.y.stacked(dataset.rows("train")))
    known = ~np.isnan(y)
    return np.where(known, y, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def compare(dataset: Dataset, *more: Any) -> list[dict[str, Any]]:
    """Compare the network with each baseline; see `compare_pooled`."""

    def measure(values: Values, numbers: Sequence[int], rows: np.ndarray) -> dict[tuple[str, str], Pooled]:
        return {
            (output, metric): Pooled(float(VALUE[metric](sums.sum(axis=0))), VALUE[metric], sums)
            for output, metric, sums in parts(dataset, values, numbers, rows)[0]
        }

    return compare_pooled(measure, dataset, *more)
