"""Metrics of weighted examples, from weights (B, N) and vectors (N,), or tables of classes (N, K), to values (B,).

Unit weights give the metrics, the counts of resamples give bootstrap replicates.
"""

from collections.abc import Callable

import numpy as np

BINS = 15  # of the calibration error, with equal numbers of examples


def ratio(numerator: np.ndarray, denominator: np.ndarray, empty: float = float("nan")) -> np.ndarray:
    """Divide, returning ``empty`` for denominators of 0, without a warning."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, float(empty)), where=denominator != 0)


def whole(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> float:
    """Evaluate a metric with unit weights; NaN without examples, or if any value is NaN."""
    size = len(arrays[0])
    if size == 0 or any(np.isnan(array).any() for array in arrays):
        return float("nan")
    return float(function(np.ones((1, size)), *arrays)[0])


def _curve(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return true and false positives, each (B, T), at each distinct probability in decreasing order."""
    order = np.argsort(-probability, kind="stable")
    ends = np.flatnonzero(np.diff(probability[order], append=np.nan) != 0)
    weights = weights.take(order, axis=1)
    hits = np.cumsum(np.where(target[order] > 0, weights, 0), axis=1)
    above = np.cumsum(weights, axis=1)
    if len(ends) < len(order):
        hits, above = hits[:, ends], above[:, ends]
    return hits, above - hits


