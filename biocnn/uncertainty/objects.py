"""How unsure the network is of each object."""

import numpy as np

from biocnn.uncertainty.maps import Uncertainty


def object_uncertainty(labels: np.ndarray, found: Uncertainty) -> np.ndarray:
    """Mean entropy inside of each object.

    Parameters
    ----------
    labels
        Integers, shape (*spatial): 0 = background.
    found
        Maps of the same image.

    Returns
    -------
    uncertainty
        One number for each object, in the order of label; 0 to 1.
    """
    return means(labels, found.entropy)


def means(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of a map in each object, in the order of label."""
    ids, flat = np.unique(labels, return_inverse=True)
    flat = flat.ravel()
    found = np.bincount(flat, values.ravel()) / np.bincount(flat)
    return found[ids > 0]


def best_iou(labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """The IoU of each object with the true one that it has most of; 0 where it has none; in the order of label.

    Parameters
    ----------
    labels, target_labels
        Integers, shape (*spatial): 0 = background.
    """
    ids, one = np.unique(labels, return_inverse=True)
    target_ids, other = np.unique(target_labels, return_inverse=True)
    one, other = one.ravel(), other.ravel()
    keys, shared = np.unique(one * len(target_ids) + other, return_counts=True)
    rows, columns = np.divmod(keys, len(target_ids))
    iou = shared / (np.bincount(one)[rows] + np.bincount(other)[columns] - shared)
    best = np.zeros(len(ids))
    real = target_ids[columns] > 0
    np.maximum.at(best, rows[real], iou[real])
    return best[ids > 0]


def image_uncertainty(decided: np.ndarray, found: Uncertainty, task: str) -> float:
    """How bad the network itself expects its mask or labels of an image to be.

    Parameters
    ----------
    decided
        What was made of the mean: a mask or labels, shape (*spatial).
    found
        Maps of the image.
    task
        mask, classes or instances.

    Returns
    -------
    uncertainty
        0 to 1: one less the Dice of the decision with the probabilities themselves, averaged over the classes but the
        background; of instances, all objects are one class. 0 where nothing is seen.
    """
    p = found.mean
    pairs = {
        "mask": lambda: [(decided == 1, p[0])],
        "classes": lambda: [(decided == k, p[k]) for k in range(1, len(p))],
        "instances": lambda: [(decided > 0, 1 - p[0])],
    }[task]()
    sums = [(float(p[mask].sum()), float(mask.sum() + p.sum())) for mask, p in pairs]
    return float(np.mean([1 - 2 * shared / total if total > 0 else 0.0 for shared, total in sums]))
