"""Metrics of counts, by hand; GAME against sums over cells."""

import numpy as np
import pytest

from biocnn.metrics import count_bias, count_mae, count_rmse, game, relative_error


def test_errors_of_counts_by_hand() -> None:
    count, true = np.array([4.0, 10, 0, 3]), np.array([5.0, 8, 0, 0])
    assert count_mae(count, true) == pytest.approx(6 / 4)
    assert count_rmse(count, true) == pytest.approx(np.sqrt(14 / 4))
    assert count_bias(count, true) == pytest.approx(4 / 4)
    assert relative_error(count, true) == pytest.approx((1 / 5 + 2 / 8 + 0 + 3) / 4)
    for metric in (count_mae, count_rmse, count_bias, relative_error):
        assert np.isnan(metric(np.zeros(0), np.zeros(0)))


def test_game_sums_errors_of_cells_that_do_not_cancel() -> None:
    density, true = np.zeros((2, 5, 7)), np.zeros((2, 5, 7))
    density[0, 0, 0] = true[0, 4, 6] = 3  # the right number at the wrong end
    true[1, 2, 3], density[1, 2, 3] = 2, 1.5
    assert game(density, true, 0).tolist() == [0, 0.5]
    assert game(density, true, 1).tolist() == [6, 0.5]
    rng = np.random.default_rng(1)
    p, y = rng.random((2, 1, 8, 12))
    cells = [(p - y)[0, r : r + 2, c : c + 3].sum() for r in range(0, 8, 2) for c in range(0, 12, 3)]
    assert game(p, y, 2)[0] == pytest.approx(np.abs(cells).sum())
