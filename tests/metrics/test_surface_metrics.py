"""Outlines, compared with MONAI; centrelines by hand; empty masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biocnn.metrics import average_surface_distance, cldice, surface_dice

masks = arrays(bool, (6, 7))


def blobs(shape: tuple[int, ...], seed: int) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5) > 0.05


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")  # MONAI triggers its own warning
@pytest.mark.parametrize("shape", [(14, 17), (6, 9, 8)])
@pytest.mark.parametrize("spacing", [1.0, 2.5, (3.0, 0.5, 1.25)])
@pytest.mark.parametrize("seed", range(3))
def test_outlines_agree_with_monai(shape, spacing, seed):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_surface_dice

    pair = [blobs(shape, 2 * seed), blobs(shape, 2 * seed + 1)]
    one, other = (torch.tensor(mask)[None, None] for mask in pair)
    spacing = spacing[: len(shape)] if isinstance(spacing, tuple) else spacing
    options = {"include_background": True, "spacing": spacing}
    for tolerance in (0.5, 1.0, 2.0):
        monai = compute_surface_dice(one, other, [tolerance], **options).item()
        assert surface_dice(*pair, tolerance=tolerance, spacing=spacing) == pytest.approx(monai, rel=1e-6)
    monai = compute_average_surface_distance(one, other, symmetric=True, **options).item()
    assert average_surface_distance(*pair, spacing=spacing) == pytest.approx(monai, rel=1e-5)


def test_a_shifted_square_by_hand():
    one, other = np.zeros((9, 9), int), np.zeros((9, 9), int)
    one[2:5, 2:5], other[2:5, 3:6] = 1, 1  # outlines of 8 pixels each, 4 of them shared
    distances = [0, 0, 0, 0, 1, 1, 1, 1]  # the hole of each outline lies on the other outline
    assert average_surface_distance(one, other) == pytest.approx(np.mean(distances))
    assert surface_dice(one, other, tolerance=0.5) == 0.5
    assert surface_dice(one, other, tolerance=1) == 1
    assert average_surface_distance(one, other, spacing=(1, 0.25)) == pytest.approx(0.125)


def test_ignored_pixels_have_no_outline():
    target = np.zeros((8, 8), int)
    target[2:5, 2:5] = 1
    mask = target.copy()
    mask[7, 7] = 1
    target[7, 7] = 255
    assert surface_dice(mask, target, tolerance=0.1) == cldice(mask, target) == 1
    assert average_surface_distance(mask, target) == 0


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_empty_masks_are_defined(shape):
    empty, full = np.zeros(shape, bool), np.ones(shape, bool)
    assert surface_dice(empty, empty, tolerance=1) == cldice(empty, empty) == 1
    assert average_surface_distance(empty, empty) == 0
    for pair in ((empty, full), (full, empty)):
        assert surface_dice(*pair, tolerance=100) == cldice(*pair) == 0
        assert average_surface_distance(*pair, spacing=2) == pytest.approx(2 * np.linalg.norm(shape))


@given(masks, masks, st.sampled_from([0.5, 1.0, 1.5, 3.0]))
def test_agreement_is_symmetric_and_perfect_with_itself(one, other, tolerance):
    assert surface_dice(one, other, tolerance=tolerance) == surface_dice(other, one, tolerance=tolerance)
    assert average_surface_distance(one, other) == pytest.approx(average_surface_distance(other, one))
    assert cldice(one, other) == pytest.approx(cldice(other, one))
    assert 0 <= cldice(one, other) <= 1
    assert surface_dice(one, one, tolerance=tolerance) == cldice(one, one) == 1


@pytest.mark.parametrize("dims", [2, 3])
def test_half_of_a_tube_has_half_of_the_centreline(dims):
    target = np.zeros((9,) * (dims - 1) + (41,), int)
    target[(slice(3, 6),) * (dims - 1)] = 1
    half = target.copy()
    half[..., 20:] = 0
    precision, found = 1, 20 / 41
    # the ends of a skeleton are about a pixel from the ends of the tube
    assert cldice(half, target) == pytest.approx(2 * precision * found / (precision + found), abs=0.03)
    thin = np.zeros_like(target)
    thin[(4,) * (dims - 1)] = 1
    assert cldice(thin, target) > 0.98, "a thin tube has nearly the same centreline; Dice is a third"
