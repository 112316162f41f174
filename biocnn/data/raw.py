"""What every reader of data hands to the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.io.contigs import Contigs
from biocnn.tasks.facts import Facts


@dataclass
class Raw:
    """Examples as read, before splits and storage.

    Parameters
    ----------
    examples
        One row an example: ``id`` (unique), ``group`` (never cut by a split), ``split`` where one is given, and where
        the example comes from (chrom, start, end, strand, 0-based half-open; or image and mask paths).
    x
        Row number to uint8 codes of shape (L,) (0-3 = ACGT, 4 = unknown, 5 = padding, 6-15 = ambiguous), or to an image
        of shape (C, *spatial) in its own dtype.
    y
        Targets of shape (N, K), float32, nan where one of several is not known; or row number to a mask (uint8, 255 =
        ignore) or labels (int32) of shape (*spatial).
    facts
        What holds for all examples.
    contigs
        The contigs that groups are named after, where a user may spell them otherwise.
    folder
        Where ``biocnn.data.stored_raw`` has stored x and y, if it has.
    """

    examples: pd.DataFrame
    x: Callable[[int], np.ndarray]
    y: np.ndarray | Callable[[int], np.ndarray]
    facts: Facts
    contigs: Contigs | None = None
    folder: Path | None = None

    def truth(self, row: int) -> np.ndarray:
        """What is true of an example: shape (K,), float32, or (*spatial)."""
        return self.y(row) if callable(self.y) else np.asarray(self.y[row], np.float32)
