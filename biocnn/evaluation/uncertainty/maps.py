"""Uncertainty maps from several predictions of one image: mean, entropy and mutual information."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from biocnn.tasks.maps import MapTask


@dataclass(frozen=True)
class Uncertainty:
    """Mean and uncertainty of several predictions of an image.

    Parameters
    ----------
    mean
        Mean prediction, shape (K, *spatial), float32.
    entropy
        Entropy of the mean, shape (*spatial), float32: 0 if one class is certain, 1 if all are equally likely. It is
        the total uncertainty, of the single predictions and of their disagreement.
    mutual_information
        Mutual information of class and prediction, shape (*spatial), in the same unit: the part of the entropy due to
        disagreement. It is 0 if all predictions agree, even on a high uncertainty, which more data of the same kind
        would not reduce.

    References
    ----------
    Gal et al., ICML 2017, arXiv:1703.02910.
    """

    mean: np.ndarray
    entropy: np.ndarray
    mutual_information: np.ndarray


def maps(samples: Iterable[np.ndarray], task: MapTask) -> Uncertainty:
    """Reduce predictions to uncertainty maps, with one prediction in memory at a time.

    Parameters
    ----------
    samples
        One or more predictions of shape (K, *spatial), as from ``Model.predict``.
    task
        Task that defines the entropy of a prediction.
    """
    total, entropy, number = None, None, 0
    for p in samples:
        found = task.entropy(p)
        total, entropy = (np.array(p, np.float32), found) if total is None else (total + p, entropy + found)
        number += 1
    if total is None:
        raise ValueError("no samples")
    mean = total / np.float32(number)
    whole = task.entropy(mean)
    return Uncertainty(mean, whole, np.maximum(whole - entropy / np.float32(number), 0) if number > 1 else 0 * whole)


def of_probability(p: np.ndarray, task: MapTask) -> Uncertainty:
    """Return the uncertainty maps of a single prediction, without mutual information."""
    return maps([p], task)
