"""Some examples and their bases; what negatives are made from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.data.sampling import Stretch
from biocnn.io.genome import Genome


@dataclass(frozen=True)
class Part:
    """Some examples: their table, and their bases of shape (N, L), uint8, padded with 5 where lengths vary."""

    examples: pd.DataFrame
    codes: np.ndarray

    def only(self, chosen: np.ndarray) -> "Part":
        """The examples at these rows (numbers, or true where chosen)."""
        return Part(self.examples[chosen] if chosen.dtype == bool else self.examples.iloc[chosen], self.codes[chosen])


@dataclass(frozen=True)
class Site:
    """What windows of a genome have beyond their bases.

    Parameters
    ----------
    genome
        Where the windows are from.
    flank
        Bases at both ends of ``codes`` that are not part of the window.
    max_unknown
        Largest share of unknown bases in a window.
    stretches
        For each group, where its negatives may lie.
    occupied
        All peaks and windows: chrom, start, end.
    closed
        Intervals that no window may touch, likewise.
    cut
        Table of windows (chrom, start, strand) to their bases, flanks included.
    """

    genome: Genome
    flank: int
    max_unknown: float
    stretches: dict[str, Stretch]
    occupied: pd.DataFrame
    closed: pd.DataFrame
    cut: Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Positives(Part):
    """What negatives are made from.

    Parameters
    ----------
    examples
        id and group; for windows of a genome also chrom, start, end (without flanks), strand.
    codes
        Shape (N, L), uint8, flanks included.
    read
        Reads examples of the same kind from a file.
    site
        Where windows of a genome come from; None for sequences.
    both_strands
        Whether sequences are alike where one is the reverse complement of the other: DNA.
    """

    read: Callable[[Path], Part]
    site: Site | None = field(default=None)
    both_strands: bool = False

    @property
    def window(self) -> slice:
        """The columns of ``codes`` without flanks."""
        flank = self.site.flank if self.site else 0
        return slice(flank, self.codes.shape[1] - flank)
