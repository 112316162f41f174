"""A mask is placed according to its header; arrays and headers that disagree are an error."""

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
import tifffile
from dicom_files import write_dicom
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.images import Images

rng = np.random.default_rng(4)
CODES = ["".join(one) for order in permutations(("LR", "AP", "IS")) for one in product(*order)]
SHAPE = (10, 12, 6)
AFFINE = np.array([[-0.7, 0.02, 0, 10], [0.02, -0.7, 0, 20], [0, 0, 2.0, -30], [0, 0, 0, 1]])


def blob(shape=SHAPE):
    """Return an image and a mask of its bright region, without any symmetry."""
    mask = np.zeros(shape, np.uint8)
    mask[1:5, 2:9, 1:3] = 1
    mask[5, 8, 4] = 1
    return (300 * mask.astype(np.int16) + rng.integers(0, 50, shape)).astype(np.int16), mask


def save(path, array, affine, turn=None, codes=True):
    if turn:
        ways = ornt_transform(nibabel.io_orientation(affine), axcodes2ornt(turn))
        affine = affine @ inv_ornt_aff(ways, array.shape)
        array = nibabel.orientations.apply_orientation(array, ways)
    path.parent.mkdir(exist_ok=True, parents=True)
    image = nibabel.Nifti1Image(array, affine)
    if not codes:
        image.set_sform(None, 0)
        image.set_qform(None, 0)
    nibabel.save(image, path)


def read(folder, **options):
    checks = Checks()
    raw = Images(images=folder / "images", masks=folder / "masks", mask_type="binary", **options).read(1, checks)
    return raw, checks.frame()


def covers_bright(raw, i=0):
    """Return whether the mask covers exactly the bright region."""
    return np.array_equal(raw.x(i)[0] > 200, raw.y(i) == 1)


def refused(folder, *words, **options):
    with pytest.raises(InputError) as caught:
        read(folder, **options)
    for word in words:
        assert word in str(caught.value)


@settings(max_examples=30)
@given(st.sampled_from(CODES), st.sampled_from(CODES))
def test_a_mask_stored_in_another_order_of_axes_follows_its_header(tmp_path_factory, one, other):
    folder = tmp_path_factory.mktemp("g")
    image, mask = blob()
    save(folder / "images/a.nii.gz", image, AFFINE, one)
    save(folder / "masks/a.nii.gz", mask, AFFINE, other)
    raw, checks = read(folder)
    assert covers_bright(raw)
    assert (checks["reason"].str.contains(f"orientation {other}")).any() == (other != "LPS")


def test_a_mask_without_the_header_of_its_image_is_an_error(tmp_path):
    image, mask = blob()
    save(tmp_path / "images/a.nii.gz", image, np.diag([-0.7, -0.7, 2, 1]))
    save(tmp_path / "masks/a.nii.gz", mask, np.eye(4))
    said = "a.nii.gz: 6 x 12 x 10 pixels of"
    refused(tmp_path, f"masks/{said} 1 x 1 x 1 mm from", f"images/{said} 2 x 0.7 x 0.7 mm", "geometry: trust_arrays")
    raw, _ = read(tmp_path, geometry="trust_arrays")
    assert covers_bright(raw)


@pytest.mark.parametrize("change", [{"shift": 3.0}, {"spacing": 1.3}, {"turn": 0.2}])
def test_headers_that_disagree_are_an_error(tmp_path, change):
    image, mask = blob()
    other = AFFINE.copy()
    other[0, 3] += change.get("shift", 0)
    other[:3, 0] *= change.get("spacing", 1)
    angle = change.get("turn", 0)
    other[:2, :2] = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ other[:2, :2]
    save(tmp_path / "images/a.nii.gz", image, AFFINE)
    save(tmp_path / "masks/a.nii.gz", mask, other)
    refused(tmp_path, "both have the same size", "is one header wrong?")
    assert covers_bright(read(tmp_path, geometry="trust_arrays")[0])


def test_rounding_in_headers_is_allowed(tmp_path):
    image, mask = blob()
    save(tmp_path / "images/a.nii.gz", image, AFFINE)
    save(tmp_path / "masks/a.nii.gz", mask, AFFINE + 0.004 * np.eye(4)[[0, 1, 2, 3]] * [1, 1, 1, 0])
    assert covers_bright(read(tmp_path)[0])


