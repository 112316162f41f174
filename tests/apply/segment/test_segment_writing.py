"""Outputs match their image: read back, they have the same array, position and pixel size."""

from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from dicom_files import write_dicom, write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from biocnn.apply.segment.pyramid import write_image
from biocnn.apply.segment.writing import write_like
from biocnn.io.image_files import decode
from biocnn.io.lazy import open_image

rng = np.random.default_rng(2)
CODES = ["".join(one) for order in permutations(("LR", "AP", "IS")) for one in product(*order)]
TILT = np.array([[0.7, 0.05, 0.1, -40], [-0.04, 0.8, 0.1, 12], [-0.06, -0.1, 2.5, 7], [0, 0, 0, 1]])


def written(path: Path, values: np.ndarray, folder: Path) -> Path:
    with open_image(path) as image:
        assert image.shape[1:] == values.shape
        return write_like(image, folder, "a", lambda window: values[window], values.dtype, image.spacing, image.unit)


def check_same_place(path: Path, image: Path, values: np.ndarray) -> None:
    """Check that values, position and pixel size are the same when read back by biocnn."""
    with open_image(path) as found, open_image(image) as source:
        np.testing.assert_array_equal(found.read(tuple(slice(0, n) for n in values.shape))[0], values)
        np.testing.assert_allclose(found.spacing, source.spacing, rtol=1e-5)
        assert found.unit == source.unit
        np.testing.assert_allclose(found.affine, source.affine, atol=1e-4)
    np.testing.assert_array_equal(decode(path, indices=True).pixels[0], values)


@settings(max_examples=24)
@given(st.sampled_from(CODES), st.sampled_from([np.uint8, np.int32]), st.sampled_from([".nii", ".nii.gz"]))
def test_nifti_is_written_as_nifti_in_the_order_of_the_file(tmp_path_factory, code, dtype, suffix):
    folder = tmp_path_factory.mktemp("n")
    body = nibabel.Nifti1Image(rng.integers(-900, 900, (4, 5, 6), np.int16), TILT)
    turn = ornt_transform(nibabel.io_orientation(body.affine), axcodes2ornt(code))
    array = nibabel.orientations.apply_orientation(np.asanyarray(body.dataobj), turn)
    image = nibabel.Nifti1Image(array, body.affine @ inv_ornt_aff(turn, body.shape))
    image.header.set_slope_inter(2, -7)
    image.header.set_xyzt_units("mm")
    image.set_qform(image.affine, 1)
    nibabel.save(image, folder / f"image{suffix}")
    with open_image(folder / f"image{suffix}") as opened:
        values = rng.integers(0, 200, opened.shape[1:]).astype(dtype)
    path = written(folder / f"image{suffix}", values, folder / "out")
    check_same_place(path, folder / f"image{suffix}", values)
    assert path.name == f"a{suffix}"
    found = nibabel.load(path)
    np.testing.assert_array_equal(found.affine, nibabel.load(folder / f"image{suffix}").affine)
    assert found.shape == image.shape
    assert found.get_data_dtype() == dtype
    assert nibabel.aff2axcodes(found.affine) == tuple(code)
    for key in ("qform_code", "sform_code", "pixdim", "xyzt_units"):
        np.testing.assert_array_equal(found.header[key], nibabel.load(folder / f"image{suffix}").header[key])
    assert (found.dataobj.slope, found.dataobj.inter) == (1, 0)
    # Voxels of the image and of the mask correspond.
    place = tuple(rng.integers(0, n) for n in image.shape)
    point = nibabel.affines.apply_affine(found.affine, place)
    back = np.rint(np.linalg.inv(image.affine) @ [*point, 1])[:3].astype(int)
    assert tuple(back) == place


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_is_written_as_a_slice(tmp_path, axis):
    shape = [6, 7, 8]
    shape[axis] = 1
    nibabel.save(nibabel.Nifti1Image(rng.integers(0, 90, shape, np.int16), TILT), tmp_path / "a.nii.gz")
    with open_image(tmp_path / "a.nii.gz") as opened:
        values = rng.integers(0, 2, opened.shape[1:]).astype(np.uint8)
    path = written(tmp_path / "a.nii.gz", values, tmp_path / "out")
    check_same_place(path, tmp_path / "a.nii.gz", values)
    assert nibabel.load(path).shape == tuple(shape)


