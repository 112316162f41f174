"""Every real sample file is read like by the library of its format, or refused as documented in docs/formats.md."""

import re

import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest
import tifffile

from biocnn.core.errors import InputError
from biocnn.io.image_files import read_image
from biocnn.io.lazy import open_image

pytestmark = pytest.mark.data
REFUSED = {
    "tiff/qupath_cells-2t.ome.tif": "the axis T",
    "nifti/example4d.nii.gz": "time or channels",
    "nifti/example_nifti2.nii.gz": "time or channels",
    "dicom_misc/emri_small.dcm": "z planes or time points",
    "dicom_misc/emri_small_RLE.dcm": "z planes or time points",
    "dicom_misc/emri_small_big_endian.dcm": "z planes or time points",
    "dicom_misc/emri_small_jpeg_2k_lossless.dcm": "z planes or time points",
    "dicom_misc/emri_small_jpeg_ls_lossless.dcm": "z planes or time points",
}


@pytest.fixture(scope="module")
def samples(data_root):
    return data_root / "images" / "format_samples"


@pytest.fixture(scope="module")
def index(samples):
    return pd.read_csv(samples / "index.csv").set_index("file")["description"]


def described(text):
    """Return shape and type according to the index."""
    found = re.search(r"\(([\d, ]+)\) ([<>]?\w+)", text) or re.search(r"axes (\w+) \(([\d, ]+)\) (\w+)", text)
    *_, shape, dtype = found.groups()
    return tuple(int(n) for n in shape.split(",")), np.dtype(dtype).newbyteorder("=")


def test_every_file_is_read_or_refused_as_documented(samples, index):
    refused = {}
    for file in index.index:
        try:
            with open_image(samples / file) as image:
                assert image.spacing is None or len(image.spacing) == len(image.shape) - 1
        except InputError as error:
            refused[file] = str(error)
    assert refused.keys() == REFUSED.keys()
    for file, words in REFUSED.items():
        assert words in refused[file]


def test_plain_images_and_tiff(samples, index):
    for file, text in index[index.index.str.contains("png_tiff|tiff/")].items():
        if file in REFUSED:
            continue
        shape, dtype = described(text)
        found = read_image(samples / file).pixels
        assert found.dtype == dtype, file
        if file.endswith(".png"):
            assert found.shape == (3 if len(shape) == 3 else 1, *shape[:2]), file  # alpha is constant
            continue
        expected = tifffile.imread(samples / file)
        if "2z" in file:
            expected = expected[None]
        elif file.startswith("png_tiff"):
            expected = np.moveaxis(expected[..., :3], -1, 0) if expected.ndim == 3 else expected[None]
        np.testing.assert_array_equal(found, expected, err_msg=file)


def test_nifti(samples, index):
    for file, text in index[index.index.str.startswith("nifti/")].items():
        shape, dtype = described(text)
        found = read_image(samples / file, "CZYX" if file in REFUSED else None)
        oracle = nibabel.as_closest_canonical(nibabel.load(samples / file))
        values = np.asanyarray(oracle.dataobj)[::-1, ::-1].T.astype(dtype)  # RAS to LPS, then D, H, W
        np.testing.assert_allclose(found.pixels, values if values.ndim == 4 else values[None], err_msg=file)
        assert found.pixels.dtype == dtype, file
        assert sorted(found.pixels.shape[1:]) == sorted(shape[:3])
        assert found.unit == "mm"
        np.testing.assert_allclose(found.spacing, oracle.header.get_zooms()[2::-1], rtol=1e-5)


def test_masks_fit_their_images(samples):
    for name in ("ct_spleen", "sct_t2", "sct_mt1"):
        image, mask = (read_image(samples / "nifti" / f"{name}{end}.nii.gz") for end in ("", "_seg"))
        assert image.pixels.shape == mask.pixels.shape
        np.testing.assert_allclose(image.spacing, mask.spacing, rtol=1e-5)
        assert image.repairs == mask.repairs


