"""Tests for biocnn.tasks.boxes."""

import numpy as np
import pytest

from biocnn.tasks.boxes import least_visible


def at_the_top(shares: np.ndarray, dims: int) -> np.ndarray:
    """Return boxes of two classes, sides 20 and 60: whole ones, and as many of which the first row cuts off a part."""
    rows = []
    for label, side in enumerate((20, 60)):
        for share in shares:
            start = np.full(dims, 100.0)
            cut = np.array([side * share, *[side] * (dims - 1)])
            rows += [[label, *start, *(start + side)], [label, 0, *start[1:], *(np.array([0, *start[1:]]) + cut)]]
    return np.array(rows, np.float32)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_share_from_which_on_objects_are_annotated_is_read_from_boxes_at_the_border(dims: int) -> None:
    shares = np.linspace(0.6, 1, 101)
    assert least_visible(at_the_top(shares, dims), dims) == pytest.approx(0.62, abs=0.005)
    assert least_visible(at_the_top(np.linspace(0.01, 1, 101), dims), dims) == 0.25, "every piece has a box"
    assert least_visible(at_the_top(np.full(20, 1), dims), dims) == 0.75, "whole objects only"
    assert least_visible(at_the_top(shares[:9], dims), dims) is None, "too few boxes"
