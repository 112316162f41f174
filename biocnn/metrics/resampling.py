"""How sure a metric is: the bootstrap over examples."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from biocnn.metrics import vectors, weighted

FEWEST = 5  # groups, below which drawing some anew says little of how others would be
_NAMES = ("auroc", "auprc", "accuracy", "recall_at_fdr10", "ece", "pearson", "spearman", "mse")
WEIGHTED = {getattr(vectors, name): getattr(weighted, name) for name in _NAMES} | {np.mean: weighted.mean}


def bootstrap(
    metric: Callable[..., float], *arrays: np.ndarray, seed: int, n: int = 1000, groups: ArrayLike | None = None
) -> tuple[float, float]:
    """The 95% percentile interval of a metric when examples are drawn anew, with replacement.

    Parameters
    ----------
    metric
        A metric of vectors, ``np.mean``, or any function of the arrays; all but the last are computed for many
        resamples at once.
    arrays
        Each of length N along its first axis; row i of all of them is one example.
    seed
        The same seed gives the same interval.
    n
        Number of resamples.
    groups
        The group of each example, (N,): whole groups are drawn (cluster bootstrap), because overlapping windows, say,
        are alike. None: each example is a group.

    Returns
    -------
    low, high
        The 2.5th and 97.5th percentile over the resamples in which the metric is defined; nan where there are none,
        or fewer than five groups: an interval from less would feign certainty.
    """
    return interval(replicates(metric, *arrays, seed=seed, n=n, groups=groups))


def replicates(
    metric: Callable[..., float], *arrays: np.ndarray, seed: int, n: int = 1000, groups: ArrayLike | None = None
) -> np.ndarray:
    """The metric of each resample, shape (n,); nan where it is not defined, and for fewer groups than five.

    The same seed draws the same examples: of two predictions of the same examples, the differences between their
    replicates are those of a paired bootstrap. Parameters are those of ``bootstrap``.
    """
    arrays = tuple(np.asarray(array) for array in arrays)
    number = len(arrays[0])
    names, which = np.unique(np.arange(number) if groups is None else np.asarray(groups), return_inverse=True)
    size = len(names)
    if size < FEWEST:
        return np.full(n, np.nan)
    rng = np.random.default_rng(seed)
    if metric in WEIGHTED:
        return _together(WEIGHTED[metric], arrays, which, rng, n)
    members = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    draws = (np.concatenate([members[group] for group in rng.integers(size, size=size)]) for _ in range(n))
    return np.array([metric(*(array[rows] for array in arrays)) for rows in draws], float)


def sum_replicates(
    function: Callable[[np.ndarray], np.ndarray],
    counts: np.ndarray,
    groups: ArrayLike | None = None,
    *,
    seed: int,
    n: int = 1000,
) -> np.ndarray:
    """A function of sums over images, for images drawn anew with replacement.

    Parameters
    ----------
    function
        Of counts (..., k) to values (...): pooled Dice of pixel counts, say; a mean is one of sums and numbers.
    counts
        Of each image, shape (N, k) or (N, *k).
    groups
        The group of each image, (N,): whole groups are drawn (cluster bootstrap), because images of one patient or
        plate are alike. None: each image is a group.
    seed
        The same seed draws the same groups.
    n
        Number of resamples.

    Returns
    -------
    values
        Shape (n,); nan where there are fewer than five groups: an interval from less would feign certainty.
    """
    counts = np.asarray(counts, float)
    if groups is not None:
        names, which = np.unique(np.asarray(groups), return_inverse=True)
        single, counts = counts, np.zeros((len(names), *counts.shape[1:]))
        np.add.at(counts, which, single)
    size, shape = len(counts), counts.shape[1:]
    if size < FEWEST:
        return np.full(n, np.nan)
    flat, rng = counts.reshape(size, -1), np.random.default_rng(seed)
    values = [function((drawn @ flat).reshape(-1, *shape)) for drawn in _draws(size, rng, n, max(size, flat.shape[1]))]
    return np.concatenate(values) if values else np.empty(0)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 2.5th and the 97.5th percentile of the values that are not nan; nan where all are."""
    values = values[~np.isnan(values)]
    if values.size == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _together(
    function: Callable[..., np.ndarray],
    arrays: tuple[np.ndarray, ...],
    which: np.ndarray,
    rng: np.random.Generator,
    n: int,
) -> np.ndarray:
    """In batches of a few MB; a resample is how often each example was drawn, each as often as its group."""
    arrays = vectors.flat(*arrays)
    if n == 0 or any(np.isnan(array).any() for array in arrays):
        return np.full(n, np.nan)
    size = int(which.max()) + 1
    alone = size == len(which) and (which == np.arange(size)).all()
    draws = _draws(size, rng, n, len(which))
    return np.concatenate([function(counts if alone else counts[:, which], *arrays) for counts in draws])


def _draws(size: int, rng: np.random.Generator, n: int, width: int) -> Iterator[np.ndarray]:
    """How often each of ``size`` examples is in each of n resamples, some resamples (rows) at a time."""
    batch = max(1, 500_000 // width)
    for start in range(0, n, batch):
        rows = min(batch, n - start)
        drawn = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(float)
