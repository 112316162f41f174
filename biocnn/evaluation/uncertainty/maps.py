"""Several answers about one image -> their mean, and maps of how unsure they are and how much they disagree."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from biocnn.tasks.maps import MapTask


@dataclass(frozen=True)
class Uncertainty:
    """What several answers about an image amount to.

    Parameters
    ----------
    mean
        The mean answer, shape (K, *spatial), float32.
    entropy
        Of the mean, shape (*spatial), float32: 0 where one class is certain, 1 where all are equally likely. It is all
        the uncertainty there is: that of the answers themselves, and that of their disagreement.
    mutual_information
        Between class and answer, shape (*spatial), in the same unit: how much of the entropy is disagreement. 0 where
        all answers agree, however unsure they are: more data of the same kind would not help there.

    References
    ----------
    Gal et al., ICML 2017, arXiv:1703.02910.
    """

    mean: np.ndarray
    entropy: np.ndarray
    mutual_information: np.ndarray


def maps(samples: Iterable[np.ndarray], task: MapTask) -> Uncertainty:
    """Reduce answers to maps, one after the other, so that memory holds one at a time.

    Parameters
    ----------
    samples
        At least one; each of shape (K, *spatial), as ``Model.predict`` gives it.
    task
        Says what the entropy of an answer is.
    """
    total, unsure, number = None, None, 0
    for p in samples:
        found = task.entropy(p)
        total, unsure = (np.array(p, np.float32), found) if total is None else (total + p, unsure + found)
        number += 1
    if total is None:
        raise ValueError("no samples")
    mean = total / np.float32(number)
    whole = task.entropy(mean)
    return Uncertainty(mean, whole, np.maximum(whole - unsure / np.float32(number), 0) if number > 1 else 0 * whole)


def of_probability(p: np.ndarray, task: MapTask) -> Uncertainty:
    """The maps of a single answer, in which nothing can disagree."""
    return maps([p], task)
