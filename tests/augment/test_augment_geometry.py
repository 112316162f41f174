"""Moves of pixels: sources of pixels, compared with SciPy; masks move with their images."""

import math

import numpy as np
import pytest
import torch
from pictures import SIZES, blobs, classes, moved, uniform
from scipy.ndimage import map_coordinates

from biocnn.augment import DRAWS
from biocnn.augment.geometry import affine, elastic, flip, rotate90
from biocnn.core.errors import InputError

NO_MOVE = {"rotate": 0.0, "scale": 1.0}


def coordinates(n: int, *sizes: int) -> torch.Tensor:
    """Return images whose values are their coordinates, one channel per axis."""
    axes = torch.meshgrid(*[torch.arange(float(size)) for size in sizes], indexing="ij")
    return torch.stack(axes).expand(n, len(sizes), *sizes).contiguous()


def sources(n: int, sizes: tuple[int, ...], **settings) -> torch.Tensor:
    """Return sources of pixels near the middle, (N, pixels, axes), and their positions, relative to the middle."""
    x = coordinates(n, *sizes)
    middle = torch.tensor([(size - 1) / 2 for size in sizes])
    inner = tuple(slice(size // 3, size - size // 3) for size in sizes)
    found, _ = affine(x, uniform(n), **settings)
    return tuple(t[(..., *inner)].flatten(2).transpose(1, 2) - middle for t in (found, x))


def matrices(n: int, sizes: tuple[int, ...], **settings) -> torch.Tensor:
    """Return matrices from offsets in the result to offsets in the image, one per example."""
    found, own = sources(n, sizes, **settings)
    matrix = torch.linalg.lstsq(own, found).solution
    torch.testing.assert_close(own @ matrix, found, atol=2e-3, rtol=0)  # linear
    return matrix.mT


def test_known_flips() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    y = x.to(torch.uint8)
    for rows in (0.1, 0.9):
        for columns in (0.1, 0.9):
            u = torch.tensor([[rows, columns] + [0.5] * (DRAWS - 2)])
            wanted = x.flip([axis for axis, value in ((2, rows), (3, columns)) if value < 0.5])
            new_x, new_y = moved(flip, x, y, u)
            assert new_x.equal(wanted)
            assert new_y.equal(wanted.to(torch.uint8))


@pytest.mark.parametrize("dims", [2, 3])
def test_flip_is_its_own_inverse_and_reaches_every_mirror_image(dims: int) -> None:
    x, y = (t[:1].expand(60, *t.shape[1:]) for t in blobs(1, *[5, 6, 7][:dims]))
    u = uniform(60)
    once = moved(flip, x, y, u)
    twice = moved(flip, *once, u)
    assert twice[0].equal(x)
    assert twice[1].equal(y)
    assert len(once[0].flatten(1).unique(dim=0)) == 2**dims


@pytest.mark.parametrize("dims", [2, 3])
def test_flip_changes_only_the_named_axes(dims: int) -> None:
    x = blobs(1, *[5, 6, 7][:dims])[0].expand(20, 1, *[5, 6, 7][:dims])
    new, _ = flip(x, uniform(20), axes=[-1])
    mirrored = (new == x.flip(-1)).flatten(1).all(1)
    assert (mirrored | (new == x).flatten(1).all(1)).all()
    assert 3 < mirrored.sum() < 17
    with pytest.raises(InputError, match=r"flip\.axes contains 0"):
        flip(x, uniform(20), axes=[0])


def orientations(x: torch.Tensor) -> int:
    return len(x.flatten(1).unique(dim=0))


def test_rotate90_gives_the_four_rotations_and_with_flips_all_eight_orientations() -> None:
    x = blobs(1, 5, 5)[0].expand(200, 1, 5, 5)
    turned, _ = rotate90(x, uniform(200))
    wanted = torch.stack([torch.rot90(x[0], k, (1, 2)) for k in range(4)]).flatten(1).unique(dim=0)
    assert turned.flatten(1).unique(dim=0).equal(wanted)
    assert orientations(rotate90(flip(x, uniform(200))[0], uniform(200, seed=4))[0]) == 8


def test_volumes_turned_over_are_not_mirror_images() -> None:
    """All eight rotations that keep or reverse the direction of the planes occur, each with determinant 1."""
    x = coordinates(200, 3, 5, 5) - torch.tensor([1.0, 2.0, 2.0]).view(1, 3, 1, 1, 1)
    new, _ = rotate90(x, uniform(200), over=True)
    own, found = (t.flatten(2).transpose(1, 2) for t in (x, new))
    matrix = torch.linalg.lstsq(own, found).solution
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(200))
    assert orientations(matrix.round()) == 8


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("function", [flip, rotate90])
def test_exact_moves_move_masks_too(function, dims: int) -> None:
    x, y = blobs(6, *SIZES[dims])
    new_x, new_y = moved(function, x, y, uniform(6))
    assert not new_x.equal(x)
    assert new_y.equal(classes(new_x))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("bend", [0.0, 3.0])
def test_affine_moves_masks_too(bend: float, dims: int) -> None:
    x, y = blobs(8, *{2: (64, 64), 3: (24, 32, 32)}[dims])
    new_x, new_y = moved(affine, x, y, uniform(8), scale=1.3, stretch=1.1, shear=5.0, elastic=bend, smooth=16.0)
    agree = (new_y == classes(new_x)).float().flatten(1).mean(1)
    assert agree.min() > 0.95  # they differ only at outlines, where nearest and linear interpolation differ
    assert ((new_y == y).float().flatten(1).mean(1) < 0.9).any()


@pytest.mark.parametrize("dims", [2, 3])
def test_affine_without_change_is_the_identity(dims: int) -> None:
    x, y = blobs(6, *SIZES[dims])
    new_x, new_y = moved(affine, x, y, uniform(6), **NO_MOVE)
    torch.testing.assert_close(new_x, x, atol=1e-5, rtol=0)
    assert new_y.equal(y)


@pytest.mark.parametrize("sizes", [(61, 61), (61, 91), (15, 21, 25)])
def test_affine_rotates_within_its_limit_and_keeps_shapes_in_oblong_patches(sizes: tuple[int, ...]) -> None:
    found = matrices(40, sizes, rotate=30.0, scale=1.0)
    torch.testing.assert_close(found @ found.mT, torch.eye(len(sizes)).expand(found.shape), atol=1e-3, rtol=0)
    angles = torch.rad2deg(torch.atan2(found[:, -1, -2], found[:, -1, -1]))
    assert 25 < angles.max() <= 30.01
    assert -25 > angles.min() >= -30.01
    if len(sizes) == 3:
        torch.testing.assert_close(found[:, 0], torch.eye(3)[0].expand(40, 3), atol=1e-3, rtol=0)


def test_tilt_rotates_about_both_other_axes() -> None:
    found = matrices(40, (21, 21, 21), rotate=0.0, tilt=30.0, scale=1.0)
    torch.testing.assert_close(torch.linalg.det(found), torch.ones(40), atol=1e-3, rtol=0)
    torch.testing.assert_close(found @ found.mT, torch.eye(3).expand(40, 3, 3), atol=1e-3, rtol=0)
    for axis in (1, 2):
        angles = torch.rad2deg(torch.asin(found[:, 0, axis].clamp(-1, 1)))
        assert 15 < angles.abs().max() < 31
        assert angles.min() < 0 < angles.max()


@pytest.mark.parametrize("sizes", [(61, 61), (21, 21, 21)])
def test_affine_scales_and_stretches_within_its_limits_equally_often_up_and_down(sizes: tuple[int, ...]) -> None:
    dims = len(sizes)
    found = torch.diagonal(matrices(60, sizes, rotate=0.0, scale=1.5), dim1=1, dim2=2).log() / math.log(1.5)
    torch.testing.assert_close(found, found[:, :1].expand_as(found), atol=1e-2, rtol=0)  # all axes equally
    assert found.abs().max() <= 1.001
    assert found.max() > 0.9
    assert found.min() < -0.9
    assert found[:, 0].mean().abs() < 0.25
    found = torch.diagonal(matrices(60, sizes, **NO_MOVE, stretch=1.2), dim1=1, dim2=2).log() / math.log(1.2)
    assert 0.9 < found.abs().max() <= 1.001
    assert (torch.corrcoef(found.T) - torch.eye(dims)).abs().max() < 0.5  # each axis independently


@pytest.mark.parametrize("sizes", [(61, 61), (21, 21, 21)])
def test_shear_keeps_areas_and_stays_within_its_limit(sizes: tuple[int, ...]) -> None:
    found = matrices(40, sizes, **NO_MOVE, shear=10.0)
    if len(sizes) == 2:
        assert torch.linalg.det(found).sub(1).abs().max() < math.tan(math.radians(10)) ** 2 + 1e-3
    lean = torch.rad2deg(torch.atan(found[:, 0, 1]))
    assert 8 < lean.abs().max() < 10.1


@pytest.mark.parametrize(("sizes", "in_plane"), [((40, 56), False), ((20, 24, 28), False), ((6, 40, 56), True)])
def test_pixels_equal_those_interpolated_by_scipy(sizes: tuple[int, ...], in_plane: bool) -> None:
    """With all moves at once, sources are read from an image of coordinates, and values compared with SciPy."""
    settings = {"scale": 1.3, "stretch": 1.1, "shear": 8.0, "elastic": 3.0, "smooth": 16.0, "in_plane": in_plane}
    x, y = blobs(5, *sizes)
    where, _ = affine(coordinates(5, *sizes), uniform(5), **settings)
    new_x, new_y = moved(affine, x, y, uniform(5), **settings)
    checked = 0
    for i in range(5):
        place, own = where[i].numpy().astype(float), blobs(5, *sizes)[0][i, 0].numpy()
        inside = np.all([(p > 1) & (p < n - 2) for p, n in zip(place, sizes, strict=True)], axis=0)
        if in_plane:
            inside = np.all([(p > 1) & (p < n - 2) for p, n in zip(place[1:], sizes[1:], strict=True)], axis=0)
            np.testing.assert_allclose(place[0], np.arange(sizes[0])[:, None, None] * np.ones(sizes), atol=1e-4)
        wanted = map_coordinates(own, place, order=1, mode="nearest")
        np.testing.assert_allclose(new_x[i, 0].numpy()[inside], wanted[inside], atol=2e-3)
        nearest = map_coordinates(y[i, 0].numpy(), place, order=0, mode="nearest")
        assert (new_y[i, 0].numpy()[inside] == nearest[inside]).mean() > 0.999
        checked += inside.sum()
    assert checked > np.prod(sizes)


@pytest.mark.parametrize("dims", [2, 3])
def test_elastic_is_smooth_and_within_its_limit(dims: int) -> None:
    sizes = (64, 64) if dims == 2 else (32, 32, 32)
    x = coordinates(6, *sizes)
    new, _ = elastic(x, uniform(6), size=2.5, smooth=16.0)
    inner = (..., *[slice(4, -4)] * dims)
    far = (new - x)[inner]
    assert far.abs().max() <= 2.5
    assert far.std() > 0.4
    assert far.mean().abs() < 0.3
    for axis in range(dims):  # no folds
        assert torch.diff(new[:, axis], dim=1 + axis)[(slice(None), *[slice(4, -4)] * dims)].min() > 0
    assert not far[0].allclose(far[1], atol=0.1)


def test_planes_of_thick_slices_move_together() -> None:
    x, y = blobs(4, 1, 24, 24)
    x, y = (t.expand(4, 1, 5, 24, 24) for t in (x, y))
    new_x, new_y = moved(affine, x, y, uniform(4), elastic=3.0, in_plane=True)
    for plane in range(1, 5):
        assert new_x[:, :, plane].equal(new_x[:, :, 0])
        assert new_y[:, :, plane].equal(new_y[:, :, 0])


def test_moves_that_do_not_fit_the_patch_are_refused() -> None:
    flat = torch.zeros(1, 1, 4, 6)
    with pytest.raises(InputError, match="rotate90 needs square images") as caught:
        rotate90(flat, uniform(1))
    assert "train.patch: [n, n]" in caught.value.remedy
    with pytest.raises(InputError, match=r"affine\.tilt is for volumes"):
        affine(flat, uniform(1), tilt=10.0)
    with pytest.raises(InputError, match=r"rotate90\.over is for volumes"):
        rotate90(flat[..., :4], uniform(1), over=True)
