"""Augmentations: known results, masks that move with their images, and draws that belong to an example alone."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from biocnn import encode
from biocnn.augment import DRAWS
from biocnn.augment.images import affine, flip, intensity, noise, normal, rotate90
from biocnn.augment.sequences import reverse_complement, shift
from biocnn.batches import draws
from biocnn.errors import InputError
from biocnn.registry import REGISTRY, find

IMAGES = [name for name, path in REGISTRY["augment"].items() if path.startswith("biocnn.augment.images")]
GEOMETRY = [flip, rotate90, affine]


def codes(n: int, length: int) -> torch.Tensor:
    return torch.randint(0, 5, (n, length), generator=torch.Generator().manual_seed(n)).to(torch.uint8)


def blobs(n: int = 6, size: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth images, and as masks the classes that follow from their values; no symmetry."""
    rows, columns = torch.meshgrid(*[torch.arange(size) / size] * 2, indexing="ij")
    x = torch.stack([torch.sin(5 * rows + i) + torch.cos(3 * columns * (1 + rows)) for i in range(n)])[:, None]
    return x, classes(x)


def classes(x: torch.Tensor) -> torch.Tensor:
    """Values 0, 7 and 255, so that any mixing of two would show."""
    return torch.where(x > 0.8, 255, torch.where(x > 0, 7, 0)).to(torch.uint8)


def uniform(n: int, seed: int = 3) -> torch.Tensor:
    return torch.rand(n, DRAWS, generator=torch.Generator().manual_seed(seed))


def one_half(n: int, wanted: bool) -> torch.Tensor:
    return torch.full((n, DRAWS), 0.1 if wanted else 0.9)


@pytest.mark.parametrize("name", REGISTRY["augment"])
def test_every_augmentation_keeps_shapes_types_and_what_it_was_given(name: str) -> None:
    function = find("augment", name)
    x, y = blobs() if name in IMAGES else (codes(6, 20), torch.ones(6, 1))
    before = x.clone(), y.clone()
    for u in (uniform(6), torch.zeros(6, DRAWS), torch.full((6, DRAWS), 1 - 2**-24)):
        new_x, new_y = function(x, y, u)
        assert (new_x.shape, new_x.dtype, new_y.shape, new_y.dtype) == (x.shape, x.dtype, y.shape, y.dtype)
        assert x.equal(before[0])
        assert y.equal(before[1])
        if name in IMAGES:
            assert torch.isfinite(new_x).all()
            assert set(new_y.unique().tolist()) <= {0, 7, 255}
    assert list(inspect.signature(function).parameters)[:3] == ["x", "y", "u"]


@pytest.mark.parametrize("name", REGISTRY["augment"])
def test_what_happens_to_an_example_depends_on_its_own_draws_alone(name: str) -> None:
    function = find("augment", name)
    x, y = blobs() if name in IMAGES else (codes(6, 20), torch.ones(6, 1))
    u = uniform(6)
    whole, _ = function(x, y, u)
    torch.manual_seed(99)
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    assert function(x[order], y[order], u[order])[0].equal(whole[order])
    for i in range(6):
        torch.testing.assert_close(function(x[i : i + 1], y[i : i + 1], u[i : i + 1])[0], whole[i : i + 1])


def test_reverse_complement_takes_half_of_them() -> None:
    x, y = codes(2000, 7), torch.zeros(2000, 1)
    new, _ = reverse_complement(x, y, uniform(2000))
    turned = (new == encode.reverse_complement(x)).all(1)
    assert (turned | (new == x).all(1)).all()
    assert 0.45 < turned.float().mean() < 0.55


def test_reverse_complement_twice_is_the_same() -> None:
    x, y, u = codes(5, 9), torch.zeros(5, 1), one_half(5, True)
    assert reverse_complement(reverse_complement(x, y, u)[0], y, u)[0].equal(x)


@given(st.integers(-5, 5))
def test_shift_within_the_flank_is_slicing(offset: int) -> None:
    x, flank = codes(3, 30), 5
    u = torch.full((3, DRAWS), (offset + 5 + 0.5) / 11)
    new, _ = shift(x, torch.zeros(3, 1), u, max=5)
    assert new[:, flank:-flank].equal(x[:, flank + offset : 30 - flank + offset])
    beyond = new[:, 30 - offset :] if offset > 0 else new[:, :-offset]
    assert (beyond == 4).all()


def test_shift_reaches_both_ends_evenly() -> None:
    x = torch.arange(11, dtype=torch.uint8).repeat(22_000, 1)
    new, _ = shift(x, x, uniform(22_000), max=5)
    counts = torch.bincount(new[:, 5].long(), minlength=11)  # the middle shows the offset
    assert (counts - 2000).abs().max() < 200


