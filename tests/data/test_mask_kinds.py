"""Whether masks hold one class, several classes or objects follows from their content, never from the format."""

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.images import Images
from biocnn.data.masks import understand_masks
from biocnn.data.survey import Survey

GRID = np.indices((48, 56))


def disc(row, column, radius):
    return (GRID[0] - row) ** 2 + (GRID[1] - column) ** 2 <= radius**2


def heart(i):
    """Return muscle around one chamber, beside another: each in one piece, at varying places and sizes."""
    rng = np.random.default_rng(i)
    row, column, size = 22 + rng.integers(-4, 5), 20 + rng.integers(-3, 4), rng.uniform(0.8, 1.2)
    mask = np.zeros(GRID.shape[1:], int)
    mask[disc(row, column + 17 * size, 8 * size)] = 3
    mask[disc(row, column, 11 * size)] = 1
    mask[disc(row, column, 6 * size)] = 2
    return mask


def organs(i):
    """Return four separate organs, each at its place."""
    rng = np.random.default_rng(i)
    mask = np.zeros(GRID.shape[1:], int)
    for k, (row, column, radius) in enumerate([(10, 12, 8), (12, 42, 3), (36, 12, 5), (36, 40, 6)], 1):
        mask[disc(row + rng.integers(-2, 3), column + rng.integers(-2, 3), radius * rng.uniform(0.9, 1.1))] = k
    return mask


def nuclei(number, seed=0, order=True):
    """Return ``number`` round objects of random places and sizes that do not touch, numbered from top to bottom."""
    rng = np.random.default_rng([seed, number])
    mask, centres = np.zeros(GRID.shape[1:], int), []
    while len(centres) < number:
        centre = rng.uniform(4, [44, 52])
        if all(np.hypot(*(centre - other)) > 8 for other in centres):
            centres.append(centre)
    for k, centre in enumerate(sorted(centres, key=lambda c: c[0]) if order else centres, 1):
        mask[disc(*centre, rng.uniform(2, 3.2))] = k
    return mask


def scattered(i):
    return np.random.default_rng(i).integers(0, 4, GRID.shape[1:])


SETS = {
    "heart": ("classes", [heart(i) for i in range(5)]),
    "organs": ("classes", [organs(i) for i in range(5)]),
    "scattered classes": ("classes", [scattered(i) for i in range(3)]),
    "nuclei": ("instances", [nuclei(n) for n in (3, 7, 12, 5)]),
    "equally many nuclei in each": ("instances", [nuclei(6, seed) for seed in range(8)]),
    "ids of the whole set": ("instances", [np.where((m := nuclei(4, k)) > 0, m + 4 * k, 0) for k in range(9)]),
    "one class": ("mask", [(heart(i) > 0).astype(int) for i in range(3)]),
    "one class, one mask empty": ("mask", [(heart(i) > 0) * int(i > 0) for i in range(3)]),
    "one class of 255": ("mask", [255 * (heart(i) > 0) for i in range(3)]),
}  # fmt: skip


def save(path, mask, width):
    stored = mask.astype(width)
    if path.name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(stored.T[..., None], np.diag([-1.0, -1.0, 1.0, 1.0]), dtype=width), path)
    elif path.suffix == ".npy":
        np.save(path, stored)
    elif path.suffix == ".png":
        Image.fromarray(stored).save(path)
    else:
        tifffile.imwrite(path, stored)


WIDTHS = [
    ("png", "uint8"), ("png", "uint16"), ("tif", "uint8"), ("tif", "uint16"), ("tif", "int16"), ("tif", "uint32"),
    ("tif", "int32"), ("tif", "float32"), ("tif", "float64"), ("tif", "int64"), ("npy", "int64"), ("npy", "float16"),
    ("nii.gz", "uint8"), ("nii.gz", "int16"), ("nii.gz", "int32"), ("nii.gz", "float32"), ("nii.gz", "float64"),
]  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_the_kind_does_not_depend_on_format_or_width(tmp_path, name):
    kind, masks = SETS[name]
    (tmp_path / "x").mkdir()
    for i in range(len(masks)):
        picture = np.random.default_rng(i).integers(0, 255, GRID.shape[1:], dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "x" / f"{i}.png")
    reasons = set()
    for suffix, width in WIDTHS:
        folder = tmp_path / f"{suffix}-{width}"
        folder.mkdir()
        for i, mask in enumerate(masks):
            save(folder / f"{i}.{suffix}", mask, width)
        raw = Images(images=tmp_path / "x", masks=folder, geometry="trust_arrays").read(1, Checks())
        assert raw.facts.task == kind, (suffix, width)
        reasons.add(raw.facts.decisions["task"].reason)
        for i, mask in enumerate(masks):
            np.testing.assert_array_equal(raw.y(i), mask > 0 if kind == "mask" else mask)
    assert len(reasons) == 1


