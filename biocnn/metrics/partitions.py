"""Agreement of two partitions of an image into segments: V-Rand and variation of information.

As in the ISBI 2012 challenge, only pixels of true segments count, and each predicted pixel without a segment is a
segment of its own. Arganda-Carreras et al., Frontiers in Neuroanatomy 9, 142 (2015), doi:10.3389/fnana.2015.00142.
"""

import numpy as np

from biocnn.metrics.masks import check_shapes
from biocnn.metrics.weighted import ratio


def segments(border: np.ndarray) -> np.ndarray:
    """Label the segments separated by a border, and grow them until the border is one pixel wide.

    Parameters
    ----------
    border
        Shape (*spatial), bool, e.g. membranes or cell walls.

    Returns
    -------
    labels
        Shape (*spatial), int32: 0 = the thinned border, which still separates the same segments; 1..n = segments,
        connected along axes. Border pixels that separate nothing are removed.
    """
    from scipy.ndimage import distance_transform_edt, label
    from skimage.segmentation import watershed

    border = np.asarray(border, bool)
    found, _ = label(~border)
    return watershed(distance_transform_edt(border), found, watershed_line=True).astype(np.int32)


def v_rand(labels: np.ndarray, target_labels: np.ndarray) -> float:
    """Compute the foreground-restricted Rand F-score, the harmonic mean of Rand split and merge scores.

    Parameters
    ----------
    labels
        Predicted segments, integers, shape (*spatial); each pixel of 0 is a segment of its own.
    target_labels
        True segments, same shape; pixels of 0 are ignored.

    Returns
    -------
    v_rand
        Between 0 and 1; 1 if no two pixels belong together, in truth or prediction. Equals 1 minus scikit-image's
        adapted_rand_error.
    """
    return float(v_rand_of_counts(partition_counts(labels, target_labels)))


def variation_of_information(labels: np.ndarray, target_labels: np.ndarray) -> tuple[float, float]:
    """Compute the variation of information, for over- and undersegmentation separately.

    Parameters
    ----------
    labels
        Predicted segments, integers, shape (*spatial); each pixel of 0 is a segment of its own.
    target_labels
        True segments, same shape; pixels of 0 are ignored.

    Returns
    -------
    split, merge
        In bits: H(prediction | truth), from true segments that are split, and H(truth | prediction), from those that
        are merged. Both are 0 for identical partitions, and if there is no true segment. Their sum is the variation of
        information.
    """
    counts = partition_counts(labels, target_labels)
    return float(vi_split_of_counts(counts)), float(vi_merge_of_counts(counts))


def partition_counts(labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Compute sums for V-Rand and variation of information, which add up over images.

    Parameters
    ----------
    labels
        Predicted segments, integers, shape (*spatial).
    target_labels
        True segments, same shape; pixels of 0 are ignored.

    Returns
    -------
    counts
        Shape (7,): sums of n (n - 1) over intersections, predicted segments and true segments; sums of n log2 n over
        the same; and the number of pixels.
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
    numbers = (
        shared,
        np.bincount(predicted[kept]),
        np.bincount(true),
    )  # single pixels contribute 1 (1 - 1) = 1 log 1 = 0
    sizes = [number[number > 0].astype(float) for number in numbers]
    pairs = [(size * (size - 1)).sum() for size in sizes]
    return np.array([*pairs, *((size * np.log2(size)).sum() for size in sizes), inside.sum()])


def v_rand_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute V-Rand from `partition_counts` (..., 7)."""
    return ratio(2 * counts[..., 0], counts[..., 1] + counts[..., 2], empty=1)


def vi_split_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute H(prediction | truth) in bits from `partition_counts` (..., 7)."""
    return ratio(counts[..., 5] - counts[..., 3], counts[..., 6], empty=0)


def vi_merge_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute H(truth | prediction) in bits from `partition_counts` (..., 7)."""
    return ratio(counts[..., 4] - counts[..., 3], counts[..., 6], empty=0)
