"""Metrics of predicted probabilities and values.

Metrics of vectors are defined once, for weighted examples: unit weights give the metric, the counts of a resample give
a bootstrap replicate, so that intervals need one pass instead of a loop. Unless stated otherwise, ``probability`` has
shape (N,), and ``target`` has shape (N,) with values 0 and 1.
"""

from collections.abc import Callable

import numpy as np

from biocnn.core.errors import InputError
from biocnn.metrics import weighted


def auroc(probability: np.ndarray, target: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a positive outranks a negative; ties count half.

    ``probability`` may be any score that increases with it. NaN if only one class is present.
    """
    return _whole(weighted.auroc, probability, target)


def auprc(probability: np.ndarray, target: np.ndarray) -> float:
    """Area under the precision-recall curve as average precision: no interpolation, ties grouped.

    Chance level is the fraction of positives. NaN if only one class is present.
    """
    return _whole(weighted.auprc, probability, target)


def accuracy(probability: np.ndarray, target: np.ndarray) -> float:
    """Fraction of examples on the right side of probability 0.5, which counts as positive; NaN without examples."""
    return _whole(weighted.accuracy, probability, target)


def recall_at_fdr10(probability: np.ndarray, target: np.ndarray) -> float:
    """Recall at a false discovery rate of 10%: the largest recall at any threshold with at most 10% negatives above.

    Ties are grouped. 0 if no threshold reaches the rate; NaN if only one class is present.
    """
    return _whole(weighted.recall_at_fdr10, probability, target)


def sensitivity_at_specificity90(probability: np.ndarray, target: np.ndarray) -> float:
    """Sensitivity at a specificity of 90%: the largest at any threshold with at most 10% of all negatives above it.

    Ties are grouped. 0 if no threshold reaches the specificity; NaN if only one class is present.
    """
    return _whole(weighted.sensitivity_at_specificity90, probability, target)


def ece(probability: np.ndarray, target: np.ndarray) -> float:
    """Expected calibration error: the distance of predicted probabilities from observed frequencies.

    Examples are sorted by probability into 15 bins of equal size, with equal probabilities in the same bin. The error
    is the mean distance between mean probability and fraction of positives, weighted by bin size. Noise alone makes it
    larger than 0, and even larger in resamples, so that an interval may lie above the value. NaN without examples.

    References
    ----------
    Guo et al., ICML 2017, arXiv:1706.04599 (with bins of equal width).
    """
    return _whole(weighted.ece, probability, target)


def pearson(probability: np.ndarray, target: np.ndarray) -> float:
    """Pearson correlation of predicted and measured values, (N,) each; NaN if either is constant."""
    return _whole(weighted.pearson, probability, target)


def spearman(probability: np.ndarray, target: np.ndarray) -> float:
    """Spearman correlation of predicted and measured values, (N,) each, with mean ranks for ties; NaN if constant."""
    return _whole(weighted.spearman, probability, target)


def mse(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean squared error of predicted and measured values, (N,) each, in squared units; NaN without examples."""
    return _whole(weighted.mse, probability, target)


def mae(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean absolute error of predicted and measured values, (N,) each, in their unit; NaN without examples."""
    return _whole(weighted.mae, probability, target)


def rmse(probability: np.ndarray, target: np.ndarray) -> float:
    """Root of the mean squared error of predicted and measured values, in their unit; NaN without examples."""
    return _whole(weighted.rmse, probability, target)


def r2(probability: np.ndarray, target: np.ndarray) -> float:
    """Coefficient of determination: 1 minus the squared error relative to that of the mean target.

    1 is perfect; the mean of the targets gives 0, worse predictions less. NaN if the target is constant.
    """
    return _whole(weighted.r2, probability, target)


def gaussian_crps(mean: np.ndarray, sd: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of normal distributions for each target; all arrays have the same shape.

    In the unit of the targets: the absolute error for a distribution of no width, and smaller for honest ones.

    References
    ----------
    Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359-378 (2007), doi:10.1198/016214506000001437.
    """
    from scipy.stats import norm

    z = (target - mean) / sd
    return sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


def labelled(target: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the rows of the target, (N,) or (N, K), and of the arrays where the target is known (not NaN)."""
    known = (~np.isnan(target)).all(axis=tuple(range(1, target.ndim)))
    return target[known], *(array[known] for array in arrays)


def flat(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Flatten arrays to float64 after checking that their shapes agree."""
    shapes = [np.shape(array) for array in arrays]
    if len(set(shapes)) > 1:
        raise InputError(f"a metric was given arrays of different shapes {shapes}", "give one prediction per target")
    return tuple(np.asarray(array, float).ravel() for array in arrays)


def _whole(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> float:
    return weighted.whole(function, *flat(*arrays))
