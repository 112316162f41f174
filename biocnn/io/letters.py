"""Sequences in memory: text, codes or one-hot arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from biocnn.core.errors import InputError
from biocnn.io.fasta import UNKNOWN, decode

CODES = (
    "a list of strings; integers of shape (N, L) or (L,): 0-3 = A C G T, 4 = unknown, 5 = padding, 6-15 = ambiguous; "
    "or one-hot arrays of shape (N, 4, L) or (N, L, 4)"
)
BASES = 4
HIGHEST = 15  # largest code


def letters_of(x: Any) -> list[str] | None:
    """Return sequences as text; None if they are something else.

    Parameters
    ----------
    x
        Text, or a list, array or series of it; codes of shape (N, L), or a list of codes of shape (L,); or one-hot
        arrays. In these, a base of four equal numbers is unknown.

    Raises
    ------
    InputError
        If integers are not codes, or it is not clear which axis of one-hot arrays holds the bases.
    """
    if isinstance(x, str):
        return [x]
    if isinstance(x, pd.Series):
        x = x.tolist()
    if isinstance(x, np.ndarray) and x.ndim == 3:
        codes = _from_one_hot(x)
        return None if codes is None else [decode(row) for row in codes]
    if isinstance(x, np.ndarray) and x.dtype.kind == "U" and x.ndim == 1:
        return x.tolist()
    if not isinstance(x, np.ndarray | Sequence) or not len(x):
        return None
    if all(isinstance(one, str) for one in x):
        return list(x)
    rows = [np.asarray(one) for one in x]
    if not all(row.ndim == 1 and row.dtype.kind in "ui" for row in rows):
        return None
    for number, row in enumerate(rows):
        if row.size and not 0 <= row.min() <= row.max() <= HIGHEST:
            raise InputError(f"x[{number}]: numbers from {row.min()} to {row.max()} are not codes of bases", CODES)
    return [decode(row) for row in rows]


def _from_one_hot(x: np.ndarray) -> np.ndarray | None:
    """Return codes of shape (N, L), uint8; None if the arrays are not one-hot."""
    found = [axis for axis in (1, 2) if x.shape[axis] == BASES and _one_hot(x, axis)]
    if len(found) > 1:
        raise InputError(
            f"x: shape {x.shape}: which axis holds the bases?", "give strings or codes: x.argmax(axis=1), or axis=2"
        )
    if not found:
        return None
    unknown = x.max(axis=found[0]) == x.min(axis=found[0])
    return np.where(unknown, UNKNOWN, x.argmax(axis=found[0])).astype(np.uint8)


def _one_hot(x: np.ndarray, axis: int) -> bool:
    """Check that numbers along an axis are one 1 and zeros, only zeros, or equal parts of 1."""
    certain = np.isin(x, (0, 1)).all(axis=axis) & (x.sum(axis=axis) <= 1)
    return bool((certain | (x == 1 / BASES).all(axis=axis)).all())
