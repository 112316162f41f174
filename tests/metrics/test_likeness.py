"""Metrics of likeness equal values by hand, and those of scikit-learn."""

import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import KNeighborsClassifier

from biocnn.metrics.likeness import (
    equal_error_rate,
    few_shot,
    neighbours,
    normalised,
    pairs,
    recall_at,
    verification,
)

# Directions of 0, 10, 30, 90, 100 and 200 degrees, of any length.
ANGLES = np.deg2rad([0, 10, 30, 90, 100, 200])
X = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * np.array([1, 2, 3, 4, 5, 6])[:, None]
Y = np.array([0, 0, 1, 1, 1, 2])


def clouds(n: int = 60, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    y = np.arange(n) % 3
    return rng.normal(0, spread, (n, 5)) + 2 * np.eye(5)[y], y


def test_vectors_get_length_one_and_zeros_stay() -> None:
    found = normalised(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0]])


def test_pairs_by_hand() -> None:
    cosine, same = pairs(X[:3], Y[:3])
    np.testing.assert_allclose(cosine, np.cos(np.deg2rad([10, 30, 20])))
    assert same.tolist() == [1, 0, 0]


def test_neighbours_and_recall_by_hand() -> None:
    assert neighbours(X, X, 1, itself=False)[:, 0].tolist() == [1, 0, 1, 4, 3, 4]
    assert recall_at(X, Y, 1) == pytest.approx(4 / 5), "30 degrees is nearer to 10 than to 90; 200 is alone"
    assert recall_at(X, Y, 3) == 1
    assert np.isnan(recall_at(X[:2], np.array([0, 1]), 1))
    assert neighbours(X[:2], X, 99).shape == (2, 6)


def test_recall_at_1_is_the_accuracy_of_the_nearest_neighbour() -> None:
    x, y = clouds()
    right = [
        KNeighborsClassifier(1, metric="cosine").fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[[i]])[0] == y[i]
        for i in range(len(x))
    ]
    assert recall_at(x, y, 1) == pytest.approx(np.mean(right))


def test_equal_error_rate_by_hand() -> None:
    score, target = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0])
    assert equal_error_rate(score, target) == pytest.approx(0.5)
    assert equal_error_rate(score, np.array([1, 1, 0, 0])) == 0
    assert equal_error_rate(score, np.array([0, 0, 1, 1])) == 1
    assert equal_error_rate(np.zeros(4), target) == pytest.approx(0.5), "equal scores cannot be told apart"
    assert np.isnan(equal_error_rate(score, np.ones(4)))


@pytest.mark.parametrize("decimals", [8, 1])
def test_verification_equals_scikit_learn(decimals: int) -> None:
    """Rounded scores have ties."""
    x, y = clouds()
    score, target = pairs(x, y)
    score = score.round(decimals)
    false, true, _ = roc_curve(target, score, drop_intermediate=False)
    wanted = brentq(lambda rate: 1 - rate - interp1d(false, true)(rate), 0, 1)
    assert equal_error_rate(score, target) == pytest.approx(wanted, abs=1e-6)
    assert verification(x, y)[0] == pytest.approx(roc_auc_score(target, pairs(x, y)[0]))


@pytest.mark.parametrize("shots", [1, 5])
def test_few_shots_are_decided_by_the_nearest_mean(shots: int) -> None:
    x, y = clouds(30)
    accuracy = few_shot(x, y, shots, draws=4, seed=7)
    rng = np.random.default_rng(7)
    for value in accuracy:
        drawn = [rng.permutation(np.flatnonzero(y == label)) for label in range(3)]
        known, rest = (np.concatenate([rows[part] for rows in drawn]) for part in (slice(shots), slice(shots, None)))
        centres = [normalised(x[known][y[known] == label]).mean(axis=0) for label in range(3)]
        model = KNeighborsClassifier(1, metric="cosine").fit(centres, range(3))
        assert value == pytest.approx((model.predict(x[rest]) == y[rest]).mean())


def test_classes_with_too_few_examples_have_no_accuracy() -> None:
    x, y = clouds(9)
    assert np.isnan(few_shot(x, y, 3)).all()
    assert np.isnan(few_shot(x, np.zeros(9), 1)).all()
    assert not np.isnan(few_shot(x, y, 2)).any()
