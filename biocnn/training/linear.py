"""Linear models with a quadratic penalty: logistic, multinomial and ridge regression of sparse or dense features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, log_softmax, softmax

from biocnn.metrics.weighted import ratio
from biocnn.tasks.vectors import VectorTask

PENALTIES = tuple(10 ** (-power / 2) for power in range(-1, 10))  # from strong to weak
STEPS = 100  # iterations of the solver at each penalty

Features = csr_matrix | np.ndarray


@dataclass(frozen=True)
class Fitted:
    """A linear model of K outputs; ``weights`` has shape (F + 1, K), intercept last."""

    weights: np.ndarray
    penalty: np.ndarray
    validation_score: np.ndarray

    def predict(self, x: Features, task: VectorTask) -> np.ndarray:
        """Predict probabilities, or values for regression; shape (N, K), float32."""
        return predict_linear(x, self.weights, task)


def fit_path(
    x: Features,
    y: np.ndarray,
    val: Features,
    val_y: np.ndarray,
    task: VectorTask,
    penalties: Sequence[float] = PENALTIES,
) -> Fitted:
    """Fit linear models with decreasing penalty, each from the previous one, until no output improves.

    Parameters
    ----------
    x, val
        Features (N, F) of the training and validation splits.
    y, val_y
        Targets (N, K), nan if unknown.
    task
        Task that determines loss and metric.
    penalties
        From strong to weak.

    Returns
    -------
    fitted
        For each output, or for all together if they are classes of which one is true, the model with the best metric
        on the validation split; among equal ones, or if the metric is not defined (``validation_score`` is nan), the
        one with the lowest loss on that split.
    """
    # Regression targets are standardised, so that the same penalties suit all of them.
    shift, scale = (np.nanmean(y, axis=0), spread(y)) if task.standardised else (0.0, 1.0)
    y, val_y = (y - shift) / scale, (val_y - shift) / scale
    weights = np.zeros((x.shape[1] + 1, y.shape[1]))
    best = Fitted(weights.copy(), np.full(y.shape[1], np.nan), np.full(y.shape[1], -np.inf))
    lowest, fruitless = np.full(y.shape[1], np.inf), 0
    for penalty in penalties:
        weights = fit(x, y, penalty, weights, task)
        score, cost = judge(linear(val, weights), val_y, task)
        equal = score == best.validation_score
        better = (score > best.validation_score) | (equal & (cost < lowest)) | np.isnan(best.penalty)
        best.weights[:, better] = weights[:, better]
        best.penalty[better], best.validation_score[better], lowest[better] = penalty, score[better], cost[better]
        fruitless = 0 if better.any() else fruitless + 1
        if fruitless == 2:
            break
    weights = best.weights * scale
    weights[-1] += shift
    score = np.where(np.isfinite(best.validation_score), best.validation_score, np.nan)
    return Fitted(weights, best.penalty, score)


def judge(z: np.ndarray, y: np.ndarray, task: VectorTask) -> tuple[np.ndarray, np.ndarray]:
    """Compute the metric that chooses the epoch, and the loss, of logits.

    Parameters
    ----------
    z, y
        Logits and targets, shape (N, K); nan: unknown target.
    task
        Task that determines metric and loss.

    Returns
    -------
    score, cost
        Shape (K,): metric of each output, -inf if undefined, and the sum of its loss; if outputs are classes of which
        one is true, the mean metric and the loss of all.
    """
    ranked = _predicted(z, task) if task.exclusive else z  # a probability depends on the logits of all classes
    score = np.array(task.rated(ranked, y))
    columns = zip(y.T, losses(z, y, task).T, strict=True)
    cost = np.array([each[~np.isnan(target)].sum() for target, each in columns])
    if task.exclusive:
        score[:], cost[:] = ratio(np.nansum(score), (~np.isnan(score)).sum()), cost.sum()
    return np.nan_to_num(score, nan=-np.inf), cost


def fit(x: Features, y: np.ndarray, penalty: float, start: np.ndarray, task: VectorTask) -> np.ndarray:
    """Minimise mean loss + penalty / 2 |weights|² for all outputs at once, without intercept penalty.

    The loss is the log loss, or half the squared error for regression, over known targets. Outputs are independent of
    each other, unless they are classes of which one is true.

    Parameters
    ----------
    x
        Features (N, F).
    y
        Targets (N, K), nan if unknown.
    penalty
        Strength of the penalty, above 0.
    start
        Initial weights, (F + 1, K), intercept last.
    task
        Task that determines the loss.

    Returns
    -------
    weights
        Shape (F + 1, K).
    """
    shape, known = start.shape, ~np.isnan(y)
    share, y = known / np.maximum(known.sum(axis=0), 1), np.nan_to_num(y)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        z = linear(x, weights)
        value, slope = (share * losses(z, y, task)).sum(), share * (_predicted(z, task) - y)
        gradient = np.concatenate([x.T @ slope.astype(x.dtype), slope.sum(axis=0, keepdims=True)])
        gradient[:-1] += penalty * weights[:-1]
        return value + penalty / 2 * (weights[:-1] ** 2).sum(), gradient.ravel()

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "ftol": 1e-7})
    return found.x.reshape(shape)


def losses(z: np.ndarray, y: np.ndarray, task: VectorTask) -> np.ndarray:
    """Return the loss of each example and output."""
    if task.exclusive:
        return -y * log_softmax(z, axis=1)
    return np.logaddexp(0, z) - y * z if task.positives else (z - y) ** 2 / 2


def _predicted(z: np.ndarray, task: VectorTask) -> np.ndarray:
    """Return probabilities, or values for regression."""
    if task.exclusive:
        return softmax(z, axis=1)
    return expit(z) if task.positives else z


def predict_linear(x: Features, weights: np.ndarray, task: VectorTask) -> np.ndarray:
    """Predict probabilities, or values for regression; shape (N, K), float32."""
    return _predicted(linear(x, weights), task).astype(np.float32)


def linear(x: Features, weights: np.ndarray) -> np.ndarray:
    """Return the logits (N, K) of features (N, F) under weights (F + 1, K), intercept last."""
    return (x @ weights[:-1].astype(x.dtype)).astype(float) + weights[-1]


def in_unit(weights: np.ndarray, unit: dict[str, list[float]]) -> np.ndarray:
    """Convert weights (F + 1, K) of a model of values to one of values in a unit, (value - mean) / sd."""
    mean, sd = np.array(unit["mean"]), np.array(unit["sd"])
    weights = weights / sd
    weights[-1] -= mean / sd
    return weights


def spread(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the known values of each column, or 1 if it is 0."""
    spread = np.nanstd(values, axis=0)
    return np.where(spread > 0, spread, 1.0)
