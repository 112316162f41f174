"""Intervals by split conformal prediction, whose width follows from the errors of validation examples."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

COVERAGE = 0.9  # share of the intervals that are to contain the true value
FEWEST = 9  # examples for an interval with this share


def conformal_margin(errors: "np.ndarray") -> float | None:
    """Return the error that 90% of further examples, like these, do not exceed; None for fewer than ``FEWEST``.

    Parameters
    ----------
    errors
        Absolute errors of examples that were not trained on, (N,), possibly relative to their expected size.

    References
    ----------
    Lei et al., J. Am. Stat. Assoc. 113, 1094-1111 (2018), doi:10.1080/01621459.2017.1307116.
    """
    rank = math.ceil(COVERAGE * (len(errors) + 1))
    return float(sorted(errors)[rank - 1]) if rank <= len(errors) else None
