"""The table of objects: values by hand, comparison with scikit-image, and images without objects."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biocnn.apply.measure import measure, summarise, with_neighbours
from biocnn.core.errors import InputError

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


def test_there_is_no_perimeter_in_um_for_non_square_pixels():
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


def fields(size: int, seed: int, sharpness: float) -> np.ndarray:
    """Return labels that touch each other and the border, with holes and several pieces, some of single pixels."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(3, size, size)), (0, sharpness, sharpness))
    labels = 1 + np.argmax(smooth, axis=0) + 3 * (np.arange(size) // 17)[:, None]
    return np.where(rng.random((size, size)) < 0.03, 0, labels)


@pytest.mark.parametrize("labels", [random_objects((90, 110), 5), fields(80, 1, 0.6), fields(80, 2, 4)])
def test_shape_equals_scikit_image_object_by_object(labels):
    from skimage.measure import regionprops_table

    names = {
        "perimeter": "perimeter", "solidity": "solidity", "eccentricity": "eccentricity",
        "axis_major_length": "axis_major", "axis_minor_length": "axis_minor", "centroid-0": "centroid_y",
        "centroid-1": "centroid_x", "bbox-0": "y_min", "bbox-3": "x_max",
    }  # fmt: skip
    oracle = regionprops_table(labels, properties=("label", *{name.split("-")[0] for name in names}, "orientation"))
    table = measure(labels, labels[None])
    assert len(table) > 10
    for theirs, ours in names.items():
        np.testing.assert_allclose(table[ours], oracle[theirs], atol=1e-6, err_msg=ours)
    round_or_diagonal = np.isclose(table["axis_major"], table["axis_minor"]) | np.isclose(
        np.abs(table["orientation"]), np.pi / 4
    )
    apart = (table["orientation"] - oracle["orientation"])[~round_or_diagonal]
    np.testing.assert_allclose(np.sin(apart), 0, atol=1e-6)  # a line is undirected: pi/2 and -pi/2 are equal


@settings(max_examples=60)
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans()))
def test_convex_area_and_perimeter_of_any_shape(mask):
    from skimage.measure import regionprops

    labels = mask.astype(int)
    for region in regionprops(labels):
        row = measure(labels, labels[None]).iloc[0]
        assert row["area"] / row["solidity"] == pytest.approx(region.area_convex)
        assert row["perimeter"] == pytest.approx(region.perimeter)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.5, 0.75)])
def test_surface_equals_that_of_marching_cubes(spacing):
    from skimage.measure import marching_cubes, mesh_surface_area

    labels = random_objects((16, 30, 28), 7)
    table = measure(labels, labels[None], spacing)
    for row in table.itertuples():
        vertices, faces, *_ = marching_cubes(np.pad(labels == row.label, 1).astype(float), 0.5, spacing=spacing)
        assert row.surface_um2 == pytest.approx(mesh_surface_area(vertices, faces), rel=1e-5)


def test_a_ball_is_more_spherical_than_a_rod():
    z, y, x = np.ogrid[:31, :31, :31]
    ball = ((z - 15) ** 2 + (y - 15) ** 2 + (x - 15) ** 2 <= 12**2).astype(int)
    rod = np.zeros((31, 31, 31), int)
    rod[13:17, 13:17, 2:28] = 2
    found = [measure(labels, labels[None])["sphericity"].item() for labels in (ball, rod)]
    assert 0.88 < found[0] < 1
    assert found[1] < 0.8
    flat = ball[::2]
    assert measure(flat, flat[None], spacing=(2, 1, 1))["sphericity"].item() == pytest.approx(found[0], abs=0.05)
    assert measure(flat, flat[None])["sphericity"].item() < found[0] - 0.05, "the spacing must count"


