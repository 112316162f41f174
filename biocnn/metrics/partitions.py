"""How well two divisions of an image into segments agree: V-Rand and variation of information.

As in the ISBI 2012 challenge, only pixels of true segments count, and a predicted pixel that belongs to no segment is
one of its own. Arganda-Carreras et al., Frontiers in Neuroanatomy 9, 142 (2015), doi:10.3389/fnana.2015.00142.
"""

import numpy as np

from biocnn.metrics.masks import check_shapes
from biocnn.metrics.weighted import ratio


def segments(border: np.ndarray) -> np.ndarray:
    """The segments that a border divides an image into, grown into the border until one pixel of it is left.

    Parameters
    ----------
    border
        Shape (*spatial), bool: membranes, cell walls.

    Returns
    -------
    labels
        Shape (*spatial), int32: 0 = the thinned border, which still divides what it divided; 1..n = segments,
        connected along axes. Border that divides nothing is gone.
    """
    from scipy.ndimage import distance_transform_edt, label
    from skimage.segmentation import watershed

    border = np.asarray(border, bool)
    found, _ = label(~border)
    return watershed(distance_transform_edt(border), found, watershed_line=True).astype(np.int32)


def v_rand(labels: np.ndarray, target_labels: np.ndarray) -> float:
    """Foreground-restricted Rand F-score: the harmonic mean of pairs kept together and of pairs kept apart.

    Parameters
    ----------
    labels
        Predicted segments, integers, shape (*spatial): each pixel of 0 is a segment of its own.
    target_labels
        True segments, of the same shape; pixels of 0 are left out.

    Returns
    -------
    v_rand
        Between 0 and 1; 1 where no two pixels belong together, in truth or prediction. One less scikit-image's
        adapted_rand_error.
    """
    return float(v_rand_of_counts(partition_counts(labels, target_labels)))


def variation_of_information(labels: np.ndarray, target_labels: np.ndarray) -> tuple[float, float]:
    """What each division does not tell of the other: too many segments, and too few.

    Parameters
    ----------
    labels
        Predicted segments, integers, shape (*spatial): each pixel of 0 is a segment of its own.
    target_labels
        True segments, of the same shape; pixels of 0 are left out.

    Returns
    -------
    split, merge
        In bits: H(prediction | truth), from true segments that were divided, and H(truth | prediction), from those
        that were joined. Both are 0 for the same division, and where there is no true segment. Their sum is the
        variation of information.
    """
    counts = partition_counts(labels, target_labels)
    return float(vi_split_of_counts(counts)), float(vi_merge_of_counts(counts))


def partition_counts(labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Sums that add up over images, whose segments are all different.

    Parameters
    ----------
    labels
        Predicted segments, integers, shape (*spatial).
    target_labels
        True segments, of the same shape.

    Returns
    -------
    counts
        Of shape (7,): sums of n (n - 1) over what both share, over predicted and over true segments; sums of
        n log2 n over the same; and the number of pixels.
    """
    check_shapes(labels, target_labels)
    inside = np.asarray(target_labels) != 0
    predicted, true = np.asarray(labels)[inside], np.asarray(target_labels)[inside]
    _, true = np.unique(true, return_inverse=True)
    ids, predicted = np.unique(predicted, return_inverse=True)
    joined = np.ones(len(ids), bool)
    joined[ids == 0] = False
    kept = joined[predicted]
    shared = np.unique(true[kept].astype(np.int64) * len(ids) + predicted[kept], return_counts=True)[1]
    numbers = shared, np.bincount(predicted[kept]), np.bincount(true)  # pixels of their own: 1 (1 - 1), 1 log 1 are 0
    sizes = [number[number > 0].astype(float) for number in numbers]
    pairs = [(size * (size - 1)).sum() for size in sizes]
    return np.array([*pairs, *((size * np.log2(size)).sum() for size in sizes), inside.sum()])


def v_rand_of_counts(counts: np.ndarray) -> np.ndarray:
    """V-Rand of `partition_counts` (..., 7)."""
    return ratio(2 * counts[..., 0], counts[..., 1] + counts[..., 2], empty=1)


def vi_split_of_counts(counts: np.ndarray) -> np.ndarray:
    """H(prediction | truth) in bits, of `partition_counts` (..., 7)."""
    return ratio(counts[..., 5] - counts[..., 3], counts[..., 6], empty=0)


def vi_merge_of_counts(counts: np.ndarray) -> np.ndarray:
    """H(truth | prediction) in bits, of `partition_counts` (..., 7)."""
    return ratio(counts[..., 4] - counts[..., 3], counts[..., 6], empty=0)