def auroc(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Area under the ROC curve; NaN if a class has no weight."""
    hits, alarms = _curve(weights, probability, target)
    steps = np.diff(alarms, axis=1, prepend=0)
    area = (steps * (hits - np.diff(hits, axis=1, prepend=0) / 2)).sum(axis=1)
    return ratio(area, hits[:, -1] * alarms[:, -1])


def auprc(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Average precision; NaN if a class has no weight."""
    hits, alarms = _curve(weights, probability, target)
    area = (np.diff(hits, axis=1, prepend=0) * ratio(hits, hits + alarms, empty=0)).sum(axis=1)
    return ratio(area, np.where(alarms[:, -1] > 0, hits[:, -1], 0))


def recall_at_fdr10(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Largest recall at a false discovery rate of at most 10%; NaN if a class has no weight."""
    hits, alarms = _curve(weights, probability, target)
    clean = 10 * alarms <= hits + alarms
    return ratio(np.where(clean, hits, 0).max(axis=1), np.where(alarms[:, -1] > 0, hits[:, -1], 0))


def sensitivity_at_specificity90(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Largest sensitivity at a specificity of at least 90%; NaN if a class has no weight."""
    hits, alarms = _curve(weights, probability, target)
    specific = 10 * alarms <= alarms[:, -1:]
    return ratio(np.where(specific, hits, 0).max(axis=1), np.where(alarms[:, -1] > 0, hits[:, -1], 0))


def ece(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Expected calibration error; see `bins_of_equal_mass`."""
    which = bins_of_equal_mass(weights, probability) + BINS * np.arange(len(weights))[:, None]
    surplus = (weights * (probability - (target > 0))).ravel()
    gaps = np.bincount(which.ravel(), surplus, BINS * len(weights)).reshape(len(weights), BINS)
    return ratio(np.abs(gaps).sum(axis=1), weights.sum(axis=1))


def bins_of_equal_mass(weights: np.ndarray, probability: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin of each example, (B, N): from 0, by increasing probability, with ties in the same bin."""
    place = _ranks(weights, probability) / weights.sum(axis=1, keepdims=True)
    return (place * bins).astype(int).clip(max=bins - 1)


def mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weighted mean."""
    return ratio(weights @ values, weights.sum(axis=1))


def accuracy(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weighted fraction of examples on the right side of 0.5."""
    return mean(weights, ((probability >= 0.5) == (target > 0)).astype(float))


def macro_auroc(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean area under the ROC curve of each class against all others."""
    return _macro(auroc, weights, probability, target)


def macro_auprc(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean average precision of each class against all others."""
    return _macro(auprc, weights, probability, target)


def _macro(
    metric: Callable[..., np.ndarray], weights: np.ndarray, probability: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Average a metric over the classes for which it is defined; NaN if there are none."""
    return defined_mean(np.stack([metric(weights, p, y) for p, y in zip(probability.T, target.T, strict=True)]))


def defined_mean(values: np.ndarray) -> np.ndarray:
    """Average values (K, B) over the first axis without those that are NaN; NaN if all are."""
    return ratio(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0))


def class_accuracy(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weighted fraction of examples whose likeliest class is the true one."""
    return mean(weights, _hits(probability, target))


def top2_accuracy(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weighted fraction of examples whose true class is one of the two likeliest."""
    likeliest = np.argsort(-probability, axis=1, kind="stable")[:, :2]
    return mean(weights, np.take_along_axis(target, likeliest, axis=1).sum(axis=1))


def balanced_accuracy(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean over classes of the weighted fraction of their examples that are recognised."""
    hits = weights @ (target * _hits(probability, target)[:, None])
    return defined_mean(ratio(hits, weights @ target).T)


def cohens_kappa(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Agreement beyond chance; NaN if there is only one class, in truth and prediction."""
    predicted = np.eye(target.shape[1])[probability.argmax(axis=1)]
    chance = ratio(((weights @ target) * (weights @ predicted)).sum(axis=1), weights.sum(axis=1) ** 2)
    return ratio(class_accuracy(weights, probability, target) - chance, 1 - chance)


def median_grades(probability: np.ndarray) -> np.ndarray:
    """Return the number of the median grade of each example, (N,): the first up to which half the probability lies."""
    below = probability.cumsum(axis=1)[:, :-1]
    return (below < 0.5 * (1 - 1e-6)).sum(axis=1)


def _grades(probability: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted and the true grade of each example, counted from 0."""
    return median_grades(probability).astype(float), target.argmax(axis=1).astype(float)


def quadratic_kappa(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Agreement of grades beyond chance, with errors squared; NaN if all true and predicted grades are equal."""
    found, true = _grades(probability, target)
    (a, b), total = (weights @ np.eye(target.shape[1])[grade.astype(int)] for grade in (found, true)), weights.sum(1)
    apart = (np.arange(target.shape[1])[:, None] - np.arange(target.shape[1])) ** 2
    by_chance = ratio(((a @ apart) * b).sum(axis=1), total)
    return 1 - ratio(weights @ (found - true) ** 2, by_chance)


def grade_mae(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean absolute error of grades."""
    return mae(weights, *_grades(probability, target))


def grade_accuracy(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weighted fraction of examples with the right grade."""
    found, true = _grades(probability, target)
    return mean(weights, (found == true).astype(float))


def grade_spearman(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Spearman correlation of the expected and the true grade."""
    return spearman(weights, probability @ np.arange(target.shape[1]), target.argmax(axis=1).astype(float))


def class_ece(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Expected calibration error of the probability of the likeliest class."""
    return ece(weights, probability.max(axis=1), _hits(probability, target))


def _hits(probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return 1 for each example whose likeliest class is the true one, else 0; shape (N,)."""
    return (probability.argmax(axis=1) == target.argmax(axis=1)).astype(float)


def mse(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean squared error."""
    return mean(weights, (probability - target) ** 2)


def mae(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean absolute error."""
    return mean(weights, np.abs(probability - target))


def rmse(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Root of the mean squared error."""
    return np.sqrt(mse(weights, probability, target))


def r2(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Explained share of the variance; NaN if the target is constant."""
    middle = mean(weights, target)[:, None]
    return 1 - ratio(
        (weights * (probability - target) ** 2).sum(axis=1), (weights * (target - middle) ** 2).sum(axis=1)
    )


def pearson(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pearson correlation; NaN if either is constant."""
    x, y = (_standard(weights, np.broadcast_to(values, weights.shape)) for values in (probability, target))
    return (weights * x * y).sum(axis=1)


def spearman(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Spearman correlation, from the ranks in each resample."""
    x, y = (_standard(weights, _ranks(weights, values)) for values in (probability, target))
    return (weights * x * y).sum(axis=1)


def _standard(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Subtract the weighted mean from values (B, N) and divide by their norm; NaN if constant."""
    values = values - values[:, :1]  # exactly zero if constant, whatever the rounding of the mean
    scale = np.abs(values).max(axis=1, keepdims=True, initial=0)
    values = ratio(values, np.broadcast_to(scale, values.shape))
    values = values - ratio((weights * values).sum(axis=1), weights.sum(axis=1))[:, None]
    squares = (weights * values**2).sum(axis=1, keepdims=True)
    spread = np.where(squares > 1e-20, squares, np.nan)
    return values / np.sqrt(spread)


def _ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean ranks (B, N) of the values in each resample."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order], append=-1))
    upto = np.cumsum(weights[:, order], axis=1)[:, ends]
    below = np.concatenate([np.zeros((len(weights), 1)), upto[:, :-1]], axis=1)
    return ((below + upto) / 2)[:, group]
