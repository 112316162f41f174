"""Sequences of different lengths as rows of one padded array."""

import numpy as np
import pandas as pd

from biocnn.io.fasta import PADDING, reverse_complement

FILL = bytes([PADDING])


def pad(bases: list[np.ndarray]) -> np.ndarray:
    """Pad codes of shape (L,) each to an array of shape (N, longest L), uint8."""
    lengths = np.array([len(codes) for codes in bases])
    padded = np.full((len(bases), lengths.max()), PADDING, np.uint8)
    padded[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(bases)
    return padded


def stack(*parts: np.ndarray) -> np.ndarray:
    """Concatenate padded arrays of shape (N, L) with different L."""
    longest = max(part.shape[1] for part in parts)
    wide = [np.pad(part, ((0, 0), (0, longest - part.shape[1])), constant_values=PADDING) for part in parts]
    return np.concatenate(wide)


def lengths(codes: np.ndarray) -> np.ndarray:
    """Return the length of each sequence without padding: shape (N,)."""
    return (codes != PADDING).sum(axis=1)


def first_alike(codes: np.ndarray, both_strands: bool) -> np.ndarray:
    """Return for each sequence the row of the first one with the same bases (on either strand if asked): (N,)."""
    keys = [row.tobytes().rstrip(FILL) for row in codes]
    if both_strands:
        other = [row.tobytes().lstrip(FILL) for row in reverse_complement(codes)]
        keys = [min(pair) for pair in zip(keys, other, strict=True)]
    code, first = pd.factorize(np.array(keys, object))
    rows = np.full(len(first), -1, np.int64)
    rows[code[::-1]] = np.arange(len(codes))[::-1]
    return rows[code]
