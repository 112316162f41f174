"""Targets follow their image: class maps by the nearest pixel, values by interpolation, boxes by ellipses in them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import uniform
from scipy.ndimage import map_coordinates

from biocnn.augment.geometry import affine, elastic, flip, rotate90
from biocnn.augment.intensity import noise
from biocnn.augment.move import STAY, Move, Moves, Turn, Warp
from biocnn.augment.numbers import Some
from biocnn.config.registry import find, suited
from biocnn.tasks.target import PARTIAL, Boxes, ClassMap, ValueMap, Vector

N = 12
SIZES = {2: (96, 96), 3: (40, 48, 48)}
BENT = {"elastic": 3.0, "smooth": 24.0}
MOVES = {
    "flip": (flip, {}),
    "rotate90": (rotate90, {}),
    "affine": (affine, {"scale": 1.2, "stretch": 1.1, "shear": 8.0}),
    "affine, elastic": (affine, {"scale": 1.2, "stretch": 1.1, "shear": 8.0, **BENT}),
    "affine, share": (affine, {"scale": 1.2, **BENT, "share": 0.5}),
    "elastic": (elastic, {"size": 3.0, "smooth": 24.0}),
}
IN_3D = {
    "rotate90, turned over": (rotate90, {"over": True}),
    "affine, tilted": (affine, {"tilt": 30.0, "scale": 1.2, **BENT}),
    "affine, in planes": (affine, {"scale": 1.2, **BENT, "in_plane": True, "share": 0.7}),
}
CASES = [(dims, *case) for dims in (2, 3) for case in MOVES.values()] + [(3, *case) for case in IN_3D.values()]
NAMES = [f"{name}, {dims}D" for dims in (2, 3) for name in MOVES] + list(IN_3D)
EVERY = pytest.mark.parametrize(("dims", "function", "settings"), CASES, ids=NAMES)


def coordinates(sizes: tuple[int, ...]) -> torch.Tensor:
    """Return images whose values are the coordinates of pixel centres, one channel per axis."""
    axes = torch.meshgrid(*[torch.arange(size) + 0.5 for size in sizes], indexing="ij")
    return torch.stack(axes).expand(N, len(sizes), *sizes)


def read(image: torch.Tensor, points: np.ndarray) -> np.ndarray:
    """Return values of an image (C, *spatial) at points (M, axes), in pixels; shape (M, C)."""
    return np.stack([map_coordinates(channel.numpy(), points.T - 0.5, order=1) for channel in image], axis=1)


def scattered(dims: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points all over the images, and the examples that they belong to."""
    rng = np.random.default_rng(seed)
    points = rng.random((600, dims)) * SIZES[dims]
    return torch.from_numpy(points).float(), torch.from_numpy(rng.integers(0, N, 600))


def inside(points: np.ndarray, sizes: tuple[int, ...], margin: float = 4) -> np.ndarray:
    return np.all((points > margin) & (points < np.array(sizes) - margin), axis=1)


def check_points(move: Move, found: torch.Tensor, dims: int) -> None:
    """Check that points of the source are where the result shows them."""
    points, example = scattered(dims)
    places, seen = move.points(points, example).numpy(), 0
    for i in range(N):
        mine = (example == i).numpy()
        mine[mine] = inside(places[mine], SIZES[dims])
        source = points[mine].numpy()
        kept = inside(source, SIZES[dims])  # the direction at the mirrored border is undefined
        np.testing.assert_allclose(read(found[i], places[mine][kept]), source[kept], atol=0.05)
        seen += kept.sum()
    assert seen > 200


def check_known(move: Move, dims: int) -> None:
    """Check that pixels are known where points of the source lie in the result, and nowhere beyond its border."""
    sizes = torch.tensor(SIZES[dims])
    known = move.known(torch.ones(N, 1, *SIZES[dims], dtype=torch.bool))
    assert known.dtype == torch.bool
    points, example = scattered(dims)
    outside = points + 1.2 * sizes * torch.where(points < sizes / 2, -1, 1) * torch.eye(dims)[example % dims]
    for source, wanted in ((points, True), (outside, False)):
        places = move.points(source, example)
        clear = inside(source.numpy(), SIZES[dims]) | (not wanted)
        kept = inside(places.numpy(), SIZES[dims]) & clear
        at = places[kept].long()
        assert (known[example[kept], 0, *at.unbind(1)] == wanted).all()


