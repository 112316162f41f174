"""Positives with their bases and genome: the input of functions that make negatives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.data.sampling import Stretch
from biocnn.io.genome import Genome


@dataclass(frozen=True)
class EncodedExamples:
    """The table of some examples, and their bases: shape (N, L), uint8, padded with 5 if lengths vary."""

    examples: pd.DataFrame
    codes: np.ndarray

    def only(self, chosen: np.ndarray) -> "EncodedExamples":
        """Return the examples at these rows (indices or a mask)."""
        return EncodedExamples(
            self.examples[chosen] if chosen.dtype == bool else self.examples.iloc[chosen], self.codes[chosen]
        )


@dataclass(frozen=True)
class GenomeContext:
    """The genome of some windows, and where further windows may lie.

    Parameters
    ----------
    genome
        Genome of the windows.
    flank
        Bases at both ends of ``codes`` outside the window.
    max_unknown
        Largest share of unknown bases in a window.
    stretches
        For each group, where its negatives may lie.
    occupied
        All peaks and windows: chrom, start, end.
    closed
        Intervals that no window may touch: chrom, start, end.
    cut
        Function that returns the bases, flanks included, of a table of windows (chrom, start, strand).
    """

    genome: Genome
    flank: int
    max_unknown: float
    stretches: dict[str, Stretch]
    occupied: pd.DataFrame
    closed: pd.DataFrame
    cut: Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Positives(EncodedExamples):
    """The positives that negatives are made for.

    Parameters
    ----------
    examples
        id and group; for windows of a genome also chrom, start, end (without flanks), strand.
    codes
        Shape (N, L), uint8, flanks included.
    read
        Function that reads examples of the same kind from a file.
    context
        For windows of a genome; None for sequences.
    both_strands
        Whether a sequence counts as equal to its reverse complement: DNA.
    """

    read: Callable[[Path], EncodedExamples]
    context: GenomeContext | None = field(default=None)
    both_strands: bool = False

    @property
    def window(self) -> slice:
        """Return the columns of ``codes`` without flanks."""
        flank = self.context.flank if self.context else 0
        return slice(flank, self.codes.shape[1] - flank)
