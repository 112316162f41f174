"""DICOM files and series: slices ordered by position, values in their units, or refused with a reason."""

import subprocess
import sys

import imagecodecs
import nibabel
import numpy as np
import pydicom
import pytest
from dicom_files import write_dicom, write_series
from pydicom import uid

from biocnn.core.errors import InputError
from biocnn.io.image_files import decode, read_image
from biocnn.io.image_paths import image_paths, named_images

rng = np.random.default_rng(9)
PLANE = rng.integers(0, 4096, (13, 17), dtype=np.uint16)
VOLUME = rng.integers(-1000, 3000, (5, 13, 17), dtype=np.int16)


def refused(path, *words, axes=None):
    with pytest.raises(InputError) as caught:
        read_image(path, axes)
    for word in (path.name, *words):
        assert word in str(caught.value)
    assert caught.value.remedy


def test_a_plane(tmp_path):
    write_dicom(tmp_path / "a.dcm", PLANE)
    found = read_image(tmp_path / "a.dcm")
    np.testing.assert_array_equal(found.pixels, PLANE[None])
    assert (found.pixels.dtype, found.spacing, found.unit, found.repairs) == (np.uint16, [0.5, 0.25], "mm", ())
    colours = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)
    write_dicom(tmp_path / "b.dcm", colours, spacing=None)
    found = read_image(tmp_path / "b.dcm")
    np.testing.assert_array_equal(found.pixels, np.moveaxis(colours, -1, 0))
    assert (found.channels, found.spacing) == (["red", "green", "blue"], None)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(1, -1024, np.int16), (2, 0, np.int32), (0.5, 3, np.float32)]
)
def test_rescaled_values_have_the_smallest_sufficient_type(tmp_path, slope, intercept, dtype):
    pixels = PLANE if slope != 2 else (PLANE * 8)
    more = {"BitsStored": 12, "HighBit": 11} if slope == 1 else {}
    write_dicom(tmp_path / "a.dcm", pixels, RescaleSlope=slope, RescaleIntercept=intercept, **more)
    found = read_image(tmp_path / "a.dcm")
    assert found.pixels.dtype == dtype
    np.testing.assert_allclose(found.pixels[0], pixels * float(slope) + intercept)
    assert found.repairs == ("rescale slope and intercept applied",)


def test_monochrome1_is_inverted_if_values_have_no_unit(tmp_path):
    more = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    write_dicom(tmp_path / "a.dcm", PLANE, **more)
    found = read_image(tmp_path / "a.dcm")
    np.testing.assert_array_equal(found.pixels[0], 4095 - PLANE)
    assert found.repairs == ("MONOCHROME1 (0 = white) inverted to 0 = black",)
    for rescale in ({}, {"RescaleType": "US"}):
        write_dicom(tmp_path / "a.dcm", PLANE, RescaleSlope=1, RescaleIntercept=0, **rescale, **more)
        np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels[0], 4095 - PLANE)
    write_dicom(tmp_path / "a.dcm", PLANE, RescaleSlope=2, RescaleIntercept=-7, RescaleType="US", **more)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels[0], 2 * (4095 - PLANE.astype(int)) - 7)
    for unit in ({"RescaleType": "HU"}, {"RescaleSlope": 2}):
        write_dicom(tmp_path / "a.dcm", PLANE, **{"RescaleSlope": 1, "RescaleIntercept": 0} | unit, **more)
        found = read_image(tmp_path / "a.dcm")
        np.testing.assert_array_equal(found.pixels[0], PLANE * np.array(unit.get("RescaleSlope", 1), PLANE.dtype))
        assert "not inverted" in found.repairs[-1]
    np.testing.assert_array_equal(decode(tmp_path / "a.dcm", indices=True).pixels[0], 2 * PLANE)