def survey(*masks, ignore=None):
    found = Survey()
    for i, mask in enumerate(masks):
        found.add(np.asarray(mask), f"m{i}.png", ignore)
    return found


def boxes(*numbers):
    """Return objects side by side that touch."""
    masks = []
    for n in numbers:
        mask = np.zeros((12, 60), int)
        for k in range(n):
            mask[2:9, 6 * k : 6 * k + 6] = k + 1
        masks.append(mask)
    return masks


OPEN = {
    "two objects or two classes": [nuclei(2, seed, order=False) for seed in range(4)],
    "a few that touch, in varying number": boxes(2, 3, 4, 2),
    "two masks": [nuclei(3, seed, order=False) for seed in range(2)],
    "forty ids, the same in each": [np.arange(48 * 56).reshape(48, 56) // 64 for _ in range(3)],
}


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("width", ["uint8", "uint16", "int32"])
def test_ambiguous_content_is_an_error_that_shows_both_settings(name, width):
    masks = survey(*(mask.astype(width) for mask in OPEN[name]))
    with pytest.raises(InputError, match="they may be classes or objects") as caught:
        understand_masks(masks)
    assert "\n    mask_type: classes\n    mask_type: instances" in caught.value.remedy
    for kind in ("classes", "instances"):
        assert understand_masks(masks, mask_type=kind).task == kind


@pytest.mark.parametrize("width", ["uint8", "uint16", "int32"])
def test_grey_levels_of_a_few_classes_are_not_objects(width):
    masks = []
    for i in range(4):
        mask = np.zeros(GRID.shape[1:], width)
        mask[disc(20, 20 + i, 12)] = 128
        mask[disc(20, 20 + i, 5)] = 255
        masks.append(mask)
    with pytest.raises(InputError, match=r"unexpected values 128, 255.*\n.*data\.colors"):
        understand_masks(survey(*masks))


@pytest.mark.parametrize("width", ["int8", "int16", "int64"])
def test_ignoring_negative_values_works_as_advised_and_is_not_advised_for_objects(width):
    classes = [scattered(i).astype(width) for i in range(3)]
    classes[1][:5] = -1
    with pytest.raises(InputError, match=r"m1\.png: .*value -1 .*\n.*data\.ignore: -1"):
        understand_masks(survey(*classes))
    code = understand_masks(survey(*classes, ignore=-1), ignore=-1)
    np.testing.assert_array_equal(code(classes[1]), np.where(classes[1] < 0, 255, classes[1].astype(int)))
    binary = [np.where(mask == 3, 1, 0).astype(width) for mask in classes]
    binary[0][0] = -1
    assert understand_masks(survey(*binary, ignore=-1), ignore=-1).task == "mask"
    objects = [nuclei(n).astype(width) for n in (3, 7, 12, 5)]
    objects[2][:3] = -1
    with pytest.raises(InputError, match="value -1 ") as caught:
        understand_masks(survey(*objects))
    assert "data.ignore" not in str(caught.value)
    assert "make them background" in caught.value.remedy


def test_specks_from_jpeg_compression_are_not_counted_after_the_repair():
    from io import BytesIO

    truth = np.kron(heart(1) > 0, np.ones((4, 4), bool))
    buffer = BytesIO()
    Image.fromarray(255 * truth.astype(np.uint8)).save(buffer, "JPEG", quality=80)
    saved = np.asarray(Image.open(buffer))
    assert len(np.unique(saved)) > 5
    seen, foreground = survey(saved).add(saved, "m.jpg")
    assert (seen.ids, seen.pieces, seen.tiny, seen.torn) == (1, 1, 0, 0)
    assert seen.share == pytest.approx(truth.mean(), abs=0.01)
    assert (foreground == truth).mean() > 0.99


@pytest.mark.parametrize("values", [[0, 1, 3], [0, 3], [0, 2, 3], [0, 1, 2, 3]])
def test_names_of_classes_make_masks_classes_even_if_some_do_not_occur(tmp_path, values):
    survey = Survey()
    for i in range(3):
        survey.add(np.array(values)[heart(i) % len(values)], tmp_path / f"{i}.png")
    code = understand_masks(survey, classes=["background", "wall", "chamber", "vessel"])
    assert (code.task, code.outputs) == ("classes", ["background", "wall", "chamber", "vessel"])
    assert code(np.array([values])).tolist() == [values]


@pytest.mark.parametrize("values", [[-1], [-1, 0]])
def test_masks_of_only_negative_values_are_refused(tmp_path, values):
    survey = Survey()
    survey.add(np.resize(values, (4, 4)), tmp_path / "a.png")
    with pytest.raises(InputError, match="unexpected value -1") as caught:
        understand_masks(survey)
    assert "data.ignore: -1" in caught.value.remedy
