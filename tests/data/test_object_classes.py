"""Classes of objects: from tables and class masks, with every contradiction refused and every gap counted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.images import Images
from biocnn.data.object_classes import tally
from biocnn.data.raw import Raw
from biocnn.data.stored_raw import open_raw, write_raw
from biocnn.tasks.object_classes import class_map

LABELS = np.zeros((12, 16), np.uint8)
LABELS[1:5, 1:5], LABELS[1:5, 6:10], LABELS[7:11, 1:9] = 1, 2, 7


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return three images with the objects 1, 2 and 7 each, in folders."""
    rng = np.random.default_rng(1)
    for i in range(3):
        save(tmp_path / "images" / f"a{i}.png", rng.integers(0, 255, LABELS.shape, np.uint8))
        save(tmp_path / "masks" / f"a{i}.png", np.roll(LABELS, i, axis=1))
    return tmp_path


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)


def read(folder: Path, rows: list[str] | None = None, **settings: object) -> tuple[Raw, dict[str, int]]:
    """Read the images with these rows of objects.csv; return also the count of each reason in checks.tsv."""
    if rows:
        (folder / "objects.csv").write_text("\n".join(rows) + "\n")
        settings["objects"] = folder / "objects.csv"
    checks = Checks()
    raw = Images(images=folder / "images", masks=folder / "masks", **settings).read(1, checks)
    return raw, dict(zip(checks.frame()["reason"], checks.frame()["count"], strict=True))


def refused(folder: Path, rows: list[str] | None, *words: str, **settings: object) -> None:
    with pytest.raises(InputError) as caught:
        read(folder, rows, **settings)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy


ROWS = ["image,label,class", "images/a0.png,1,T cell", "a0.png,7,tumour", "a1,2,tumour", "a2,1,T cell", "a2,2,"]


def test_a_table_gives_objects_their_class_and_all_others_none(folder: Path) -> None:
    raw, reasons = read(folder, ROWS)
    assert raw.facts.task == "typed_instances"
    assert raw.facts.outputs == ["background", "inside", "boundary", "distance", "T cell", "tumour"]
    assert [raw.classes(i).tolist() for i in range(3)] == [
        [[1, 0], [2, 255], [7, 1]], [[1, 255], [2, 1], [7, 255]], [[1, 0], [2, 255], [7, 255]],
    ]  # fmt: skip
    assert reasons["objects of class T cell"] == reasons["objects of class tumour"] == 2
    assert reasons["objects without a class: only their outlines are learned and judged"] == 5


def test_labels_may_be_written_as_whole_numbers_with_a_decimal(folder: Path) -> None:
    raw, _ = read(folder, ["image,label,class", "a0,1.0,x", "a0,7.0,y"])
    assert raw.classes(0).tolist() == [[1, 0], [2, 255], [7, 1]]
    refused(folder, ["image,label,class", "a0,1.5,x", "a0,7.0,y"], "no object '1.5'")


def test_classes_that_are_not_listed_leave_objects_without_one(folder: Path) -> None:
    raw, reasons = read(folder, [*ROWS, "a1,1,debris"], classes=["tumour", "T Cell"])
    assert raw.facts.outputs[4:] == ["tumour", "T Cell"]
    assert raw.classes(1).tolist() == [[1, 255], [2, 0], [7, 255]]
    assert reasons["objects of class debris, which data.classes does not list"] == 1
    assert reasons["label respelled as in data.classes"] == 2


def test_a_table_without_labels_is_about_all_objects_of_an_image(folder: Path) -> None:
    raw, _ = read(folder, ["image,class", "a0,round", "a1,long"])
    assert [raw.classes(i)[:, 1].tolist() for i in range(3)] == [[1] * 3, [0] * 3, [255] * 3]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a9,1,tumour", ["line 7", "there is no image 'a9'"]),
        ("a0,3,tumour", ["line 7", "the mask of a0 has no object '3'", "it has 1, 2, 7"]),
        ("a0,first,tumour", ["line 7", "no object 'first'"]),
        ("a0,1,tumour", ["line 7", "object 1 of images/a0.png is 'T cell' and 'tumour'", "one row for each object"]),
        ("a0,2,inside", ["is called 'inside'"]),
        ("a0,2,TUMOUR", ["differ only in case", "'TUMOUR'"]),
    ],
)
def test_rows_that_contradict_masks_or_each_other_are_refused(folder: Path, row: str, words: list[str]) -> None:
    refused(folder, [*ROWS, row], *words)