@pytest.mark.parametrize(
    ("syntax", "encode", "off"),
    [
        (uid.JPEGBaseline8Bit, lambda pixels: imagecodecs.jpeg_encode(pixels, level=95), 4),
        (uid.JPEGExtended12Bit, lambda pixels: imagecodecs.jpeg_encode(pixels, level=95, bitspersample=12), 4),
        (uid.JPEGLossless, lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=16), 0),
        (uid.JPEGLosslessSV1, lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=16), 0),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode, 0),
        (uid.JPEGLSNearLossless, lambda pixels: imagecodecs.jpegls_encode(pixels, level=2), 2),
        (uid.JPEG2000Lossless, lambda p: imagecodecs.jpeg2k_encode(p, codecformat="j2k", reversible=True), 0),
        (uid.HTJ2KLossless, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True), 0),
    ],
)
def test_compressed_pixels_are_decoded(tmp_path, syntax, encode, off):
    pixels = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint16) * 20
    if syntax == uid.JPEGBaseline8Bit:
        pixels = (pixels // 20).astype(np.uint8)
    more = {"BitsStored": 12, "HighBit": 11} if syntax == uid.JPEGExtended12Bit else {}
    write_dicom(tmp_path / "a.dcm", pixels, syntax=syntax, encoded=encode(pixels), **more)
    found = read_image(tmp_path / "a.dcm").pixels[0]
    assert found.dtype == pixels.dtype
    assert np.abs(found.astype(int) - pixels).max() <= off


def test_run_length_and_unknown_compressions(tmp_path):
    write_dicom(tmp_path / "a.dcm", PLANE)
    data = pydicom.dcmread(tmp_path / "a.dcm")
    data.compress(uid.RLELossless, generate_instance_uid=False)
    data.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels[0], PLANE)
    write_dicom(tmp_path / "b.dcm", PLANE, syntax=uid.MPEG2MPML, encoded=b"film")
    refused(tmp_path / "b.dcm", "MPEG2", "uncompressed")


def test_a_series_is_ordered_by_position(tmp_path):
    write_series(tmp_path / "s", VOLUME)
    found = read_image(tmp_path / "s")
    np.testing.assert_array_equal(found.pixels, VOLUME[None])
    assert (found.pixels.dtype, found.spacing, found.unit, found.repairs) == (np.int16, [2.0, 0.5, 0.25], "mm", ())


