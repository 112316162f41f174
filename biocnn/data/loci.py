"""Loci of examples that are not independent: overlapping windows, equal sequences, shuffles of one positive."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from biocnn.data.leakage import Identity

FROM = "shuffled_from"  # column: id of the example that was shuffled


def loci(identity: Identity, examples: pd.DataFrame) -> np.ndarray:
    """Assign the same locus to all examples that are connected by a chain of matches.

    Windows match if they share a base (on either strand), sequences if they are equal or reverse complements, and an
    example matches its shuffles.

    Parameters
    ----------
    identity
        Identity of all examples.
    examples
        Their table: id, and optionally ``shuffled_from``.

    Returns
    -------
    locus
        Shape (N,), from 0, in the order of the examples.
    """
    number = len(examples)
    pairs = [_alike(identity.either_strand)]
    if identity.windows is not None:
        pairs.append(_overlapping(identity.windows))
    if FROM in examples:
        row = pd.Series(range(number), index=examples["id"])
        shuffled = np.flatnonzero(examples[FROM].isin(row.index))
        pairs.append(np.stack([shuffled, row[examples[FROM].iloc[shuffled]].to_numpy(int)], axis=1))
    one, other = np.concatenate(pairs).T
    return connected_components(coo_matrix((np.ones(len(one)), (one, other)), (number, number)), directed=False)[1]


def _alike(numbers: np.ndarray) -> np.ndarray:
    """Return pairs of consecutive examples with the same number: shape (M, 2)."""
    order = np.argsort(numbers, kind="stable")
    same = np.flatnonzero(np.diff(numbers[order]) == 0)
    return np.stack([order[same], order[same + 1]], axis=1)


def _overlapping(windows: np.ndarray) -> np.ndarray:
    """Return pairs of windows, (N, 2), that connect all overlapping ones: shape (M, 2)."""
    order = np.lexsort(windows.T[::-1])
    reach = np.maximum.accumulate(windows[order, 1])
    joined = np.flatnonzero(windows[order[1:], 0] < reach[:-1])
    return np.stack([order[joined], order[joined + 1]], axis=1)