@EVERY
def test_points_follow_the_image(dims: int, function, settings: dict) -> None:
    x = coordinates(SIZES[dims])
    found, move = function(x, uniform(N), **settings)
    assert not found.equal(x)
    check_points(move, found, dims)
    check_known(move, dims)


@pytest.mark.parametrize("dims", [2, 3])
def test_several_moves_are_combined(dims: int) -> None:
    x = coordinates(SIZES[dims])
    moves = []
    for i, name in enumerate(("flip", "affine, share", "rotate90", "elastic")):
        function, settings = MOVES[name]
        x, move = function(x, uniform(N, seed=i), **settings)
        moves.append(move)
    check_points(Moves(moves), x, dims)
    check_known(Moves(moves), dims)
    assert Moves(moves).maps(coordinates(SIZES[dims]), "bilinear").equal(x)


def boxes(dims: int) -> torch.Tensor:
    """Return one box per example, near the middle, so that no mirror image of it is visible."""
    rng = np.random.default_rng(1)
    middle = np.array(SIZES[dims]) // 2 + rng.integers(-2, 3, (N, dims))
    half = rng.integers(2, 5, (N, dims))
    rows = np.column_stack([np.arange(N), rng.integers(0, 4, N), middle - half, middle + half])
    return torch.from_numpy(rows).float()


def drawn(box: torch.Tensor, sizes: tuple[int, ...], shape: str) -> torch.Tensor:
    """Return masks of filled boxes, or of ellipses in them, shape (N, 1, *spatial)."""
    masks = np.zeros((N, 1, *sizes), np.uint8)
    for mask, row in zip(masks[:, 0], box.numpy().astype(int), strict=True):
        low, high = row[2 : 2 + len(sizes)], row[2 + len(sizes) :]
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.stack(
            np.meshgrid(*[np.arange(a, b) + 0.5 for a, b in zip(low, high, strict=True)], indexing="ij"), -1
        )
        far = (((2 * grid - low - high) / (high - low)) ** 2).sum(-1)
        mask[window] = True if shape == "box" else far <= 1
    return torch.from_numpy(masks)


def around(mask: torch.Tensor) -> np.ndarray:
    """Return the corners of the bounding box of a mask: (2, spatial_dims)."""
    pixels = np.argwhere(mask.numpy())
    return np.stack([pixels.min(0), pixels.max(0) + 1])


@EVERY
def test_boxes_fit_their_moved_objects(dims: int, function, settings: dict) -> None:
    """A moved ellipse fills its moved box; mirrored and quarter-turned, a filled box does as well."""
    sizes, before = SIZES[dims], boxes(dims)
    _, move = function(coordinates(sizes), uniform(N), **settings)
    after = Boxes().warp(before, move, sizes)
    assert after[:, :2].equal(before[:, :2])
    rigid = function in (flip, rotate90)
    for shape in ("box", "ellipse") if rigid else ("ellipse",):
        masks = ClassMap().warp(drawn(before, sizes, shape), move, sizes)
        for row, mask in zip(after, masks[:, 0], strict=True):
            corners = row[2:].view(2, dims).numpy()
            # The pixels of a small ellipse do not reach its ends.
            np.testing.assert_allclose(around(mask), corners, atol=0 if shape == "box" else 1.6)
            np.testing.assert_allclose(np.argwhere(mask.numpy()).mean(0) + 0.5, corners.mean(0), atol=1)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", suited("augment", "image"))