def test_a_coronal_series_and_nifti_of_the_same_body_agree(tmp_path):
    """Rows go down, slices from front to back: each voxel is where the scanner's frame of reference places it."""
    (tmp_path / "s").mkdir()
    for i, pixels in enumerate(VOLUME):
        write_dicom(tmp_path / "s" / f"{i}.dcm", pixels, [0.0, 3.0 * i, 0.0], [1, 0, 0, 0, 0, -1])
    found = read_image(tmp_path / "s")
    np.testing.assert_array_equal(found.pixels[0], np.moveaxis(VOLUME, 0, 1)[::-1])
    assert found.spacing == [0.5, 3.0, 0.25]
    assert "reoriented" in found.repairs[0]
    # In NIfTI, x and y have the opposite sign.
    affine = np.array([[-0.25, 0, 0, 0], [0, 0, -3.0, 0], [0, -0.5, 0, 0], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(VOLUME.T, affine), tmp_path / "v.nii.gz")
    same = read_image(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(same.pixels, found.pixels)
    assert same.spacing == found.spacing


def test_an_incomplete_series_is_refused(tmp_path):
    folder = tmp_path / "s"
    write_series(folder, VOLUME)
    third = next(p for p in folder.iterdir() if pydicom.dcmread(p).ImagePositionPatient[2] == -26.0)
    kept = third.read_bytes()
    third.unlink()
    refused(folder, "4 mm between", "2 mm between the others", "slice missing")
    third.write_bytes(kept)
    write_dicom(folder / "again", VOLUME[0], [-10.0, -20.0, -26.0])
    refused(folder, "same position", "echoes")
    write_dicom(folder / "again", VOLUME[0], [-10.0, -20.0, -20.0], [0, 1, 0, 0, 0, -1])
    refused(folder, "differs in direction", "localizer")
    write_dicom(folder / "again", VOLUME[0, :5], [-10.0, -20.0, -20.0])
    refused(folder, "different sizes")
    write_dicom(folder / "again", VOLUME[0], [-10.0, -20.0, -20.0], series="1.2.3")
    refused(folder, "2 series", "folder of its own")
    (tmp_path / "none").mkdir()
    refused(tmp_path / "none", "neither a DICOM series nor OME-Zarr")


def test_frames_without_positions_are_volumes_only_on_request(tmp_path):
    write_dicom(tmp_path / "a.dcm", VOLUME, NumberOfFrames=5, spacing=None)
    refused(tmp_path / "a.dcm", "5 frames", "time points", "data.axes: ZYX")
    found = read_image(tmp_path / "a.dcm", "ZYX")
    np.testing.assert_array_equal(found.pixels, VOLUME[None])
    assert found.spacing is None


def test_files_without_an_image_are_refused(tmp_path):
    write_dicom(tmp_path / "a.dcm", PLANE)
    data = pydicom.dcmread(tmp_path / "a.dcm")
    del data.PixelData, data.Rows, data.Columns
    data.save_as(tmp_path / "a.dcm")
    refused(tmp_path / "a.dcm", "without an image")
    write_dicom(tmp_path / "b.dcm", PLANE)
    (tmp_path / "b.dcm").write_bytes((tmp_path / "b.dcm").read_bytes()[:-100])
    refused(tmp_path / "b.dcm", "DICOM")
    write_dicom(tmp_path / "c.dcm", PLANE, TotalPixelMatrixColumns=1000)
    refused(tmp_path / "c.dcm", "whole-slide")


def test_a_folder_of_slices_is_one_image_and_folders_of_series_are_several(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ba":
        write_series(tmp_path / "in" / name, VOLUME)
    assert [name for name, _ in named_images(tmp_path / "in")] == ["a", "b"]
    assert image_paths(tmp_path / "in" / "a") == [tmp_path / "in" / "a"]
    (tmp_path / "planes").mkdir()
    for i in range(3):
        write_dicom(tmp_path / "planes" / f"{i}.dcm", PLANE, series=f"1.2.{i}")
    found = {name: read_image(path).pixels.shape for name, path in named_images(tmp_path / "planes")}
    assert found == dict.fromkeys("012", (1, 13, 17))
    write_dicom(tmp_path / "planes" / "3.dcm", PLANE, series="1.2.0")
    with pytest.raises(InputError, match="4 DICOM files of 3 series"):
        image_paths(tmp_path / "planes")


@pytest.mark.parametrize("length", [0xFFFFFFF0, 0x7FFFFFFF, 0xFFFFFFFF, 1])
def test_absurd_lengths_are_refused(tmp_path, length):
    """Memory is limited, because 4 GB are requested before the file turns out to be shorter."""
    write_dicom(tmp_path / "a.dcm", PLANE)
    data = bytearray((tmp_path / "a.dcm").read_bytes())
    at = data.rindex(b"\xe0\x7f\x10\x00")
    data[at + 8 : at + 12] = length.to_bytes(4, "little")
    (tmp_path / "a.dcm").write_bytes(data)
    code = f"""
import resource
from biocnn.io.image_files import read_image
from biocnn.core.errors import InputError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30,) * 2)
try:
    read_image({str(tmp_path / "a.dcm")!r})
except InputError as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert "a.dcm: " in done.stdout


def test_the_format_is_recognised_by_its_prefix_not_by_the_preamble(tmp_path):
    write_dicom(tmp_path / "a.dcm", PLANE)
    data = (tmp_path / "a.dcm").read_bytes()
    for preamble in (b"II*\0", b"MM\0*", b"\x5c\x01\0\0", b"\x89PNG\r\n\x1a\n", b"BM"):
        (tmp_path / "b.ima").write_bytes(preamble.ljust(128, b"\1") + data[128:])
        np.testing.assert_array_equal(read_image(tmp_path / "b.ima").pixels[0], PLANE)


def test_frames_of_a_grid_are_placed_by_their_offsets(tmp_path):
    write_dicom(tmp_path / "a.dcm", PLANE, [0.0, 0.0, 5.0])
    data = pydicom.dcmread(tmp_path / "a.dcm")
    data.NumberOfFrames, data.GridFrameOffsetVector = 3, [0, 2.5, 5]
    data.PixelData = np.stack([PLANE, PLANE + 1, PLANE + 2]).tobytes()
    data.save_as(tmp_path / "a.dcm")
    found = read_image(tmp_path / "a.dcm")
    np.testing.assert_array_equal(found.pixels[0], [PLANE, PLANE + 1, PLANE + 2])
    assert found.spacing[0] == 2.5
