"""Outlines along pixel borders cover exactly the pixels of each object."""

import numpy as np
import pytest
from matplotlib.path import Path as Drawn

from biocnn.apply.exports.polygons import Polygon, polygons


def area(ring: np.ndarray) -> float:
    """Return the signed area of a ring: positive if clockwise on an image."""
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def covered(found: list[Polygon], shape: tuple[int, int]) -> np.ndarray:
    """Return how often polygons cover each pixel, by its centre."""
    centres = np.indices(shape).reshape(2, -1)[::-1].T + 0.5
    total = np.zeros(shape, int)
    for outer, *holes in found:
        for sign, ring in ((1, outer), *((-1, hole) for hole in holes)):
            total += sign * Drawn(np.r_[ring, ring[:1]]).contains_points(centres).reshape(shape)
    return total


def test_a_pixel_reaches_from_corner_to_corner() -> None:
    found = polygons(np.pad([[7]], ((2, 1), (3, 1))))
    assert list(found) == [7]
    np.testing.assert_array_equal(found[7], [[[[3, 2], [4, 2], [4, 3], [3, 3]]]])


def test_a_ring_has_a_hole_and_only_corners() -> None:
    labels = np.ones((5, 6), int)
    labels[2, 2:4] = 0
    ((outer, hole),) = polygons(labels)[1]
    assert (len(outer), len(hole)) == (4, 4)
    assert (area(outer), area(hole)) == (30, -2)


def test_pixels_that_touch_at_a_corner_are_parts_of_one_object() -> None:
    found = polygons(np.array([[1, 0], [0, 1]]))
    assert [area(outer) for (outer,) in found[1]] == [1, 1]


def test_no_ring_touches_itself() -> None:
    labels = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]])
    ((outer, *holes),) = polygons(labels)[1]
    assert [len(ring) for ring in (outer, *holes)] == [4, 4, 4]
    open_hole = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]])  # the hole touches the outside at a corner
    ((outer, hole),) = polygons(open_hole)[1]
    assert (area(outer), area(hole)) == (8, -1)


@pytest.mark.parametrize(("seed", "values"), [(0, 2), (1, 3), (2, 6)])
def test_polygons_cover_the_pixels_of_random_objects_once(seed: int, values: int) -> None:
    labels = np.random.default_rng(seed).integers(0, values, (23, 31))
    found = polygons(labels)
    assert set(found) == set(range(1, values))
    for label, parts in found.items():
        np.testing.assert_array_equal(covered(parts, labels.shape), labels == label)
        assert sum(area(ring) for part in parts for ring in part) == (labels == label).sum()
        for part in parts:
            assert area(part[0]) > 0
            assert all(area(hole) < 0 for hole in part[1:])
            assert all(len(np.unique(ring, axis=0)) == len(ring) for ring in part)


def test_an_empty_plane_has_no_outlines() -> None:
    assert polygons(np.zeros((3, 4), np.int32)) == {}