def test_a_name_of_two_images_is_refused_but_not_a_path_that_is_listed_twice(folder: Path) -> None:
    save(folder / "more" / "a0.png", np.zeros(LABELS.shape, np.uint8) + np.arange(16, dtype=np.uint8))
    lines = [
        "image,mask,id",
        "images/a0.png,masks/a0.png,x",
        "more/a0.png,masks/a0.png,y",
        "more/a0.png,masks/a0.png,z",
    ]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    (folder / "objects.csv").write_text("image,label,class\nimages/a0.png,1,a\nmore/a0.png,1,b\n")
    raw = Images(table=folder / "t.csv", objects=folder / "objects.csv").read(1, Checks())
    assert [raw.classes(i)[0, 1] for i in range(3)] == [0, 1, 1]
    (folder / "objects.csv").write_text("image,label,class\na0.png,1,a\nmore/a0.png,1,b\n")
    with pytest.raises(InputError, match=r"line 2: 2 images are called 'a0.png'"):
        Images(table=folder / "t.csv", objects=folder / "objects.csv").read(1, Checks())


def test_tables_without_classes_are_refused(folder: Path) -> None:
    refused(folder, ["image,label,kind", "a0,1,x"], "no column 'class'")
    refused(folder, ["image,label,class", "a0,1,", "a1,1,na"], "no object has a class")
    refused(folder, ["image,label,class", "a0,1,x", "a1,1,x"], "all 2 objects are of class 'x'")
    refused(folder, ROWS, "none of the objects", "'stroma'", classes=["tumour", "stroma"])
    for i in range(3):
        save(folder / "masks" / f"a{i}.png", (LABELS == 1).astype(np.uint8))
    refused(folder, ROWS[:2], "the masks contain mask", mask_type="binary")


def test_most_pixels_of_a_class_mask_decide(folder: Path) -> None:
    values = np.zeros(LABELS.shape, np.uint8)
    values[LABELS == 1], values[LABELS == 2], values[0, 0] = 1, 3, 1
    values[1, 1] = 3  # disagrees inside object 1
    values[7:9, 1:9] = 1  # half of object 7: a class comes before none
    for i in range(3):
        save(folder / "classes" / f"a{i}.png", np.roll(values, i, axis=1))
    raw, reasons = read(folder, class_masks=folder / "classes", classes=["round", "absent", "long"])
    assert raw.facts.outputs[4:] == ["round", "long"]
    assert raw.classes(2).tolist() == [[1, 0], [2, 1], [7, 0]]
    assert reasons["objects with pixels of several classes: most pixels decide"] == 3
    assert reasons["pixels with a class outside all objects: not used"] == 3
    assert reasons["classes that no object has"] == 1
    refused(folder, None, "has the value 3", "0 (none) to 2", class_masks=folder / "classes", classes=["a", "b"])
    refused(folder, ROWS, "class masks, too", class_masks=folder / "classes")
    refused(folder, None, "same files as the masks of objects", class_masks=folder / "masks")
    values[LABELS == 7] = 2
    save(folder / "classes" / "a0.png", values)
    raw, _ = read(folder, class_masks=folder / "classes", ignore=3)
    assert raw.facts.outputs[4:] == ["class1", "class2"]
    assert raw.classes(0).tolist() == [[1, 0], [2, 255], [7, 1]]


def test_a_column_of_a_table_names_class_masks(folder: Path) -> None:
    save(folder / "classes" / "b.png", np.where(LABELS == 7, 2, LABELS > 0).astype(np.uint8))
    (folder / "t.csv").write_text("image,mask,class_mask\nimages/a0.png,masks/a0.png,classes/b.png\n")
    raw = Images(table=folder / "t.csv").read(1, Checks())
    assert raw.facts.outputs[4:] == ["class1", "class2"]
    assert raw.classes(0).tolist() == [[1, 0], [2, 0], [7, 1]]


def test_a_tally_counts_each_pair_of_values() -> None:
    labels, values = np.array([[0, 0, 5], [5, 5, 2]]), np.array([[0, 1, 1], [1, 0, 3]])
    assert tally(labels, values).tolist() == [[0, 0, 1], [0, 1, 1], [2, 3, 1], [5, 0, 1], [5, 1, 2]]


def test_classes_are_stored_and_read_again(folder: Path, tmp_path: Path) -> None:
    raw, _ = read(folder, ROWS)
    write_raw(raw, {}, tmp_path / "raw")
    again = open_raw(tmp_path / "raw")
    for i in range(3):
        np.testing.assert_array_equal(again.classes(i), raw.classes(i))
        wanted = np.full(LABELS.shape, 255)
        for label, kind in raw.classes(i):
            wanted[raw.y(i) == label] = kind
        np.testing.assert_array_equal(class_map(raw.y(i), raw.classes(i)), wanted)
