"""Metrics of one of several classes: of probabilities (N, K) and targets (N, K), one-hot rows.

The likeliest class is the first among equally likely ones. Means over classes leave out those for which the metric is
not defined, e.g. classes without examples.
"""

from collections.abc import Callable

import numpy as np

from biocnn.core.errors import InputError
from biocnn.metrics import weighted


def macro_auroc(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean over classes of the area under the ROC curve of each class against all others."""
    return _whole(weighted.macro_auroc, probability, target)


def macro_auprc(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean over classes of the average precision of each class against all others."""
    return _whole(weighted.macro_auprc, probability, target)


def class_accuracy(probability: np.ndarray, target: np.ndarray) -> float:
    """Fraction of examples whose likeliest class is the true one; NaN without examples."""
    return _whole(weighted.class_accuracy, probability, target)


def top2_accuracy(probability: np.ndarray, target: np.ndarray) -> float:
    """Fraction of examples whose true class is one of the two likeliest; NaN without examples."""
    return _whole(weighted.top2_accuracy, probability, target)


def balanced_accuracy(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean over classes of the fraction of their examples that are recognised: each class counts the same."""
    return _whole(weighted.balanced_accuracy, probability, target)


def cohens_kappa(probability: np.ndarray, target: np.ndarray) -> float:
    """Cohen's kappa of true and likeliest class: 1 for perfect agreement, 0 for that expected by chance.

    NaN without examples, or if there is only one class, in truth and prediction.
    """
    return _whole(weighted.cohens_kappa, probability, target)


def quadratic_kappa(probability: np.ndarray, target: np.ndarray) -> float:
    """Cohen's kappa of true and median grade, weighted by the square of their distance; classes are ordered grades.

    1 for perfect agreement, 0 for that expected by chance. NaN without examples, or if all true and
    predicted grades are equal.
    """
    return _whole(weighted.quadratic_kappa, probability, target)


def grade_mae(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean absolute error of the median grade, in grades; NaN without examples."""
    return _whole(weighted.grade_mae, probability, target)


def grade_accuracy(probability: np.ndarray, target: np.ndarray) -> float:
    """Fraction of examples whose median grade is the true one; NaN without examples."""
    return _whole(weighted.grade_accuracy, probability, target)


def grade_spearman(probability: np.ndarray, target: np.ndarray) -> float:
    """Spearman correlation of the expected and the true grade; NaN if either is constant."""
    return _whole(weighted.grade_spearman, probability, target)


def class_ece(probability: np.ndarray, target: np.ndarray) -> float:
    """Expected calibration error of the probability of the likeliest class, see `ece`; NaN without examples."""
    return _whole(weighted.class_ece, probability, target)


def class_confusion(probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Count the examples of each true class (rows) by their likeliest class (columns); shape (K, K)."""
    probability, target = tables(probability, target)
    predicted = np.eye(target.shape[1])[probability.argmax(axis=1)]
    return (target.T @ predicted).astype(int)


def tables(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Convert arrays to float64 after checking that they have the same shape (N, K)."""
    shapes = [np.shape(array) for array in arrays]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2:
        raise InputError(
            f"a metric of classes was given arrays of shapes {shapes}",
            "give probabilities (N, K) and targets (N, K), one-hot",
        )
    return tuple(np.asarray(array, float) for array in arrays)


def _whole(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> float:
    return weighted.whole(function, *tables(*arrays))