def test_shift_does_not_make_bases_of_padding() -> None:
    x = torch.tensor([[0, 1, 2, 5, 5, 5]], dtype=torch.uint8)
    u = torch.full((1, DRAWS), 0.99)
    assert shift(x, x, u, max=2)[0].tolist() == [[2, 5, 5, 5, 5, 5]]
    assert shift(x, x, 1 - u, max=2)[0].tolist() == [[4, 4, 0, 1, 2, 5]]


def test_known_flips() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    y = x.to(torch.uint8)
    for rows in (0.1, 0.9):
        for columns in (0.1, 0.9):
            u = torch.tensor([[rows, columns] + [0.5] * (DRAWS - 2)])
            wanted = x.flip([axis for axis, value in ((2, rows), (3, columns)) if value < 0.5])
            new_x, new_y = flip(x, y, u)
            assert new_x.equal(wanted)
            assert new_y.equal(wanted.to(torch.uint8))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_flip_works_in_every_dimension_and_undoes_itself(dims: int) -> None:
    x = torch.rand(4, 2, *[5, 6, 7][:dims], generator=torch.Generator().manual_seed(1))
    y, u = (x[:, :1] > 0.5).to(torch.uint8), uniform(4)
    once = flip(x, y, u)
    assert flip(*once, u)[0].equal(x)
    assert flip(*once, u)[1].equal(y)


def test_flip_and_rotate90_give_all_eight_orientations() -> None:
    x, y = blobs(1, 5)
    u, v = uniform(200), uniform(200, seed=4)
    x, y = x.expand(200, 1, 5, 5), y.expand(200, 1, 5, 5)
    new, _ = rotate90(*flip(x, y, u), v)
    assert len(new.flatten(1).unique(dim=0)) == 8


@pytest.mark.parametrize("function", [flip, rotate90])
def test_exact_moves_take_masks_along(function) -> None:
    x, y = blobs()
    new_x, new_y = function(x, y, uniform(6))
    assert not new_x.equal(x)
    assert new_y.equal(classes(new_x))


@pytest.mark.parametrize("elastic", [0.0, 4.0])
def test_affine_takes_masks_along(elastic: float) -> None:
    x, y = blobs(8, 64)
    new_x, new_y = affine(x, y, uniform(8), rotate=180.0, scale=1.3, elastic=elastic)
    agree = (new_y == classes(new_x)).float().mean((1, 2, 3))
    assert agree.min() > 0.97  # they differ on outlines alone, where nearest and linear interpolation do
    assert ((new_y == y).float().mean((1, 2, 3)) < 0.9).any()


def test_affine_without_change_is_the_same() -> None:
    x, y = blobs()
    new_x, new_y = affine(x, y, uniform(6), rotate=0.0, scale=1.0)
    torch.testing.assert_close(new_x, x, atol=1e-5, rtol=0)
    assert new_y.equal(y)


@pytest.mark.parametrize("shape", [(40, 40), (24, 40)])
def test_affine_of_half_a_turn_is_two_flips(shape: tuple[int, int]) -> None:
    x, y = blobs()
    x, y = x[..., : shape[0], :], y[..., : shape[0], :]
    new_x, new_y = affine(x, y, torch.full((6, DRAWS), 0.5).index_fill(1, torch.tensor([0]), 1.0), scale=1.0)
    torch.testing.assert_close(new_x, x.flip(2, 3), atol=1e-4, rtol=0)
    assert (new_y == y.flip(2, 3)).float().mean() > 0.99


def test_affine_scales_by_the_factor_that_was_drawn() -> None:
    rows, columns = torch.meshgrid(*[torch.arange(101) - 50.0] * 2, indexing="ij")
    y = (rows**2 + columns**2 <= 20**2).to(torch.uint8)[None, None]
    u = torch.full((1, DRAWS), 0.5)
    u[:, 1] = 1.0
    _, larger = affine(y.float(), y, u, rotate=0.0, scale=1.5)
    assert math.sqrt(larger.sum() / y.sum()) == pytest.approx(1.5, rel=0.02)
    u[:, 1] = 0.0
    _, smaller = affine(y.float(), y, u, rotate=0.0, scale=1.5)
    assert math.sqrt(smaller.sum() / y.sum()) == pytest.approx(1 / 1.5, rel=0.03)


def test_affine_keeps_circles_round_in_oblong_patches() -> None:
    rows, columns = torch.meshgrid(torch.arange(61) - 30.0, torch.arange(121) - 60.0, indexing="ij")
    y = (rows**2 + columns**2 <= 20**2).to(torch.uint8)[None, None].expand(5, 1, 61, 121)
    _, new = affine(y.float(), y, uniform(5), scale=1.0)
    assert not new.equal(y)
    middle = (..., slice(None), slice(30, 91))  # further out, the mirrored border shows the circle again
    assert (new[middle] != y[middle]).float().mean() < 0.02


