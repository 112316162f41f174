"""How good predicted numbers are, with confidence intervals over examples.

A metric of vectors is defined once, for weighted examples: with weights of one it is the metric, with the counts of a
resample it is a bootstrap replicate, so intervals cost one pass instead of a loop.
"""

from collections.abc import Callable

import numpy as np

from biocnn.errors import InputError


def auroc(probability: np.ndarray, target: np.ndarray) -> float:
    """Area under the receiver operating characteristic: how often a positive outranks a negative; ties count half.

    Parameters
    ----------
    probability
        Shape (N,); any score that rises with the probability will do.
    target
        Shape (N,), 0 or 1.

    Returns
    -------
    auroc
        Between 0 and 1; nan where only one class is present.
    """
    return _whole(_auroc, probability, target)


def auprc(probability: np.ndarray, target: np.ndarray) -> float:
    """Area under the precision-recall curve as average precision: no interpolation, ties taken together.

    Parameters
    ----------
    probability
        Shape (N,).
    target
        Shape (N,), 0 or 1.

    Returns
    -------
    auprc
        Between 0 and 1; chance is the fraction of positives. nan where only one class is present.
    """
    return _whole(_auprc, probability, target)


def accuracy(probability: np.ndarray, target: np.ndarray) -> float:
    """Fraction of examples on the right side of a probability of one half; exactly one half counts as positive.

    Parameters
    ----------
    probability
        Shape (N,).
    target
        Shape (N,), 0 or 1.

    Returns
    -------
    accuracy
        Between 0 and 1; nan without examples.
    """
    return _whole(_accuracy, probability, target)


def pearson(probability: np.ndarray, target: np.ndarray) -> float:
    """Pearson correlation.

    Parameters
    ----------
    probability
        Shape (N,), predicted values.
    target
        Shape (N,), measured values.

    Returns
    -------
    pearson
        Between -1 and 1; nan where either is constant.
    """
    return _whole(_pearson, probability, target)


def spearman(probability: np.ndarray, target: np.ndarray) -> float:
    """Spearman correlation: Pearson's of the ranks, ties sharing their mean rank.

    Parameters
    ----------
    probability
        Shape (N,), predicted values.
    target
        Shape (N,), measured values.

    Returns
    -------
    spearman
        Between -1 and 1; nan where either is constant.
    """
    return _whole(_spearman, probability, target)


