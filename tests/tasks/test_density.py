"""Densities sum to the number of points, at borders, too; factor and margin follow from validation images."""

import numpy as np
import pytest
from tiny import counted, stored, task_of

from biocnn.core.errors import InputError
from biocnn.data.stored_raw import open_raw, write_raw
from biocnn.tasks.density import Density


@pytest.fixture
def task() -> Density:
    return task_of(
        "density", outputs=["a", "b"], width=2.5, values={"mean": [1, 2], "sd": [2, 4], "least": [0, 0], "most": [9, 9]}
    )


def test_each_point_has_a_sum_of_one_also_in_a_corner(task: Density) -> None:
    dots = np.zeros((2, 30, 41), np.float32)
    for row, column in ((0, 0), (29, 40), (0, 20), (15, 15), (15, 15)):
        dots[0, row, column] += 1
    density = task.encode(dots)
    assert density.dtype == np.float32
    assert density[0].sum() == pytest.approx(5, abs=1e-4)
    assert density[1].sum() == 0
    alone = np.zeros((2, 30, 41), np.float32)
    alone[:, 15, 20] = 1
    middle = task.encode(alone)[0]
    assert middle.max() == middle[15, 20] == pytest.approx(1 / (2 * np.pi * 2.5**2), rel=0.01)
    np.testing.assert_allclose(task.encode(dots + alone), density + task.encode(alone), atol=1e-7)


def test_points_are_stored_beside_their_density(tmp_path) -> None:
    write_raw(counted(outputs=("a", "b")), {}, tmp_path / "raw")
    dataset = stored(open_raw(tmp_path / "raw"), tmp_path)
    for row in range(16):
        np.testing.assert_array_equal(dataset.truth(row), counted(outputs=("a", "b")).truth(row))
        np.testing.assert_allclose(dataset.y[row].sum(axis=(1, 2)), dataset.truth(row).sum(axis=(1, 2)), atol=1e-4)
    assert dataset.examples["y_0"].tolist() == [1 + i % 9 for i in range(16)]


def test_a_class_without_points_cannot_be_learned(task: Density) -> None:
    none, some = (task.remember(dots, task.encode(dots)) for dots in (np.zeros((2, 9, 9)), np.ones((2, 9, 9))))
    with pytest.raises(InputError, match="train split has no point of 'a', 'b'"):
        list(task.check_split({"train": [none], "val": [some], "test": [some]}))
    notes = list(task.check_split({"train": [some], "val": [none], "test": [some]}))
    assert notes == [("the val split has no point of a class", "a"), ("the val split has no point of a class", "b")]


def maps(task: Density, counts: np.ndarray) -> list[np.ndarray]:
    """Return standardised maps with these sums, (N, K)."""
    values = np.repeat(np.asarray(counts, float)[..., None] / 10, 10, axis=2)[..., None, :]
    return [(one - np.reshape([1, 2], (2, 1, 1))) / np.reshape([2, 4], (2, 1, 1)) for one in values]


def test_a_constant_factor_is_corrected_but_noise_is_not(task: Density) -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(20, 60, (12, 2)).astype(float)
    found = np.stack([true[:, 0] * 0.8, true[:, 1] + np.tile([1, -1], 6)], axis=1)
    tuned = task.tune(maps(task, found), list(true[..., None, None]))
    assert tuned["scale"] == [pytest.approx(1.25), 1.0]
    assert tuned["margin"][0] == pytest.approx(0, abs=1e-6)
    count, low, high = task.interval(task.total(task.decide(np.full((2, 2, 5), 4.0), tuned)), tuned)
    assert count.tolist() == [pytest.approx(50), 40]
    assert high[1] - 40 == 40 - low[1] == pytest.approx(tuned["margin"][1] * np.sqrt(40))


def test_several_runs_share_the_means_of_their_factors_and_margins(task: Density) -> None:
    runs = [{"scale": [1.0, 2.0], "margin": [0.5, None]}, {"scale": [2.0, 4.0], "margin": [1.5, 1.0]}]
    assert task.shared([{}, *runs]) == {"scale": [1.5, 3.0], "margin": [1.0, None]}
    assert task.shared([{}]) == {"scale": [], "margin": []}


def test_intervals_contain_ninety_percent_of_new_counts_and_need_nine_images(task: Density) -> None:
    rng, inside = np.random.default_rng(2), []
    for _ in range(200):
        true = rng.uniform(10, 90, (30, 2))
        found = true + rng.normal(0, 1, true.shape) * np.sqrt(true)
        tuned = task.tune(maps(task, found[:20]), list(true[:20, :, None, None])) | {"scale": [1.0, 1.0]}
        for p, y in zip(found[20:], true[20:], strict=True):
            _, low, high = task.interval(p, tuned)
            inside.append((low <= y) & (y <= high))
    assert np.mean(inside) == pytest.approx(0.91, abs=0.015)
    few = task.tune(maps(task, np.ones((8, 2))), list(np.ones((8, 2, 1, 1))))
    assert few["margin"] == [None, None]
    assert np.isnan(task.interval(np.ones(2), few).low).all()
