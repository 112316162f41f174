"""What every reader of data hands to the rest."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

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
    find_groups
        Names of groups as a user spells them to those of ``examples``; a name that is not found is left out. None: they
        must be spelled alike.
    """

    examples: pd.DataFrame
    x: Callable[[int], np.ndarray]
    y: np.ndarray | Callable[[int], np.ndarray]
    facts: Facts
    find_groups: Callable[[list[str]], dict[str, str]] | None = None

    def truth(self, row: int) -> np.ndarray:
        """What is true of an example: shape (K,), float32, or (*spatial)."""
        return self.y(row) if callable(self.y) else np.asarray(self.y[row], np.float32)
