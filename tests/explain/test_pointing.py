"""The pointing game, by hand and by chance."""

import numpy as np
import pytest

from biocnn.explain import pointing_game


def spots(places: list[tuple[int, ...]], size: tuple[int, ...]) -> np.ndarray:
    maps = np.zeros((len(places), *size))
    for cam, place in zip(maps, places, strict=True):
        cam[place] = 1
    return maps


@pytest.mark.parametrize("axes", [2, 3])
def test_points_on_the_object_near_it_and_far_away(axes: int) -> None:
    size = (20,) * axes
    masks = np.zeros((3, *size))
    masks[(slice(None), *[slice(8, 12)] * axes)] = 2
    maps = spots([(9,) * axes, (7, *[9] * (axes - 1)), (2,) * axes], size)
    assert pointing_game(maps, masks, 0) == (pytest.approx(1 / 3), pytest.approx(0.2**axes), 1, 3)
    assert pointing_game(maps, masks, 0.05).hits == pytest.approx(2 / 3), "one pixel of 20 is near"


def test_images_without_an_object_or_a_map_do_not_count() -> None:
    masks = spots([(5, 5), (5, 5), (5, 5)], (40, 40))
    masks[0] = 0
    maps = spots([(5, 5), (5, 5), (30, 30)], (40, 40))
    maps[1] = 0
    assert pointing_game(maps, masks)[2:] == (0, 1)
    assert pointing_game(maps, masks).hits == 0
    assert np.isnan(pointing_game(maps[:1], masks[:1]).hits)


def test_points_drawn_at_random_hit_as_often_as_by_chance() -> None:
    rng = np.random.default_rng(0)
    masks = np.zeros((400, 30, 20))
    masks[:, 4:16, 3:12] = 1
    found = pointing_game(rng.random(masks.shape), masks)
    assert found.hits == pytest.approx(found.chance, abs=0.08)
