"""Similarity of motifs without a database, and groups of similar motifs."""

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

ALIKE = 0.7  # minimum mean similarity at which two groups are merged


def similarity(pfms: Sequence[np.ndarray], both_strands: bool) -> np.ndarray:
    """Cosine of frequencies minus 0.25 at the best offset and strand; overhanging columns count 0.

    Columns are weighted by their information; a motif and a half of it have a similarity of about 0.7.

    Parameters
    ----------
    pfms
        Matrices of n motifs, shape (L, 4) each.
    both_strands
        Whether to compare with reverse complements as well.

    Returns
    -------
    similarity
        Shape (n, n), symmetric, 1 on the diagonal (0 for a motif without information).
    """
    widest = max((len(pfm) for pfm in pfms), default=0)
    middle = np.zeros((len(pfms), 3 * widest, 4))
    for row, pfm in zip(middle, pfms, strict=True):
        row[widest : widest + len(pfm)] = pfm - 0.25
    middle /= np.maximum(np.sqrt((middle**2).sum(axis=(1, 2), keepdims=True)), 1e-12)
    flat = middle.reshape(len(pfms), -1)
    best = np.zeros((len(pfms), len(pfms)))
    for shift in range(-widest, widest + 1):
        moved = np.roll(middle, shift, axis=1)
        best = np.maximum(best, flat @ moved.reshape(flat.shape).T)
        if both_strands:
            turned = np.roll(middle[:, ::-1, ::-1], shift, axis=1)
            best = np.maximum(best, flat @ turned.reshape(flat.shape).T)
    return np.maximum(best, best.T)


def placed(first: np.ndarray, second: np.ndarray, both_strands: bool) -> tuple[int, bool]:
    """Align two motifs, of shape (L, 4), where their frequencies minus 0.25 have the largest sum of products.

    Returns
    -------
    column, turned
        Column of the first motif at which the second one starts, and whether the second is reverse-complemented.
    """
    found = []
    for turned in (False, True)[: 1 + both_strands]:
        other = second[::-1, ::-1] if turned else second
        # Entry i of a full cross-correlation is that of the other motif shifted by i - (its length - 1).
        sums = sum(np.correlate(first[:, base] - 0.25, other[:, base] - 0.25, "full") for base in range(4))
        found.append((float(np.max(sums)), int(np.argmax(sums)) - (len(other) - 1), turned))
    return max(found, key=lambda one: one[0])[1:]


def grouped(pfms: Sequence[np.ndarray], both_strands: bool) -> np.ndarray:
    """Group similar motifs: return for each motif the index of the first one of its group.

    Average linkage: groups are merged while the mean similarity over pairs of members is at least 0.7.

    Parameters
    ----------
    pfms
        Matrices of n motifs, shape (L, 4) each, the most important first.
    both_strands
        Whether to compare with reverse complements as well.
    """
    if len(pfms) < 2:
        return np.zeros(len(pfms), dtype=int)
    distance = np.clip(1 - similarity(pfms, both_strands), 0, None)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    label = fcluster(tree, 1 - ALIKE, "distance")
    return np.array([np.flatnonzero(label == one)[0] for one in label])