@pytest.mark.parametrize("orientation", [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [-1, 0, 0, 0, 1, 0]])
def test_dicom_is_written_as_nifti_at_its_position(tmp_path, orientation):
    volume = rng.integers(0, 900, (5, 6, 7), np.int16)
    normal = np.cross(orientation[:3], orientation[3:])
    (tmp_path / "series").mkdir()
    for i, pixels in enumerate(volume):
        position = (np.array([-10.0, -20.0, -30.0]) + 2 * i * normal).tolist()
        write_dicom(tmp_path / f"series/{i}.dcm", pixels, position, orientation)
    with open_image(tmp_path / "series") as opened:
        values = rng.integers(0, 9000, opened.shape[1:]).astype(np.int32)
        pixels = opened.read(tuple(slice(0, n) for n in values.shape))[0]
        affine = opened.affine
    path = written(tmp_path / "series", values, tmp_path / "out")
    assert path.name == "a.nii.gz"
    check_same_place(path, tmp_path / "series", values)
    # Each slice of the series is at the position in its header.
    for i, plane in enumerate(volume):
        place = np.array([-10.0, -20.0, -30.0]) + 2 * i * normal
        index = np.linalg.solve(affine[:, :3], place - affine[:, 3])
        assert pixels[tuple(np.rint(index).astype(int))] == plane[0, 0]


def test_a_single_dicom_slice_is_written_at_its_position(tmp_path):
    write_dicom(tmp_path / "a.dcm", rng.integers(0, 900, (6, 7), np.int16), [-10.0, -20.0, -30.0])
    values = rng.integers(0, 3, (6, 7)).astype(np.uint8)
    path = written(tmp_path / "a.dcm", values, tmp_path / "out")
    check_same_place(path, tmp_path / "a.dcm", values)


def test_dicom_without_a_position_is_written_as_tiff(tmp_path):
    write_dicom(tmp_path / "a.dcm", rng.integers(0, 900, (6, 7), np.int16), None)
    path = written(tmp_path / "a.dcm", np.ones((6, 7), np.uint8), tmp_path / "out")
    assert path.name == "a.tif"
    with open_image(path) as found:
        assert found.spacing == pytest.approx([500, 250])  # um: the file has 0.5 and 0.25 mm


def test_a_series_and_its_mask_have_the_same_shape(tmp_path):
    write_series(tmp_path / "series", rng.integers(0, 900, (5, 6, 7), np.int16))
    path = written(tmp_path / "series", np.ones((5, 6, 7), np.uint8), tmp_path / "out")
    assert nibabel.load(path).shape == (7, 6, 5)


@pytest.mark.parametrize("shape", [(3, 40, 50), (4, 40, 50), (30, 40, 3), (3, 4, 5), (4, 4), (40, 3), (200, 300)])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("unit", ["um", "mm"])
def test_round_trip_of_tiff(tmp_path, monkeypatch, shape, large, unit):
    monkeypatch.setattr("biocnn.apply.segment.pyramid.LARGE", 0 if large else 2**24)
    labels = rng.integers(0, 90000, shape, np.int32)
    spacing = [2.0, 0.5, 0.25][-len(shape) :]
    path = write_image(tmp_path, "a", lambda window: labels[window], shape, labels.dtype, spacing, unit)
    with open_image(path) as image:
        assert image.shape == (1, *shape)
        assert image.spacing == pytest.approx([size * {"um": 1, "mm": 1000}[unit] for size in spacing])
        np.testing.assert_array_equal(image.read(tuple(slice(0, n) for n in shape))[0], labels)
    with tifffile.TiffFile(path) as tiff:
        np.testing.assert_array_equal(tiff.asarray(), labels)
        assert tiff.series[0].axes == "ZYX"[-len(shape) :]
        page = tiff.pages[0]
        assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        assert page.samplesperpixel == 1
        assert page.get_resolution("MICROMETER") == pytest.approx(
            [1 / (size * {"um": 1, "mm": 1000}[unit]) for size in (spacing[-1], spacing[-2])], rel=1e-6
        )


def test_tiff_of_unknown_pixel_size_states_none(tmp_path):
    labels = np.ones((20, 30), np.uint8)
    path = write_image(tmp_path, "a", lambda window: labels[window], (20, 30), labels.dtype, None, "um")
    with open_image(path) as image:
        assert image.spacing is None
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].resolutionunit == tifffile.RESUNIT.NONE


@pytest.mark.parametrize("channels", [["grey"], ["red", "green", "blue"], ["nuclei", "actin"]])
@pytest.mark.parametrize("spatial", [(40, 50), (3, 24, 20)])
@pytest.mark.parametrize("large", [False, True])
def test_round_trip_of_images_with_channels(tmp_path, monkeypatch, channels, spatial, large):
    monkeypatch.setattr("biocnn.apply.segment.pyramid.LARGE", 0 if large else 2**24)
    shape, spacing = (len(channels), *spatial), [2.0, 0.5, 0.25][-len(spatial) :]
    pixels = rng.integers(0, 90, shape, np.uint8)
    path = write_image(tmp_path, "a", lambda window: pixels[window], shape, pixels.dtype, spacing, "um", channels)
    with open_image(path) as image:
        assert image.spacing == pytest.approx(spacing)
        assert image.channels == channels or len(channels) == 1
        np.testing.assert_array_equal(image.read(tuple(slice(0, n) for n in spatial)), pixels)
    with tifffile.TiffFile(path) as tiff:
        assert (tiff.pages[0].photometric == tifffile.PHOTOMETRIC.RGB) == (channels[0] == "red" and len(spatial) == 2)
