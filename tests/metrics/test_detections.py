"""Metrics of detections, compared with pycocotools and by hand."""

import contextlib
import io

import numpy as np
import pytest
from boxed import EMPTY, scenes
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from biocnn.metrics import detections, ece, mean_average_precision
from biocnn.metrics.boxes import Matched, box_iou, match_detections


def coco(found: list[np.ndarray], truth: list[np.ndarray], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return average precision and recall (T, K) of pycocotools; NaN for classes without true boxes."""

    def sides(corners: np.ndarray) -> dict:
        top, left, bottom, right = corners.astype(float).tolist()
        return {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}

    true, rows = [], []
    for i, (one, other) in enumerate(zip(found, truth, strict=True), 1):
        for label, *corners in other:
            for k in range(classes) if label < 0 else [int(label)]:
                about = {"id": len(true) + 1, "image_id": i, "category_id": k + 1, "iscrowd": int(label < 0)}
                true.append(about | sides(np.array(corners)))
        rows += [
            {"image_id": i, "category_id": int(row[0]) + 1, "score": float(row[1])} | sides(row[2:]) for row in one
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": [{"id": i + 1} for i in range(len(truth))],
            "categories": [{"id": k + 1} for k in range(classes)],
            "annotations": true,
        }
        data.createIndex()
        result = COCO()
        result.dataset = data.dataset | {
            "annotations": [row | {"id": i, "iscrowd": 0} for i, row in enumerate(rows, 1)]
        }
        result.createIndex()
        judge = COCOeval(data, result, "bbox")
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"][..., 0, 2], judge.eval["recall"][..., 0, 2]
    return np.where(precision.mean(axis=1) < 0, np.nan, precision.mean(axis=1)), np.where(recall < 0, np.nan, recall)


def check(found: list[np.ndarray], truth: list[np.ndarray], classes: int) -> None:
    matched, weights = match_detections(found, truth, classes), np.ones((1, len(truth)))
    precision, recall = coco(found, truth, classes)
    for k, one in enumerate(matched):
        np.testing.assert_allclose(detections.average_precision(weights, one)[0], precision[:, k], atol=1e-12)
        np.testing.assert_allclose(detections.recall(weights, one)[0], recall[:, k], atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_random_scenes_as_pycocotools(seed: int) -> None:
    check(*scenes(seed), 3)


@pytest.mark.parametrize("change", [{"crowds": 0}, {"crowds": 0.9}, {"steps": 2}, {"objects": 40}, {"extra": 0}])
def test_hard_scenes_as_pycocotools(change: dict) -> None:
    check(*scenes(20, **change), 3)


def test_many_detections_empty_images_and_absent_classes_as_pycocotools() -> None:
    found, truth = scenes(3, images=3, extra=130, classes=2, steps=1000)
    check([*found, EMPTY[0], found[0], EMPTY[0]], [*truth, truth[0], EMPTY[1], EMPTY[1]], 4)
    check([EMPTY[0]] * 3, truth, 2)
    check(found, [EMPTY[1]] * 3, 2)


def test_crowded_images_are_not_limited_to_100_boxes() -> None:
    """Of 160 cells, 120 are found, all right: recall .75, and precision 1 up to there."""
    place = np.arange(160)[:, None] * [[0, 10, 0, 10]] + [[0, 0, 8, 8]]
    truth = np.column_stack([np.zeros(160), place])
    found = np.column_stack([np.zeros(120), np.linspace(1, 0.5, 120), place[:120]])
    assert mean_average_precision([found], [truth], 1, [0.5])[0] == pytest.approx(76 / 101)
    (one,) = match_detections([found], [truth], 1)
    assert detections.recall(np.ones((1, 1)), one)[0, 0] == 0.75


def test_iou_of_boxes_by_hand_in_2d_and_3d() -> None:
    boxes = np.array([[0, 0, 4, 6], [0, 0, 2, 2]])
    others = np.array([[2, 3, 6, 9], [4, 0, 5, 6], [0, 0, 4, 6]])
    np.testing.assert_allclose(box_iou(boxes, others), [[6 / 42, 0, 1], [0, 0, 4 / 24]])
    unjudged = np.array([True, True, False])
    np.testing.assert_allclose(box_iou(boxes, others, unjudged), [[6 / 24, 0, 1], [0, 0, 4 / 24]])
    np.testing.assert_allclose(box_iou(np.array([[0, 0, 0, 2, 2, 2]]), np.array([[1, 1, 1, 3, 3, 3]])), [[1 / 15]])
    assert box_iou(np.array([[1, 1, 1, 3]]), np.array([[1, 1, 1, 3]])) == 0


def test_weights_repeat_images() -> None:
    found, truth = scenes(5, steps=10**6)
    times = np.random.default_rng(5).integers(0, 3, len(truth))
    repeated = [[one for one, n in zip(rows, times, strict=True) for _ in range(n)] for rows in (found, truth)]
    whole = match_detections(*repeated, 3)
    for one, other in zip(match_detections(found, truth, 3), whole, strict=True):
        ones = np.ones((1, len(repeated[0])))
        for metric in (
            detections.average_precision,
            detections.recall,
            detections.sensitivities,
            detections.calibration_error,
        ):
            np.testing.assert_allclose(metric(times[None].astype(float), one), metric(ones, other), atol=1e-12)


def test_resamples_without_true_boxes_are_undefined() -> None:
    found, truth = scenes(6, images=2, crowds=0)
    (one,) = match_detections([found[0], found[1]], [truth[0], EMPTY[1]], 3)[:1]
    assert one.number[0] > 0
    weights = np.array([[1.0, 1], [0, 2]])
    for metric in (detections.average_precision, detections.recall, detections.sensitivities):
        values = metric(weights, one)
        assert np.isfinite(values[0]).all()
        assert np.isnan(values[1]).all()
    assert np.isnan(detections.calibration_error(weights, one)).tolist() == [False, True]


def hand() -> Matched:
    """Return two images of one class: true, false, true, unjudged, false (a repeat), and one true box missed."""
    truth = [
        np.array([[0, 0, 0, 4, 4], [0, 10, 10, 14, 14], [-1, 20, 0, 30, 10]], np.float32),
        np.array([[0, 0, 0, 4, 4]], np.float32),
    ]
    found = [
        np.array(
            [[0, 0.9, 0, 0, 4, 4], [0, 0.8, 40, 40, 44, 44], [0, 0.6, 20, 0, 24, 4], [0, 0.4, 0, 0, 4, 4]], np.float32
        ),
        np.array([[0, 0.7, 0, 0, 4, 4]], np.float32),
    ]
    (matched,) = match_detections(found, truth, 1)
    return matched


def test_every_metric_by_hand() -> None:
    matched, weights = hand(), np.ones((1, 2))
    assert matched.true[0].tolist() == [True, False, True, False, False]
    assert matched.unjudged[0].tolist() == [False, False, False, True, False]
    assert matched.rank.tolist() == [0, 1, 0, 2, 3]
    assert matched.number.tolist() == [2, 1]
    # Recall 1/3 at precision 1 (recalls 0 to .33), 2/3 at precision 2/3 (.34 to .66).
    precision = (34 + 33 * 2 / 3) / 101
    np.testing.assert_allclose(detections.average_precision(weights, matched), precision)
    np.testing.assert_allclose(detections.recall(weights, matched), 2 / 3)
    # No false positive before the first true one; half of one per image before the second.
    np.testing.assert_allclose(detections.sensitivities(weights, matched)[0], [*[1 / 3] * 2, *[2 / 3] * 5])
    assert detections.counts(matched).tolist() == [[1, 2, 1], [1, 0, 0]]
    # F1 is 1/2 from .9 on, 2/3 from .7 and .6 on, 4/7 from .4 on.
    assert detections.best_threshold(matched)[0] == pytest.approx((0.7 + 0.6) / 2)


def test_the_best_threshold_keeps_or_drops_equal_scores_together() -> None:
    truth = [np.array([[0, 0, 0, 4, 4], [0, 10, 10, 14, 14]], np.float32)]
    rows = [[0, 0.8, 0, 0, 4, 4], [0, 0.8, 40, 40, 44, 44], [0, 0.8, 50, 50, 54, 54], [0, 0.5, 10, 10, 14, 14]]
    (matched,) = match_detections([np.array(rows, np.float32)], truth, 1)
    assert detections.best_threshold(matched)[0] == 0.25
    (nothing,) = match_detections([EMPTY[0]], truth, 1)
    assert detections.best_threshold(nothing) == (0.5, 0)


def test_sensitivities_are_those_of_the_challenge() -> None:
    (one,) = match_detections(*scenes(9, images=30, classes=1, steps=10**6, crowds=0), 1)
    hits, false = np.cumsum(one.true[0]) / one.number.sum(), np.cumsum(~one.true[0]) / 30
    expected = np.interp(detections.ALARMS, np.append(0, false), np.append(0, hits))
    np.testing.assert_allclose(detections.sensitivities(np.ones((1, 30)), one)[0], expected)


def test_measures_by_hand() -> None:
    matched, weights = hand(), np.array([[1.0, 1], [0, 1]])
    found = detections.measures(weights, matched, matched)
    precision = (34 + 33 * 2 / 3) / 101
    judged = ~matched.unjudged[0]
    expected = {
        "ap50": precision, "ap75": precision, "ap50_95": precision, "ar": 2 / 3, "froc": (2 / 3 + 5 * 2 / 3) / 7,
        "f1": 4 / 7, "precision": 2 / 4, "recall": 2 / 3, "count_mae": 1 / 2, "count_bias": 1 / 2,
        "ece": ece(matched.score[judged], matched.true[0, judged]),
    }  # fmt: skip
    assert {name: values[0] for name, values in found.items()} == pytest.approx(expected)
    alone = {"ece": 1 - 0.7, "count_mae": 0, "count_bias": 0}
    assert {name: values[1] for name, values in found.items()} == pytest.approx(dict.fromkeys(found, 1) | alone)


def test_mean_average_precision_is_over_classes_with_true_boxes() -> None:
    found, truth = scenes(11)
    matched, weights = match_detections(found, truth, 3), np.ones((1, len(truth)))
    each = [detections.average_precision(weights, one)[0] for one in matched]
    np.testing.assert_allclose(mean_average_precision(found, truth, 5), np.mean(each, axis=0))
    assert mean_average_precision(truth_as_found(truth), truth, 3, [0.5]) == 1
    assert np.isnan(mean_average_precision([EMPTY[0]], [EMPTY[1]], 3)).all()


def truth_as_found(truth: list[np.ndarray]) -> list[np.ndarray]:
    return [np.insert(boxes, 1, 0.9, axis=1)[boxes[:, 0] >= 0] for boxes in truth]
