"""What limits a network: bias, variance, a mismatch of the splits, or settings that fit the validation split only.

The error of a person, and those on training examples, on examples like them that were not trained on (train-dev), on
validation and on test examples rise in this order; each step has its own cause. See A. Ng, Machine Learning Yearning
(2018).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

SPLITS = ("train", "train_dev", "val", "test")
LEVELS = ("human", *SPLITS)
LARGE = 0.2  # smallest share of the sum of all steps up that is worth a remedy
LEAST = 0.005  # smallest step of an error between 0 and 1 that is worth a remedy
CAUSES = {
    ("human", "train"): ("bias",),
    ("train", "train_dev"): ("variance",),
    ("train_dev", "val"): ("mismatch",),
    ("train", "val"): ("variance", "mismatch"),  # cannot be separated without train-dev
    ("val", "test"): ("overfitting",),
}


class Level(NamedTuple):
    """The error of a person (``human``) or on a split, with its 95% confidence interval; nan if unknown.

    ``zero`` stands for an unknown human level.
    """

    name: str
    error: float
    low: float = np.nan
    high: float = np.nan


class Step(NamedTuple):
    """The rise of the error from one level to the next.

    ``noise`` is the half-width of its 95% confidence interval, nan if unknown; ``large`` whether it is a fifth or more
    of all rises.
    """

    start: Level
    end: Level
    causes: tuple[str, ...]
    size: float
    noise: float
    large: bool

    @property
    def clear(self) -> bool:
        """Return whether the rise or fall is larger than its noise, which must be known."""
        return abs(self.size) > self.noise

    @property
    def found(self) -> bool:
        """Return whether this step calls for a remedy."""
        return self.large and self.clear


def steps(levels: Sequence[Level], least: float = LEAST) -> list[Step]:
    """Return the steps between levels in the order of ``LEVELS``; without a human level, a person makes no errors.

    Parameters
    ----------
    levels
        Known levels. Splits are independent samples, so that their intervals add up like those of independent errors.
    least
        Smallest rise that is large; 0 for errors without a largest value.
    """
    known = {"human": Level("zero", 0.0)} | {level.name: level for level in levels}
    pairs = list(pairwise(name for name in LEVELS if name in known))
    sizes = [known[end].error - known[start].error for start, end in pairs]
    least = max(LARGE * sum(size for size in sizes if size > 0), least)
    found = []
    for pair, size in zip(pairs, sizes, strict=True):
        start, end = (known[name] for name in pair)
        found.append(Step(start, end, CAUSES.get(pair, ()), size, _noise(start, end), size >= least and size > 0))
    return found


def _noise(start: Level, end: Level) -> float:
    """Combine the sides of two intervals that face each other; a human level without one is certain."""
    lower, upper = sorted((start, end), key=lambda level: level.error)
    below = lower.high - lower.error if lower.name in SPLITS else np.nan_to_num(lower.high - lower.error)
    above = upper.error - upper.low if upper.name in SPLITS else np.nan_to_num(upper.error - upper.low)
    return float(np.hypot(below, above))
