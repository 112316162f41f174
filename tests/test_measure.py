"""The table of objects: known values by hand, scikit-image as oracle, and images without objects."""

import numpy as np
import pytest

from biocnn.errors import InputError
from biocnn.measure import measure

LABELS = np.zeros((7, 8), int)
LABELS[1:3, 1:5] = 4  # 2 x 4 pixels, inside
LABELS[5:7, 6:8] = 9  # 2 x 2 pixels, in the corner
IMAGE = np.stack([np.arange(56, dtype=np.uint16).reshape(7, 8), np.full((7, 8), 300, np.uint16)])


def random_objects(shape: tuple[int, ...], seed: int) -> np.ndarray:
    from scipy import ndimage

    return ndimage.label(ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2) > 0.03)[0]


def test_two_rectangles_by_hand():
    table = measure(LABELS, IMAGE, channels=["dapi", "flat"]).set_index("label")
    assert table.index.tolist() == [4, 9]
    expected = {
        "area": 8,
        "centroid_y": 1.5,
        "centroid_x": 2.5,
        "y_min": 1,
        "y_max": 3,
        "x_min": 1,
        "x_max": 5,
        "solidity": 1,
        "touches_edge": False,
        "dapi_mean": np.mean([9, 10, 11, 12, 17, 18, 19, 20]),
        "dapi_sd": np.std([9, 10, 11, 12, 17, 18, 19, 20]),
        "dapi_min": 9,
        "dapi_max": 20,
        "flat_mean": 300,
        "flat_sd": 0,
    }
    assert table.loc[4, list(expected)].to_dict() == pytest.approx(expected)
    assert abs(table.loc[4, "orientation"]) == pytest.approx(np.pi / 2)
    assert table.loc[9, "touches_edge"]
    assert table.loc[9, "eccentricity"] == 0


def test_physical_units_follow_the_spacing():
    table = measure(LABELS, IMAGE, spacing=(0.5, 0.5)).set_index("label")
    assert table.loc[4, ["area_um2", "centroid_y_um", "centroid_x_um"]].tolist() == [2, 0.75, 1.25]
    for name in ("perimeter", "axis_major", "axis_minor"):
        np.testing.assert_allclose(table[f"{name}_um"], table[name] / 2)


def test_pixels_that_are_not_square_have_no_perimeter_in_um():
    table = measure(LABELS, IMAGE, spacing=(1.0, 0.5)).set_index("label")
    assert table.loc[4, "area_um2"] == 4
    assert "perimeter_um" not in table
    assert table.loc[4, "axis_major_um"] == pytest.approx(4 * np.std([0, 0.5, 1, 1.5]))


@pytest.mark.parametrize("shape", [(60, 70), (14, 30, 25)])
def test_intensity_and_shape_equal_scikit_image(shape):
    from skimage.measure import regionprops_table

    labels = random_objects(shape, 1)
    image = np.random.default_rng(2).normal(size=(2, *shape))
    table = measure(labels, image, score=image[1])
    names = ("label", "area", "intensity_mean", "intensity_std", "intensity_min", "intensity_max")
    oracle = regionprops_table(labels, np.moveaxis(image, 0, -1), properties=names)
    assert len(table) > 5
    np.testing.assert_array_equal(table["area"], oracle["area"])
    for channel in (0, 1):
        for ours, theirs in (("mean", "mean"), ("sd", "std"), ("min", "min"), ("max", "max")):
            np.testing.assert_allclose(table[f"channel{channel}_{ours}"], oracle[f"intensity_{theirs}-{channel}"])
    np.testing.assert_allclose(table["score"], table["channel1_mean"])


@pytest.mark.parametrize("shape", [(12, 9), (5, 12, 9)])
@pytest.mark.parametrize("spacing", [None, 0.5])
def test_no_object_gives_no_row_and_the_same_columns(shape, spacing):
    image = np.ones((2, *shape), np.float32)
    some = measure(random_objects(shape, 0), image, spacing, score=image[0])
    none = measure(np.zeros(shape, int), image, spacing, score=image[0])
    assert len(some) > 0
    assert len(none) == 0
    assert list(none.columns) == list(some.columns)


@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6)])
def test_single_pixels_and_lines_are_measured_without_a_warning(shape):
    labels = np.zeros(shape, int)
    labels[..., 0, 0] = 1
    labels[(0,) * (len(shape) - 2)][2, 1:5] = 2
    table = measure(labels, np.ones((1, *shape)))
    assert table["area"].tolist() == [shape[0] if len(shape) == 3 else 1, 4]
    assert np.isfinite(table.drop(columns="touches_edge").to_numpy(float)).all()


def test_the_order_of_numbers_is_the_only_thing_that_renaming_changes():
    labels = random_objects((50, 50), 3)
    renamed = np.where(labels > 0, labels.max() + 1 - labels, 0)
    image = np.random.default_rng(0).random((1, 50, 50))
    one, other = (measure(side, image, 0.3).drop(columns="label") for side in (labels, renamed))
    np.testing.assert_allclose(one.to_numpy(float), other[::-1].to_numpy(float))


@pytest.mark.parametrize(
    ("labels", "image", "settings", "message"),
    [
        (np.zeros(5, int), np.zeros((1, 5)), {}, "cannot be measured"),
        (LABELS, IMAGE[0], {}, "does not belong"),
        (LABELS, IMAGE, {"score": IMAGE}, "score"),
        (LABELS, IMAGE, {"channels": ["a"]}, "2 channel"),
        (LABELS, IMAGE, {"channels": ["a", "a"]}, "2 channel"),
    ],
)
def test_shapes_that_do_not_fit_are_named(labels, image, settings, message):
    with pytest.raises(InputError, match=message):
        measure(labels, image, **settings)