def test_elastic_bends_by_no_more_than_it_says() -> None:
    columns = torch.arange(64.0).expand(8, 1, 64, 64).contiguous()
    new, _ = affine(columns, columns.to(torch.uint8), uniform(8), rotate=0.0, scale=1.0, elastic=3.0)
    moved = (new - columns)[..., 8:-8, 8:-8].abs()
    assert 1 < moved.max() < 4  # the bicubic field overshoots its nodes a little
    steps = (new[..., 1:] - new[..., :-1])[..., 8:-8, 8:-8]
    assert steps.min() > 0  # it folds nothing over


def test_moves_that_do_not_fit_the_patch_are_refused() -> None:
    with pytest.raises(InputError, match="rotate90 needs square patches") as caught:
        rotate90(torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 4, 6), uniform(1))
    assert "train.patch: [n, n]" in caught.value.remedy
    with pytest.raises(InputError, match="affine is for images of 2 dimensions, not 3"):
        affine(torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4), uniform(1))


@pytest.mark.parametrize(
    ("name", "setting"),
    [("shift", "max"), ("affine", "scale"), ("intensity", "contrast"), ("intensity", "gamma")],
)
@pytest.mark.parametrize("value", [0, -1])
def test_factors_and_lengths_without_meaning_are_refused(name: str, setting: str, value: int) -> None:
    x, y = blobs() if name in IMAGES else (codes(6, 20), torch.ones(6, 1))
    with pytest.raises(InputError, match=f"augment: {name}.{setting} is {value}"):
        find("augment", name)(x, y, uniform(6), **{setting: value})


def test_intensity_stays_within_its_limits_and_keeps_the_order_of_pixels() -> None:
    x, y = blobs()
    x = x.sigmoid()
    new, same = intensity(x, y, uniform(6), contrast=1.3, brightness=0.1, gamma=1.3)
    assert same is y
    for before, after in zip(x.flatten(1), new.flatten(1), strict=True):
        assert (after[before.argsort()].diff() >= -1e-6).all()
    middle = torch.full((6, DRAWS), 0.5)
    torch.testing.assert_close(intensity(x, y, middle)[0], x)
    brighter, _ = intensity(x, y, middle.index_fill(1, torch.tensor([1]), 1.0), brightness=0.1)
    torch.testing.assert_close(brighter, x + 0.1)
    stronger, _ = intensity(x, y, middle.index_fill(1, torch.tensor([0]), 1.0), contrast=2.0)
    torch.testing.assert_close(stronger, 2 * x)
    darker, _ = intensity(x, y, middle.index_fill(1, torch.tensor([2]), 1.0), gamma=2.0)
    torch.testing.assert_close(darker, x**2)


def test_noise_has_the_spread_that_was_drawn() -> None:
    x, y = torch.zeros(4, 1, 100, 100), torch.zeros(4, 1, 100, 100, dtype=torch.uint8)
    u = uniform(4)
    new, same = noise(x, y, u, sd=0.2)
    assert same is y
    torch.testing.assert_close(new.std((1, 2, 3)), 0.2 * u[:, 0], rtol=0.05, atol=0)
    assert not new[0].equal(new[1])


def test_draws_are_a_function_of_their_name() -> None:
    assert draws(1, 2, "a", (5, 3)).equal(draws(1, 2, "a", (5, 3)))
    others = [draws(2, 2, "a", (5, 3)), draws(1, 3, "a", (5, 3)), draws(1, 2, "b", (5, 3)), draws(12, 0, "a", (5, 3))]
    assert not any(other.equal(draws(1, 2, "a", (5, 3))) for other in others)
    assert draws(1, 2, "a", (50, 3))[:5].equal(draws(1, 2, "a", (5, 3)))


def test_numbers_made_from_counters_are_normal_and_apart() -> None:
    u = torch.rand(8, 2, generator=torch.Generator().manual_seed(3))
    u[1] = u[0] + 2**-24  # the nearest draws there are
    numbers = normal(u, (1, 96, 96))
    for one in numbers.flatten(1).numpy():
        assert kstest(one, "norm").pvalue > 1e-4
    assert numbers.mean().abs() < 0.02
    assert (numbers.std() - 1).abs() < 0.02
    lines = torch.cat([numbers.flatten(1), *(numbers.roll(1, axis).flatten(1) for axis in (2, 3))])
    apart = torch.corrcoef(lines) - torch.eye(len(lines))
    assert apart.abs().max() < 5 / 96  # five standard deviations of a correlation of so many pixels
    assert normal(u[:1], (1, 96, 96)).equal(numbers[:1])
