"""Metrics of numbers along sequences, from sums that add up over windows."""

import numpy as np

from biocnn.metrics.vectors import pearson, r2, spearman
from biocnn.metrics.weighted import ratio


def products(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return number, sums, sums of squares, and sum of products of two vectors (N,): shape (6,), for `pearson_of`."""
    p, y = np.asarray(p, np.float64), np.asarray(y, np.float64)
    return np.array([len(p), p.sum(), y.sum(), p @ p, y @ y, p @ y])


def pearson_of(sums: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation from sums of `products`, (..., 6); NaN if either vector is constant."""
    n, p, y, pp, yy, py = np.moveaxis(sums, -1, 0)
    spread = (n * pp - p**2) * (n * yy - y**2)
    # Rounding leaves up to about 1e-12 of the squares of a constant.
    varies = (n * pp - p**2 > 1e-10 * n * pp) & (n * yy - y**2 > 1e-10 * n * yy)
    return ratio(np.where(varies, n * py - p * y, np.nan), np.sqrt(np.where(varies, spread, 1)))


def window_pearson(p: np.ndarray, y: np.ndarray) -> float:
    """Return the Pearson correlation along a window, from vectors (L,); NaN if either is constant."""
    return pearson(p, y)


def window_spearman(p: np.ndarray, y: np.ndarray) -> float:
    """Return the Spearman correlation along a window, from vectors (L,); NaN if either is constant."""
    return spearman(p, y)


def total_r2(p: np.ndarray, y: np.ndarray) -> float:
    """Return the coefficient of determination of the totals of windows, (N,); NaN if the truth is constant."""
    return r2(p, y)


def shape_distance(p: np.ndarray, y: np.ndarray) -> float:
    """Return the Jensen-Shannon distance of two vectors (L,) of numbers from 0 up, each divided by its sum.

    0 for equal shapes, 1 for shapes that do not overlap; NaN if a sum is 0. It is large for few counts, even if
    they are drawn from the predicted shape.

    References
    ----------
    Endres and Schindelin, IEEE Trans. Inf. Theory 49, 1858-1860 (2003), doi:10.1109/TIT.2003.813506.
    """
    from scipy.special import rel_entr

    p, y = np.asarray(p, np.float64), np.asarray(y, np.float64)
    if not (p.sum() > 0 and y.sum() > 0):
        return np.nan
    p, y = p / p.sum(), y / y.sum()
    middle = (p + y) / 2
    return float(np.sqrt(max(0.0, (rel_entr(p, middle).sum() + rel_entr(y, middle).sum()) / (2 * np.log(2)))))


def errors(p: float, y: float) -> np.ndarray:
    """Return number, squared error, value and its square of a window's total: shape (4,), for `r2_of`."""
    return np.array([1.0, (p - y) ** 2, y, y**2])


def r2_of(sums: np.ndarray) -> np.ndarray:
    """Return the coefficient of determination from sums of `errors`, (..., 4); NaN if the truth is constant."""
    n, error, y, yy = np.moveaxis(sums, -1, 0)
    spread = n * yy - y**2
    return 1 - ratio(n * error, np.where(spread > 1e-10 * n * yy, spread, np.nan))


def mean_of(sums: np.ndarray) -> np.ndarray:
    """Return the mean from sums and numbers of values, (..., 2)."""
    return ratio(sums[..., 0], sums[..., 1])


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values (N,), equal ones with their mean rank, relative to the largest."""
    from scipy.stats import rankdata  # takes .3 s of each process

    return rankdata(values) / max(1, len(values))
