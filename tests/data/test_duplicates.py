"""Copies of images are found even if changed, within and across splits, and nothing else is found."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from tiny import images, stored

from biocnn.core.checks import Checks
from biocnn.data.duplicates import ALIKE, SIDES, alike, comparable, small_version
from biocnn.data.images import Images
from biocnn.nn.views import turn, views

rng = np.random.default_rng(4)


def picture(shape: tuple[int, ...]) -> np.ndarray:
    return 100 + 2000 * ndimage.gaussian_filter(rng.normal(0, 1, shape), [0, *[3] * (len(shape) - 1)])


def pairs(pictures: list[np.ndarray]) -> set[tuple[int, int]]:
    found = alike(np.stack([small_version(x) for x in pictures]))
    assert all(value >= ALIKE for _, _, value in found)
    return {(i, j) for i, j, _ in found}


def test_small_versions_are_means_over_boxes_independent_of_brightness() -> None:
    x = rng.normal(0, 1, (2, 64, 96))
    means = x.mean(axis=0).reshape(32, 2, 32, 3).mean(axis=(1, 3))
    means -= means.mean()
    np.testing.assert_allclose(small_version(x), means / np.linalg.norm(means), atol=1e-6)
    np.testing.assert_allclose(small_version(3 * x + 50), small_version(x), atol=1e-4)
    assert not small_version(np.full((1, 7, 200), 255, np.uint8)).any()
    assert small_version(rng.normal(0, 1, (1, 9, 20, 30))).shape == (SIDES[3],) * 3


@pytest.mark.parametrize("n", [3, 12])
@pytest.mark.parametrize("shape", [(1, 60, 80), (3, 64, 64), (1, 24, 40, 40)], ids=str)
def test_copies_are_found_and_nothing_else(shape: tuple[int, ...], n: int) -> None:
    pictures = [picture(shape) for _ in range(n)]
    turned = np.flip(pictures[0].swapaxes(-1, -2), -1) * 1.5 + 20
    noisy = pictures[1] + rng.normal(0, 0.05 * np.ptp(pictures[1]), shape)
    half = ndimage.zoom(pictures[2], [1, *[0.5] * (len(shape) - 1)], order=1)
    flat = [np.zeros(shape), np.ones(shape)]
    assert pairs([*pictures, turned, noisy, half, *flat]) == {(0, n), (1, n + 1), (2, n + 2)}


def test_a_frame_that_all_images_share_does_not_make_them_alike() -> None:
    frame = 0.0 + (np.hypot(*(np.indices((80, 80)) - 40)) < 36)
    frame[:30, 60:] = 2
    pictures = [3000 * frame + picture((1, 80, 80)) * frame for _ in range(10)]
    assert pairs(pictures) == set()
    assert pairs([*pictures, pictures[4][:, ::-1]]) == {(4, 10)}


def test_images_that_look_alike_are_removed_from_the_held_out_split(tmp_path: Path) -> None:
    raw = images(12, size=(48, 48))
    plain = raw.x
    raw.examples["split"] = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    raw.x = lambda i: np.ascontiguousarray(plain(0)[:, ::-1] * 2) if i == 10 else plain(3) if i == 9 else plain(i)
    kept = stored(raw, tmp_path, column="split", val=None, test=None)
    found = {tuple(leak.pair): leak for leak in kept.facts.leakage}
    assert found["train", "test"].alike == 1
    assert found["train", "test"].exact == 0
    assert found["train", "val"].exact == 1
    assert found["train", "val"].alike == 0, "identical pixels must be counted once"
    (tmp_path / "again").mkdir()
    cleaned = stored(raw, tmp_path / "again", column="split", val=None, test=None, remove_leaks=True)
    assert dict(cleaned.facts.n) == {"train": 8, "val": 1, "test": 1}


@pytest.mark.data
def test_real_sets_have_the_duplicates_that_a_person_sees(data_root: Path, tmp_path: Path) -> None:
    folder = data_root / "images" / "isbi2012_em"
    rows = pd.read_csv(folder / "index.csv").iloc[:10]
    for column in ("image", "mask"):
        rows[column] = [str(folder / path) for path in rows[column]]
    rows.to_csv(tmp_path / "t.csv", index=False)
    checks = Checks()
    Images(table=tmp_path / "t.csv").read(1, checks)
    assert not [row for row in checks.findings if "alike" in row[3]], "neighbouring sections are not duplicates"


@pytest.mark.parametrize("shape", [(1, 60, 80), (1, 24, 40, 40)], ids=str)
def test_pairs_are_those_of_a_comparison_of_all_with_all(shape: tuple[int, ...]) -> None:
    small = np.stack([small_version(picture(shape)) for _ in range(40)])
    copies = np.stack([turn(small[i], view) for i in range(40) for view in views(small.ndim - 1)[:3]])
    noise = rng.normal(0, 1, copies.shape) * rng.uniform(0, 0.02, (len(copies), *[1] * (small.ndim - 1)))
    every = np.concatenate([small, copies + noise]).astype(np.float32)
    turned = comparable(every)
    best = np.max([turned[0] @ view.T for view in turned], axis=0)
    found = np.argwhere(np.triu(best >= ALIKE, 1)).tolist()
    assert 40 < len(found) < 200
    assert [[i, j] for i, j, _ in alike(every)] == found
