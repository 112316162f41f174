"""Exported outlines hold exactly the pixels of each object, as other programs read them."""

import json
import struct
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco

from biocnn.apply.exports.coco import run_lengths
from biocnn.apply.exports.coloured import write_coloured
from biocnn.apply.exports.geojson import write_geojson
from biocnn.apply.exports.rois import RECTANGLE, TRACED, roi, write_rois
from biocnn.apply.exports.shapes import Shape, box_shapes, object_shapes

LABELS = np.zeros((9, 12), np.int32)
LABELS[:4, :5] = 1
LABELS[1:3, 1:4] = 0  # a hole
LABELS[5:7, 2:4] = LABELS[7:9, 4:6] = 2  # two parts that touch at a corner
LABELS[4:8, 8:] = 3
LABELS[4, 8] = 0
OUTPUTS = ["nucleus", "debris"]


def shapes() -> list[Shape]:
    return object_shapes(LABELS, (0, 0), np.array([1, 2, 3]), np.array([0, 1, 0]), np.array([0.5, 0.25, 1]))


def area(ring: list[list[float]]) -> float:
    x, y = np.array(ring).T
    return abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1])) / 2


def test_geojson_has_the_area_of_the_pixels_with_holes(tmp_path: Path) -> None:
    write_geojson(tmp_path / "a.geojson", shapes(), OUTPUTS, "detection")
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    kinds = []
    for feature, label in zip(content["features"], (1, 2, 3), strict=True):
        geometry, told = feature["geometry"], feature["properties"]
        parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        assert all(ring[0] == ring[-1] for part in parts for ring in part)
        pixels = sum(area(outer) - sum(map(area, holes)) for outer, *holes in parts)
        assert pixels == (label == LABELS).sum()
        assert (told["objectType"], told["name"]) == ("detection", str(label))
        kinds.append((geometry["type"], told["classification"]["name"], told["measurements"]["score"]))
    assert kinds == [("Polygon", "nucleus", 0.5), ("MultiPolygon", "debris", 0.25), ("Polygon", "nucleus", 1)]
    assert len({feature["id"] for feature in content["features"]}) == 3


def read_roi(data: bytes) -> tuple[int, list[int], np.ndarray, str]:
    """Return type, box (top, left, bottom, right), coordinates and name of an ROI, as ImageJ decodes it."""
    kind, *box, count = struct.unpack_from(">Bx5H", data, 6)
    (segments,), (second,) = struct.unpack_from(">i", data, 36), struct.unpack_from(">i", data, 60)
    name, length = struct.unpack_from(">ii", data, second + 16)
    if segments:
        coordinates = np.frombuffer(data, ">f4", segments, 64)
    elif count:
        coordinates = np.frombuffer(data, ">i2", 2 * count, 64).reshape(2, -1).T + box[1::-1]
    else:
        coordinates = np.frombuffer(data, ">f4", 4, 18)  # x, y, width, height
    return kind, box, coordinates, data[name : name + 2 * length].decode("utf-16-be")


def test_rois_are_traced_or_composite(tmp_path: Path) -> None:
    write_rois(tmp_path / "a.zip", shapes(), OUTPUTS)
    with ZipFile(tmp_path / "a.zip") as archive:
        found = {name: read_roi(archive.read(name)) for name in archive.namelist()}
    assert list(found) == ["nucleus-0001.roi", "debris-0002.roi", "nucleus-0003.roi"]
    kind, box, corners, name = found["nucleus-0003.roi"]
    assert (kind, box, name) == (TRACED, [4, 8, 8, 12], "nucleus-0003")
    np.testing.assert_array_equal(corners, shapes()[2].polygons[0][0])
    kind, box, segments, _ = found["nucleus-0001.roi"]
    assert (kind, box) == (RECTANGLE, [0, 0, 4, 5])
    outer = [0, 0, 0, 1, 5, 0, 1, 5, 4, 1, 0, 4]
    assert segments[:13].tolist() == [*outer, 4]
    assert sorted(map(tuple, segments[13:-1].reshape(-1, 3)[:, 1:])) == [(1, 1), (1, 3), (4, 1), (4, 3)]
    assert len(found["debris-0002.roi"][2]) == len(segments)


