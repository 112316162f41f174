"""Metrics of predicted numbers of objects."""

import numpy as np


def count_mae(count: np.ndarray, target: np.ndarray) -> float:
    """Mean absolute error of predicted counts, (N,) each; NaN without examples."""
    return _mean(np.abs(count - target))


def count_rmse(count: np.ndarray, target: np.ndarray) -> float:
    """Root of the mean squared error of predicted counts, (N,) each; NaN without examples."""
    return float(np.sqrt(_mean((count - target) ** 2)))


def count_bias(count: np.ndarray, target: np.ndarray) -> float:
    """Mean of predicted minus true counts, (N,) each; NaN without examples."""
    return _mean(count - target)


def relative_error(count: np.ndarray, target: np.ndarray) -> float:
    """Mean absolute error of counts, (N,) each, relative to the true one, or 1 if it is 0; NaN without examples."""
    return _mean(np.abs(count - target) / np.maximum(target, 1))


def game(density: np.ndarray, target: np.ndarray, level: int) -> np.ndarray:
    """Grid average mean absolute error of one example: errors of counts, summed over a grid of cells.

    Unlike in the count of the whole image, which is level 0, errors at different places do not cancel.

    Parameters
    ----------
    density, target
        Predicted and true number of objects per pixel, shape (K, *spatial).
    level
        Each axis is divided into 2 ** level parts.

    Returns
    -------
    errors
        Shape (K,).

    References
    ----------
    Guerrero-Gómez-Olmo et al., IbPRIA 2015, doi:10.1007/978-3-319-19390-8_48.
    """
    sums = np.asarray(density, float) - target
    for axis in range(1, sums.ndim):
        parts = np.array_split(sums, 2**level, axis=axis)
        sums = np.concatenate([part.sum(axis=axis, keepdims=True) for part in parts], axis=axis)
    return np.abs(sums).reshape(len(sums), -1).sum(axis=1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
