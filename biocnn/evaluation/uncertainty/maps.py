"""Several answers about one image -> their mean, and maps of how unsure they are and how much they disagree."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

CLASSES_OF_INSTANCES = 3  # background, inside, boundary; the distance after them is no probability


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


def maps(samples: Iterable[np.ndarray], task: str) -> Uncertainty:
    """Reduce answers to maps, one after the other, so that memory holds one at a time.

    Parameters
    ----------
    samples
        At least one; each of shape (K, *spatial), as ``Model.predict`` gives it.
    task
        mask, classes or instances.
    """
    total, unsure, number = None, None, 0
    for p in samples:
        found = entropy(p, task)
        total, unsure = (np.array(p, np.float32), found) if total is None else (total + p, unsure + found)
        number += 1
    if total is None:
        raise ValueError("no samples")
    mean = total / np.float32(number)
    whole = entropy(mean, task)
    return Uncertainty(mean, whole, np.maximum(whole - unsure / np.float32(number), 0) if number > 1 else 0 * whole)


def of_probability(p: np.ndarray, task: str) -> Uncertainty:
    """The maps of a single answer, in which nothing can disagree."""
    return maps([p], task)


def entropy(p: np.ndarray, task: str) -> np.ndarray:
    """Entropy of each pixel over the logarithm of the number of classes: 0 to 1, whatever their number.

    Parameters
    ----------
    p
        Shape (K, *spatial): of a mask, P(foreground); of classes, all; of instances, P(background), P(inside),
        P(boundary), and what else follows.
    task
        mask, classes or instances.

    Returns
    -------
    entropy
        Shape (*spatial), float32, in units of ln(number of classes) nats.
    """
    p = np.asarray(p, np.float32)
    if task == "mask":
        return ((entr(p) + entr(1 - p)).sum(axis=0) / np.float32(np.log(2))).astype(np.float32)
    p = p[:CLASSES_OF_INSTANCES] if task == "instances" else p
    return (entr(p).sum(axis=0) / np.float32(np.log(len(p)))).astype(np.float32)
