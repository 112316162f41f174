"""Patches of images: around rare classes, in the preview, and of volumes."""

from copy import copy

import numpy as np
import pytest
import torch
from test_batches import CPU, IMAGE_AUGMENT, check_independence, epoch, places
from tiny import chosen, images, stored

from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.tasks.target import Boxes, Vector
from biocnn.training.batches import make, preview


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(8, size=(40, 56), channels=2), tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return a class that covers 0.1% of the pixels, in half of the images."""
    raw = images(8, size=(100, 120))
    masks = [np.zeros((100, 120), np.uint8) for _ in range(8)]
    for i in range(0, 8, 2):
        masks[i][10 * i + 5 : 10 * i + 9, 50:56] = 1
    raw.y = masks.__getitem__
    return stored(raw, tmp_path_factory.mktemp("rare"))


@pytest.mark.parametrize("share", [0.1, 1 / 3, 1.0])
def test_share_of_patches_with_a_rare_class_in_every_batch(rare: Dataset, share: float) -> None:
    assert rare.facts.class_shares[1] == pytest.approx(0.001)
    batches = make(rare, np.arange(8), CPU, (), [16, 16], foreground=share)
    shown = [(batches.get(index)[1] == 1).flatten(1).any(1) for index in epoch(batches, size=10, steps=20)]
    assert torch.cat(shown).float().mean() >= share - 1e-9
    assert min(int(batch.sum()) for batch in shown) >= int(10 * share)
    anywhere = make(rare, np.arange(8), CPU, (), [16, 16])
    index = torch.cat(epoch(anywhere, size=10, steps=20))
    assert (anywhere.get(index)[1] == 1).flatten(1).any(1).float().mean() < 0.08


def test_patches_around_rare_classes_depend_only_on_seed_epoch_and_number(rare: Dataset) -> None:
    check_independence(make(rare, np.arange(8), CPU, IMAGE_AUGMENT, [16, 16], foreground=0.5), 12)
    others = [make(rare, np.arange(8), CPU, (), [16, 16], foreground=0.5, workers=n) for n in (0, 1)]
    plans = [epoch(batches, seed=3, size=6, steps=3) for batches in others]
    for (x, y), (other_x, other_y) in zip(*(b.load(plan) for b, plan in zip(others, plans, strict=True)), strict=True):
        assert x.equal(other_x)
        assert y.equal(other_y)
    before = others[0].image.copy()
    epoch(others[0], seed=4, size=6, steps=3)
    assert not np.array_equal(before, others[0].image)


def test_only_patches_around_rare_classes_move(rare: Dataset) -> None:
    plain, some = (make(rare, np.arange(8), CPU, (), [16, 16], foreground=share) for share in (0.0, 0.25))
    for batches in (plain, some):
        epoch(batches, size=20, steps=2)
    same = (plain.where[:, :2] == some.where[:, :2]).all(1)
    assert same.sum() == 30
    assert np.array_equal(plain.image[same], some.image[same])


def test_the_preview_shows_patches_before_and_after_augmentation(cells: Dataset) -> None:
    x, y = preview(cells, IMAGE_AUGMENT, [16, 16], n=3, m=4)
    y = np.array(y)
    assert x.shape == (3, 5, 2, 16, 16)
    assert y.shape == (3, 5, 1, 16, 16)
    for one, mask in zip(x[:, 0], y[:, 0], strict=True):
        ((i, row, column),) = places(cells, torch.from_numpy(one))
        assert i in cells.rows("train")
        np.testing.assert_array_equal(mask, cells.y[i][:, row : row + 16, column : column + 16])
    for row in x:
        assert all(not np.allclose(row[a], row[b], atol=0.01) for a in range(5) for b in range(a))
    moves = chosen({"name": "flip"}, {"name": "rotate90"})
    x, y = preview(cells, moves, [16, 16], n=3, m=4)
    y = np.array(y)
    np.testing.assert_allclose(x.sum((2, 3, 4)), x[:, :1].sum((2, 3, 4)).repeat(5, 1), rtol=1e-4)
    np.testing.assert_array_equal(y.sum((2, 3, 4)), y[:, :1].sum((2, 3, 4)).repeat(5, 1))


def test_volumes_have_the_memory_layout_that_convolutions_prefer(tmp_path) -> None:
    dataset = stored(volumes(6), tmp_path)
    batches = make(dataset, np.arange(6), CPU, chosen({"name": "flip"}, {"name": "affine", "tilt": 20.0}), [8, 16, 16])
    (index,) = epoch(batches, size=4, steps=1)
    x, y = batches.get(index)
    assert x.shape == (4, 1, 8, 16, 16)
    assert x.is_contiguous(memory_format=torch.channels_last_3d)
    assert set(y.unique().tolist()) <= {0, 1}
    check_independence(batches, 4)


@pytest.mark.parametrize("workers", [0, 1])
def test_boxes_and_vectors_are_batched_with_their_patches(workers: int, tmp_path) -> None:
    """Boxes around the masks are cut from the same patches and moved with them; vectors stay with their image."""
    dataset = stored(volumes(6), tmp_path)
    rows, size = np.arange(6), [8, 16, 16]
    (tmp_path / "boxes").mkdir()
    (tmp_path / "vectors").mkdir()
    corners = [np.argwhere(dataset.y[i][0]) for i in rows]
    Boxes().write([np.array([[i, *c.min(0), *(c.max(0) + 1)]]) for i, c in enumerate(corners)], tmp_path / "boxes")
    Vector().write([np.array([i, -i]) for i in rows], tmp_path / "vectors")
    found = {}
    for name, target in (("maps", dataset.task.target), ("boxes", Boxes(visible=0)), ("vectors", Vector())):
        other = copy(dataset)
        other.task = copy(dataset.task)
        other.task.target = target
        other.y = dataset.y if name == "maps" else target.open(tmp_path / name)
        batches = make(other, rows, CPU, chosen({"name": "flip"}, {"name": "rotate90"}), size, workers)
        (index,) = epoch(batches, size=20, steps=1)
        found[name] = batches.get(index)
        assert found[name][0].equal(found["maps"][0])
    maps, boxes, vectors = (y for _, y in found.values())
    assert vectors.equal(torch.tensor([[i, -i] for i in batches.image]))
    seen = {int(row[0]): row for row in boxes}
    assert len(seen) == len(boxes) > 10
    for i, mask in enumerate(maps[:, 0]):
        pixels = torch.nonzero(mask == 1)
        assert (i in seen) == bool(len(pixels))
        if i in seen:
            assert seen[i].tolist() == [i, batches.image[i], *pixels.amin(0), *(pixels.amax(0) + 1)]


def test_every_object_of_a_patch_has_a_box(tmp_path) -> None:
    """Neither margins of small images nor what augmentation moves into view show mirror images, which have no box."""
    raw, square = images(6), np.zeros((40, 40), np.uint8)
    square[30:36, 4:10] = 1
    raw.x, raw.y = (lambda row: np.where(square, 1000, 100)[None].astype(np.uint16)), (lambda row: square)
    dataset = stored(raw, tmp_path)
    Boxes().write([np.array([[0, 30, 4, 36, 10]], np.float32)] * 6, tmp_path)
    dataset.task = copy(dataset.task)
    dataset.task.target, dataset.y = Boxes(), Boxes().open(tmp_path)
    batches = make(dataset, np.arange(6), CPU, chosen({"name": "affine", "scale": 2.0}), [48, 48])
    blank, seen = 0, 0
    for index in epoch(batches, size=20, steps=2):
        x, boxes = batches.get(index)
        for i, image in enumerate(x[:, 0]):
            blank += int((image == 0).sum())
            pixels = torch.nonzero(image > 0.7) + 0.5
            inside = torch.zeros(len(pixels), dtype=torch.bool)
            for row in boxes[boxes[:, 0] == i]:
                inside |= ((pixels > row[2:4] - 2) & (pixels < row[4:] + 2)).all(1)
            assert inside.all()
            seen += len(pixels)
    assert seen > 500
    assert blank > 5000


def volumes(n: int) -> Raw:
    """Return bright boxes in dark volumes."""
    raw = images(n)
    rng = np.random.default_rng(2)
    masks = [np.zeros((12, 24, 28), np.uint8) for _ in range(n)]
    for i, mask in enumerate(masks):
        mask[2 + i % 4 : 8, 5 : 10 + i, 6:15] = 1
    raw.x = [(100 + 500.0 * m[None] + rng.normal(0, 9, (1, *m.shape))).astype(np.uint16) for m in masks].__getitem__
    raw.y = masks.__getitem__
    raw.facts = raw.facts.model_copy(update={"spatial_dims": 3, "spacing": [1.0, 1.0, 1.0]})
    return raw


def test_folds_of_images_never_split_a_group_and_patches_come_from_the_training_split(tmp_path) -> None:
    stored(images(12), tmp_path, folds=3, val=None, test=None)
    tested = []
    for fold in range(3):
        dataset = Dataset(tmp_path / "dataset", fold)
        parts = {part: set(dataset.examples["group"][dataset.rows(part)]) for part in ("train", "val", "test")}
        assert [len(groups) for groups in parts.values()] == [2, 2, 2]
        assert len(set.union(*parts.values())) == 6
        tested += sorted(parts["test"])
        batches = make(dataset, dataset.rows("train"), CPU, (), [16, 16], foreground=0.5)
        for index in epoch(batches, size=8, steps=2):
            x, _ = batches.get(index)
            rows = {i for one in x for i, _, _ in places(dataset, one)}
            assert set(dataset.examples["group"].iloc[sorted(rows)]) <= parts["train"]
    assert sorted(tested) == sorted(set(tested))
    assert len(tested) == 6
