"""The result of every data reader."""

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
        One row per example: ``id`` (unique), ``group`` (never cut by a split), ``split`` if given, the origin of the
        example (chrom, start, end, strand, 0-based half-open; or image and mask paths), and ``covariate_...`` for each
        of the facts' covariates: float64, or text; NaN is missing.
    x
        Function of the row number that returns uint8 codes of shape (L,) (0-3 = ACGT, 4 = unknown, 5 = padding,
        6-15 = ambiguous), or an image of shape (C, *spatial) in its own dtype.
    y
        Targets of shape (N, K), float32, nan if one of several is unknown; or a function of the row number that returns
        a mask (uint8, 255 = ignore) or labels (int32) of shape (*spatial), values (float32, nan = unknown) of shape
        (K, *spatial), or boxes (float32) of shape (M, 1 + 2 spatial_dims), see ``biocnn.tasks.target.Boxes``.
    facts
        Facts about all examples.
    contigs
        Contigs that groups are named after, which a user may spell differently.
    classes
        Function of the row number that returns label and class of each object, shape (n, 2), int32, ordered by label;
        classes are counted from 0, 255 is unknown. None: objects have no classes.
    second
        Function of the row number that returns what a second annotator drew, in the form of y, or an array whose axes
        all have length 0 if there is nothing; None: there is no second annotator.
    signal
        Function of the row number that returns the values of tracks beside the bases, float32, nan if there is none,
        shape (S, L), in the order of the facts' ``signal``; None: there are no tracks.
    folder
        Folder in which ``biocnn.data.stored_raw`` stored x and y, if any.
    """

    examples: pd.DataFrame
    x: Callable[[int], np.ndarray]
    y: np.ndarray | Callable[[int], np.ndarray]
    facts: Facts
    contigs: Contigs | None = None
    classes: Callable[[int], np.ndarray] | None = None
    folder: Path | None = None
    second: Callable[[int], np.ndarray] | None = None
    signal: Callable[[int], np.ndarray] | None = None

    def truth(self, row: int) -> np.ndarray:
        """Return the ground truth of an example: shape (K,), (*spatial), (K, *spatial) or (M, 1 + 2 spatial_dims)."""
        return self.y(row) if callable(self.y) else np.asarray(self.y[row], np.float32)
