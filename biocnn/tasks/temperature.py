"""Probabilities that can be taken at their word: logits divided by a temperature, one for each output.

Networks that are trained long are too sure of themselves, and those trained for overlap are so of every pixel. One
number above 1 takes that back without changing which of two examples has the larger logit (Guo et al., ICML 2017,
arXiv:1706.04599). For classes of pixels it is one number for all of them, so that the likeliest class stays what it is.

A few examples that part perfectly would make any network as sure as it can be. So the temperature is 1 until examples
say otherwise: a gamma prior on 1 / temperature, with its mode at 1 and about as wide as log(temperature) = 0 +- 1/2,
which costs ``PRIOR * (1 / T - 1 + log(T))`` beside the surprise of all examples. It fades as they become many.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, softmax
from torch import Tensor

from biocnn.metrics.masks import IGNORE
from biocnn.metrics.vectors import labelled

SHARPEST, FLATTEST = 1 / 10, 10.0
PRIOR = 4.0
PIXELS = 200_000  # of the validation part that it is fitted on
WORTH = 100  # examples that an image is worth: pixels side by side are right or wrong together


def fit_temperature(logits: np.ndarray, target: np.ndarray, worth: float | None = None) -> list[float]:
    """The temperatures that are likeliest after the targets were seen.

    Parameters
    ----------
    logits
        Shape (N, K).
    target
        Shape (N, K), 0 or 1; nan where it is not known.
    worth
        How many examples the N rows are worth, where they are not independent; None: N.

    Returns
    -------
    temperature
        K numbers between 1/10 and 10; 1 where only one class is present.
    """
    z, y = np.asarray(logits, float), np.asarray(target, float)
    known = [labelled(y[:, k], z[:, k]) for k in range(z.shape[1])]
    return [_one(found, target, len(target) if worth is None else worth) for target, found in known]


def _one(z: np.ndarray, y: np.ndarray, worth: float) -> float:
    if len(np.unique(y)) < 2:
        return 1.0
    return _root(lambda steepness: float(np.mean((expit(steepness * z) - y) * z)), worth)


def fit_classes(logits: np.ndarray, target: np.ndarray, worth: float | None = None) -> list[float]:
    """The one temperature of all classes that is likeliest after the targets were seen.

    Parameters
    ----------
    logits
        Shape (N, K).
    target
        Shape (N,), classes from 0 to K - 1.
    worth
        As for ``fit_temperature``.

    Returns
    -------
    temperature
        One number between 1/10 and 10; 1 where only one class is present.
    """
    z, y = np.asarray(logits, float), np.asarray(target, int)
    if len(np.unique(y)) < 2:
        return [1.0]
    of_truth = np.take_along_axis(z, y[:, None], axis=1).mean()

    def slope(steepness: float) -> float:
        return float((softmax(steepness * z, axis=1) * z).sum(axis=1).mean() - of_truth)

    return [_root(slope, len(z) if worth is None else worth)]


def remarks(temperature: Sequence[float]) -> list[str]:
    """What to know of each: nothing, or that it was not fitted, or is where the range of what is tried ends."""
    said = {
        1.0: "not fitted: the validation part lacks one class, or both",
        SHARPEST: f"the least that is tried ({SHARPEST:g})",
        FLATTEST: f"the most that is tried ({FLATTEST:g})",
    }
    return [said.get(value, "") for value in temperature]


def some_pixels(logits: Tensor, target: Tensor, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many pixels of one image, drawn from those that are known.

    Parameters
    ----------
    logits, target
        Shapes (1, K, *spatial) and (1, 1, *spatial), classes.

    Returns
    -------
    logits, target
        Shapes (n, K) and (n,).
    """
    z, y = logits[0].flatten(1).T.cpu().numpy(), target.flatten().cpu().numpy()
    known = np.flatnonzero(y != IGNORE)
    chosen = np.random.default_rng(seed).permutation(known)[:number]
    return z[chosen], y[chosen]


def _root(slope: Callable[[float], float], worth: float) -> float:
    """The temperature at which surprise and prior cost least; their slope by 1 / temperature rises: both are convex."""

    def whole(steepness: float) -> float:
        return worth * slope(steepness) + PRIOR * (1 - 1 / steepness)

    low, high = 1 / FLATTEST, 1 / SHARPEST
    if whole(low) >= 0:
        return FLATTEST
    return SHARPEST if whole(high) <= 0 else float(1 / brentq(whole, low, high, xtol=1e-10))


def without_temperature(probability: np.ndarray, temperature: Sequence[float]) -> np.ndarray:
    """What the probabilities (N, K) would be without: for a comparison of before and after."""
    p = np.asarray(probability, float).clip(1e-7, 1 - 1e-7)  # float32 knows none closer to 0 and 1
    return expit(logit(p) * np.asarray(temperature))
