"""Classes of objects: as a map to learn, and decided from maps of probabilities."""

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from biocnn.metrics.masks import IGNORE

CODES = 256  # classes in codes of ``with_classes``, unknown included


class ObjectClasses(NamedTuple):
    """Class of each of n objects.

    ``number`` (n,) is the class, from 0; ``score`` (n,) its probability; ``entropy`` (n,) that of the probabilities of
    all classes, normalised by the logarithm of their number to 0 to 1.
    """

    number: np.ndarray
    score: np.ndarray
    entropy: np.ndarray


def class_map(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the class of each pixel, (*spatial), uint8; 255 outside objects of known class.

    Parameters
    ----------
    labels
        Labels, shape (*spatial): 0 = background.
    classes
        Label and class of each object, shape (n, 2), ordered by label; 255: unknown.
    """
    ids, of_ids = np.append(0, classes[:, 0]), np.append(IGNORE, classes[:, 1]).astype(np.uint8)
    return of_ids[np.searchsorted(ids, labels)]


def with_classes(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return ``CODES`` times the label of each pixel plus the class of its object, (*spatial), for drawing; else 0.

    Parameters are those of `class_map`.
    """
    return np.where(labels > 0, CODES * labels.astype(np.int64) + class_map(labels, classes), 0)


def classes_of(p: np.ndarray, labels: np.ndarray) -> ObjectClasses:
    """Decide the class of each object by the mean probability over its pixels.

    Parameters
    ----------
    p
        Probability of each class, shape (K, *spatial).
    labels
        Labels 1..n, shape (*spatial): 0 = background.
    """
    flat = labels.ravel()
    where = np.flatnonzero(flat)
    ids, n = flat[where], int(flat.max(initial=0))
    sums = [np.bincount(ids, one.ravel()[where], minlength=n + 1)[1:] for one in p]
    mean = np.stack(sums, axis=1) / np.bincount(ids, minlength=n + 1)[1:, None]
    entropy = entr(mean).sum(axis=1) / np.log(len(p))
    return ObjectClasses(mean.argmax(axis=1), mean.max(axis=1, initial=0), entropy)
