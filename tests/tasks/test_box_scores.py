"""Tuning and calibration of the scores of boxes."""

import numpy as np
import pytest
from boxed import scenes
from scipy.special import expit, logit
from tiny import task_of

from biocnn.metrics import ece, match_detections
from biocnn.metrics.detections import best_threshold
from biocnn.tasks.box_scores import calibrated, fit_calibration


def made_up(scale: float, shift: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    score = rng.beta(2, 2, n)
    return score, rng.random(n) < expit(scale * logit(score) + shift)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.4, 1.0), (2.0, -1.0)])
def test_scale_and_shift_are_found(scale: float, shift: float) -> None:
    score, true = made_up(scale, shift)
    np.testing.assert_allclose(fit_calibration(score, true), [scale, shift], atol=0.1)
    assert ece(calibrated(score, *fit_calibration(score, true)), true) < 0.02


def test_few_boxes_change_little() -> None:
    assert fit_calibration(np.zeros(0), np.zeros(0, bool)) == (1, 0)
    scale, shift = fit_calibration(np.array([0.9, 0.8, 1.0]), np.array([True, True, True]))
    assert 0.9 < scale < 1.5
    assert 0 < shift < 0.5


def test_the_task_tunes_thresholds_and_decides_with_calibrated_scores() -> None:
    found, truth = scenes(7, images=20, steps=1000)
    task = task_of("boxes", outputs=["a", "b", "c"])
    tuned = task.tune(iter(found), iter(truth))
    matched = match_detections(found, truth, 3, [0.5])
    np.testing.assert_allclose(tuned["thresholds"], [best_threshold(one) for one in matched], atol=1e-4)
    before = found[0].copy()
    decided = task.decide(found[0], tuned)
    np.testing.assert_array_equal(found[0], before)
    kept = before[before[:, 1] >= np.array(tuned["thresholds"])[before[:, 0].astype(int)]]
    np.testing.assert_array_equal(decided[:, [0, 2, 3, 4, 5]], kept[:, [0, 2, 3, 4, 5]])
    np.testing.assert_array_equal(decided[:, 1], calibrated(kept[:, 1], tuned["scale"], tuned["shift"]))
    assert (np.argsort(-decided[:, 1], kind="stable") == np.argsort(-kept[:, 1], kind="stable")).all()
