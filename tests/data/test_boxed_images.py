"""Boxes are read from every format to the same arrays; what is doubtful about them is repaired, named or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import counts, pictures
from PIL import Image

from biocnn.config.settings import Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.box_doctor import clean
from biocnn.data.box_files import from_voc
from biocnn.data.boxed_images import BoxedImages
from biocnn.data.dataset import Dataset, write
from biocnn.data.doctor import write_findings
from biocnn.data.facts import read as validated
from biocnn.data.raw import Raw
from biocnn.data.stored_raw import open_raw, write_raw
from biocnn.metrics.boxes import box_iou

HEIGHT, WIDTH = 40, 60
HEADER = "image,x0,y0,x1,y1,label"
# Rows, columns and classes of the boxes in three images; the last image has none.
BOXES = {
    "a": [("round", 2, 5, 20, 15), ("long", 10, 30, 25, 60)],
    "b": [("round", 0, 0, 8, 9), ("round", 20, 40, 40, 50), ("long", 5, 12, 30, 20)],
    "c": [("long", 1, 1, 9, 33)],
    "d": [],
}


def read(**options) -> tuple[Raw, Checks]:
    checks = Checks()
    return validated(BoxedImages(**options), 1, checks), checks


def refused(*words: str, **options) -> None:
    with pytest.raises(InputError) as caught:
        read(**options)
    for word in words:
        assert word in str(caught.value)
    assert all(fault.remedy for fault in getattr(caught.value, "faults", [caught.value]))


def folder_of(path: Path, names: list[str]) -> Path:
    """Images of one size in a folder."""
    path.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        Image.fromarray(np.roll(pictures(HEIGHT, WIDTH), i)).save(path / f"{name}.png")
    return path


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """A table, and an image for each name in it."""
    folder_of(folder, list(dict.fromkeys(row.split(".png")[0] for row in rows)))
    (folder / "boxes.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "boxes.csv"


def targets(name: str) -> np.ndarray:
    return np.array([(label == "round", *box) for label, *box in BOXES[name]], np.float32).reshape(-1, 5)


# The same boxes in each format


def as_table(folder: Path) -> dict:
    rows = [f"{name}.png,{c0},{r0},{c1},{r1},{label}" for name in BOXES for label, r0, c0, r1, c1 in BOXES[name]]
    (folder / "boxes.csv").write_text("\n".join([HEADER, *rows, "d.png,,,,,"]) + "\n")
    return {"table": folder / "boxes.csv", "images": folder / "images"}


def as_tsv_counted_from_1(folder: Path) -> dict:
    rows = [
        f"{label}\t{name}.png\t{c0 + 1}\t{r0 + 1}\t{c1}\t{r1}"
        for name in BOXES
        for label, r0, c0, r1, c1 in BOXES[name]
    ]
    (folder / "boxes.tsv").write_text("\n".join(["label\timage\txmin\tymin\txmax\tymax", *rows]) + "\n")
    return {"table": folder / "boxes.tsv", "images": folder / "images", "origin": 1}


def as_coco(folder: Path) -> dict:
    found = [(i, box) for i, name in enumerate(BOXES) for box in BOXES[name]]
    content = {
        "images": [{"id": i, "file_name": f"{n}.png", "height": HEIGHT, "width": WIDTH} for i, n in enumerate(BOXES)],
        "categories": [{"id": 7, "name": "round"}, {"id": 3, "name": "long"}],
        "annotations": [
            {"id": k, "image_id": i, "category_id": 7 if label == "round" else 3, "bbox": [c0, r0, c1 - c0, r1 - r0]}
            for k, (i, (label, r0, c0, r1, c1)) in enumerate(found)
        ],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return {"coco": folder / "boxes.json", "images": folder / "images"}


def as_voc(folder: Path) -> dict:
    (folder / "voc").mkdir()
    for name, boxes in BOXES.items():
        objects = "".join(
            f"<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{c0 + 1}</xmin><ymin>{r0 + 1}</ymin>"
            f"<xmax>{c1}</xmax><ymax>{r1}</ymax></bndbox></object>"
            for label, r0, c0, r1, c1 in boxes
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>1</depth></size>"
        (folder / "voc" / f"{name}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    return {"voc": folder / "voc", "images": folder / "images"}


def as_yolo(folder: Path) -> dict:
    (folder / "yolo").mkdir()
    for name in "abc":
        lines = [
            f"{int(label == 'round')} {(c0 + c1) / 2 / WIDTH} {(r0 + r1) / 2 / HEIGHT} {(c1 - c0) / WIDTH} "
            f"{(r1 - r0) / HEIGHT}"
            for label, r0, c0, r1, c1 in BOXES[name]
        ]
        (folder / "yolo" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "yolo" / "classes.txt").write_text("long\nround\n")
    return {"yolo": folder / "yolo", "images": folder / "images"}


FORMATS = (as_table, as_tsv_counted_from_1, as_coco, as_voc, as_yolo)


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


# The doctor of boxes


def test_safe_repairs_are_counted(tmp_path: Path) -> None:
    rows = [
        "a.png,15,20,5,2,x",  # swapped
        "a.png,0,0,9,9,x",
        "a.png,0,0,9,9.1,x",  # again
        "a.png,0,0,9.1,9,y",  # again, of another class
        "b.png,50,30,64,44,x",  # beyond the image
        "b.png,4,4,4,9,x",  # empty
        "b.png,7,7,8,8,y",  # one pixel
        "c.png,,,,,",
    ]
    raw, checks = read(table=table(tmp_path, *rows))
    found = counts(checks)
    assert found["boxes with swapped corners"] == 1
    assert found["boxes that reach beyond the image: cut"] == 1
    assert found["boxes of 1 pixel or less"] == 2
    assert found["boxes around the same object as another of the same class"] == 1
    assert found["boxes around the same object as another of a different class"] == 1
    assert found["images without boxes"] == 1
    assert found["boxes"] == 4
    np.testing.assert_allclose(raw.truth(0), [[0, 2, 5, 20, 15], [0, 0, 0, 9, 9], [1, 0, 0, 9, 9.1]], rtol=1e-6)
    np.testing.assert_array_equal(raw.truth(1), [[0, 30, 50, 40, 60]])
    findings = checks.findings_frame().set_index("finding")
    assert findings.loc["boxes of 1 pixel or less", ["id", "detail"]].tolist() == ["b", "2 boxes"]


def test_findings_are_shown_with_boxes(tmp_path: Path) -> None:
    path = table(tmp_path, "a.png,5,2,15,20,x", "b.png,50,30,64,44,y", "b.png,9,20,3,4,x")
    raw, checks = read(table=path)
    write_findings(raw, checks, tmp_path / "doctor")
    with np.load(tmp_path / "doctor" / "thumbnails.npz") as shown:
        assert shown["ids"].tolist() == ["b"]
        larger = shown["images"].shape[1] // WIDTH
        np.testing.assert_array_equal(shown["boxes"][:, :2], [[0, 1], [0, 0]])
        np.testing.assert_array_equal(shown["boxes"][:, 2:] / larger, raw.truth(1)[:, 1:])
        assert not shown["masks"].any()


def test_difficult_boxes_and_crowds_are_neither_objects_nor_background(tmp_path: Path) -> None:
    path = table(tmp_path, "a.png,5,2,15,20,x,1", "a.png,20,2,35,20,x,0", header=HEADER + ",difficult")
    raw, checks = read(table=path)
    assert raw.truth(0)[:, 0].tolist() == [-1, 0]
    assert counts(checks)["boxes marked as difficult or as crowds: neither object nor background"] == 1
    folder_of(tmp_path / "images", list(BOXES))
    options = as_coco(tmp_path)
    content = json.loads(options["coco"].read_text())
    content["annotations"][1]["iscrowd"] = 1
    options["coco"].write_text(json.dumps(content))
    assert read(**options)[0].truth(0)[:, 0].tolist() == [1, -1]
    path = table(tmp_path, "a.png,5,2,15,20,x,maybe", header=HEADER + ",difficult")
    refused("line 2: difficult is 'maybe'", table=path)


def test_all_faults_of_a_table_are_named_at_once(tmp_path: Path) -> None:
    rows = [
        "a.png,5,2,15,20,x,train", "a.png,5,2,15,2O,x,test", "b.png,1,,9,9,x,train", "c.png,1,1,9,9,x,train",
    ]  # fmt: skip
    path = table(tmp_path, *rows, header=HEADER + ",split")
    (tmp_path / "c.png").rename(tmp_path / "c1.png")
    words = (
        "line 3: y1 is '2O' (2 such rows)", "1 images are in more than one split", "a.png (train, test)",
        "1 of 3 image files do not exist: c.png (line 5)", "did you mean 'c1.png'?",
    )  # fmt: skip
    refused(*words, table=path)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a.png,0.1,0.2,0.5,0.9,x", "a.png,0,0,1,1,x"], ("all 2 boxes have coordinates up to 1", "data.yolo")),
        (["a.png,5,45,9,55,x", "a.png,1,1,9,9,x"], ("boxes.csv line 2: 1 of 2 boxes", "x and y were swapped")),
        (
            ["a.png,70,5,80,9,x", "a.png,50,1,55,9,x"],
            ("1 of 2 boxes are outside", "line 2 (x 70 to 80, y 5 to 9 in 60 x 40 pixels)", "other images"),
        ),
        (["a.png,5,2,15,20,", "a.png,5,2,15,20,x"], ("1 of 2 boxes have no label: boxes.csv line 2", "label them")),
        (["a.png,5,2,15,20,Cell", "a.png,5,2,9,20,cell"], ("differ only in case",)),
        (["a.png,,,,,"], ("boxes.csv: no boxes",)),
    ],
)
def test_boxes_that_cannot_be_right_are_refused(tmp_path: Path, rows: list[str], words: tuple[str, ...]) -> None:
    refused(*words, table=table(tmp_path, *rows))


def test_corners_that_seem_to_be_counted_otherwise_are_named(tmp_path: Path) -> None:
    path = table(tmp_path, "a.png,1,1,20,15,x", "a.png,30,10,60,30,x")
    assert any("set data.origin: 1" in reason for reason in counts(read(table=path)[1]))
    raw, checks = read(table=path, origin=1)
    np.testing.assert_array_equal(raw.truth(0), [[0, 0, 0, 15, 20], [0, 9, 29, 30, 60]])
    assert not any("data.origin" in reason for reason in counts(checks))
    path = table(tmp_path, "a.png,0,1,20,15,x", "a.png,30,10,60,30,x")
    assert any("set data.origin: 0" in reason for reason in counts(read(table=path, origin=1)[1]))


def test_boxes_of_images_of_another_size_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path / "images", list(BOXES))
    for made in (as_voc, as_coco):
        options = made(tmp_path)
        path = options.get("coco", tmp_path / "voc" / "b.xml")
        path.write_text(path.read_text().replace(str(WIDTH), str(WIDTH * 2)))
        refused("states another height x width for", "b.png (40 x 120, but it has 40 x 60)", **options)


def test_annotations_of_unknown_images_are_refused_with_the_nearest_name(tmp_path: Path) -> None:
    folder_of(tmp_path / "images", ["a1", "b", "c", "d"])
    refused("1 of 4 image files do not exist: a.png", "did you mean 'a1.png'?", **as_coco(tmp_path))
    refused("1 of 4 annotated images are not in", "did you mean", **as_voc(tmp_path))
    refused("1 of 3 annotated images are not in", "did you mean", **as_yolo(tmp_path))


def test_an_image_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path / "images", list(BOXES))
    rows = [f"{name}.png,{split}" for name, split in zip("abcda", (*SPLIT, "test"), strict=True)]
    (tmp_path / "index.csv").write_text("\n".join(["image,split", *rows]) + "\n")
    words = ("1 images are listed more than once: a.png", "list each image once")
    refused(*words, index=tmp_path / "index.csv", **as_voc(tmp_path))
    options = as_coco(tmp_path)
    options["coco"].write_text(options["coco"].read_text().replace("b.png", "a.png"))
    refused(*words, **options)


def test_volumes_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pictures(6, HEIGHT, WIDTH))
    (tmp_path / "boxes.csv").write_text(f"{HEADER}\na.npy,1,1,9,9,x\n")
    refused("volumes, but boxes are found in planes only", table=tmp_path / "boxes.csv", axes="ZYX")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", ["a"])
    (tmp_path / "a.json").write_text('{"images": []}')
    refused("not a JSON file of COCO", "categories", coco=tmp_path / "a.json", images=images)
    (tmp_path / "a.xml").write_text("<annotation><object><name>x</name></object></annotation>")
    refused("a.xml: not an annotation of Pascal VOC", "bndbox", voc=tmp_path, images=images)
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n3 0.5 0.5 0.1 0.1 0.2 0.2\n")
    refused("a.txt line 2", "is not a box", yolo=tmp_path, images=images)
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n3 0.5 0.5 0.1 0.1\n")
    refused("a.txt line 2: class 3, but there are names for 0 to 1", yolo=tmp_path, images=images, classes=["x", "y"])
    refused("no XML file", voc=images)
    refused("no columns with the corners", "x0, y0, x1, y1", table=table(tmp_path, "a.png,1", header="image,label"))


def test_bad_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    refused("no boxes given", "one of table, coco")
    refused("table and voc given", table=tmp_path, voc=tmp_path)
    refused("data.masks: needs data.images", masks=tmp_path)
    refused("data.origin: coco files", coco=tmp_path, origin=1)
    refused("data.radius: -1", table=tmp_path, radius=-1.0)


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


# Real data


def test_images_in_two_splits_of_a_published_set_are_named(data_root: Path, tmp_path: Path) -> None:
    """All validation images of this set are also training images."""
    text = (data_root / "images" / "bccd_relabelled_cbc" / "boxes.csv").read_text()
    for theirs, ours in (("Training", "train"), ("Validation", "val"), ("Testing", "test")):
        text = text.replace(f",{theirs},", f",{ours},")
    (tmp_path / "boxes.csv").write_text(text)
    words = ("60 images are in more than one split", "tested with the same", "(train, val)")
    refused(*words, table=tmp_path / "boxes.csv", images=data_root / "images" / "bccd_detection" / "images")


def test_the_annotations_of_a_published_set_are_counted_as_by_its_publisher(data_root: Path) -> None:
    """The two boxes of one pixel are dropped."""
    file = from_voc(data_root / "images" / "bccd_detection" / "annotations_voc", Path(), origin=1)
    assert len(file.images) == 364
    assert set(file.sizes.values()) == {(480, 640)}
    images = file.images.assign(id=file.images["image"], height=480, width=640)
    checks = Checks()
    boxes = clean(file, file.boxes, images, checks, "bccd")
    assert boxes["label"].value_counts().to_dict() == {"RBC": 4153, "WBC": 372, "Platelets": 361}
    assert counts(checks) == {"boxes of 1 pixel or less": 2}


def test_files_whose_content_is_not_certain_are_refused(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", list(BOXES))
    options = as_coco(tmp_path)
    content = json.loads(options["coco"].read_text())
    for key, item in (("images", {"id": 0}), ("categories", {"id": 7, "name": "other"})):
        options["coco"].write_text(json.dumps(content | {key: [*content[key], {**content[key][-1], **item}]}))
        refused(f"boxes.json: {key} share an id: {item['id']}", **options)
    content["annotations"][0]["image_id"] = 9
    del content["annotations"][1]["bbox"]
    options["coco"].write_text(json.dumps(content))
    refused("annotation 0: image_id 9 is not an id in this file", "annotation 1: no 'bbox'", **options)
    (tmp_path / "a.xml").write_text("<annotations><object/></annotations>")
    refused("a.xml: not an annotation", "its outermost element is annotations", voc=tmp_path, images=images)
    (tmp_path / "a.txt").write_text("0 30 20 10 10\n")
    refused("a.txt line 1", "its centre is outside the image", "from 0 to 1", yolo=tmp_path, images=images)
    path = table(tmp_path, "a.png,10,20,x,-4", header="image,x,y,label,radius")
    refused("line 2: radius is '-4'", "above 0", table=path)
