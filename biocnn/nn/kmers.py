"""Counts of k-mers in sequences, as sparse matrices."""

import numpy as np
from scipy.sparse import csr_matrix, vstack

from biocnn.io.fasta import UNKNOWN

LENGTHS = range(1, 7)  # of the words of a linear model
LETTERS = 2**19  # bases whose words are counted at a time, to limit memory


def kmer_counts(codes: np.ndarray, lengths: range, *, strands: str) -> csr_matrix:
    """Count the k-mers of each sequence.

    Parameters
    ----------
    codes
        Shape (N, L), uint8: 0-3 = ACGT(U); k-mers with other codes (unknown, padding) are not counted.
    lengths
        Values of k, for example ``range(1, 7)`` for 1- to 6-mers.
    strands
        ``single``: k-mers are counted as read; ``both``: a k-mer and its reverse complement are merged, so that both
        strands of a sequence give the same counts.

    Returns
    -------
    counts
        Shape (N, number of k-mers), float32, ordered by length, then alphabetically. A k-mer and its reverse complement
        are represented by the alphabetically first of them.
    """
    columns, first = {}, 0
    for k in lengths:
        columns[k] = first + word_columns(k, strands)
        first = int(columns[k].max()) + 1
    rows = max(1, LETTERS // max(1, codes.shape[1]))
    parts = [_count(codes[start : start + rows], columns, first) for start in range(0, len(codes), rows)]
    return vstack(parts, "csr") if parts else csr_matrix((0, first), dtype=np.float32)


def word_columns(k: int, strands: str) -> np.ndarray:
    """Return the column of each of the 4**k k-mers in alphabetical order; shape (4**k,)."""
    words = np.arange(4**k)
    if strands == "single":
        return words
    digits = (words[:, None] // 4 ** np.arange(k)) % 4  # last base first
    other = ((3 - digits) * 4 ** np.arange(k)[::-1]).sum(axis=1)
    return np.unique(np.minimum(words, other), return_inverse=True)[1]


def _count(codes: np.ndarray, columns: dict[int, np.ndarray], width: int) -> csr_matrix:
    """Count k-mers of all lengths in one matrix; positions without a valid k-mer are skipped."""
    word, known, found, there = np.zeros(codes.shape, np.int32), np.ones(codes.shape, bool), [], []
    for k in range(1, min(max(columns), codes.shape[1]) + 1):
        last = codes[:, k - 1 :]
        word = word[:, : last.shape[1]] * 4 + last
        known = known[:, : last.shape[1]] & (last < UNKNOWN)
        if k in columns:
            found.append(columns[k].astype(np.int32)[np.where(known, word, 0)])
            there.append(known)
    if not found:
        return csr_matrix((len(codes), width), dtype=np.float32)
    valid, each = np.concatenate(there, axis=1), np.concatenate(found, axis=1)
    ends = np.concatenate([[0], np.cumsum(valid.sum(axis=1))])
    ones = np.ones(ends[-1], np.float32)
    counts = csr_matrix((ones, each[valid], ends), shape=(len(codes), width))
    counts.sum_duplicates()
    return counts