@pytest.mark.parametrize("factor", [(2, 2, 1), (1, 1, 3), (2, 2, 2)])
@pytest.mark.parametrize("turn", ["RAS", "PIL"])
def test_a_mask_with_another_spacing_is_resampled_onto_its_image(tmp_path, factor, turn):
    image, mask = blob()
    fine = np.kron(mask, np.ones(factor, np.uint8))
    affine = AFFINE @ np.diag([*(1 / f for f in factor), 1])
    affine[:3, 3] += AFFINE[:3, :3] @ [(1 / f - 1) / 2 for f in factor]  # the outer corner is unchanged
    save(tmp_path / "images/a.nii.gz", image, AFFINE)
    save(tmp_path / "masks/a.nii.gz", fine, affine, turn)
    raw, checks = read(tmp_path)
    assert covers_bright(raw)
    assert dict(zip(checks["reason"], checks["count"], strict=True))[
        "mask with another pixel size resampled onto its image (nearest neighbour)"
    ] == 1  # fmt: skip
    # And vice versa: a coarse mask on a fine image.
    save(tmp_path / "images/a.nii.gz", np.kron(image, np.ones(factor, np.int16)), affine)
    save(tmp_path / "masks/a.nii.gz", mask, AFFINE, turn)
    assert covers_bright(read(tmp_path)[0])


def test_a_mask_with_another_field_of_view_is_an_error(tmp_path):
    image, mask = blob()
    save(tmp_path / "images/a.nii.gz", image, AFFINE)
    save(tmp_path / "masks/a.nii.gz", mask[:, :-4], AFFINE)
    refused(tmp_path, "6 x 8 x 10", "6 x 12 x 10", "their sizes and fields of view differ")


def test_a_mask_without_a_position_is_an_error_for_a_volume_with_one(tmp_path):
    image, mask = blob()
    save(tmp_path / "images/a.nii.gz", image, AFFINE)
    save(tmp_path / "masks/a.nii.gz", mask, AFFINE, codes=False)
    refused(tmp_path, "images/a.nii.gz: states its position in the body (NIfTI)", "masks/a.nii.gz does not")
    assert covers_bright(read(tmp_path, geometry="trust_arrays")[0])


def test_dicom_and_nifti_of_one_body_match(tmp_path):
    image, mask = blob()
    stacked = np.ascontiguousarray(image.T)
    (tmp_path / "images/a").mkdir(parents=True)
    for i, pixels in enumerate(stacked):
        write_dicom(tmp_path / f"images/a/{i}.dcm", pixels, [5.0, 6.0, 7.0 + 2 * i], spacing=(0.7, 0.6))
    affine = np.diag([-0.6, -0.7, 2, 1.0])
    affine[:3, 3] = -5, -6, 7
    save(tmp_path / "masks/a.nii.gz", mask, affine, "RAS")
    assert covers_bright(read(tmp_path)[0])
    affine[2, 3] = 17
    save(tmp_path / "masks/a.nii.gz", mask, affine, "RAS")
    refused(tmp_path, "both have the same size")


def ome(path, array, size):
    path.parent.mkdir(exist_ok=True, parents=True)
    metadata = {"axes": "YX"} | ({"PhysicalSizeX": size, "PhysicalSizeY": size} if size else {})
    tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata, ome=True)


def test_pixel_sizes_of_tiff_are_compared(tmp_path):
    image, mask = (array[..., 1] for array in blob())
    ome(tmp_path / "images/a.ome.tif", image.astype(np.uint16), 0.5)
    ome(tmp_path / "masks/a.ome.tif", mask, 0.25)
    refused(tmp_path, "pixels of 0.25 x 0.25 um", "pixels of 0.5 x 0.5 um", "trust_arrays")
    assert covers_bright(read(tmp_path, geometry="trust_arrays")[0])
    assert covers_bright(read(tmp_path, spacing=[0.5, 0.5])[0])
    ome(tmp_path / "masks/a.ome.tif", np.kron(mask, np.ones((2, 2), np.uint8)), 0.25)
    assert covers_bright(read(tmp_path)[0])
    ome(tmp_path / "masks/a.ome.tif", mask, None)
    assert covers_bright(read(tmp_path)[0])
    ome(tmp_path / "masks/a.ome.tif", mask[:-1], 0.5)
    assert read(tmp_path)[0].y(0).shape == image.shape  # a field smaller by one pixel is the same
    ome(tmp_path / "masks/a.ome.tif", mask[:-4], 0.5)
    refused(tmp_path, "a mask must have the size of its image")


def test_pixel_sizes_may_differ_between_images(tmp_path):
    for i, step in enumerate((5.0, 5.2)):
        image, mask = blob()
        affine = np.diag([-0.7, -0.7, step, 1])
        save(tmp_path / f"images/{i}.nii.gz", image, affine)
        save(tmp_path / f"masks/{i}.nii.gz", mask, affine)
    raw, _ = read(tmp_path)
    np.testing.assert_allclose(raw.examples["spacing_z"], [5.0, 5.2])
    np.testing.assert_allclose(raw.examples["spacing_x"], [0.7, 0.7])
    np.testing.assert_allclose(raw.facts.spacing_range, [[5.0, 0.7, 0.7], [5.2, 0.7, 0.7]], rtol=1e-6)
