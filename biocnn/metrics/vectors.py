"""How good predicted numbers are.

A metric of vectors is defined once, for weighted examples: with weights of one it is the metric, with the counts of a
resample it is a bootstrap replicate, so intervals cost one pass instead of a loop.
"""

from collections.abc import Callable

import numpy as np

from biocnn.core.errors import InputError
from biocnn.metrics import weighted


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
    return _whole(weighted.auroc, probability, target)


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
    return _whole(weighted.auprc, probability, target)


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
    return _whole(weighted.accuracy, probability, target)


def recall_at_fdr10(probability: np.ndarray, target: np.ndarray) -> float:
    """Recall at a false discovery rate of 10%: the largest at a threshold above which at most a tenth is negative.

    Parameters
    ----------
    probability
        Shape (N,); those of one probability are taken together.
    target
        Shape (N,), 0 or 1.

    Returns
    -------
    recall
        Between 0 (no threshold is that clean) and 1; nan where only one class is present.
    """
    return _whole(weighted.recall_at_fdr10, probability, target)


def ece(probability: np.ndarray, target: np.ndarray) -> float:
    """Expected calibration error: how far predicted probabilities are from observed frequencies.

    Examples are sorted by probability into 15 bins of equal numbers, equal probabilities into one; the error is the
    mean distance between mean probability and share of positives, over the bins as they have examples. Noise alone
    makes it larger than 0, and larger still in resamples: an interval may lie above the value.

    Parameters
    ----------
    probability
        Shape (N,).
    target
        Shape (N,), 0 or 1.

    Returns
    -------
    ece
        Between 0 and 1; nan without examples.

    References
    ----------
    Guo et al., ICML 2017, arXiv:1706.04599 (there with bins of equal width).
    """
    return _whole(weighted.ece, probability, target)


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
    return _whole(weighted.pearson, probability, target)


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
    return _whole(weighted.spearman, probability, target)


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
    return _whole(weighted.mse, probability, target)


def labelled(target: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The rows of all arrays whose target, shape (N,), is known (not nan): the target first."""
    known = ~np.isnan(target)
    return target[known], *(array[known] for array in arrays)


def flat(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays as flat float64, after a check that they have one length."""
    shapes = [np.shape(array) for array in arrays]
    if len(set(shapes)) > 1:
        raise InputError(f"a metric was given arrays of shapes {shapes}", "give one prediction for each target")
    return tuple(np.asarray(array, float).ravel() for array in arrays)


def _whole(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> float:
    """A weighted metric of all examples, each counted once; nan without examples, or where a value is nan."""
    arrays = flat(*arrays)
    size = len(arrays[0])
    if size == 0 or any(np.isnan(array).any() for array in arrays):
        return float("nan")
    return float(function(np.ones((1, size)), *arrays)[0])
