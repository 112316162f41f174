"""Confidence intervals of metrics by bootstrap over examples."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from biocnn.metrics import classes, vectors, weighted

FEWEST = 5  # minimum number of groups for a meaningful bootstrap
_OF_VECTORS = (
    "auroc", "auprc", "accuracy", "recall_at_fdr10", "sensitivity_at_specificity90", "ece", "pearson", "spearman",
    "mse", "mae", "rmse", "r2",
)  # fmt: skip
_OF_CLASSES = (
    "macro_auroc", "macro_auprc", "class_accuracy", "top2_accuracy", "balanced_accuracy", "cohens_kappa", "class_ece",
    "quadratic_kappa", "grade_mae", "grade_accuracy", "grade_spearman",
    "quadratic_kappa", "grade_mae", "grade_accuracy", "grade_spearman",
)  # fmt: skip
WEIGHTED = {getattr(vectors, name): getattr(weighted, name) for name in _OF_VECTORS} | {np.mean: weighted.mean}
BIASED = (vectors.ece, classes.class_ece)  # larger in resamples than in the examples
OF_CLASSES = {getattr(classes, name): getattr(weighted, name) for name in _OF_CLASSES}


def interval_text(low: float, high: float, form: str) -> str:
    """Return a 95% interval in brackets, with a format of its numbers; "" if it is NaN."""
    return "" if np.isnan(low) else f" (95% CI: {low:{form}} to {high:{form}})"


def bootstrap(
    metric: Callable[..., float], *arrays: np.ndarray, seed: int, n: int = 1000, groups: ArrayLike | None = None
) -> tuple[float, float]:
    """Compute the 95% percentile interval of a metric over bootstrap resamples of the examples.

    Calibration errors are larger in resamples, which repeat examples; this bias is subtracted from their interval.

    Parameters
    ----------
    metric
        A metric of vectors or classes, ``np.mean``, or any function of the arrays; all but the last are computed for
        many resamples at once.
    arrays
        Arrays of length N along the first axis; row i of all of them is one example.
    seed
        The same seed gives the same interval.
    n
        Number of resamples.
    groups
        Group of each example, (N,): whole groups are drawn (cluster bootstrap), because e.g. overlapping windows are
        similar. None: each example is a group.

    Returns
    -------
    low, high
        The 2.5th and 97.5th percentile over the resamples in which the metric is defined; NaN if there are none, or
        fewer than five groups, which would give a misleadingly narrow interval.
    """
    values = replicates(metric, *arrays, seed=seed, n=n, groups=groups)
    return interval(unbiased(values, metric(*arrays)) if metric in BIASED else values)


def replicates(
    metric: Callable[..., float], *arrays: np.ndarray, seed: int, n: int = 1000, groups: ArrayLike | None = None
) -> np.ndarray:
    """Compute the metric of each resample, shape (n,); NaN if undefined, or with fewer than five groups.

    The same seed draws the same examples, so the differences between the replicates of two predictions of the same
    examples are those of a paired bootstrap. For parameters see ``bootstrap``.
    """
    arrays = tuple(np.asarray(array) for array in arrays)
    number = len(arrays[0])
    names, which = np.unique(np.arange(number) if groups is None else np.asarray(groups), return_inverse=True)
    size = len(names)
    if size < FEWEST:
        return np.full(n, np.nan)
    rng = np.random.default_rng(seed)
    if metric in WEIGHTED:
        return _together(WEIGHTED[metric], vectors.flat(*arrays), which, rng, n)
    if metric in OF_CLASSES:
        return _together(OF_CLASSES[metric], classes.tables(*arrays), which, rng, n)
    members = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    draws = (np.concatenate([members[group] for group in rng.integers(size, size=size)]) for _ in range(n))
    return np.array([metric(*(array[rows] for array in arrays)) for rows in draws], float)


def unbiased(values: np.ndarray, value: float) -> np.ndarray:
    """Shift the replicates (n,) of a calibration error so that their mean is the value in the examples."""
    known = values[~np.isnan(values)]
    return np.maximum(values - known.mean() + value, 0) if known.size else values


def weighted_replicates(
    function: Callable[[np.ndarray], np.ndarray], groups: ArrayLike, *, seed: int, n: int = 1000, width: int
) -> np.ndarray:
    """Compute a function of the weights of examples for bootstrap resamples.

    Parameters
    ----------
    function
        Function from weights (B, N), which count how often each example was drawn, to values (B, ...).
    groups
        Group of each example, (N,): whole groups are drawn (cluster bootstrap).
    seed
        The same seed draws the same groups.
    n
        Number of resamples.
    width
        Numbers that ``function`` holds for one resample; determines B.

    Returns
    -------
    values
        Shape (n, ...); NaN if there are fewer than five groups, which would give a misleadingly narrow interval.
    """
    names, which = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < FEWEST or n == 0:
        return np.full((n, *function(np.ones((1, len(which)))).shape[1:]), np.nan)
    draws = _draws(len(names), np.random.default_rng(seed), n, width)
    return np.concatenate([function(counts[:, which]) for counts in draws])


def sum_replicates(
    function: Callable[[np.ndarray], np.ndarray],
    counts: np.ndarray,
    groups: ArrayLike | None = None,
    *,
    seed: int,
    n: int = 1000,
) -> np.ndarray:
    """Compute a function of sums over images for bootstrap resamples of the images.

    Parameters
    ----------
    function
        Function from summed counts (..., k) to values (...), e.g. pooled Dice, or a mean from sums and numbers.
    counts
        Counts of each image, shape (N, k) or (N, *k).
    groups
        Group of each image, (N,): whole groups are drawn (cluster bootstrap), because images of one patient or plate
        are similar. None: each image is a group.
    seed
        The same seed draws the same groups.
    n
        Number of resamples.

    Returns
    -------
    values
        Shape (n,); NaN if there are fewer than five groups, which would give a misleadingly narrow interval.
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
    """Return the 2.5th and 97.5th percentile of the values, ignoring NaN; NaN if all are."""
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
    """Evaluate resamples in batches of a few MB; each is given by how often each example's group was drawn."""
    if n == 0 or any(np.isnan(array).any() for array in arrays):
        return np.full(n, np.nan)
    size = int(which.max()) + 1
    alone = size == len(which) and (which == np.arange(size)).all()
    draws = _draws(size, rng, n, len(which))
    return np.concatenate([function(counts if alone else counts[:, which], *arrays) for counts in draws])


def _draws(size: int, rng: np.random.Generator, n: int, width: int) -> Iterator[np.ndarray]:
    """Yield batches of n resamples (rows), each as the counts of ``size`` examples."""
    batch = max(1, 500_000 // width)
    for start in range(0, n, batch):
        rows = min(batch, n - start)
        drawn = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(float)
