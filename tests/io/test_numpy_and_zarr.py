"""NumPy and OME-Zarr: axes are as given, and guesses are reported."""

import numpy as np
import pytest
import zarr

from biocnn.core.errors import InputError
from biocnn.io.image_files import decode, read_image
from biocnn.io.image_paths import named_images
from biocnn.io.lazy import open_image

rng = np.random.default_rng(13)


def refused(path, *words, axes=None):
    with pytest.raises(InputError) as caught:
        read_image(path, axes)
    for word in (path.name, *words):
        assert word in str(caught.value)
    assert caught.value.remedy


def test_a_plane_and_a_volume_of_numpy(tmp_path):
    path, array = tmp_path / "a.npy", rng.integers(0, 65536, (6, 9, 8)).astype(">u2")
    np.save(path, array)
    refused(path, "6 x 9 x 8", "data.axes: ZYX")
    for axes, expected in {"ZYX": array[None], "CYX": array, "YXC": np.moveaxis(array, -1, 0)}.items():
        found = read_image(path, axes)
        np.testing.assert_array_equal(found.pixels, expected)
        assert found.pixels.dtype == np.uint16
        assert found.pixels.dtype.isnative
    np.save(path, array[0])
    np.testing.assert_array_equal(read_image(path, "ZYX").pixels, array[:1])
    np.save(path, array[:3])
    assert read_image(path).repairs == ("axes not stated in the file: assumed CYX",)
    np.save(path, array[None])
    refused(path, "of lengths 6 x 9 x 8")
    np.testing.assert_array_equal(read_image(path, "CZYX").pixels, array[None])
    np.testing.assert_array_equal(read_image(path, "ZYX").pixels, array[None])


@pytest.mark.parametrize("shape", [(1, 9, 8), (9, 8, 1), (1, 1, 9, 8), (1, 9, 8, 1)])
@pytest.mark.parametrize("axes", [None, "CYX", "ZYX"])
def test_axes_of_length_one_leave_a_plane(tmp_path, shape, axes):
    plane = rng.integers(0, 9, (9, 8))
    np.save(tmp_path / "a.npy", plane.reshape(shape))
    found = read_image(tmp_path / "a.npy", axes)
    np.testing.assert_array_equal(found.pixels, plane[None])
    assert not any("axes" in repair for repair in found.repairs)


def test_unsupported_numpy_files_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(5))
    refused(path, "an array of shape (", "Y and X")
    np.save(path, np.ones((0, 8)))
    refused(path, "shape (0, 8), without pixels")
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    refused(path, "Python objects")
    np.save(path, np.ones((9, 8)))
    path.write_bytes(path.read_bytes()[:-8])
    refused(path, "damaged")
    np.savez(tmp_path / "b.npz", a=np.ones((9, 8)), b=np.ones((9, 8)))
    refused(tmp_path / "b.npz", "2 arrays (a, b)", "one image per file")
    np.savez(tmp_path / "c.npz", a=np.array(["x"], dtype=object))
    refused(tmp_path / "c.npz", "npz")


def test_a_numpy_mask_has_the_smallest_sufficient_type(tmp_path):
    for values, dtype in (([0, 255], np.uint8), ([0, 256], np.uint16), ([-1, 3], np.int8), ([0.5, 1], np.float64)):
        np.save(tmp_path / "m.npy", np.array([values]))
        assert decode(tmp_path / "m.npy", indices=True).pixels.dtype == dtype


def write_zarr(path, array, axes, version=2, unit="micrometer", labels=None):
    """Write an OME-Zarr image of two levels: version 2 of Zarr with OME 0.4, or 3 with 0.5."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    datasets = []
    for level, step in enumerate((1, 2)):
        pixels = array[..., ::step, ::step]
        chunks = (*[1] * (array.ndim - 2), 16, 16)
        group.create_array(str(level), shape=pixels.shape, chunks=chunks, dtype=pixels.dtype)[...] = pixels
        scale = [{"Z": 2.0, "Y": 0.5, "X": 0.25}.get(letter, 1.0) * (step if letter in "YX" else 1) for letter in axes]
        change = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(level), "coordinateTransformations": change})
    kinds = {"C": "channel", "T": "time"}
    named = [{"name": letter.lower(), "type": kinds.get(letter, "space")} for letter in axes]
    for axis in named:
        if axis["type"] == "space":
            axis["unit"] = unit
    metadata = {"multiscales": [{"axes": named, "datasets": datasets}]}
    if labels:
        metadata["omero"] = {"channels": [{"label": label} for label in labels]}
    group.attrs.update(metadata if version == 2 else {"ome": {"version": "0.5", **metadata}})
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr_is_read_by_windows_at_full_resolution(tmp_path, version):
    array = rng.integers(0, 65536, (2, 3, 40, 50), dtype=np.uint16)
    path = write_zarr(tmp_path / "a.ome.zarr", array, "CZYX", version, labels=["dna", "actin"])
    found = read_image(path)
    np.testing.assert_array_equal(found.pixels, array)
    assert (found.spacing, found.unit, found.channels) == ([2.0, 0.5, 0.25], "um", ["dna", "actin"])
    with open_image(path) as image:
        window = (slice(1, 3), slice(10, 33), slice(7, 20))
        np.testing.assert_array_equal(image.read(window), array[:, *window])
    assert named_images(tmp_path) == [("a", path)]
    with open_image(path) as image:
        image.choose(["actin"])
        assert image.shape == (1, 3, 40, 50)
        np.testing.assert_array_equal(image.read(tuple(slice(0, n) for n in array.shape[1:])), array[1:])


def test_ome_zarr_planes_units_and_refusals(tmp_path):
    array = rng.integers(0, 256, (1, 1, 1, 20, 30), dtype=np.uint8)
    found = read_image(write_zarr(tmp_path / "a.zarr", array, "TCZYX", unit="nanometer"))
    np.testing.assert_array_equal(found.pixels, array[0, 0])
    assert found.spacing == [0.0005, 0.00025]
    refused(write_zarr(tmp_path / "b.zarr", array.repeat(2, axis=0), "TCZYX"), "the axis T (2)")
    plate = zarr.open_group(tmp_path / "plate.zarr", mode="w", zarr_format=2)
    plate.attrs["plate"] = {"wells": []}
    refused(tmp_path / "plate.zarr", "a plate", "folder of one image")
    zarr.open_group(tmp_path / "empty.zarr", mode="w", zarr_format=2)
    refused(tmp_path / "empty.zarr", "group without an image")
