"""What is doubtful about boxes is repaired and counted, named, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from box_annotations import BOXES, HEADER, HEIGHT, WIDTH, as_coco, as_voc, as_yolo, folder_of, read, refused, table
from labelled import counts, pictures

from biocnn.core.checks import Checks
from biocnn.data.box_doctor import clean
from biocnn.data.box_files import from_voc
from biocnn.data.doctor import write_findings


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
        "line 3: y1 is '2O' (2 such rows)", "1 image in more than one split", "a.png (train, test)",
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
    rows = [
        f"{name}.png,{split}" for name, split in zip("abcda", ("train", "train", "val", "test", "test"), strict=True)
    ]
    (tmp_path / "index.csv").write_text("\n".join(["image,split", *rows]) + "\n")
    words = ("1 image listed more than once: a.png", "list each image once")
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


def test_images_in_two_splits_of_a_published_set_are_named(data_root: Path, tmp_path: Path) -> None:
    """All validation images of this set are also training images."""
    text = (data_root / "images" / "bccd_relabelled_cbc" / "boxes.csv").read_text()
    for theirs, ours in (("Training", "train"), ("Validation", "val"), ("Testing", "test")):
        text = text.replace(f",{theirs},", f",{ours},")
    (tmp_path / "boxes.csv").write_text(text)
    words = ("60 images in more than one split", "tested with the same", "(train, val)")
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
