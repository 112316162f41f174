"""Metrics of numbers equal those of scikit-learn, and the score of a distribution its defining integral."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from biocnn.metrics import bootstrap, gaussian_crps, mae, r2, rmse
from biocnn.metrics.resampling import WEIGHTED

rng = np.random.default_rng(3)
Y = rng.normal(5, 2, 30)
P = Y + rng.normal(0, 1, 30)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(mae, mean_absolute_error), (rmse, root_mean_squared_error), (r2, r2_score)]
)
def test_metrics_of_values_equal_scikit_learn(ours, theirs) -> None:
    assert ours(P, Y) == pytest.approx(theirs(Y, P))
    assert np.isnan(ours(np.empty(0), np.empty(0)))
    again = rng.integers(30, size=30)
    counts = np.bincount(again, minlength=30)[None].astype(float)
    assert WEIGHTED[ours](counts, P, Y)[0] == pytest.approx(theirs(Y[again], P[again]))
    low, high = bootstrap(ours, P, Y, seed=1, n=200)
    assert low < ours(P, Y) < high


def test_the_mean_explains_nothing_and_constants_have_no_r2() -> None:
    assert r2(np.full(30, Y.mean()), Y) == pytest.approx(0, abs=1e-12)
    assert np.isnan(r2(P, np.full(30, 2.0)))


@pytest.mark.parametrize(("mean", "sd", "y"), [(0, 1, 0.3), (2, 0.5, -1), (3, 4, 3)])
def test_crps_is_the_integral_of_squared_differences_of_distributions(mean: float, sd: float, y: float) -> None:
    grid = np.linspace(-40, 40, 400_001)
    integral = np.trapezoid((norm.cdf(grid, mean, sd) - (grid >= y)) ** 2, grid)
    assert gaussian_crps(np.array(mean), np.array(sd), np.array(y)) == pytest.approx(integral, abs=1e-3)