def mse(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean squared error.

    Parameters
    ----------
    probability
        Shape (N,), predicted values.
    target
        Shape (N,), measured values.

    Returns
    -------
    mse
        In the target's unit squared; nan without examples.
    """
    return _whole(_mse, probability, target)


def bootstrap(metric: Callable[..., float], *arrays: np.ndarray, seed: int, n: int = 1000) -> tuple[float, float]:
    """The 95% percentile interval of a metric when examples are drawn anew, with replacement.

    Parameters
    ----------
    metric
        A metric of this module, ``np.mean``, or any function of the arrays; the vector metrics of this module and
        ``np.mean`` are computed for many resamples at once.
    arrays
        Each of length N along its first axis; row i of all of them is one example.
    seed
        The same seed gives the same interval.
    n
        Number of resamples.

    Returns
    -------
    low, high
        The 2.5th and 97.5th percentile over the resamples in which the metric is defined; nan where there are none,
        or fewer than two examples, or no resamples.
    """
    arrays = tuple(np.asarray(array) for array in arrays)
    size = len(arrays[0])
    if size < 2 or n == 0:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    if metric in _WEIGHTED:
        values = _weighted_replicates(_WEIGHTED[metric], arrays, rng, n)
    else:
        draws = (rng.integers(size, size=size) for _ in range(n))
        values = np.array([metric(*(array[rows] for array in arrays)) for rows in draws], float)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _weighted_replicates(weighted: Callable, arrays: tuple, rng: np.random.Generator, n: int) -> np.ndarray:
    """The metric of ``n`` resamples, in batches of a few MB; a resample is how often each example was drawn."""
    arrays = _vectors(*arrays)
    if any(np.isnan(array).any() for array in arrays):
        return np.full(n, np.nan)
    size = len(arrays[0])
    batch = max(1, 500_000 // size)
    values = []
    for start in range(0, n, batch):
        rows = min(batch, n - start)
        drawn = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(float)
        values.append(weighted(counts, *arrays))
    return np.concatenate(values)


def _whole(weighted: Callable, *arrays: np.ndarray) -> float:
    """A weighted metric of all examples, each counted once; nan without examples, or where a value is nan."""
    arrays = _vectors(*arrays)
    size = len(arrays[0])
    if size == 0 or any(np.isnan(array).any() for array in arrays):
        return float("nan")
    return float(weighted(np.ones((1, size)), *arrays)[0])


def _vectors(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays as flat float64, after a check that they have one length."""
    shapes = [np.shape(array) for array in arrays]
    if len(set(shapes)) > 1:
        raise InputError(f"a metric was given arrays of shapes {shapes}", "give one prediction for each target")
    return tuple(np.asarray(array, float).ravel() for array in arrays)


# Weighted metrics: weights (B, N) and vectors (N,) -> values (B,)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, empty: float = float("nan")) -> np.ndarray:
    """Division that gives ``empty`` where there is nothing to divide by, without a warning."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, float(empty)), where=denominator != 0)


def _curve(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives, each (B, T), at each distinct probability from the highest to the lowest."""
    order = np.argsort(-probability, kind="stable")
    ends = np.flatnonzero(np.diff(probability[order], append=np.nan) != 0)
    positive = target[order] > 0
    weights = weights[:, order]
    hits = np.cumsum(weights * positive, axis=1)[:, ends]
    return hits, np.cumsum(weights, axis=1)[:, ends] - hits


def _auroc(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    hits, alarms = _curve(weights, probability, target)
    steps = np.diff(alarms, axis=1, prepend=0)
    area = (steps * (hits - np.diff(hits, axis=1, prepend=0) / 2)).sum(axis=1)
    return _ratio(area, hits[:, -1] * alarms[:, -1])


def _auprc(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    hits, alarms = _curve(weights, probability, target)
    area = (np.diff(hits, axis=1, prepend=0) * _ratio(hits, hits + alarms, empty=0)).sum(axis=1)
    return _ratio(area, np.where(alarms[:, -1] > 0, hits[:, -1], 0))


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    return _ratio(weights @ values, weights.sum(axis=1))


def _accuracy(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    return _mean(weights, ((probability >= 0.5) == (target > 0)).astype(float))


def _mse(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    return _mean(weights, (probability - target) ** 2)


def _pearson(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    x, y = (_standard(weights, np.broadcast_to(values, weights.shape)) for values in (probability, target))
    return (weights * x * y).sum(axis=1)


def _spearman(weights: np.ndarray, probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    x, y = (_standard(weights, _ranks(weights, values)) for values in (probability, target))
    return (weights * x * y).sum(axis=1)


def _standard(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (B, N) less their weighted mean, over the root of their weighted sum of squares; nan where constant."""
    values = values - values[:, :1]  # exactly zero where constant, whatever the rounding of a mean
    scale = np.abs(values).max(axis=1, keepdims=True, initial=0)
    values = _ratio(values, np.broadcast_to(scale, values.shape))
    values = values - _ratio((weights * values).sum(axis=1), weights.sum(axis=1))[:, None]
    squares = (weights * values**2).sum(axis=1, keepdims=True)
    spread = np.where(squares > 1e-20, squares, np.nan)
    return values / np.sqrt(spread)


def _ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean ranks (B, N) that the values have in each resample."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order], append=-1))
    upto = np.cumsum(weights[:, order], axis=1)[:, ends]
    below = np.concatenate([np.zeros((len(weights), 1)), upto[:, :-1]], axis=1)
    return ((below + upto) / 2)[:, group]


_WEIGHTED = {
    auroc: _auroc,
    auprc: _auprc,
    accuracy: _accuracy,
    pearson: _pearson,
    spearman: _spearman,
    mse: _mse,
    np.mean: _mean,
}
