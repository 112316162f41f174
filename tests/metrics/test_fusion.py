"""Fusion of detections of several runs, by hand and by its invariances."""

import numpy as np
import pytest
from boxed import scenes

from biocnn.metrics import box_iou, fuse_boxes


def rows(*values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 6)


def test_two_runs_by_hand() -> None:
    first = rows((0, 0.9, 0, 0, 10, 10), (1, 0.5, 0, 0, 10, 10), (0, 0.3, 40, 40, 50, 50))
    second = rows((0, 0.6, 0, 2, 10, 12))
    fused, agreement = fuse_boxes([first, second])
    # IoU 80 / 120; the columns move by 2 x .6 / 1.5.
    expected = [(0, 0.75, 0, 0.8, 10, 10.8), (1, 0.25, 0, 0, 10, 10), (0, 0.15, 40, 40, 50, 50)]
    np.testing.assert_allclose(fused, expected, rtol=1e-6)
    assert agreement.tolist() == [1, 0.5, 0.5]
    apart, _ = fuse_boxes([first, second], iou=0.7)
    np.testing.assert_allclose(apart[:, 1], [0.45, 0.3, 0.25, 0.15])


def test_a_box_joins_the_most_similar_fused_box() -> None:
    first = rows((0, 0.9, 0, 0, 10, 10), (0, 0.8, 0, 3, 10, 13))
    fused, _ = fuse_boxes([first, rows((0, 0.7, 0, 2, 10, 12))])
    np.testing.assert_allclose(fused[:, 1], [0.75, 0.45])
    np.testing.assert_allclose(fused[0, 3], (3 * 0.8 + 2 * 0.7) / 1.5, rtol=1e-6)


def test_fused_boxes_move_before_the_next_box_is_compared() -> None:
    runs = [rows((0, score, 0, left, 10, left + 10)) for score, left in ((0.9, 0), (0.8, 2), (0.1, 3))]
    assert box_iou(runs[0][:, 2:], runs[2][:, 2:]) < 0.55  # only the box of both others is close enough
    fused, agreement = fuse_boxes(runs)
    assert len(fused) == 1
    assert agreement.tolist() == [1]
    np.testing.assert_allclose(fused[0, 1:4], [0.6, 0, (0.8 * 2 + 0.1 * 3) / 1.8], rtol=1e-6)


@pytest.mark.parametrize("number", [1, 3])
def test_identical_runs_are_fused_to_one_of_them(number: int) -> None:
    for found in scenes(4, steps=1000)[0]:  # with boxes that overlap
        fused, agreement = fuse_boxes([found] * number)
        order = np.argsort(-found[:, 1], kind="stable")
        np.testing.assert_allclose(sorted(fused.tolist()), sorted(found[order].tolist()), rtol=1e-6)
        assert (np.diff(fused[:, 1]) <= 0).all()
        assert (agreement == 1).all()


def test_runs_may_be_swapped_and_may_find_nothing() -> None:
    found, _ = scenes(8, steps=10**6)
    fused, agreement = fuse_boxes(found[:3])
    swapped, _ = fuse_boxes(found[2::-1])
    np.testing.assert_allclose(fused, swapped, rtol=1e-6)
    assert fused[:, 1].max() <= 1
    half, less = fuse_boxes([*found[:3], *[rows()] * 3])
    np.testing.assert_allclose(half[:, 1], fused[:, 1] / 2, rtol=1e-6)
    np.testing.assert_allclose(less, agreement / 2)
    nothing, _ = fuse_boxes([rows(), rows()])
    assert nothing.shape == (0, 6)
    solid, _ = fuse_boxes([np.array([[0, 0.5, 0, 0, 0, 2, 2, 2]])] * 2)
    np.testing.assert_allclose(solid, [[0, 0.5, 0, 0, 0, 2, 2, 2]])