def test_background_and_sums_by_hand():
    image = np.full((1, 7, 8), 100.0)
    image[0][LABELS == 4] = 150
    table = measure(LABELS, image).set_index("label")
    assert table["channel0_integrated"].tolist() == [8 * 150, 4 * 100]
    assert table["channel0_corrected"].tolist() == [50, 0]
    assert measure(LABELS, image, background=[40])["channel0_corrected"].tolist() == [110, 60]
    full = np.ones((3, 3), int)
    assert np.isnan(measure(full, full[None])["channel0_corrected"]).all(), "no background"


def test_neighbours_by_hand():
    labels = np.zeros((5, 30), int)
    for label, column in ((1, 2), (2, 5), (3, 25)):
        labels[2, column] = label
    table = measure(labels, labels[None], spacing=(1, 0.5))
    assert table["neighbour_distance"].tolist() == [3, 3, 20]
    assert table["neighbour_distance_um"].tolist() == [1.5, 1.5, 10]
    assert np.isnan(measure(labels == 1, labels[None])["neighbour_distance"]).all()


@pytest.mark.parametrize("shape", [(60, 70), (12, 40, 60)])
def test_blocks_give_the_same_table_as_the_whole(shape):
    """Each object is measured by the block that owns it, as in the whole image; neighbours are joined later."""
    labels = random_objects(shape, 3)
    image = np.random.default_rng(1).random((1, *shape))
    whole = measure(labels, image, 0.5, image[0], unit="mm", background=[0.2])
    first = np.unique(labels[..., :30])  # those of the block that starts at 0; the others are right of column 30
    tables = []
    for start, owned in ((0, first), (30, np.setdiff1d(labels, first))):
        block = (..., slice(start, None))
        part = {"offset": (0,) * (len(shape) - 1) + (start,), "whole": shape, "owned": owned}
        tables.append(measure(labels[block], image[block], 0.5, image[0][block], unit="mm", background=[0.2], **part))
    assert all(len(table) > 1 for table in tables)
    joined = with_neighbours(pd.concat(tables).sort_values("label", ignore_index=True), "mm")
    pd.testing.assert_frame_equal(joined, whole, rtol=1e-9)
    assert "neighbour_distance_mm" in joined


def test_an_image_in_a_strip_of_blocks():
    image = np.stack([np.where(LABELS == 4, 150.0, 100.0)])
    row = summarise(measure(LABELS, image, 0.5), LABELS.shape)
    expected = {
        "n_objects": 2, "n_touching_edge": 1, "area_fraction": 12 / 56, "area_mean": 6, "area_median": 6,
        "area_um2_mean": 1.5, "channel0_mean_mean": 125, "channel0_corrected_median": 25,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    none = summarise(measure(0 * LABELS, image, 0.5), LABELS.shape)
    assert list(none) == list(row)
    assert none["n_objects"] == none["area_fraction"] == 0
    assert np.isnan(none["area_mean"])


@pytest.mark.parametrize("shape", [(12, 9), (5, 12, 9)])
@pytest.mark.parametrize("spacing", [None, 0.5])
def test_without_objects_there_are_no_rows_but_the_same_columns(shape, spacing):
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


def test_renumbering_changes_only_the_order():
    labels = random_objects((50, 50), 3)
    renamed = np.where(labels > 0, labels.max() + 1 - labels, 0)
    image = np.random.default_rng(0).random((1, 50, 50))
    one, other = (measure(side, image, 0.3).drop(columns="label") for side in (labels, renamed))
    np.testing.assert_allclose(one.to_numpy(float), other[::-1].to_numpy(float))


@pytest.mark.parametrize(
    ("labels", "image", "settings", "message"),
    [
        (np.zeros(5, int), np.zeros((1, 5)), {}, "cannot be measured"),
        (LABELS, IMAGE[0], {}, "does not match"),
        (LABELS, IMAGE, {"score": IMAGE}, "score"),
        (LABELS, IMAGE, {"channels": ["a"]}, "2 channel"),
        (LABELS, IMAGE, {"channels": ["a", "a"]}, "2 channel"),
    ],
)
def test_incompatible_shapes_are_reported(labels, image, settings, message):
    with pytest.raises(InputError, match=message):
        measure(labels, image, **settings)