def test_masks_follow_every_registered_augmentation(name: str, dims: int) -> None:
    """Objects are at the same place in mask and image, even if values of the image changed."""
    sizes, before = SIZES[dims], boxes(dims)
    masks = drawn(before, sizes, "box")
    found, move = find("augment", name)(masks.float(), uniform(N))
    for image, mask, box in zip(
        found[:, 0], ClassMap().warp(masks, move, sizes)[:, 0], Boxes().warp(before, move, sizes), strict=True
    ):
        assert image[mask == 1].mean() - image[mask == 0].mean() > 0.3
        np.testing.assert_allclose(around(mask), box[2:].view(2, dims), atol=2.5)


@EVERY
def test_a_ramp_keeps_its_value_at_the_moved_place(dims: int, function, settings: dict) -> None:
    sizes = SIZES[dims]
    slope = np.linspace(1, 2, dims)
    ramp = (coordinates(sizes) * torch.from_numpy(slope).float().view(dims, *[1] * dims)).sum(1, keepdim=True)
    _, move = function(coordinates(sizes), uniform(N), **settings)
    found = ValueMap().warp(ramp, move, sizes)
    points, example = scattered(dims)
    places = move.points(points, example).numpy()
    kept = inside(places, sizes) & inside(points.numpy(), sizes)
    for i in range(N):
        mine = kept & (example == i).numpy()
        np.testing.assert_allclose(read(found[i], places[mine])[:, 0], points[mine].numpy() @ slope, atol=0.1)


def test_unknown_values_stay_unknown() -> None:
    values = torch.ones(N, 1, 32, 32)
    values[:, :, 14:18, 14:18] = torch.nan
    _, move = affine(values, uniform(N))
    found = ValueMap().warp(values, move, (32, 32))
    assert (found.isnan().flatten(1).sum(1) >= 9).all()
    torch.testing.assert_close(found[~found.isnan()], torch.ones(int((~found.isnan()).sum())))


def test_vectors_are_not_changed() -> None:
    y = torch.rand(N, 3)
    x = coordinates((16, 16))
    assert Vector().warp(y, flip(x, uniform(N))[1], (16, 16)) is y
    np.testing.assert_array_equal(Vector().crop(y[0].numpy(), [slice(2, 9)] * 2, [(3, 1)] * 2), y[0])


def test_changes_of_values_move_nothing_and_copy_nothing() -> None:
    y, rows = drawn(boxes(2), SIZES[2], "box"), boxes(2)
    _, move = noise(y.float(), uniform(N))
    assert move is STAY
    assert ClassMap().warp(y, move, SIZES[2]) is y
    assert Moves([STAY, move]).maps(y) is y
    assert Boxes().warp(rows, move, SIZES[2]).equal(rows)
    assert move.known(y == 0).equal(y == 0)


@pytest.mark.parametrize("dims", [2, 3])
def test_only_chosen_examples_move_each_independently(dims: int) -> None:
    sizes, u = SIZES[dims], uniform(N)
    masks, rows, settings = drawn(boxes(dims), sizes, "ellipse"), boxes(dims), {"scale": 1.2, **BENT}
    some, every = (affine(coordinates(sizes), u, **settings, share=share)[1] for share in (0.5, 1.0))
    chosen = u[:, 0] < 0.5
    assert 0 < chosen.sum() < N
    for target, truth in ((ClassMap(), masks), (Boxes(), rows)):
        part, whole = (target.warp(truth, move, sizes) for move in (some, every))
        assert part[~chosen].equal(truth[~chosen])
        torch.testing.assert_close(part[chosen], whole[chosen], atol=1e-4, rtol=0)


def test_computing_all_or_only_chosen_examples_is_the_same() -> None:
    """All are computed on a GPU, only the chosen ones on a CPU."""
    u, sizes = uniform(N), (32, 32)
    matrix, field = 0.8 * torch.eye(2).repeat(N, 1, 1), torch.rand(N, *sizes, 2) / 50
    few, all_of_them = Some(0.5, u), Some(0.5, u)
    index, all_of_them.index, all_of_them.u = few.index, None, u
    one, other = Warp(few, sizes, matrix[index], field[index]), Warp(all_of_them, sizes, matrix, field)
    x, (points, example) = torch.rand(N, 2, *sizes), scattered(2)
    torch.testing.assert_close(one.maps(x, "bilinear"), other.maps(x, "bilinear"))
    torch.testing.assert_close(one.points(points / 3, example), other.points(points / 3, example))


