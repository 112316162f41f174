"""Reliability, objects and rankings: known values, and comparison with scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from tiny import images, stored, task_of

from biocnn.data.duplicates import small_version
from biocnn.data.raw import Raw
from biocnn.evaluation.uncertainty import Reliability, annotate_next, area, best_iou, object_uncertainty, of_probability
from biocnn.evaluation.uncertainty.judging import ClassJudge, ObjectJudge
from biocnn.evaluation.uncertainty.ranking import risk_coverage

MASK = task_of("mask", outputs=["vessel"])


def test_bins_equal_those_of_scikit_learn_however_they_are_filled() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(5000) ** 3
    y = rng.random(5000) < p**1.5
    bins = Reliability(10)
    for part in range(0, 5000, 700):
        bins.add(p[part : part + 700].reshape(-1, 1), y[part : part + 700].reshape(-1, 1))
    table = bins.table()
    frequency, mean = calibration_curve(y, p, n_bins=10)
    np.testing.assert_allclose(table["frequency"], frequency)
    np.testing.assert_allclose(table["probability"], mean)
    assert bins.ece() == pytest.approx(np.average(np.abs(frequency - mean), weights=table["n"]))


def test_draws_from_the_probabilities_are_calibrated_but_overconfidence_is_not() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(200_000)
    fair, sure = Reliability(), Reliability()
    fair.add(p, rng.random(p.size) < p)
    sure.add(np.where(p > 0.5, 0.99, 0.01), rng.random(p.size) < np.where(p > 0.5, 0.8, 0.2))
    assert fair.ece() < 0.01
    assert sure.ece() == pytest.approx(0.19, abs=0.005)
    assert np.isnan(Reliability().ece())
    assert len(Reliability().table()) == 0


def test_probabilities_0_and_1_have_a_bin() -> None:
    bins = Reliability(4)
    bins.add(np.array([0.0, 0.25, 1.0]), np.array([0, 1, 1]))
    assert bins.table()["low"].tolist() == [0, 0.25, 0.75]


def test_overlap_of_objects() -> None:
    labels = np.array([[1, 1, 0, 7, 7], [1, 1, 0, 7, 7], [9, 0, 0, 0, 0]])
    truth = np.array([[2, 2, 0, 0, 3], [2, 2, 0, 0, 3], [0, 0, 0, 0, 3]])
    np.testing.assert_allclose(best_iou(labels, truth), [1, 2 / 5, 0])
    assert best_iou(np.zeros((2, 2), int), truth[:2, :2]).shape == (0,)


def test_the_uncertainty_of_an_object_is_that_of_its_pixels_in_the_order_of_labels() -> None:
    p = np.array([[[1.0, 0.5, 0.5, 0.0]]])
    labels = np.array([[5, 5, 2, 0]])
    np.testing.assert_allclose(object_uncertainty(labels, of_probability(p, MASK)), [1, 0.5], rtol=1e-6)


def test_ignored_pixels_do_not_count(tmp_path: Path) -> None:
    raw = images(8, task="mask")
    y = raw.y(0)
    unknown = np.zeros(y.shape, bool)
    unknown[:, 16:] = True
    masks = [np.where(unknown, 255, y)] * 8
    dataset = stored(Raw(raw.examples, raw.x, masks.__getitem__, raw.facts), tmp_path)
    p = np.where(y == 1, 0.9, 0.2)[None].astype(np.float32)
    rows = []
    for there in (0.5, 0.99):  # whatever is predicted for ignored pixels
        judge = ClassJudge(dataset)
        found = of_probability(np.where(unknown, there, p), MASK)
        judge.add("ensemble", "test", 0, found, MASK.decide(found.mean, {}))
        tables = judge.tables()
        rows.append([tables["per_image"].drop(columns="id"), tables["per_object"], tables["calibration"]])
    for one, other in zip(*rows, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_the_uncertainty_of_an_image_follows_from_its_expected_dice(tmp_path: Path) -> None:
    judge = ClassJudge(stored(images(8, task="mask"), tmp_path))
    p = np.array([[[1.0, 1.0, 0.0, 0.0]]])
    assert judge.of_image(p[0] > 0.5, of_probability(p, MASK)) == 0
    half = np.array([[[0.6, 0.6, 0.0, 0.0]]])
    expected = 1 - 2 * 1.2 / (2 + 1.2)
    assert judge.of_image((half[0] > 0.5) * 1, of_probability(half, MASK)) == pytest.approx(expected)
    for faint in (0.0, 0.2):  # no foreground: the smallest probabilities must not count fully
        nothing = np.full((1, 1, 4), faint)
        assert judge.of_image(nothing[0] > 0.5, of_probability(nothing, MASK)) == pytest.approx(faint)


def test_the_uncertainty_of_an_image_is_that_of_its_objects(tmp_path: Path) -> None:
    dataset = stored(images(8, task="instances"), tmp_path)
    judge = ObjectJudge(dataset)
    p = np.array([[[1.0, 1 / 3, 0, 0]], [[0, 1 / 3, 1, 1]], [[0, 1 / 3, 0, 0]], [[0, 0, 1, 1]]])
    found = of_probability(p, dataset.task)
    assert judge.of_image(np.array([[0, 4, 2, 2]]), found) == pytest.approx(0.5)
    assert judge.of_image(np.zeros((1, 4), int), found) == 1


def test_the_area_under_risk_and_coverage_of_a_perfect_a_reversed_and_a_constant_order() -> None:
    risk = np.array([0.4, 0.1, 0.3, 0.2])
    perfect, reversed_, none = (area(risk_coverage(u, risk)) for u in (risk, -risk, np.zeros(4)))
    assert perfect["risk"] == pytest.approx(perfect["oracle"]) == pytest.approx((0.1 + 0.15 + 0.2 + 0.25) / 4)
    assert reversed_["risk"] == pytest.approx((0.4 + 0.35 + 0.3 + 0.25) / 4)
    assert none["risk"] == pytest.approx(none["random"]) == pytest.approx(0.25)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30), st.randoms())
def test_the_curve_ends_at_the_mean_is_above_the_oracle_and_independent_of_order(pairs, random) -> None:
    curve = risk_coverage(*np.array(pairs).T)
    assert curve["risk"].iloc[-1] == pytest.approx(np.mean([risk for _, risk in pairs]))
    assert (curve["risk"] >= curve["oracle"] - 1e-9).all()
    random.shuffle(pairs)
    np.testing.assert_allclose(risk_coverage(*np.array(pairs).T)["risk"], curve["risk"], atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 40, 50), (1, 12, 40, 50)])
def test_copies_of_an_image_are_ranked_last_and_marked(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((6, *shape))
    copy = np.flip(images[0], -1) * 3 + 1  # mirrored and brighter
    small = np.array([small_version(image) for image in (images[0], copy, *images[1:])])
    table = annotate_next(list("abcdefg"), np.array([0.9, 0.8, 0.7, 0.5, 0.4, 0.3, 0.2]), small)
    assert table["id"].tolist()[0] == "a"
    assert table["id"].tolist()[-1] == "b"
    assert table["reason"].iloc[0] == "uncertainty 0.900 (1.8 times the median)"
    assert table["reason"].iloc[-1] == "similar to a, ranked above"
    assert table["similar_to"].iloc[-1] == "a"
    assert table["rank"].tolist() == list(range(1, 8))


def test_a_single_image_is_ranked() -> None:
    assert annotate_next(["a"], np.zeros(1), np.zeros((1, 32, 32)))["id"].tolist() == ["a"]
