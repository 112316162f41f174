"""What a network sees: each example once an epoch, patches inside their images, independent of the batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import chosen, images, sequences, stored

from biocnn.augment.move import STAY
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.io.padded import pad
from biocnn.nn.encode import normalise, one_hot, to_tensor
from biocnn.training.batches import ImageBatches, Recipe, SequenceBatches, augmentations, augmented, make

CPU = torch.device("cpu")
SEQUENCE_AUGMENT = chosen({"name": "reverse_complement"}, {"name": "shift", "max": 4})
IMAGE_AUGMENT = chosen(
    {"name": "flip"},
    {"name": "rotate90"},
    {"name": "affine", "rotate": 90.0, "scale": 1.2, "elastic": 2.0},
    {"name": "gamma", "power": 1.3},
    {"name": "intensity", "contrast": 1.3, "brightness": 0.1},
    {"name": "blur", "share": 0.5},
    {"name": "low_resolution", "share": 0.5},
    {"name": "noise", "sd": 0.1},
)


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(61), tmp_path_factory.mktemp("bound"))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(lengths=range(20, 40)), tmp_path_factory.mktemp("uneven"))


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(8, size=(40, 56), channels=2), tmp_path_factory.mktemp("cells"))


def epoch(batches, seed: int = 1, number: int = 0, size: int = 8, steps: int | None = None) -> list[torch.Tensor]:
    return batches.plan(seed, number, size, steps)


@given(st.integers(1, 61), st.integers(1, 70))
def test_each_sequence_once_an_epoch(bound: Dataset, n: int, size: int) -> None:
    batches = SequenceBatches(bound, np.arange(n), CPU, Recipe())
    plan = epoch(batches, size=size)
    assert sorted(torch.cat(plan).tolist()) == list(range(n))
    assert all(len(batch) > 1 for batch in plan) or size == 1 or n == 1
    assert max(map(len, plan)) <= size + 1


@given(st.integers(1, 20), st.integers(1, 25), st.integers(0, 3))
def test_sequences_of_similar_length_share_a_batch(uneven: Dataset, n: int, size: int, number: int) -> None:
    """Row i of the data has 20 + i bases; a batch is cut to its longest."""
    batches = SequenceBatches(uneven, np.arange(n), CPU, Recipe())
    plan = epoch(batches, size=size, number=number)
    assert sorted(torch.cat(plan).tolist()) == list(range(n))
    for index in plan:
        assert index.max() - index.min() == len(index) - 1, "neighbours in length"
        x, _ = batches.get(index)
        assert x.shape == (len(index), 4, 20 + int(index.max()))
        assert x.sum((1, 2)).tolist() == (20.0 + index).tolist(), "no base is lost"
    assert [batch.tolist() for batch in plan] == [batch.tolist() for batch in epoch(batches, size=size, number=number)]


def test_steps_bound_the_epoch(bound: Dataset) -> None:
    batches = make(bound, bound.rows("train"), CPU)
    assert len(epoch(batches, size=4, steps=3)) == 3


def test_order_is_a_function_of_seed_and_epoch(bound: Dataset) -> None:
    batches = make(bound, bound.rows("train"), CPU)
    first = torch.cat(epoch(batches))
    assert torch.cat(epoch(batches)).equal(first)
    assert not torch.cat(epoch(batches, seed=2)).equal(first)
    assert not torch.cat(epoch(batches, number=1)).equal(first)
    assert torch.cat(epoch(batches, size=5)).equal(first)


def test_plain_sequences_are_unchanged_and_in_order(bound: Dataset) -> None:
    rows, flank = bound.rows("val", "test"), bound.facts.flank
    batches = make(bound, rows, CPU, SEQUENCE_AUGMENT)
    for size in (1, 7, 512):
        x, y = (torch.cat(parts) for parts in zip(*batches.plain(size), strict=True))
        wanted = np.stack([bound.x[i][flank:-flank] for i in rows])
        assert x.equal(one_hot(torch.from_numpy(wanted)))
        np.testing.assert_array_equal(y, np.stack([bound.y[i] for i in rows]))
    np.testing.assert_array_equal(bound.windows(rows), wanted)


def test_shifted_sequences_are_windows_of_the_stored_ones(bound: Dataset) -> None:
    batches = make(bound, np.arange(20), CPU, chosen({"name": "shift", "max": 4}))
    index = torch.cat(epoch(batches))
    x, _ = batches.get(index)
    seen = set()
    for i, found in zip(index.tolist(), x, strict=True):
        whole = one_hot(torch.from_numpy(np.array(bound.x[i]))[None])[0]
        offsets = [o for o in range(9) if whole[:, o : o + 24].equal(found)]
        assert len(offsets) == 1
        seen |= set(offsets)
    assert len(seen) > 4


def test_sequences_of_different_lengths_are_padded_on_the_right(uneven: Dataset) -> None:
    batches = make(uneven, np.arange(20), CPU)
    codes = uneven.windows(np.arange(20))
    assert codes.shape == (20, 39)
    for i, row in enumerate(codes):
        np.testing.assert_array_equal(row[: 20 + i], uneven.x[i])
        assert (row[20 + i :] == 5).all()
    x, _ = next(batches.plain())
    assert not x[0, :, 20:].any()


def test_pad() -> None:
    arrays = [np.array([1, 2], np.uint8), np.array([], np.uint8), np.array([3], np.uint8)]
    assert pad(arrays).tolist() == [[1, 2], [5, 5], [3, 5]]


def check_independence(batches, n: int) -> None:
    epoch(batches, seed=5, number=3, size=n, steps=1)
    whole_x, whole_y = batches.get(torch.arange(n))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    x, y = batches.get(order)
    torch.testing.assert_close(x, whole_x[order], rtol=0, atol=1e-6)
    assert y.equal(whole_y[order])
    torch.manual_seed(77)
    for i in range(n):
        x, y = batches.get(torch.tensor([i]))
        torch.testing.assert_close(x, whole_x[i : i + 1], rtol=0, atol=1e-6)
        assert y.equal(whole_y[i : i + 1])


def test_an_augmented_sequence_depends_only_on_seed_epoch_and_example(bound: Dataset) -> None:
    batches = make(bound, np.arange(20), CPU, SEQUENCE_AUGMENT)
    check_independence(batches, 20)
    epoch(batches, seed=5, number=3, size=20)
    first, _ = batches.get(torch.arange(20))
    epoch(batches, seed=5, number=3, size=3)
    assert batches.get(torch.arange(20))[0].equal(first)
    epoch(batches, seed=5, number=4, size=20)
    assert not batches.get(torch.arange(20))[0].equal(first)
    epoch(batches, seed=6, number=3, size=20)
    assert not batches.get(torch.arange(20))[0].equal(first)


def test_an_augmented_patch_depends_only_on_seed_epoch_and_number(cells: Dataset) -> None:
    check_independence(make(cells, np.arange(8), CPU, IMAGE_AUGMENT, [16, 16]), 12)


def places(dataset: Dataset, patch: torch.Tensor) -> list[tuple[int, int, int]]:
    """Return the image, row and column at which a patch of raw pixels was cut."""
    found = []
    size = patch.shape[1:]
    for i in range(len(dataset.x)):
        image = normalise(to_tensor(dataset.x[i])[None], *limits(dataset))[0]
        corners = (image[:, : image.shape[1] - size[0] + 1, : image.shape[2] - size[1] + 1] == patch[:, :1, :1]).all(0)
        for row, column in corners.nonzero().tolist():
            if image[:, row : row + size[0], column : column + size[1]].equal(patch):
                found.append((i, row, column))
    return found


def limits(dataset: Dataset) -> list[torch.Tensor]:
    intensity = dataset.facts.intensity
    return [torch.tensor(ends, dtype=torch.float32) for ends in (intensity.low, intensity.high)]


def test_patches_lie_inside_their_images_and_match_their_masks(cells: Dataset) -> None:
    batches = make(cells, cells.rows("train"), CPU, (), [16, 24])
    seen = []
    for index in epoch(batches, size=20, steps=4):
        x, y = batches.get(index)
        assert x.shape == (20, 2, 16, 24)
        assert y.shape == (20, 1, 16, 24)
        for one, mask in zip(x, y, strict=True):
            ((i, row, column),) = places(cells, one)
            np.testing.assert_array_equal(mask, cells.y[i][:, row : row + 16, column : column + 24])
            seen.append((i, row, column))
    assert {i for i, _, _ in seen} == set(cells.rows("train"))
    rows, columns = {row for _, row, _ in seen}, {column for _, _, column in seen}
    assert min(rows) == 0  # both ends are reached
    assert max(rows) == 40 - 16
    assert len(columns) > 20


def test_images_are_drawn_in_proportion_to_their_area(tmp_path) -> None:
    raw = images(8)
    x, y = raw.x, raw.y
    raw.x = lambda i: x(i)[:, :16] if i % 2 else x(i)
    raw.y = lambda i: y(i)[:16] if i % 2 else y(i)
    dataset = stored(raw, tmp_path)
    batches = make(dataset, np.arange(8), CPU, (), [16, 16])
    epoch(batches, size=12, steps=5)
    counts = np.bincount(batches.image, minlength=8)
    assert counts.tolist() == [10, 5, 10, 5, 10, 5, 10, 5]


def test_epoch_covers_each_pixel_about_once(cells: Dataset) -> None:
    batches = make(cells, np.arange(8), CPU, (), [16, 16])
    assert len(batches) == 8 * 9  # 40 * 56 / 256 is 8.75
    assert len(epoch(batches, size=8)) == 9
    assert [len(index) for index in epoch(batches, size=100)] == [100]


def test_small_images_are_placed_anywhere_padded_by_mirroring_that_is_ignored_in_the_loss(cells: Dataset) -> None:
    batches = make(cells, np.arange(8), CPU, (), [48, 64])
    found = set()
    for index in epoch(batches, size=20, steps=8):
        for x, y in zip(*batches.get(index), strict=True):
            known = (y[0] != 255).nonzero()
            first, last = known.amin(0), known.amax(0) + 1
            assert (last - first).tolist() == [40, 56]
            assert len(known) == 40 * 56
            (top, left), (bottom, right) = first.tolist(), last.tolist()
            image = x[:, top:bottom, left:right].numpy()
            around = [(0, 0), (top, 48 - bottom), (left, 64 - right)]
            np.testing.assert_array_equal(x, np.pad(image, around, mode="symmetric"))
            found.add((top, left))
    assert {top for top, _ in found} == {left for _, left in found} == set(range(9))


def test_plain_images_are_whole_and_in_order(cells: Dataset) -> None:
    rows = cells.rows("val", "test")
    found = list(make(cells, rows, CPU, IMAGE_AUGMENT).plain())
    assert len(found) == len(rows)
    for i, (x, y) in zip(rows, found, strict=True):
        assert x[0].equal(normalise(to_tensor(cells.x[i])[None], *limits(cells))[0])
        np.testing.assert_array_equal(y[0], cells.y[i])


def test_patch_size_is_derived_from_the_data_unless_set(cells: Dataset) -> None:
    batches = make(cells, np.arange(8), CPU)
    assert isinstance(batches, ImageBatches)
    assert batches.patch == [32, 32]


def test_augmentations_keep_their_order_and_have_unique_names() -> None:
    names = [name for name, _ in augmentations(chosen("flip", {"name": "noise", "sd": 1}, "flip"))]
    assert names == ["0 flip", "1 noise", "2 flip"]


@pytest.mark.parametrize(
    ("kind", "sections", "patch", "message", "remedy"),
    [
        (
            "bound",
            chosen({"name": "shift", "max": 5}),
            None,
            "shift.max is 5 bp, but only 4 bp are stored",
            "data.flank: 5",
        ),
        (
            "bound",
            chosen({"name": "flip"}),
            None,
            "augment: flip is not for sequences",
            "allowed: reverse_complement, shift",
        ),
        ("bound", [], [16], "train.patch: [16], but the data are sequences", "leave it out"),
        ("cells", chosen({"name": "shift", "max": 1}), None, "augment: shift is not for images", "allowed: flip"),
        ("cells", [], [16], "train.patch: [16], but the images have 2 dimensions", "give 2 lengths"),
        ("cells", [], [16, 16, 16], "train.patch: [16, 16, 16], but", "give 2 lengths"),
    ],
)
def test_settings_that_do_not_suit_the_data_are_refused(request, kind, sections, patch, message, remedy) -> None:
    dataset = request.getfixturevalue(kind)
    with pytest.raises(InputError) as caught:
        make(dataset, np.arange(4), CPU, sections, patch)
    assert message in caught.value.message
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("function", "message", "remedy"),
    [
        (lambda x, u: (x, None), "returns Tensor, NoneType instead of x and a Move", "return x, STAY"),
        (lambda x, u: (x, x), "returns Tensor, Tensor instead of x and a Move", "return x, STAY"),
        (lambda x, u: x, "returns Tensor instead of x and a Move", "return x, STAY"),
        (lambda x, u: (x[:, 1:], STAY), "returns x of shape (2, 2), torch.float32, but was given (2, 3)", "same shape"),
        (lambda x, u: (x.double(), STAY), "returns x of shape (2, 3), torch.float64, but was given", "same shape"),
    ],
)
def test_augmentations_return_the_same_kind_of_batch_and_a_move(function, message: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        augmented([("0 mine", function)], torch.zeros(2, 3), {"0 mine": torch.zeros(2, 8)}, torch.arange(2))
    assert caught.value.message.startswith(f"augment.0 mine: {message}")
    assert remedy in caught.value.remedy


def test_shift_without_flank_is_allowed(uneven: Dataset) -> None:
    batches = make(uneven, np.arange(20), CPU, chosen({"name": "shift", "max": 5}))
    (index,) = epoch(batches, size=20)
    assert batches.get(index)[0].shape == (20, 4, 39)
