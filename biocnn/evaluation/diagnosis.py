"""What limits a network: bias, variance, a mismatch of the splits, or settings that fit the validation split only.

The error of a person, and those on training examples, on examples like them that were not trained on (train-dev), on
validation and on test examples rise in this order; each step has its own cause. See A. Ng, Machine Learning Yearning
(2018).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

LEVELS = ("human", "train", "train_dev", "val", "test")
LARGE = 0.2  # smallest share of the sum of all steps up that is worth a remedy
LEAST = 0.005  # smallest step of an error between 0 and 1 that is worth a remedy
CAUSES = {
    ("human", "train"): ("bias",),
    ("train", "train_dev"): ("variance",),
    ("train_dev", "val"): ("mismatch",),
    ("train", "val"): ("variance", "mismatch"),  # cannot be told apart without train-dev
    ("val", "test"): ("overfitting",),
}


class Level(NamedTuple):
    """The error of a person (``human``) or on a split, with its 95% confidence interval; nan if unknown."""

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
        """Return whether the rise or fall is larger than its noise."""
        return not abs(self.size) <= self.noise

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
    known = {"human": Level("human", 0.0)} | {level.name: level for level in levels}
    pairs = list(pairwise(known[name] for name in LEVELS if name in known))
    rises = sum(max(end.error - start.error, 0) for start, end in pairs)
    found = []
    for start, end in pairs:
        size = end.error - start.error
        large = size >= max(LARGE * rises, least) and size > 0
        found.append(Step(start, end, CAUSES.get((start.name, end.name), ()), size, _noise(start, end), large))
    return found


def _noise(start: Level, end: Level) -> float:
    """Combine the sides of two intervals that face each other."""
    lower, upper = sorted((start, end), key=lambda level: level.error)
    sides = [level for level in (lower.high - lower.error, upper.error - upper.low) if np.isfinite(level)]
    return float(np.hypot.reduce(sides)) if sides else np.nan


def causes(found: Sequence[Step]) -> list[str]:
    """Return the causes of the steps that call for a remedy, in order."""
    return [cause for step in found if step.found for cause in step.causes]
