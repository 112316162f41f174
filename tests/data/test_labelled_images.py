"""Images with labels are read from a table or a folder of classes, and no label is guessed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import counts, pictures, read, refused
from PIL import Image

from biocnn.config.experiment import load
from biocnn.config.settings import Split
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.image_pairs import read_table
from biocnn.data.storing import write

CONTRADICTION = "contradiction: the same pixels with different labels"


# A table


def table(folder: Path, rows: list[str], header: str = "image,label") -> Path:
    """A table, and an image for each file that it names."""
    for i, name in enumerate(dict.fromkeys(row.split(",")[0] for row in rows)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(pictures(9, 8), i)).save(folder / name)
    (folder / "index.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "index.csv"


def labelled(folder: Path, *labels: str, header: str = "image,label") -> Path:
    return table(folder, [f"i{k}.png,{label}" for k, label in enumerate(labels)], header)


def test_a_file_that_is_listed_twice_is_one_group(tmp_path: Path) -> None:
    path = table(tmp_path, ["a.png,x", "b.png,y", "a.png,x", "c.png,y"], "image,label")
    groups = read_table(path, ["image"])["group"].tolist()
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


def test_a_table_with_one_label_for_each_image(tmp_path: Path) -> None:
    path = labelled(
        tmp_path, "b,val,p1", "a,train,p2", "b,train,p3", "b,test,p1", "a,train,p2", header="image,label,split,group"
    )
    raw, checks = read(table=path)
    assert raw.examples["id"].tolist() == ["i0", "i1", "i2", "i3", "i4"]
    assert raw.examples["label"].tolist() == ["b", "a", "b", "b", "a"]
    assert raw.examples["group"].tolist() == ["p1", "p2", "p3", "p1", "p2"]
    assert raw.examples["split"].tolist() == ["val", "train", "train", "test", "train"]
    np.testing.assert_array_equal(raw.y, [[0, 1], [1, 0], [0, 1], [0, 1], [1, 0]])
    assert raw.facts.decisions["task"].plain() == {
        "value": "multiclass", "reason": "one label in column label: 2 classes",
    }  # fmt: skip
    np.testing.assert_array_equal(raw.x(3)[0], np.asarray(Image.open(tmp_path / "i3.png")))
    rows = checks.frame().set_index("reason")
    assert rows.loc["classes with fewer than 3 images, too few for train, val and test", "example"] == "a (2)"
    assert rows.loc["classes without an image in val: not evaluated there", "example"] == "a"
    assert rows.loc["classes without an image in test: not evaluated there", "example"] == "a"


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["Normal", "tumour", "10", "9", "a b", "é", "0.5 mm"]), min_size=4, max_size=12))
def test_rows_are_one_hot_in_the_order_of_the_classes(tmp_path_factory, labels: list[str]) -> None:
    if len(set(labels)) < 2 or 2 * sum(labels.count(name) == 1 for name in labels) >= len(labels):
        return
    raw, checks = read(table=labelled(tmp_path_factory.mktemp("table"), *labels))
    assert raw.facts.outputs == sorted(set(labels), key=lambda name: (float(name) if name.isdigit() else np.inf, name))
    assert [raw.facts.outputs[k] for k in raw.y.argmax(axis=1)] == labels == raw.examples["label"].tolist()
    assert (raw.y.sum(axis=1) == 1).all()
    for name in set(labels):
        assert counts(checks)[f"images of class {name}"] == labels.count(name)


def test_numbers_are_classes_in_the_order_of_their_values(tmp_path: Path) -> None:
    raw, checks = read(table=labelled(tmp_path, "10.0", "9.0", "10.0", "9", "-1.0", "-1.0"))
    assert raw.facts.outputs == ["-1", "9", "10"]
    assert counts(checks)["label of a whole number, read without decimals"] == 5
    assert read(table=labelled(tmp_path, "0", "1", "1", "0"), labels=["label"])[0].facts.task == "multiclass"


def test_classes_choose_images_and_order_and_drop_others(tmp_path: Path) -> None:
    path = labelled(tmp_path, "b", "rare", "a", " B", "a", "A b", "a  B", header="image,kind")
    raw, checks = read(table=path, labels=["kind"], classes=["b", "a"])
    assert raw.facts.outputs == ["b", "a"]
    assert raw.examples["id"].tolist() == ["i0", "i2", "i3", "i4"]
    assert raw.examples["label"].tolist() == ["b", "a", "b", "a"]
    assert counts(checks)["images of class rare, which data.classes does not list"] == 1
    assert counts(checks)["label respelled as in data.classes"] == 1
    np.testing.assert_array_equal(raw.x(3)[0], np.asarray(Image.open(tmp_path / "i4.png")))
    refused(
        "none of the images in index.csv has the label 'bb'", "mean 'b'", table=path, labels=["kind"], classes=["bb"]
    )
    refused("no column 'label'", "allowed: image, kind; name the column in data.labels", table=path)
    refused("no column 'kinds'", "did you mean 'kind'", table=path, labels=["kinds"])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a", "", "b", "NA", "b"], ("2 of 5 images have no label: line 3, line 5", "data.classes lists it")),
        (["a", "Normal", "b", "normal"], ("'Normal' (line 3); 'normal' (line 5)", "data.classes")),
        (["left eye", "lefteye", "b", "b"], ("'left eye' (line 2); 'lefteye' (line 3)",)),
        (["01", "1", "2", "2"], ("'01' (line 2); '1' (line 3)",)),
        (["0.5", "1", "0.5", "1"], ("numbers with decimals (0.5, 1), not classes",)),
        ([str(n // 2) for n in range(70)], ("35 different whole numbers (0, 1, 2, ... (35 in all))", "data.values")),
        (["a", "a", "a"], ("all 3 images are of class 'a'", "two classes")),
        (["a", "b", "c", "d", "e", "e", "e"],
         ("4 of 7 images are the only one of their class (a, b, c, ... (4 in all))", "names or ids")),
    ],
)  # fmt: skip
def test_labels_that_are_no_classes_are_refused(tmp_path: Path, labels: list[str], words: tuple[str, ...]) -> None:
    refused("index.csv", *words, table=labelled(tmp_path, *labels))


def test_classes_that_look_like_something_else_can_be_listed(tmp_path: Path) -> None:
    for listed in (["0.5", "1"], ["NA", "none"], ["A", "a"], [str(n) for n in range(40)]):
        raw, checks = read(table=labelled(tmp_path, *listed, *listed), classes=listed)
        assert raw.facts.outputs == listed
        assert len(raw.examples) == 2 * len(listed)
        assert "repaired" not in checks.frame()["outcome"].tolist()


def test_several_columns_are_labels_of_0_1_or_unknown(tmp_path: Path) -> None:
    path = labelled(tmp_path, "0,1,1", "1,,NA", "1.0,0,1", ",,0", "0,1,0", header="image,red,round,extra")
    raw, checks = read(table=path, labels=["red", "round"])
    assert (raw.facts.task, raw.facts.outputs) == ("multilabel", ["red", "round"])
    np.testing.assert_array_equal(raw.y, [[0, 1], [1, np.nan], [1, 0], [0, 1]])
    assert raw.examples["id"].tolist() == ["i0", "i1", "i2", "i4"]
    assert raw.examples["extra"].tolist() == ["1", "NA", "1", "0"]
    assert "label" not in raw.examples
    found = counts(checks)
    assert found["round is unknown: not used in training and evaluation"] == 1
    assert found["no known label"] == 1
    path = labelled(tmp_path, "0,1", "1,yes", header="image,red,round")
    refused("index.csv line 3: round is 'yes'", "0 or 1", "data.labels", table=path, labels=["red", "round"])
    path = labelled(tmp_path, "0,", "1,NA", header="image,red,round")
    refused("all labels of round are unknown", table=path, labels=["red", "round"])


def test_one_image_with_two_labels_is_a_contradiction(tmp_path: Path) -> None:
    rows = ["a.png,x", "b.png,y", "c.png,x", "d.png,y", "a.png,y", "b.png,y"]
    _, checks = read(table=table(tmp_path, rows))
    row = checks.frame().set_index("reason").loc[CONTRADICTION]
    assert (row["count"], row["example"]) == (2, "a = a-2")
    found = checks.findings_frame().set_index("finding")
    assert found.loc[CONTRADICTION, ["id", "detail"]].tolist() == ["a-2", "same pixels: a"]
    assert counts(checks)["images with the same pixels as another"] == 4
    several = table(tmp_path, ["a.png,0,1", "b.png,1,0", "a.png,0,", "b.png,1,1"], "image,p,q")
    _, checks = read(table=several, labels=["p", "q"])
    assert checks.frame().set_index("reason").at[CONTRADICTION, "example"] == "b = b-2"


def test_groups_are_not_cut_by_folds_and_leaks_are_removed(tmp_path: Path) -> None:
    path = labelled(tmp_path, *(f"{'ab'[i % 2]},p{i // 4}" for i in range(36)), header="image,label,group")
    copies = [1, 13, 33]
    for i in copies[1:]:
        (tmp_path / f"i{i}.png").write_bytes((tmp_path / "i1.png").read_bytes())
    raw, _ = read(table=path)
    write(raw, Split(folds=3, remove_leaks=True), 1, tmp_path / "stored")
    for fold in range(3):
        stored = Dataset(tmp_path / "stored", fold)
        kept = stored.examples[stored.examples["split"] != "removed"]
        assert (kept.groupby("group")["split"].nunique() == 1).all()
        assert kept[kept["id"].isin([f"i{i}" for i in copies])]["split"].nunique() == 1
        assert any(leak.exact for leak in stored.facts.leakage)
        np.testing.assert_array_equal(stored.y.stacked(np.arange(36)), raw.y)


def test_all_images_that_cannot_be_read_are_listed_at_once(tmp_path: Path) -> None:
    path = labelled(tmp_path, "a", "b", "a", "b")
    (tmp_path / "i1.png").write_text("no picture")
    (tmp_path / "i2.png").write_bytes((tmp_path / "i2.png").read_bytes()[:40])
    refused("2 of 4 images cannot be used", "i1.png: not a supported image", "i2.png: damaged", table=path)


def test_constant_images_are_refused_kept_or_dropped_with_their_labels(tmp_path: Path) -> None:
    path = labelled(tmp_path, "a", "b", "a", "b", "b")
    Image.fromarray(np.full((9, 8), 7, np.uint8)).save(tmp_path / "i1.png")
    refused("i1.png: a constant image", "data.constant: drop or keep", table=path)
    assert len(read(table=path, constant="keep")[0].examples) == 5
    raw, _ = read(table=path, constant="drop")
    np.testing.assert_array_equal(raw.y, [[1, 0], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(raw.x(1)[0], np.asarray(Image.open(tmp_path / "i2.png")))


def test_channels_spacing_and_type_are_checked_as_for_masks(tmp_path: Path) -> None:
    path = labelled(tmp_path, "a", "b", "a", "b")
    assert read(table=path, channels=["dapi"], spacing=[0.5, 0.5])[0].facts.spacing == [0.5, 0.5]
    Image.fromarray(pictures(9, 8, 3)).save(tmp_path / "i3.png")
    refused("images with different numbers of channels", "i3.png", table=path)
    for i in range(4):
        Image.fromarray(np.dstack([pictures(9, 8)] * 3)).save(tmp_path / f"i{i}.png")
    raw, checks = read(table=path)
    assert raw.facts.channels == ["grey"]
    assert counts(checks)["grey image stored as RGB: one channel kept"] == 4


def test_bad_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    refused("no images given", "one of table, folder and npz")
    refused("table and npz given", "one of", table=tmp_path, npz=tmp_path)
    refused("data.labels", "data.table", folder=tmp_path, labels=["a"])
    refused("data.labels", "data.table", table=tmp_path, labels=[])
    refused("data.labels: duplicate column 'a'", table=tmp_path, labels=["a", "a"])
    refused("data.classes", "data.labels", table=tmp_path, labels=["a", "b"], classes=["x", "y"])
    refused("data.group", "no names", npz=tmp_path, group="a")
    refused("data.axes: 'CZ'", table=tmp_path, axes="CZ")
    refused("data.classes: duplicate name 'a'", folder=tmp_path, classes=["a", "a"])


# A folder of classes


def folders(base: Path, **classes: list[str]) -> Path:
    for name, images in classes.items():
        for image in images:
            (base / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pictures(9, 8)).save(base / name / image)
    return base


def test_a_folder_of_classes(tmp_path: Path) -> None:
    base = folders(tmp_path / "cells", round=["p1_1.png", "p1_2.png"], flat=["p2_1.png", "p2_2.jpg"], odd=["x.png"])
    (base / "README.txt").touch()
    (base / "flat" / "notes.txt").touch()
    raw, checks = read(folder=base, group="(.+)_", classes=["round", "flat"])
    assert raw.facts.outputs == ["round", "flat"]
    assert raw.examples["image"].tolist() == ["flat/p2_1.png", "flat/p2_2.jpg", "round/p1_1.png", "round/p1_2.png"]
    assert raw.examples["label"].tolist() == ["flat", "flat", "round", "round"]
    assert raw.examples["group"].tolist() == ["p2", "p2", "p1", "p1"]
    assert raw.examples["id"].tolist() == ["p2_1", "p2_2", "p1_1", "p1_2"]
    assert "split" not in raw.examples
    rows = checks.frame().set_index("reason")
    assert rows.at["ignored: files outside the folders of classes", "example"] == "README.txt"
    assert rows.at["ignored: folders, and files without an image suffix", "example"] == "notes.txt"
    assert rows.at["images of class odd, which data.classes does not list", "count"] == 1


def test_folders_of_splits_with_folders_of_classes(tmp_path: Path) -> None:
    for split in ("train", "test"):
        folders(tmp_path / split, a=["1.png", "2.png"], b=["3.png", "4.png"])
    raw, checks = read(folder=tmp_path)
    assert raw.examples["split"].tolist() == ["test"] * 4 + ["train"] * 4
    assert raw.examples["label"].tolist() == ["a", "a", "b", "b"] * 2
    assert raw.examples["id"].tolist()[:2] == ["test_a_1", "test_a_2"]
    assert counts(checks)["splits by folder: train, val and test"] == 4


def test_a_folder_that_is_no_folder_of_classes_is_refused(tmp_path: Path) -> None:
    refused("no subfolder", "one subfolder of images per class", folder=folders(tmp_path))
    base = folders(tmp_path, a=["1.png", "2.png"], b=["3.png", "4.png"])
    (base / "c").mkdir()
    refused("c: no image file", folder=base)
    (base / "c").rmdir()
    folders(base, **{".": ["5.png", "6.png"]})
    refused("2 images without a class", "5.png, 6.png", "the subfolder of its class", folder=base)
    deeper = folders(tmp_path / "deep/cells", a=["1.png"], b=["2.png"])
    refused(f"{deeper}: no image, only the folders a, b", f"give data.folder: {deeper}", folder=deeper.parent)


def test_an_experiment_names_a_folder(tmp_path: Path) -> None:
    folders(tmp_path / "cells", a=["1.png"], b=["2.png"])
    text = "data: {name: LabelledImages, folder: NAME}\nmodel: {name: ResNet}\n"
    (tmp_path / "mine.yaml").write_text(text.replace("NAME", "cells"))
    assert load(tmp_path / "mine.yaml", tmp_path).files["data.folder"] == tmp_path / "cells"
    (tmp_path / "mine.yaml").write_text(text.replace("NAME", "cells/a/1.png"))
    with pytest.raises(InputError, match=r"data\.folder: .*1\.png is a file"):
        load(tmp_path / "mine.yaml", tmp_path)


# Real data


@pytest.mark.parametrize(
    ("options", "number", "outputs", "size"),
    [
        ({"npz": "blood_cells_28/blood_cells_28.npz"}, 3416, [str(k) for k in range(8)], (3, 28, 28)),
        ({"npz": "adrenalmnist3d/adrenalmnist3d_train_val.npz"}, 1286, ["0", "1"], (1, 28, 28, 28)),
        ({"table": "wbc_tecom/index.csv", "labels": ["label_name"], "classes": ["neutrophil", "monocyte"]}, 224,
         ["neutrophil", "monocyte"], (3, 120, 120)),
        ({"folder": "blood_cells_native", "classes": ["basophil", "ig"]}, 120, ["basophil", "ig"], (3, 363, 360)),
    ],
    ids=["blood cells", "adrenal", "wbc", "native"],
)  # fmt: skip
def test_real_data(data_root: Path, options: dict, number: int, outputs: list[str], size: tuple[int, ...]) -> None:
    key, name = next(iter(options.items()))
    raw, checks = read(**options | {key: data_root / "images" / name})
    assert len(raw.examples) == number
    assert raw.facts.outputs == outputs
    assert raw.x(0).shape == size
    assert CONTRADICTION not in counts(checks)
