"""NIfTI volumes: read with one order of axes and sizes in mm, or refused with a reason."""

import gzip
from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from biocnn.core.errors import InputError
from biocnn.io.image_files import decode, read_image

rng = np.random.default_rng(11)
BODY = rng.integers(
    -1000, 3000, (6, 5, 4), dtype=np.int16
)  # D, H, W: inferior-superior, anterior-posterior, right-left
LPS = np.diag([0.5, 0.75, 3.0, 1.0])  # mm along x, y, z of the same body, towards left, posterior and superior
CODES = ["".join(one) for order in permutations(("LR", "AP", "IS")) for one in product(*order)]


def save(path, array, affine, unit="mm", kind=nibabel.Nifti1Image):
    image = kind(array, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def refused(path, *words, axes=None):
    with pytest.raises(InputError) as caught:
        read_image(path, axes)
    for word in (path.name, *words):
        assert word in str(caught.value)
    assert caught.value.remedy


@settings(max_examples=48)
@given(st.sampled_from(CODES))
def test_every_orientation_gives_the_same_body(tmp_path_factory, code):
    """The same voxels are stored in all 48 orientations."""
    image = nibabel.Nifti1Image(BODY.T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ LPS)
    turn = ornt_transform(nibabel.io_orientation(image.affine), axcodes2ornt(code))
    path = save(tmp_path_factory.mktemp("n") / "a.nii", *reoriented(image, turn))
    found = read_image(path)
    np.testing.assert_array_equal(found.pixels, BODY[None])
    assert found.spacing == [3.0, 0.75, 0.5]
    assert found.unit == "mm"
    assert found.repairs == (() if code == "LPS" else (found.repairs[0],))
    assert code == "LPS" or found.repairs[0].startswith(f"orientation {code}: volume reoriented")


def reoriented(image, turn):
    array = nibabel.orientations.apply_orientation(np.asanyarray(image.dataobj), turn)
    return array, image.affine @ inv_ornt_aff(turn, image.shape)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", "<>")
def test_versions_byte_orders_and_compression(tmp_path, kind, suffix, order):
    path = save(tmp_path / f"a{suffix}", BODY.T.astype(BODY.dtype.newbyteorder(order)), np.eye(4), kind=kind)
    found = read_image(path)
    assert found.pixels.shape == (1, 6, 5, 4)
    assert found.pixels.dtype == np.int16
    assert found.pixels.dtype.isnative


def test_sizes_in_other_units_become_mm(tmp_path):
    assert read_image(save(tmp_path / "a.nii", BODY.T, np.eye(4) * 0.002, "meter")).spacing == [2.0] * 3
    assert read_image(save(tmp_path / "a.nii", BODY.T, np.eye(4) * 500, "micron")).spacing == [0.5] * 3
    assert read_image(save(tmp_path / "a.nii", BODY.T, np.eye(4), "unknown")).spacing == [1.0] * 3


def test_a_slice_is_a_plane(tmp_path):
    found = read_image(save(tmp_path / "a.nii", BODY[:1].T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ LPS))
    np.testing.assert_array_equal(found.pixels, BODY[:1])
    assert found.spacing == [0.75, 0.5]


def test_a_fourth_axis_is_channels_only_on_request(tmp_path):
    both = np.stack([BODY, BODY + 1], axis=0)
    path = save(tmp_path / "a.nii", both.T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ LPS)
    refused(path, "4 x 5 x 6 x 2", "time or channels", "data.axes: CZYX")
    np.testing.assert_array_equal(read_image(path, "CZYX").pixels, both)
    path = save(tmp_path / "b.nii", both[:1].T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ LPS)
    np.testing.assert_array_equal(read_image(path).pixels, both[:1])


def test_scaled_values_are_in_their_unit(tmp_path):
    image = nibabel.Nifti1Image(BODY.T, np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    nibabel.save(image, tmp_path / "a.nii")
    found = read_image(tmp_path / "a.nii")
    assert found.pixels.dtype == np.float32
    assert "slope and intercept of the header applied" in found.repairs
    oracle = nibabel.as_closest_canonical(nibabel.load(tmp_path / "a.nii")).get_fdata()
    np.testing.assert_allclose(found.pixels[0], oracle[::-1, ::-1].T, rtol=1e-6)


def test_colours(tmp_path):
    colours = rng.integers(0, 256, (3, 6, 5, 4), dtype=np.uint8)
    record = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for name, plane in zip("RGB", colours, strict=True):
        record[name] = plane.T
    found = read_image(save(tmp_path / "a.nii", record, np.diag([-1.0, -1.0, 1.0, 1.0]) @ LPS))
    np.testing.assert_array_equal(found.pixels, colours)
    assert found.channels == ["red", "green", "blue"]


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint16])
def test_the_data_type_of_a_mask_is_irrelevant(tmp_path, dtype):
    path = save(tmp_path / "a.nii.gz", (BODY.T > 0).astype(dtype), np.eye(4))
    assert decode(path, indices=True).pixels.dtype == np.uint8


def test_the_format_is_recognised_without_the_suffix(tmp_path):
    data = save(tmp_path / "a.nii", BODY.T, np.eye(4)).read_bytes()
    expected = read_image(tmp_path / "a.nii").pixels
    for name, found in {"a.img.bin": data, "b": gzip.compress(data), "c.nii": gzip.compress(data)}.items():
        (tmp_path / name).write_bytes(found)
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, expected)


@pytest.mark.parametrize("column", [[0, 0, 0], [0, 1, 0], [0, np.nan, 1]])
def test_linearly_dependent_axes_are_refused(tmp_path, column):
    affine = np.eye(4)
    affine[:3, 2] = column
    image = nibabel.Nifti1Image(BODY.T, None)
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = affine[:3]
    image.header["sform_code"] = 1
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[252:256], data[280:328] = np.array([0, 1], "<i2").tobytes(), affine[:3].astype("<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(data)
    refused(tmp_path / "a.nii", "does not define an orientation", "sform")


@pytest.mark.parametrize(("other", "said"), [(None, False), (0.05, False), (3.0, True)])
def test_conflicting_positions_in_one_header_are_reported(tmp_path, other, said):
    """The sform is used, as by nibabel; a disagreement is reported, because other programs may use the qform."""
    place = np.diag([-0.5, -0.75, 3.0, 1.0])
    image = nibabel.Nifti1Image(BODY.T, place)
    image.set_sform(place, 2)
    place[0, 3] += other or 0
    image.set_qform(place, 0 if other is None else 1)
    nibabel.save(image, tmp_path / "a.nii")
    found = read_image(tmp_path / "a.nii")
    np.testing.assert_array_equal(found.pixels, BODY[None])
    assert found.repairs == (("sform and qform of the header disagree: sform used",) if said else ())


def test_an_invalid_qform_is_ignored_beside_an_sform(tmp_path):
    data = bytearray(save(tmp_path / "a.nii", BODY.T, np.diag([-0.5, -0.75, 3.0, 1.0])).read_bytes())
    data[252:254], data[256:268] = np.array(1, "<i2").tobytes(), np.full(3, 2, "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(data)
    found = read_image(tmp_path / "a.nii")
    np.testing.assert_array_equal(found.pixels, BODY[None])
    assert found.repairs == ("sform and qform of the header disagree: sform used",)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz", BODY.T, np.eye(4))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, "a.nii.gz")
    path.write_bytes(gzip.compress(b"no image at all"))
    refused(path, "not a supported image file")
    path = save(tmp_path / "b.nii", BODY.T, np.eye(4))
    path.write_bytes(path.read_bytes()[:-50])
    refused(path, "NIfTI")
