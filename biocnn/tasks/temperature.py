"""Temperature scaling: logits are divided by one number per output, so that probabilities are calibrated.

Networks that are trained long are overconfident, and those trained for overlap are so for every pixel. A temperature
above 1 corrects that without changing the order of logits (Guo et al., ICML 2017, arXiv:1706.04599). Classes of pixels
share one temperature, so that the likeliest class does not change.

Classes of bases are so rare that a network trained for overlap predicts too many bases, whatever the temperature. Their
logits are also shifted.

A few examples that are separated perfectly would make any network as confident as possible. So there is a gamma prior
on 1 / temperature, with its mode at 1 and about as wide as log(temperature) = 0 +- 1/2, which adds
``PRIOR * (1 / T - 1 + log(T))`` to the negative log-likelihood of all examples. Its effect fades with their number.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit, log_softmax, logit, softmax
from torch import Tensor

from biocnn.metrics.masks import IGNORE
from biocnn.metrics.vectors import labelled

SHARPEST, FLATTEST = 1 / 10, 10.0
PRIOR = 4.0
PIXELS = 200_000  # pixels of the validation split for the fit
WORTH = 100  # independent examples that an image counts as, because errors of neighbouring pixels are correlated


def fit_temperature(logits: np.ndarray, target: np.ndarray, worth: float | None = None) -> list[float]:
    """Fit the most probable temperatures given the targets.

    Parameters
    ----------
    logits
        Shape (N, K).
    target
        Shape (N, K), 0 or 1; nan if unknown.
    worth
        Number of independent examples that the N rows count as; None: N.

    Returns
    -------
    temperature
        K numbers between 1/10 and 10; 1 if only one class is present.
    """
    z, y = np.asarray(logits, float), np.asarray(target, float)
    known = [labelled(y[:, k], z[:, k]) for k in range(z.shape[1])]
    return [_one(found, target, len(target) if worth is None else worth) for target, found in known]


def _one(z: np.ndarray, y: np.ndarray, worth: float) -> float:
    if len(np.unique(y)) < 2:
        return 1.0
    return _root(lambda steepness: float(np.mean((expit(steepness * z) - y) * z)), worth)


def fit_classes(logits: np.ndarray, target: np.ndarray, worth: float | None = None) -> list[float]:
    """Fit the most probable temperature common to all classes given the targets.

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
        One number between 1/10 and 10; 1 if only one class is present.
    """
    z, y = np.asarray(logits, float), np.asarray(target, int)
    if len(np.unique(y)) < 2:
        return [1.0]
    of_truth = np.take_along_axis(z, y[:, None], axis=1).mean()

    def slope(steepness: float) -> float:
        return float((softmax(steepness * z, axis=1) * z).sum(axis=1).mean() - of_truth)

    return [_root(slope, len(z) if worth is None else worth)]


def fit_shifted(logits: np.ndarray, target: np.ndarray, worth: float) -> tuple[float, list[float]]:
    """Fit the most probable temperature and shifts, given that the shifts are from a standard normal distribution.

    Parameters
    ----------
    logits
        Shape (N, K); the first class is the background, which is not shifted.
    target
        Shape (N,), classes from 0 to K - 1.
    worth
        As for ``fit_temperature``.

    Returns
    -------
    temperature, shift
        A number between 1/10 and 10, and what is then added to the logits: K numbers. 1 and 0 if only one class is
        present.
    """
    z, truth = np.asarray(logits, float), np.eye(logits.shape[1])[np.asarray(target, int)]
    if truth.any(axis=0).sum() < 2:
        return 1.0, [0.0] * z.shape[1]

    def cost(values: np.ndarray) -> tuple[float, np.ndarray]:
        steepness, shift = values[0], np.append(0, values[1:])
        scaled = steepness * z + shift
        residual = softmax(scaled, axis=1) - truth
        of_truth = -(log_softmax(scaled, axis=1) * truth).sum(axis=1).mean()
        prior = PRIOR * (steepness - 1 - np.log(steepness)) + (shift**2).sum() / 2
        slope = (residual * z).sum(axis=1).mean() + PRIOR * (1 - 1 / steepness) / worth
        return of_truth + prior / worth, np.append(slope, (residual.mean(axis=0) + shift / worth)[1:])

    bounds = [(1 / FLATTEST, 1 / SHARPEST)] + [(None, None)] * (z.shape[1] - 1)
    start = [1.0] + [0.0] * (z.shape[1] - 1)
    steepness, *shift = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12).x.tolist()
    return 1 / steepness, [0.0, *shift]


def remarks(temperature: Sequence[float]) -> list[str]:
    """Return a remark on each temperature: none, or that it was not fitted, or is at a bound of the search."""
    remarks_by_value = {
        1.0: "not fitted: the validation split lacks one or both classes",
        SHARPEST: f"the lower bound of the search ({SHARPEST:g})",
        FLATTEST: f"the upper bound of the search ({FLATTEST:g})",
    }
    return [remarks_by_value.get(value, "") for value in temperature]


def some_pixels(logits: Tensor, target: Tensor, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw at most ``number`` of the known pixels of one image.

    Parameters
    ----------
    logits, target
        Shapes (K, *spatial) and (1, *spatial), classes.

    Returns
    -------
    logits, target
        Shapes (n, K) and (n,).
    """
    z, y = logits.flatten(1).T.cpu().numpy(), target.flatten().cpu().numpy()
    known = np.flatnonzero(y != IGNORE)
    chosen = np.random.default_rng(seed).permutation(known)[:number]
    return z[chosen], y[chosen]


def _root(slope: Callable[[float], float], worth: float) -> float:
    """Find the temperature of least total cost; it is convex, because the slope by 1 / temperature increases."""

    def whole(steepness: float) -> float:
        return worth * slope(steepness) + PRIOR * (1 - 1 / steepness)

    low, high = 1 / FLATTEST, 1 / SHARPEST
    if whole(low) >= 0:
        return FLATTEST
    return SHARPEST if whole(high) <= 0 else float(1 / brentq(whole, low, high, xtol=1e-10))


def without_temperature(probability: np.ndarray, temperature: Sequence[float]) -> np.ndarray:
    """Return probabilities (N, K) before the temperature was applied, for a comparison."""
    p = np.asarray(probability, float).clip(1e-7, 1 - 1e-7)  # float32 resolves no values closer to 0 and 1
    return expit(logit(p) * np.asarray(temperature))


def classes_without_temperature(probability: np.ndarray, temperature: Sequence[float]) -> np.ndarray:
    """Do the same for one of K classes, with one temperature."""
    return softmax(np.log(np.asarray(probability, float).clip(1e-7)) * np.asarray(temperature), axis=1)
