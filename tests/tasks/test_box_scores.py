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
    np.testing.assert_allclose(tuned["thresholds"], [best_threshold(one)[0] for one in matched], atol=1e-4)
    before = found[0].copy()
    decided = task.decide(found[0], tuned)
    np.testing.assert_array_equal(found[0], before)
    assert (np.diff(decided[:, 1]) <= 0).all()
    for label, lowest in enumerate(tuned["thresholds"]):
        kept = before[(before[:, 0] == label) & (before[:, 1] >= np.float32(lowest))]
        kept = kept[np.argsort(-kept[:, 1], kind="stable")]
        kept[:, 1] = calibrated(kept[:, 1], tuned["scale"][label], tuned["shift"][label])
        np.testing.assert_array_equal(decided[decided[:, 0] == label], kept, "boxes of a class keep their order")


def test_each_class_is_calibrated_on_its_own() -> None:
    """One class is right as often as its scores state, the other always: its low scores rise."""
    rng = np.random.default_rng(2)
    found, truth = [], []
    for _ in range(200):
        score = np.sort(rng.uniform(0.2, 0.4, 8))[::-1]
        boxes = np.arange(8)[:, None] * [[0, 20, 0, 20]] + [[0, 0, 9, 9]]
        label = np.arange(8) % 2
        right = (label == 1) | (rng.random(8) < score)
        found.append(np.column_stack([label, score, boxes]).astype(np.float32))
        truth.append(np.column_stack([label, boxes])[right].astype(np.float32))
    task = task_of("boxes", outputs=["honest", "modest"])
    tuned = task.tune(iter(found), iter(truth))
    for one in match_detections([task.decide(rows, tuned) for rows in found], truth, 2, [0.5]):
        assert one.score.mean() == pytest.approx(one.true[0].mean(), abs=0.02)


def test_a_class_without_a_useful_threshold_is_noted() -> None:
    """One class is found, of another all boxes are elsewhere, one has only a tenth of its boxes found."""
    truth = [np.float32([[k, 20 * i, 20 * k, 20 * i + 9, 20 * k + 9] for k in range(3) for i in range(20)])]
    shift = np.repeat([0, 100, 100], 20)
    shift[40:42] = 0
    found = [np.insert(truth[0], 1, 0.01, axis=1) + np.float32([0, 0, 0, 1, 0, 1]) * shift[:, None].astype(np.float32)]
    task = task_of("boxes", outputs=["a", "b", "c"])
    tuned = task.tune(found, truth)
    assert tuned["f1"] == [1, 0, 0.1]
    remarks = list(task.remarks(tuned))
    assert [remark.split("score of ")[1][:1] for remark in remarks] == ["b", "c"]
    assert "F1 is 0.10 on the validation split" in remarks[1]


def test_an_ensemble_is_decided_with_the_mean_settings_of_its_runs_in_any_order() -> None:
    """Of two runs with the thresholds .2 and .6, a box that only one finds needs a score of .8."""
    task = task_of("boxes", outputs=["a"])
    runs = [{"thresholds": [low], "f1": [0.9], "scale": [scale], "shift": [0.0]} for low, scale in ((0.2, 1), (0.6, 3))]
    box = np.float32([0, 0, 9, 9])
    for score, number in ((0.81, 1), (0.79, 0)):
        fused = task.combine([np.float32([[0, score, *box]]), np.zeros((0, 6), np.float32)])
        for settings in (runs, runs[::-1]):
            decided = task.decide(fused, task.shared(settings))
            np.testing.assert_allclose(decided[:, 1], [calibrated(score / 2, 2, 0)] * number, rtol=1e-6)
