"""Logos: letters have the heights and positions given by the numbers."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure

from biocnn.report.logo import COLOURS, draw_attributions, draw_letters, heights, present, small_logo


@pytest.fixture
def axes():
    return Figure().subplots()


def extents(axes, letter):
    """Return the corners (x0, y0, x1, y1) of all patches in the colour of a letter."""
    colour = {patch.get_facecolor(): patch for patch in axes.patches}
    from matplotlib.colors import to_rgba

    box = colour[to_rgba(COLOURS[letter])].get_path().get_extents()
    return box.x0, box.y0, box.x1, box.y1


def test_information_of_known_columns():
    pfm = np.array([[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(heights(pfm), [[2, 0, 0, 0], [0, 0, 0, 0], [0.5, 0.5, 0, 0]], atol=1e-12)


@given(arrays(np.float64, (6, 4), elements=st.floats(0.001, 1)))
def test_information_is_between_zero_and_two_bits_and_independent_of_the_order_of_bases(counts):
    pfm = counts / counts.sum(axis=1, keepdims=True)
    total = heights(pfm).sum(axis=1)
    assert (total >= -1e-9).all()
    assert (total <= 2 + 1e-9).all()
    np.testing.assert_allclose(heights(pfm[:, ::-1]).sum(axis=1), total, atol=1e-9)


def test_letters_are_stacked_with_the_largest_on_top(axes):
    draw_letters(axes, np.array([[0.2], [1.0], [0.5], [0.0]]))
    assert extents(axes, "A") == pytest.approx((-0.47, 0, 0.47, 0.2))
    assert extents(axes, "G") == pytest.approx((-0.47, 0.2, 0.47, 0.7))
    assert extents(axes, "C") == pytest.approx((-0.47, 0.7, 0.47, 1.7))
    assert len(axes.patches) == 3


def test_negative_letters_hang_below_zero_with_the_largest_outermost(axes):
    draw_letters(axes, np.array([[-0.2], [-1.0], [0.5], [0.0]]), start=3)
    assert extents(axes, "A") == pytest.approx((2.53, -0.2, 3.47, 0))
    assert extents(axes, "C") == pytest.approx((2.53, -1.2, 3.47, -0.2))
    assert extents(axes, "G") == pytest.approx((2.53, 0, 3.47, 0.5))


def test_negative_letters_are_upside_down(axes):
    draw_letters(axes, np.array([[1.0, -1.0], [0, 0], [0, 0], [0, 0]]))
    vertices = axes.patches[0].get_path().vertices
    first, second = np.split(vertices, 2)
    np.testing.assert_allclose(second, first * [1, -1] + [1, 0], atol=1e-9)


def test_attributions_show_the_present_base(axes):
    attributions = np.arange(12, dtype=float).reshape(4, 3)
    shown = present(np.array([2, 4, 5]), attributions)
    assert shown[2, 0] == 6
    assert np.count_nonzero(shown) == 1
    draw_attributions(axes, np.array([2, 4, 5]), attributions)
    assert extents(axes, "G")[3] == pytest.approx(6)
    assert axes.get_ylim()[1] > 6
    assert axes.get_xlim() == (-0.5, 2.5)


def test_attributions_of_zero_draw_an_empty_track(axes):
    draw_attributions(axes, np.zeros(5, np.uint8), np.zeros((4, 5)))
    assert not axes.patches


@pytest.mark.parametrize("alphabet", ["ACGT", "ACGU"])
def test_small_logos_are_aligned_and_have_the_heights_of_the_motif(alphabet: str) -> None:
    pfm = 0.01 + 0.96 * np.eye(4)[[0, 3, 2]]
    svg = small_logo([(pfm, 0), (pfm[1:], -2)], alphabet, "x", 'one & "two"')
    assert 'aria-label="one &amp; &quot;two&quot;"' in svg
    assert 'viewBox="0 0 40 52"' in svg  # five columns of two logos
    uses = re.findall(r'href="#x-(\w)" transform="translate\(([\d.]+) ([\d.]+)\) scale\(([\d.]+) ([\d.]+)\)"', svg)
    found = sorted((float(y), float(x), letter, float(height)) for letter, x, y, _, height in uses)
    last = alphabet[3]
    assert [(y, x, letter) for y, x, letter, _ in found] == [
        (25, 16.3, "A"), (25, 24.3, last), (25, 32.3, "G"), (51, 0.3, last), (51, 8.3, "G"),
    ]  # fmt: skip
    bits = heights(pfm).max()
    assert found[0][3] == pytest.approx(24 * bits / 2, rel=0.01)