def test_rois_of_boxes_and_of_large_images_have_exact_coordinates() -> None:
    (box,) = box_shapes(np.array([[0, 0.5, 2.5, 1.25, 10, 40000.5]]))
    kind, bounds, rectangle, _ = read_roi(roi(box, "0001", "#F0E442"))
    assert (kind, bounds) == (RECTANGLE, [2, 1, 10, 40001])
    np.testing.assert_array_equal(rectangle, [1.25, 2.5, 39999.25, 7.5])
    (*_, far) = object_shapes(LABELS, (0, 70000), *np.array([[1, 2, 3], [0, 0, 0], [1, 1, 1]]))
    kind, _, segments, _ = read_roi(roi(far, "0003", "#F0E442"))
    assert kind == RECTANGLE
    np.testing.assert_array_equal(segments[:-1].reshape(-1, 3)[:, 1:], far.polygons[0][0])


def test_rois_and_features_of_volumes_have_a_slice(tmp_path: Path) -> None:
    volume = np.stack([np.zeros_like(LABELS), LABELS == 3])
    found = object_shapes(volume, (4, 0, 0), np.array([7]), np.array([0]), np.array([1]))
    write_rois(tmp_path / "a.zip", found, ["cell"])
    write_geojson(tmp_path / "a.geojson", found, ["cell"], "detection")
    with ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["0007-z006.roi"]
        assert struct.unpack_from(">i", archive.read("0007-z006.roi"), 56) == (6,)
    (feature,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert feature["geometry"]["plane"] == {"c": -1, "z": 5, "t": 0}


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # pycocotools
@pytest.mark.parametrize("transposed", [False, True])
def test_run_lengths_are_those_of_coco(transposed: bool) -> None:
    labels = LABELS.T if transposed else LABELS.copy()
    labels[:, 6:8] = 4  # full columns: one run
    window = labels[1:, 2:]
    whole = np.zeros((10, 20), np.int32)
    whole[1 : 1 + window.shape[0], 3 : 3 + window.shape[1]] = window[:9, :17]
    cut = whole[1 : 1 + window.shape[0], 3 : 3 + window.shape[1]]
    for label, counts in enumerate(run_lengths(cut, (1, 3), whole.shape), 1):
        encoded = coco.frPyObjects({"size": list(whole.shape), "counts": counts}, *whole.shape)
        np.testing.assert_array_equal(coco.decode(encoded), whole == label)


def test_runs_over_full_columns_are_joined() -> None:
    assert run_lengths(np.ones((4, 2), int), (0, 1), (4, 5)) == [[4, 8, 8]]


@pytest.mark.parametrize(("most", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_a_palette_does_not_change_the_labels(most: int, dtype: type, tmp_path: Path) -> None:
    labels = np.arange(most + 1, dtype=np.int32)[None].repeat(3, 0)
    assert write_coloured(tmp_path / "coloured/a.tif", labels, [0.5, 0.5], "um")
    with tifffile.TiffFile(tmp_path / "coloured/a.tif") as file:
        page = file.pages.first
        np.testing.assert_array_equal(page.asarray(), labels)
        assert (page.dtype, page.photometric.name) == (dtype, "PALETTE")
        colours = page.colormap.T[: most + 1]
    assert len(np.unique(colours, axis=0)) == most + 1
    assert not colours[0].any()
    if most < 256:
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "coloured/a.tif")), labels)


def test_no_palette_has_more_than_65535_colours(tmp_path: Path) -> None:
    assert not write_coloured(tmp_path / "coloured/a.tif", np.array([[70000]]), None, "um")
