"""Boxes are read from every format to the same arrays."""

from pathlib import Path

import numpy as np
import pytest
from box_annotations import BOXES, FORMATS, HEADER, HEIGHT, WIDTH, folder_of, read, refused, table, targets
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import counts
from PIL import Image

from biocnn.config.settings import Split
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.stored_raw import open_raw, write_raw
from biocnn.data.storing import write
from biocnn.metrics.boxes import box_iou


@pytest.mark.parametrize("made", FORMATS)
@pytest.mark.parametrize("indexed", [False, True])
def test_every_format_gives_the_same_boxes(tmp_path: Path, made, indexed: bool) -> None:
    folder_of(tmp_path / "images", list(BOXES))
    options = made(tmp_path)
    if indexed:
        rows = [f"{name}.png,{split},p{i}" for i, (name, split) in enumerate(zip("abcd", SPLIT, strict=True))]
        (tmp_path / "index.csv").write_text("\n".join(["image,split,group", *rows]) + "\n")
        options["index"] = tmp_path / "index.csv"
    raw, checks = read(**options)
    assert raw.facts.outputs == ["long", "round"]
    assert raw.facts.task == "boxes"
    assert raw.examples["id"].tolist() == list("abcd")
    assert raw.examples["n_boxes"].tolist() == [2, 3, 1, 0]
    for row, name in enumerate("abcd"):
        np.testing.assert_allclose(raw.truth(row), targets(name), atol=1e-5)
    assert counts(checks)["images without boxes"] == 1
    assert ("split" in raw.examples) == indexed
    assert "repaired" not in checks.frame()["outcome"].tolist()


SPLIT = ("train", "train", "val", "test")


def test_boxes_are_stored_with_images_without_any(tmp_path: Path) -> None:
    rows = ["a.png,5,2,15,20,x,train", "b.png,,,,,,train", "c.png,1,1,30,9,x,val", "d.png,2,2,9,9,x,test"]
    raw, _ = read(table=table(tmp_path, *rows, header=HEADER + ",split"))
    write_raw(raw, {}, tmp_path / "raw")
    stored = open_raw(tmp_path / "raw")
    facts = write(stored, Split(), 1, tmp_path / "dataset")
    dataset = Dataset(tmp_path / "dataset")
    for row in range(4):
        np.testing.assert_array_equal(stored.truth(row), raw.truth(row))
        np.testing.assert_array_equal(dataset.truth(row), raw.truth(row))
        np.testing.assert_array_equal(dataset.y[row], raw.truth(row))
    assert dataset.examples["y_0"].tolist() == [1, 0, 1, 1]
    assert facts.n_positive.plain() == {"train": [1], "val": [1], "test": [1]}
    assert facts.objects.number == 1
    assert facts.objects.diameter["50"] == pytest.approx(np.sqrt(18 * 10), abs=0.01)


def test_one_image_may_be_written_in_several_ways(tmp_path: Path) -> None:
    rows = ["a.png,5,2,15,20,x", "./a.png,1,1,30,9,x", ".//b.png,2,2,9,9,x"]
    raw, _ = read(table=table(tmp_path, *rows, header=HEADER))
    assert raw.examples[["id", "image", "n_boxes"]].to_numpy().tolist() == [["a", "a.png", 2], ["b", "b.png", 1]]


def test_a_class_without_boxes_in_train_is_refused_and_in_test_noted(tmp_path: Path) -> None:
    rows = ["a.png,5,2,15,20,x,train", "b.png,1,1,30,9,x,val", "c.png,2,2,9,9,y,test", "d.png,2,2,9,9,y,val"]
    raw, _ = read(table=table(tmp_path, *rows, header=HEADER + ",split"))
    with pytest.raises(InputError, match="the train split has no box of 'y'"):
        write(raw, Split(), 1, tmp_path / "dataset")
    raw.examples["split"] = ["train", "val", "train", "test"]
    write(raw, Split(), 1, tmp_path / "other")
    notes = (tmp_path / "other" / "checks.tsv").read_text()
    assert "the val split has no box of a class: excluded from its metrics\t1\ty" in notes


# Points and masks


