"""Reading of bags: what belongs together, what is refused, and which bags share images."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.bagged_images import BaggedImages
from biocnn.data.facts import read as validated
from biocnn.data.leakage import identify, leaks
from biocnn.data.raw import Raw

ROWS = [
    ("a.tif", "s1", "sick", "1"), ("b.tif", "s1", "sick", "0"), ("c.tif", "s2", "well", "0"),
    ("d.tif", "s2", "well", ""), ("a.tif", "s3", "sick", "1"), ("e.tif", "s3", "sick", "0"),
    ("f.tif", "s3", "sick", "0"),
]  # fmt: skip


def table(folder: Path, rows: list = ROWS, columns: str = "image,bag,label,cell", **more: list) -> Path:
    """Write a table of images and the images."""
    rng = np.random.default_rng(0)
    for name in sorted({row[0] for row in rows}):
        tifffile.imwrite(folder / name, rng.integers(0, 250, (12, 12)).astype(np.uint8))
    pd.DataFrame(rows, columns=columns.split(",")).assign(**more).to_csv(folder / "bags.csv", index=False)
    return folder / "bags.csv"


def read(path: Path, **options) -> Raw:
    return validated(BaggedImages(table=path, **options), 1, Checks())


def test_images_of_a_bag_are_one_example(tmp_path: Path) -> None:
    raw = read(table(tmp_path), instance_label="cell")
    assert raw.examples["id"].tolist() == raw.examples["group"].tolist() == ["s1", "s2", "s3"]
    assert [raw.x(row).shape for row in range(3)] == [(2, 1, 12, 12), (2, 1, 12, 12), (3, 1, 12, 12)]
    assert (raw.x(2)[1, 0] == tifffile.imread(tmp_path / "e.tif")).all()
    assert raw.facts.outputs == ["sick", "well"]
    assert raw.y.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert json.loads(raw.examples["images"][2]) == ["a.tif", "e.tif", "f.tif"]
    assert json.loads(raw.examples["instance_labels"][1]) == ["0", ""]


def test_a_bag_has_one_split_and_may_share_its_group(tmp_path: Path) -> None:
    path = table(tmp_path, patient=["p1"] * 4 + ["p2"] * 3, split=["train"] * 4 + ["test"] * 3)
    raw = read(path, group="patient")
    assert raw.examples[["group", "split"]].to_numpy().tolist() == [["p1", "train"], ["p1", "train"], ["p2", "test"]]


def test_groups_may_be_bags(tmp_path: Path) -> None:
    raw = read(table(tmp_path, group=["g1"] * 2 + ["g2"] * 2 + ["g3"] * 3), bag="group")
    assert raw.examples["id"].tolist() == raw.examples["group"].tolist() == ["g1", "g2", "g3"]


def test_numbers_of_bags_are_read(tmp_path: Path) -> None:
    raw = read(table(tmp_path, age=[3, 3, 4.5, 4.5, "", "", ""], size=[1, 1, 2, 2, 3, 3, 3]), values=["age", "size"])
    np.testing.assert_equal(raw.y, [[3, 1], [4.5, 2], [np.nan, 3]])


def test_bags_may_have_outputs_of_several_kinds(tmp_path: Path) -> None:
    raw = read(table(tmp_path, age=[3, 3, 4.5, 4.5, "", "", ""]), labels=["label"], values=["age"])
    assert raw.facts.outputs == ["label_sick", "label_well", "age"]
    np.testing.assert_equal(raw.y, [[1, 0, 3], [0, 1, 4.5], [1, 0, np.nan]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"label": ["sick", "well", *["well"] * 2, *["sick"] * 3]},
            ["line 3: label 'well', but 'sick' in line 2", "'s1'"],
        ),
        ({"split": ["train", "test", *["val"] * 5]}, ["line 3: split 'test', but 'train' in line 2"]),
        ({"group": ["x", "x", "y", "z", "y", "y", "y"]}, ["line 5: group 'z', but 'y' in line 4"]),
        ({"bag": ["s1", "s1", "", *["s2"] * 4]}, ["line 4: bag ''"]),
        ({"cell": ["1", "0", "2", *["0"] * 4]}, ["line 4: cell '2'", "allowed: 1"]),
        ({"image": ["a.tif", "a.tif", *"bcdef"]}, ["line 3: image 'a.tif' is already in bag 's1'"]),
    ],
)
def test_contradictions_are_refused_with_their_line(change: dict, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(table(tmp_path, **change), instance_label="cell")
    for word in words:
        assert word in str(caught.value)


def test_missing_columns_and_sizes_that_differ_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path)
    with pytest.raises(InputError, match="no column 'slide'"):
        read(path, bag="slide")
    with pytest.raises(InputError, match="the column 'image' has another meaning"):
        read(path, bag="image")
    tifffile.imwrite(tmp_path / "b.tif", np.arange(200, dtype=np.uint8).reshape(20, 10))
    with pytest.raises(
        InputError, match=r"images of bag 's1' differ in size: a.tif of 12 x 12 pixels and b.tif of 20 x 10"
    ):
        read(path)


def test_bags_whose_images_are_all_dropped_are_counted(tmp_path: Path) -> None:
    path, checks = table(tmp_path), Checks()
    for name in "cd":
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((12, 12), 7, np.uint8))
    rows = pd.read_csv(path)
    rows.loc[rows["bag"] == "s3", "label"] = "well"
    rows.to_csv(path, index=False)
    assert validated(BaggedImages(table=path, constant="drop"), 1, checks).examples["id"].tolist() == ["s1", "s3"]
    assert ("bags.csv", "dropped", "bags without images that can be used", 1, "s2") in checks.rows


def test_bags_with_an_image_in_common_match(tmp_path: Path) -> None:
    identity = identify(read(table(tmp_path)))
    assert sorted(map(sorted, identity.pairs.tolist())) == [[0, 2], [0, 2]]
    found = leaks(identity, pd.Series(["train", "val", "test"]))["train", "test"]
    assert {kind: rows.tolist() for kind, rows in found.items()} == {"exact": [], "shared": [2]}


def test_the_same_images_in_another_order_are_the_same_bag(tmp_path: Path) -> None:
    rows = [("a.tif", "1", "x"), ("b.tif", "1", "x"), ("b.tif", "2", "y"), ("a.tif", "2", "y"), ("c.tif", "3", "y")]
    identity = identify(read(table(tmp_path, rows, "image,bag,label")))
    assert identity.exact.tolist() == [0, 0, 1]


def test_images_of_an_npz_file_can_be_listed(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 250, (4, 8, 8, 3)).astype(np.uint8)
    np.savez_compressed(tmp_path / "cells.npz", train_images=pixels, train_labels=np.zeros((4, 1), int))
    rows = [(f"cells.npz/train_images[{k}]", f"b{k % 2}", f"c{k % 2}") for k in (3, 0, 1, 2)]
    raw = read(_listed(tmp_path, rows))
    assert (raw.x(0)[1] == pixels[1].transpose(2, 0, 1)).all()
    rows[0] = ("cells.npz/train_images[4]", *rows[0][1:])
    with pytest.raises(InputError, match="1 of 4 image files do not exist"):
        read(_listed(tmp_path, rows))


def _listed(folder: Path, rows: list) -> Path:
    pd.DataFrame(rows, columns=["image", "bag", "label"]).to_csv(folder / "bags.csv", index=False)
    return folder / "bags.csv"
