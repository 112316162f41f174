"""Augmentations: properties of all, those of sequences, and their random numbers."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import SIZES, blobs, moved, uniform
from scipy.stats import kstest

from biocnn.augment import DRAWS, numbers
from biocnn.augment.move import STAY
from biocnn.augment.sequences import reverse_complement, shift
from biocnn.config.registry import REGISTRY, find, suited
from biocnn.nn import encode
from biocnn.training.batches import draws

SEQUENCES = suited("augment", "sequence")
# Each with its defaults, and with all its settings, for some of the examples.
MORE = {
    "affine": {"stretch": 1.2, "shear": 10.0, "elastic": 3.0, "share": 0.5},
    "elastic": {"share": 0.5},
    "intensity": {"per_channel": True, "share": 0.5},
    **{name: {"share": 0.5} for name in ("gamma", "noise", "blur", "low_resolution")},
}
ONLY_3D = {
    "rotate90": {"over": True}, "affine": {"tilt": 30.0}, "elastic": {"in_plane": True}, "blur": {"in_plane": True},
    "low_resolution": {"in_plane": True},
}  # fmt: skip
CASES = [(name, dims, {}) for name in REGISTRY["augment"] for dims in ((1,) if name in SEQUENCES else (2, 3))]
CASES += [(name, 2, settings) for name, settings in MORE.items()]
CASES += [(name, 3, MORE.get(name, {}) | settings) for name, settings in ONLY_3D.items()]


def codes(n: int, length: int) -> torch.Tensor:
    return torch.randint(0, 5, (n, length), generator=torch.Generator().manual_seed(n)).to(torch.uint8)


def examples(dims: int, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    return (codes(n, 20), codes(n, 20)[:, None]) if dims == 1 else blobs(n, *SIZES[dims], channels=2)


def augmented(function: Callable, x: torch.Tensor, y: torch.Tensor, u: torch.Tensor, **settings: Any) -> tuple:
    """Apply a change to x; the classes of pixels and bases follow."""
    if x.ndim > 2:
        return moved(function, x, y, u, **settings)
    new, move = function(x, u, **settings)
    return new, move.maps(y, "nearest")


@pytest.mark.parametrize(("name", "dims", "settings"), CASES)
def test_every_augmentation_keeps_shapes_types_and_its_input(name: str, dims: int, settings: dict) -> None:
    function = find("augment", name)
    x, y = examples(dims)
    before = x.clone(), y.clone()
    for u in (uniform(6), torch.zeros(6, DRAWS), torch.full((6, DRAWS), 1 - 2**-24)):
        new_x, new_y = augmented(function, x, y, u, **settings)
        assert (new_x.shape, new_x.dtype, new_y.shape, new_y.dtype) == (x.shape, x.dtype, y.shape, y.dtype)
        assert x.equal(before[0])
        assert y.equal(before[1])
        if dims > 1:
            assert torch.isfinite(new_x).all()
            for values, old in zip(new_y, y, strict=True):
                assert set(values.unique().tolist()) <= set(old.unique().tolist())
    assert list(inspect.signature(function).parameters)[:2] == ["x", "u"]


@pytest.mark.parametrize(("name", "dims", "settings"), CASES)
def test_the_change_of_an_example_depends_only_on_its_own_draws(name: str, dims: int, settings: dict) -> None:
    function = find("augment", name)
    x, y = examples(dims)
    u = uniform(6)
    whole, masks = augmented(function, x, y, u, **settings)
    assert not whole.equal(x)
    torch.manual_seed(99)
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    turned = augmented(function, x[order], y[order], u[order], **settings)
    assert turned[0].equal(whole[order])
    assert turned[1].equal(masks[order])
    for i in range(6):
        one, _ = function(x[i : i + 1], u[i : i + 1], **settings)
        torch.testing.assert_close(one, whole[i : i + 1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name, settings in MORE.items() if "share" in settings])
def test_share_is_the_share_of_changed_examples_and_affects_nothing_else(name: str) -> None:
    function = find("augment", name)
    x, y = (t[:1].expand(400, *t.shape[1:]) for t in blobs(1, 12, 12))
    u = uniform(400)
    (every, every_y), (some, some_y) = moved(function, x, y, u), moved(function, x, y, u, share=0.3)
    changed = (some != x).flatten(1).any(1)
    assert 0.22 < changed.float().mean() < 0.38
    torch.testing.assert_close(some[changed], every[changed], atol=1e-6, rtol=0)
    assert some_y[changed].equal(every_y[changed])
    assert function(x, u, share=0.0) == (x, STAY)


@pytest.mark.parametrize("name", SEQUENCES)
def test_classes_of_bases_stay_with_their_bases(name: str) -> None:
    x = torch.arange(4).repeat(6)[None].repeat(40, 1).to(torch.uint8)
    place = torch.arange(24, dtype=torch.uint8).expand(40, 1, 24)  # each base is its own class
    new, move = find("augment", name)(x, uniform(40))
    classes, values = move.maps(place, "nearest")[:, 0], move.maps(place.float(), "bilinear")[:, 0]
    known = classes != 255
    assert (values.isnan() == ~known).all()
    assert values[known].equal(classes[known].float())
    assert (new[~known] == 4).all()
    before = x.gather(1, classes.long().clamp(max=23))
    turned = ((classes.long().diff() < 0) & known[:, 1:] & known[:, :-1]).any(
        1, keepdim=True
    )  # read from the other strand
    assert torch.where(known & turned, 3 - before, before).where(known, 4).equal(new)
    first = torch.full((40, 1), 0.5)  # the centre of the first base of each sequence
    at = move.points(first, torch.arange(40))[:, 0]
    assert all(classes[i, int(p)] == 0 for i, p in enumerate(at) if 0 <= p < 24)


def test_reverse_complement_changes_half_of_the_examples() -> None:
    x = codes(2000, 7)
    new, _ = reverse_complement(x, uniform(2000))
    turned = (new == encode.reverse_complement(x)).all(1)
    assert (turned | (new == x).all(1)).all()
    assert 0.45 < turned.float().mean() < 0.55


def test_reverse_complement_twice_is_the_identity() -> None:
    x, u = codes(5, 9), torch.full((5, DRAWS), 0.1)
    assert reverse_complement(reverse_complement(x, u)[0], u)[0].equal(x)


@given(st.integers(-5, 5))
def test_shift_within_the_flank_is_slicing(offset: int) -> None:
    x, flank = codes(3, 30), 5
    u = torch.full((3, DRAWS), (offset + 5 + 0.5) / 11)
    new, _ = shift(x, u, max=5)
    assert new[:, flank:-flank].equal(x[:, flank + offset : 30 - flank + offset])
    beyond = new[:, 30 - offset :] if offset > 0 else new[:, :-offset]
    assert (beyond == 4).all()


def test_shifts_are_uniform_and_reach_both_limits() -> None:
    x = torch.arange(11, dtype=torch.uint8).repeat(22_000, 1)
    new, _ = shift(x, uniform(22_000), max=5)
    counts = torch.bincount(new[:, 5].long(), minlength=11)  # the middle shows the offset
    assert (counts - 2000).abs().max() < 200


def test_shift_does_not_turn_padding_into_bases() -> None:
    x = torch.tensor([[0, 1, 2, 5, 5, 5]], dtype=torch.uint8)
    u = torch.full((1, DRAWS), 0.99)
    assert shift(x, u, max=2)[0].tolist() == [[2, 5, 5, 5, 5, 5]]
    assert shift(x, 1 - u, max=2)[0].tolist() == [[4, 4, 0, 1, 2, 5]]


def test_draws_are_a_function_of_their_key() -> None:
    assert draws(1, 2, "a", (5, 3)).equal(draws(1, 2, "a", (5, 3)))
    others = [draws(2, 2, "a", (5, 3)), draws(1, 3, "a", (5, 3)), draws(1, 2, "b", (5, 3)), draws(12, 0, "a", (5, 3))]
    assert not any(other.equal(draws(1, 2, "a", (5, 3))) for other in others)
    assert draws(1, 2, "a", (50, 3))[:5].equal(draws(1, 2, "a", (5, 3)))


def test_normal_numbers_from_counters_are_normal_and_independent() -> None:
    u = torch.rand(8, 2, generator=torch.Generator().manual_seed(3))
    u[1] = u[0] + 2**-24  # draws with the most similar keys
    found = numbers.normal(u, (1, 96, 96))
    for one in found.flatten(1).numpy():
        assert kstest(one, "norm").pvalue > 1e-4
    assert found.mean().abs() < 0.02
    assert (found.std() - 1).abs() < 0.02
    lines = torch.cat([found.flatten(1), *(found.roll(1, axis).flatten(1) for axis in (2, 3))])
    apart = torch.corrcoef(lines) - torch.eye(len(lines))
    assert apart.abs().max() < 5 / 96  # five standard deviations of a correlation over this many pixels
    assert numbers.normal(u[:1], (1, 96, 96)).equal(found[:1])


def test_uniform_numbers_from_counters_are_uniform_and_independent() -> None:
    u = torch.rand(2000, 2, generator=torch.Generator().manual_seed(4))
    found = numbers.uniform(u, (5,))
    assert found.shape == (2000, 5)
    for one in (*found.T.numpy(), found.flatten().numpy()):
        assert kstest(one, "uniform").pvalue > 1e-4
    assert (torch.corrcoef(found.T) - torch.eye(5)).abs().max() < 5 / 2000**0.5
    assert found.min() > 0
    assert found.max() < 1


def test_an_odd_count_of_normal_numbers() -> None:
    u = torch.rand(3, 2, generator=torch.Generator().manual_seed(5))
    assert numbers.normal(u, (7,)).shape == (3, 7)
    assert torch.isfinite(numbers.normal(torch.zeros(1, 2), (999,))).all()
