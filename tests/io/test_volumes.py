"""Data sets of volumes: NIfTI, DICOM series and z stacks with their masks."""

import nibabel
import numpy as np
import pytest
import tifffile
from dicom_files import write_series

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.images import Images

rng = np.random.default_rng(17)
SHAPE = (6, 9, 8)
AFFINE = np.diag([-0.5, -0.5, 2.0, 1.0])  # the file stores D, H, W in reverse order


def volume(dtype=np.int16):
    return rng.integers(0, 200, SHAPE).astype(dtype)


def mask():
    """Return three classes, each in one piece."""
    found = np.zeros(SHAPE, np.uint8)
    found[1:3, 2:5, 1:4], found[3:5, 5:8, 4:7] = 1, 2
    return found


def save_nifti(path, array):
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.T, AFFINE), path)


@pytest.fixture
def folder(tmp_path):
    """Return three NIfTI volumes, one of another type, with masks that a tool saved as floats."""
    images = [volume(), volume(), volume(np.float32)]
    for i, image in enumerate(images):
        save_nifti(tmp_path / "images" / f"v{i}_0000.nii.gz", image)
        save_nifti(tmp_path / "masks" / f"v{i}.nii.gz", mask().astype(np.float64))
    return tmp_path, images


def read(**settings):
    checks = Checks()
    return Images(**settings).read(1, checks), checks.frame()


def refused(*words, **settings):
    with pytest.raises(InputError) as caught:
        read(**settings)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy


def test_folders_of_nifti(folder):
    path, images = folder
    both = {"images": path / "images", "masks": path / "masks"}
    refused("float32 in 1 image", "int16 in 2 images", "data.normalise: image", **both)
    raw, checks = read(**both, normalise="image")
    facts = raw.facts
    assert (facts.spatial_dims, facts.spacing, facts.unit) == (3, [2.0, 0.5, 0.5], "mm")
    assert (facts.task, facts.dtype) == ("classes", "float32")
    assert raw.examples["id"].tolist() == ["v0_0000", "v1_0000", "v2_0000"]
    assert raw.examples[["depth", "height", "width"]].to_numpy().tolist() == [list(SHAPE)] * 3
    for i, image in enumerate(images):
        np.testing.assert_array_equal(raw.x(i), image[None])
        assert raw.x(i).dtype == np.float32
        np.testing.assert_array_equal(raw.y(i), mask())
    row = checks[checks["reason"].str.startswith("int16 stored as float32")].iloc[0]
    assert (row["outcome"], row["count"], row["example"]) == ("repaired", 2, "v0_0000.nii.gz")
    assert checks["reason"].str.contains("orientation RAS").any() == ("".join(nibabel.aff2axcodes(AFFINE)) == "RAS")


def test_series_in_a_table_with_masks_of_numpy(tmp_path):
    rows = ["image,mask,group"]
    for name in "ab":
        write_series(tmp_path / name, volume())
        np.save(tmp_path / f"{name}.npy", mask().astype(np.int64))
        rows.append(f"{name},{name}.npy,patient {name}")
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n")
    refused("a.npy", "data.axes: ZYX", table=tmp_path / "index.csv")
    raw, _ = read(table=tmp_path / "index.csv", axes="ZYX", geometry="trust_arrays")
    assert raw.examples["id"].tolist() == ["a", "b"]
    assert raw.facts.task == "classes"
    np.testing.assert_array_equal(raw.y(1), mask())
    assert raw.x(0).shape == (1, *SHAPE)


def test_z_stacks_with_channels_and_masks_without_metadata(tmp_path):
    for name, array in {"images": rng.integers(0, 200, (6, 2, 9, 8), dtype=np.uint8), "masks": mask()}.items():
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", array, photometric="minisblack", metadata={})
    both = {"images": tmp_path / "images", "masks": tmp_path / "masks"}
    refused("a.tif", "data.axes", **both)
    raw, _ = read(**both, axes="ZCYX", spacing=[2.0, 1.0, 1.0])
    assert raw.x(0).shape == (2, *SHAPE)
    np.testing.assert_array_equal(raw.y(0), mask())
    assert raw.facts.spacing == [2.0, 1.0, 1.0]
    refused("data.spacing: 2 numbers for images of 3 axes", **both, axes="ZCYX", spacing=[1.0, 1.0])


def test_planes_among_volumes_and_masks_of_another_size_are_refused(folder):
    path, _ = folder
    both = {"images": path / "images", "masks": path / "masks", "normalise": "image"}
    save_nifti(path / "images" / "v1_0000.nii.gz", volume()[:1])
    save_nifti(path / "masks" / "v1.nii.gz", mask()[:1])
    refused("1 plane", "v1_0000.nii.gz", "2 volumes", "data.axes", **both)
    save_nifti(path / "masks" / "v1.nii.gz", mask())
    refused("v1.nii.gz: 6 x 9 x 8 pixels (depth x height x width)", "has 9 x 8", **both)


@pytest.mark.data
def test_the_hippocampus_set(data_root):
    raw, checks = read(table=data_root / "images" / "hippocampus_mri_nifti" / "index.csv", normalise="image")
    assert len(raw.examples) == 130
    assert (raw.facts.spatial_dims, raw.facts.unit, raw.facts.task) == (3, "mm", "classes")
    assert raw.facts.spacing == [1.0, 1.0, 1.0]
    shapes = raw.examples["shape"].str.split("x").map(lambda s: [int(n) for n in s[::-1]])
    assert raw.examples[["depth", "height", "width"]].to_numpy().tolist() == shapes.tolist()
    y = raw.y(0)
    assert [(y == k).sum() for k in (1, 2)] == raw.examples.loc[0, ["vox_label1", "vox_label2"]].astype(int).tolist()
    assert 29 in checks.loc[checks["reason"].str.startswith("uint8 stored as float32"), "count"].tolist()
