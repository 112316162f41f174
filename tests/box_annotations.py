"""Boxes written in each format of annotations, and read again; used by several test files."""

import json
from pathlib import Path

import numpy as np
import pytest
from labelled import pictures
from PIL import Image

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.boxed_images import BoxedImages
from biocnn.data.facts import read as validated
from biocnn.data.raw import Raw

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