def test_known_boxes_mirrored_and_rotated() -> None:
    row = torch.tensor([[0, 7, 1, 2, 4, 9.0], [1, 8, 1, 2, 4, 9]])
    first = torch.tensor([True, False])
    found = Boxes().warp(row, Turn(first, (10, 10), [-1]), (10, 10))
    assert found.tolist() == [[0, 7, 1, 1, 4, 8], [1, 8, 1, 2, 4, 9]]
    found = Boxes().warp(row, Turn(~first, (10, 10), [-1], swap=True), (10, 10))
    assert found.tolist() == [[0, 7, 1, 2, 4, 9], [1, 8, 2, 6, 9, 9]]


def test_patches_cut_boxes_and_ignore_those_mostly_outside() -> None:
    truth = np.array([[1, 10, 10, 20, 20], [2, 0, 10, 10, 20], [3, 0, 4, 4, 8], [4, 6, 15, 9, 25]], np.float32)
    window, missing = [slice(5, 25), slice(0, 26)], [(0, 0), (3, 1)]  # half of box 2 is cut off, and all of box 3
    found = Boxes().crop(truth, window, missing)
    assert found.tolist() == [[1, 5, 13, 15, 23], [2, 0, 13, 5, 23], [4, 1, 18, 4, 28]]
    assert Boxes(visible=0.6).crop(truth, window, missing)[:, 0].tolist() == [1, PARTIAL, 4]
    assert Boxes().crop(truth, [slice(50, 60), slice(0, 9)], [(0, 0), (0, 0)]).shape == (0, 5)


def test_boxes_moved_out_of_the_image_are_cut_as_well() -> None:
    row = torch.tensor([[0, 1, 0, 0, 8, 8.0], [0, 2, 12, 12, 20, 20]])
    zoom = Warp(Some(1.0, uniform(1)), (32, 32), torch.eye(2)[None] / 2, None)  # twice as large, centred
    found = Boxes().warp(row, zoom, (32, 32))
    assert found.tolist() == [[0, 2, 8, 8, 24, 24]]


@pytest.mark.parametrize("target", [Vector(), ClassMap(), ValueMap(), Boxes()])
def test_stored_targets_are_read_in_batches_with_their_type(target, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shapes = [(3,)] * 3 if isinstance(target, Vector) else [(1, 4, 5)] * 3
    shapes = [(2, 5), (0, 5), (1, 5)] if isinstance(target, Boxes) else shapes
    truths = [rng.integers(0, 9, shape).astype(target.dtype) for shape in shapes]
    target.write(iter(truths), tmp_path)
    stored = target.open(tmp_path)
    for one, truth in zip(stored, truths, strict=True):
        np.testing.assert_array_equal(one, truth, strict=True)
    batch = target.collate([stored[i] for i in range(3)])
    assert batch.dtype == getattr(torch, target.dtype)
    if isinstance(target, Boxes):
        assert batch[:, 0].tolist() == [0, 0, 2]
        np.testing.assert_array_equal(batch[:, 1:], np.concatenate(truths))
        assert target.collate([stored[1]]).shape == (0, 6)
        empty = target.collate([stored[1]])
        _, move = affine(torch.rand(1, 1, 8, 8), uniform(1), elastic=1.0)
        assert target.warp(empty, move, (8, 8)).shape == (0, 6)
    else:
        np.testing.assert_array_equal(batch, np.stack(truths))


def test_maps_beyond_small_images_are_unknown_or_mirrored() -> None:
    truth = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    window, missing = [slice(0, 2), slice(1, 3)], [(1, 0), (0, 0)]
    assert ClassMap().crop(truth, window, missing).tolist() == [[[255, 255], [1, 2], [4, 5]]]
    assert ValueMap().crop(truth, window, missing).tolist() == [[[1, 2], [1, 2], [4, 5]]]
