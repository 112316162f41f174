"""Counts of words in sequences; without torch, which steps that need only these would load for nothing."""

import numpy as np
from scipy.sparse import csr_matrix

from biocnn.config.settings import Settings
from biocnn.config.strands import RNA
from biocnn.data.sequence_decisions import decide_sequences
from biocnn.io.ragged import Ragged
from biocnn.nn.kmers import LENGTHS, kmer_counts
from biocnn.tasks.facts import Facts

MOST_LETTERS = 12_000_000  # bases of the training split; of larger ones, only every n-th example is used


def strands_of(settings: Settings, facts: Facts) -> str:
    """Return whether a k-mer and its reverse complement are merged, as for networks that read both strands of DNA."""
    turned = any(getattr(section, "name", "") == "reverse_complement" for section in settings.augment)
    decided = decide_sequences(facts) | decide_sequences(facts, settings)  # the second: if the network has the setting
    both = decided["strands"].value == "both" or turned
    return "both" if both and facts.alphabet != RNA else "single"


def log_counts(codes: np.ndarray, strands: str) -> csr_matrix:
    """Return log(1 + count) of all 1- to 6-mers."""
    counts = kmer_counts(codes, LENGTHS, strands=strands)
    counts.data = np.log1p(counts.data)
    return counts


def thinned(x: Ragged, rows: np.ndarray, most: int) -> np.ndarray:
    """Return every n-th of the rows, with at most about ``most`` values of x altogether."""
    return rows[:: -(-int(x.shapes[rows].prod(axis=1).sum()) // most)]
