"""Places of rare classes: they exist, are drawn uniformly, and patches contain them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biocnn.core.errors import InputError
from biocnn.data import foreground
from biocnn.data.foreground import Foreground, write_places
from biocnn.io.ragged import Ragged


def stored(folder: Path, masks: list[np.ndarray], seed: int = 1) -> Path:
    Ragged.write(folder / "y.npy", [mask[None] for mask in masks], np.uint8)
    write_places(Ragged(folder / "y.npy"), folder / "foreground.npy", seed)
    return folder / "foreground.npy"


def opened(folder: Path, masks: list[np.ndarray], rows: list[int] | None = None) -> Foreground:
    path, rows = stored(folder, masks), np.arange(len(masks)) if rows is None else np.array(rows, int)
    shapes = np.array([masks[i].shape for i in rows])
    return Foreground(path, rows, shapes, [0.9, 0.05, 0.05])


def sparse(*sizes: int, **values: int) -> np.ndarray:
    """Return background with the given number of pixels of each class, e.g. c1=3."""
    rng = np.random.default_rng(sum(sizes))
    mask = np.zeros(sizes, np.uint8)
    for name, number in values.items():
        mask.flat[rng.choice(np.flatnonzero(mask.ravel() == 0), number, replace=False)] = int(name[1:])
    return mask


@pytest.mark.parametrize("sizes", [(40, 50), (9, 20, 30)])
def test_stored_pixels_have_the_stated_class(tmp_path: Path, monkeypatch, sizes: tuple[int, ...]) -> None:
    monkeypatch.setattr(foreground, "EACH", (32, 100))
    masks = [sparse(*sizes, c1=150, c2=7, c255=30), sparse(*sizes, c3=1), sparse(*sizes)]
    masks[2][:] = 255
    table = np.load(stored(tmp_path, masks))
    for image, value, pixel in table:
        assert masks[image].ravel()[pixel] == value
    counts = {(i, k): int(((table[:, 0] == i) & (table[:, 1] == k)).sum()) for i in range(3) for k in (0, 1, 2, 3, 255)}
    assert counts[0, 1] == counts[0, 0] == counts[1, 0] == 100
    assert (counts[0, 2], counts[1, 3], counts[0, 255], counts[2, 255]) == (7, 1, 0, 0)
    assert len(set(table[(table[:, 0] == 0) & (table[:, 1] == 2), 2])) == 7  # all, because they are few
    again = np.load(stored(tmp_path, masks))
    assert np.array_equal(again, table)
    assert not np.array_equal(np.load(stored(tmp_path, masks, seed=2)), table)


def test_stored_pixels_are_spread_over_all_of_a_class(tmp_path: Path) -> None:
    mask = np.zeros((300, 300), np.uint8)
    mask[:, 150:] = 1
    table = np.load(stored(tmp_path, [mask]))
    for value in (0, 1):
        rows, columns = np.divmod(table[table[:, 1] == value, 2], 300)
        assert len(rows) > 4000
        assert abs(rows.mean() - 149.5) < 6
        assert abs(columns.mean() - (74.5 if value == 0 else 224.5)) < 3


def pixels_seen(places: Foreground, masks: list[np.ndarray], patch: list[int], number: int = 600) -> list[np.ndarray]:
    u = np.random.default_rng(5).random((number, 3 + len(patch)))
    images, where = places.draw(u, patch)
    found = []
    for image, fractions in zip(images, where, strict=True):
        free = [max(n - p, 0) for n, p in zip(masks[image].shape, patch, strict=True)]
        starts = [int(f * (n + 1)) for f, n in zip(fractions, free, strict=True)]
        assert all(0 <= s <= n for s, n in zip(starts, free, strict=True))
        found.append(masks[image][tuple(slice(s, s + p) for s, p in zip(starts, patch, strict=True))])
    return found


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 70), st.integers(1, 70))
def test_each_patch_contains_a_rare_class_for_all_sizes(tmp_path_factory, height, width, rows, columns) -> None:
    masks = [sparse(height, width, c1=1), sparse(30, 45, c1=2)]
    places = opened(tmp_path_factory.mktemp("masks"), masks)
    for patch in pixels_seen(places, masks, [rows, columns], 20):
        assert (patch == 1).any()


def test_classes_are_drawn_equally_often_and_from_all_images_that_have_them(tmp_path: Path) -> None:
    masks = [sparse(64, 64, c1=900), sparse(64, 64, c1=1, c2=1), sparse(64, 64), sparse(200, 200, c1=3)]
    places = opened(tmp_path, masks)
    u = np.random.default_rng(5).random((6000, 5))
    images, _ = places.draw(u, [1, 1])
    shown = np.array([patch[0, 0] for patch in pixels_seen(places, masks, [1, 1], 6000)])
    assert abs((shown == 1).mean() - 0.5) < 0.03
    assert (shown > 0).all()
    counts = np.bincount(images, minlength=4) / 6000
    np.testing.assert_allclose(counts, [1 / 6, 1 / 6 + 1 / 2, 0, 1 / 6], atol=0.03)


def test_only_requested_images_are_used(tmp_path: Path) -> None:
    masks = [sparse(20, 20, c1=5), sparse(20, 30, c1=5), sparse(30, 20, c1=5)]
    places = opened(tmp_path, masks, [2, 0])
    images, _ = places.draw(np.random.default_rng(1).random((100, 5)), [8, 8])
    assert set(images) == {0, 1}
    assert places.shapes.tolist() == [[30, 20], [20, 20]]
    assert not opened(tmp_path, [sparse(20, 20)])  # there is nothing to draw


def test_the_drawn_pixel_lies_in_the_middle_half_but_not_always_in_the_middle(tmp_path: Path) -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[100, 100] = 1
    spots = [np.argwhere(patch == 1)[0] for patch in pixels_seen(opened(tmp_path, [mask]), [mask], [40, 40])]
    assert np.min(spots) == 10
    assert np.max(spots) == 29
    assert len(np.unique(spots)) == 20


def test_older_data_sets_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"foreground\.npy: is missing, but train\.foreground is above 0") as caught:
        Foreground(tmp_path / "foreground.npy", np.arange(1), np.ones((1, 2)), [1.0])
    assert caught.value.remedy == "create the data set again"