def test_dicom_files(samples, index):
    for file in index.index[index.index.str.startswith("dicom_misc/")]:
        if "OT-PAL" in file:
            continue
        found = read_image(samples / file, "ZYX" if file in REFUSED else None)
        data = pydicom.dcmread(samples / file)
        frames = int(data.get("NumberOfFrames") or 1)
        colours = 3 if data.SamplesPerPixel == 3 else 1
        spatial = (*([frames] if frames > 1 else []), data.Rows, data.Columns)
        assert found.pixels.shape == (colours, *spatial), file
        assert found.unit == "mm"
        if data.file_meta.TransferSyntaxUID.is_compressed or data.PhotometricInterpretation == "YBR_FULL":
            continue
        expected = data.pixel_array
        if colours == 3:
            expected = np.moveaxis(expected, -1, 0)
        np.testing.assert_array_equal(found.pixels.reshape(expected.shape), expected, err_msg=file)


def test_compressed_dicom_equals_its_uncompressed_version(samples):
    folder = samples / "dicom_misc"
    plain = read_image(folder / "emri_small.dcm", "ZYX").pixels
    for name in ("RLE", "big_endian", "jpeg_2k_lossless", "jpeg_ls_lossless"):
        np.testing.assert_array_equal(read_image(folder / f"emri_small_{name}.dcm", "ZYX").pixels, plain, err_msg=name)
    np.testing.assert_array_equal(read_image(folder / "liver_j2k.dcm").pixels, read_image(folder / "liver.dcm").pixels)
    colours, brightness = (read_image(folder / name).pixels for name in ("SC_rgb.dcm", "SC_ybr_full_uncompressed.dcm"))
    assert np.abs(colours.astype(int) - brightness).max() <= 8  # their colours were rounded when stored
    lossless = read_image(folder / "JPEG-LL.dcm").pixels
    assert (lossless.shape, lossless.dtype, lossless.max()) == ((1, 1024, 256), np.int16, 278)
    palette = read_image(folder / "OT-PAL-8-face.dcm")
    assert (palette.pixels.shape, palette.pixels.dtype) == ((3, 480, 640), np.uint8)
    assert palette.repairs == ("palette replaced by its colours",)
    assert read_image(folder / "liver.dcm").spacing == [1.0, 0.810547, 0.810547]


def test_dicom_series(samples):
    for name, spacing, dtype in (
        ("dicom_ct_series", [2.0, 0.976562, 0.976562], np.int16),
        ("dicom_mr_study1_13_hcropvolume", [1.0, 1.0, 1.0], np.int16),
        ("dicom_mr_study2_14_hcropvolume", [1.0, 1.0, 1.0], np.int16),
    ):
        found = read_image(samples / name)
        slices = sorted(map(pydicom.dcmread, (samples / name).iterdir()), key=lambda d: d.ImagePositionPatient[2])
        expected = np.stack([d.pixel_array.astype(int) * int(d.get("RescaleSlope", 1)) for d in slices])
        expected += int(slices[0].get("RescaleIntercept", 0))
        np.testing.assert_array_equal(found.pixels[0], expected)
        assert found.spacing == spacing
        assert found.pixels.dtype == dtype
    sagittal = read_image(samples / "dicom_mr_t1_studyforrest")
    assert sagittal.pixels.shape == (1, 4, 384, 274)
    assert sagittal.spacing == [0.666667, 0.666667, 0.699988]


def test_real_ome_and_imagej_metadata(samples):
    folder = samples / "tiff"
    worms = read_image(folder / "bbbc010_A01_2c_uint16.ome.tif")
    assert worms.channels == ["GFP", "Brightfield"]
    assert read_image(folder / "qupath_cells-2c.ome.tif").spacing == [0.25, 0.25]
    cells = read_image(folder / "cell_dna_mts_actin_3c_uint16_imagej.tif")
    assert cells.spacing == pytest.approx([1e6 / 7547649] * 2)