def test_points_have_a_radius(tmp_path: Path) -> None:
    path = table(tmp_path, "a.png,10,20,x", "b.png,30.5,8,x", "b.png,,,", header="image,x,y,label")
    raw, checks = read(table=path, radius=9)
    np.testing.assert_array_equal(raw.truth(0), [[0, 11, 1, 29, 19]])
    np.testing.assert_array_equal(raw.truth(1), [[0, 0, 21.5, 17, 39.5]])
    assert counts(checks)["boxes that reach beyond the image: cut"] == 1
    refused("no radius", "data.radius: 10", table=path)
    path = table(tmp_path, "a.png,10,20,4", "a.png,30,10,6", header="image,x,y,radius")
    refused("no column 'label'", "data.classes: [cell]", table=path)
    raw, _ = read(table=path, classes=["nucleus"])
    np.testing.assert_array_equal(raw.truth(0), [[0, 16, 6, 24, 14], [0, 4, 24, 16, 36]])
    refused("a column radius, and data.radius", table=path, radius=3.0, classes=["nucleus"])


def test_boxes_around_the_objects_of_masks(tmp_path: Path) -> None:
    images, masks = folder_of(tmp_path / "images", list("ab")), tmp_path / "masks"
    masks.mkdir()
    for name, labels in (("a", [(3, 4, 12, 20), (15, 30, 40, 60)]), ("b", [])):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for number, (r0, c0, r1, c1) in enumerate(labels, 2):
            mask[r0:r1, c0:c1] = number
        Image.fromarray(mask).save(masks / f"{name}.png")
    raw, _ = read(images=images, masks=masks)
    assert raw.facts.outputs == ["object"]
    np.testing.assert_array_equal(raw.truth(0), [[0, 3, 4, 12, 20], [0, 15, 30, 40, 60]])
    assert raw.truth(1).shape == (0, 5)
    Image.fromarray((np.asarray(Image.open(masks / "a.png")) > 0).astype(np.uint8)).save(masks / "a.png")
    refused("no mask has several objects", "skimage.measure.label", images=images, masks=masks)


def test_bad_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    refused("no boxes given", "one of table, coco")
    refused("table and voc given", table=tmp_path, voc=tmp_path)
    refused("data.masks: needs data.images", masks=tmp_path)
    refused("data.origin: coco files", coco=tmp_path, origin=1)
    refused("data.radius: must be a number > 0", table=tmp_path, radius=-1.0)


def test_classes_choose_boxes_and_their_order(tmp_path: Path) -> None:
    path = table(tmp_path, "a.png,5,2,15,20,x", "b.png,5,2,15,20,y", "b.png,30,2,35,20,Z")
    raw, checks = read(table=path, classes=["z", "x"])
    assert raw.facts.outputs == ["z", "x"]
    assert [raw.truth(row)[:, 0].tolist() for row in (0, 1)] == [[1], [0]]
    assert counts(checks)["boxes of class y, which data.classes does not list"] == 1
    refused("none of the boxes in boxes.csv has the label 'w'", table=path, classes=["w", "x"])


def test_images_that_a_table_does_not_list_have_no_boxes(tmp_path: Path) -> None:
    table(tmp_path / "images", "a.png,5,2,15,20,x", "b.png,5,2,15,20,x")
    (tmp_path / "images" / "boxes.csv").rename(tmp_path / "boxes.csv")
    folder_of(tmp_path / "images", ["c"])
    raw, checks = read(table=tmp_path / "boxes.csv", images=tmp_path / "images")
    assert raw.examples["n_boxes"].tolist() == [1, 1, 0]
    assert any("used as images without boxes" in reason for reason in counts(checks))


@settings(max_examples=10)
@given(data=st.data())
def test_any_boxes_survive_a_table(tmp_path_factory, data) -> None:
    """Boxes inside the image are kept as they are, unless one is almost the same as an earlier one of its class."""
    side = st.tuples(st.integers(0, 39), st.integers(1, 40)).filter(lambda pair: pair[0] < pair[1])
    drawn = data.draw(st.lists(st.tuples(side, side, st.sampled_from("xy")), min_size=1, max_size=8))
    boxes = [(label, r[0], c[0], r[1], c[1]) for r, c, label in drawn if (r[1] - r[0]) * (c[1] - c[0]) > 1]
    kept = []
    for i, (label, *corners) in enumerate(boxes):
        earlier = np.array([other for own, *other in boxes[:i] if own == label]).reshape(-1, 4)
        if not (box_iou(np.array([corners]), earlier) > 0.95).any():
            kept.append((label, *corners))
    if not kept:
        return
    folder = tmp_path_factory.mktemp("boxes")
    raw, _ = read(table=table(folder, *(f"a.png,{c0},{r0},{c1},{r1},{label}" for label, r0, c0, r1, c1 in boxes)))
    assert [(raw.facts.outputs[int(k)], *map(int, corners)) for k, *corners in raw.truth(0).tolist()] == kept
