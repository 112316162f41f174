"""Data sets from arrays: equal to those that readers make of files, and refusals of what is not clear."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny import images, labelled, sequences

import biocnn
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.io.fasta import decode

RAW = sequences(flank=0)
CODES = np.stack([RAW.x(row) for row in range(60)])
TEXT = [decode(codes) for codes in CODES]
Y = RAW.y[:, 0].astype(int)
DISCS = images()
X, MASKS = (np.stack([read(row) for row in range(12)]) for read in (DISCS.x, DISCS.y))
LABELLED = labelled()
PHOTOS = np.stack([LABELLED.x(row)[0] for row in range(24)])
KINDS = LABELLED.y.argmax(axis=1)


def same(one: Dataset, other: Dataset) -> bool:
    """Check that stored arrays and splits are equal."""
    names = [path.name for path in one.folder.glob("*.npy")]
    equal = [(one.folder / name).read_bytes() == (other.folder / name).read_bytes() for name in names]
    return bool(names) and all(equal) and one.examples["split"].equals(other.examples["split"])


def test_sequences_equal_those_of_a_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": range(60), "sequence": TEXT, "bound": Y})
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    of_files = Dataset.from_files({"name": "Sequences", "table": "t.tsv", "targets": ["bound"]}, data_root=tmp_path)
    lower = [text.lower().replace("t", "u") if row % 2 else text for row, text in enumerate(TEXT)]
    one_hot = np.eye(4)[CODES]
    for x in (TEXT, pd.Series(TEXT), np.array(TEXT), lower, CODES, list(CODES), one_hot, one_hot.transpose(0, 2, 1)):
        found = Dataset.from_arrays(x, {"bound": Y}, alphabet="DNA")
        assert same(found, of_files)
        assert found.facts.outputs == of_files.facts.outputs == ["bound"]


def test_images_with_masks_equal_those_of_files(tmp_path: Path) -> None:
    rows = []
    for row in range(12):
        Image.fromarray(X[row, 0]).save(tmp_path / f"x{row}.png")
        Image.fromarray(MASKS[row]).save(tmp_path / f"y{row}.png")
        rows.append({"id": row, "image": f"x{row}.png", "mask": f"y{row}.png", "group": row // 2})
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    of_files = Dataset.from_files({"name": "Images", "table": "t.csv"}, data_root=tmp_path)
    for x, y in ((X, MASKS), (X[:, 0], MASKS.astype(bool)), (list(X), list(MASKS))):
        found = Dataset.from_arrays(x, y, groups=np.arange(12) // 2)
        assert same(found, of_files)
        assert found.facts.task == "mask"
    last = Dataset.from_arrays(np.moveaxis(X, 1, -1), MASKS, axes="YXC", groups=np.arange(12) // 2)
    assert same(last, of_files)


def test_labels_of_images(tmp_path: Path) -> None:
    for row in range(24):
        (tmp_path / "abc"[KINDS[row]]).mkdir(exist_ok=True)
        Image.fromarray(PHOTOS[row]).save(tmp_path / "abc"[KINDS[row]] / f"{row:02}.png")
    of_files = Dataset.from_files({"name": "LabelledImages", "folder": str(tmp_path)})
    order = np.argsort(KINDS, kind="stable")
    words = Dataset.from_arrays(PHOTOS[order], np.array(["a", "b", "c"])[KINDS[order]])
    numbers = Dataset.from_arrays(PHOTOS[order], KINDS[order], classes=["a", "b", "c"])
    assert (words.folder / "x.npy").read_bytes() == (of_files.folder / "x.npy").read_bytes()
    assert same(words, numbers)
    assert words.facts.outputs == numbers.facts.outputs == of_files.facts.outputs == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("x", "y", "more", "task"),
    [
        (TEXT, Y == 1, {}, "binary"),
        (TEXT, Y.astype(float), {}, "binary"),
        (TEXT, Y + 0.5 * np.arange(60), {}, "regression"),
        (TEXT, np.arange(60), {"task": "regression"}, "regression"),
        (TEXT, np.stack([Y, 1 - Y], 1), {}, "multilabel"),
        (TEXT, np.array(["no", "yes"])[Y], {}, "multiclass"),
        (TEXT, {"bound": Y, "affinity": np.linspace(0, 1, 60)}, {}, "several"),
        (TEXT[::2], None, {"negatives": "dinucleotide_shuffled"}, "binary"),
        (PHOTOS, KINDS, {}, "multiclass"),
        (PHOTOS, KINDS, {"task": "ordinal"}, "ordinal"),
        (PHOTOS, KINDS + 0.5, {}, "regression"),
        (PHOTOS, np.stack([KINDS == 0, KINDS < 2], 1), {}, "multilabel"),
        (PHOTOS, {"kind": np.array(["a", "b", "c"])[KINDS], "size": KINDS + 0.5}, {}, "several"),
        (PHOTOS, 2 * PHOTOS.astype(np.float32), {"task": "image_to_image"}, "image_to_image"),
        ([PHOTOS[row][: 10 + row % 3] for row in range(24)], KINDS, {}, "multiclass"),
        (X, np.stack([images(task="instances").y(row) for row in range(12)]), {"task": "instances"}, "instances"),
    ],
)  # fmt: skip
def test_the_task_follows_from_targets(x: Any, y: Any, more: dict[str, Any], task: str) -> None:
    found = Dataset.from_arrays(x, y, **more)
    assert found.facts.task == task
    assert len(found.examples) == len(x) * (2 if y is None else 1)


@pytest.mark.parametrize(
    ("x", "y", "more", "message", "remedy"),
    [
        (TEXT, np.arange(60), {}, "y: whole numbers", "task='regression'"),
        ("ACGT", Y, {}, "x: one str", "give a list"),
        (TEXT, {"id": Y}, {}, "y: a column 'id'", "another name"),
        (TEXT, None, {"groups": Y}, "y: is missing", "groups"),
        (TEXT, Y[:-1], {}, "y: 59 for 60 examples", "same order"),
        (TEXT, CODES, {}, "more than 32 columns|y: whole numbers", ""),
        ([*TEXT[:-1], "ACGX"], Y, {}, "^index 59: 'X' at position 4 is not a base", "allowed"),
        ([*TEXT[:-1], ""], Y, {}, r"x\[59\]: is empty", "remove"),
        (TEXT, Y, {"alphabt": "DNA"}, "^alphabt: unknown key", "did you mean 'alphabet'"),
        (TEXT, Y, {"task": "regresion"}, "task: 'regresion' is not known", "did you mean 'regression'"),
        (TEXT, Y, {"split": ["train"] * 59}, "split: 59 for 60", "same order"),
        (CODES + 20, Y, {}, "are not codes of bases", "4 = unknown"),
        (PHOTOS, KINDS * 1.0, {}, "y: whole numbers .* classes or quantities", "task='regression'"),
        (PHOTOS, np.eye(3)[KINDS], {}, "y: exactly one 1 in each row", "argmax"),
        (PHOTOS, PHOTOS / 1.0, {}, "y: images of fractions", "image_to_image"),
        (np.zeros((4, 16, 16, 3)), [0, 1, 0, 1], {}, "not clear which axis", "axes='YXC'"),
        (np.zeros((4, 9, 16, 16)), [0, 1, 0, 1], {}, "not clear which axis", "'ZYX'"),
        (PHOTOS > 1200, KINDS, {}, "type bool is not an image", "are these the masks"),
        (np.where(PHOTOS > 1200, np.nan, 1), KINDS, {}, "has NaN", "leave out"),
        ([PHOTOS[0], PHOTOS[1] / 2, *PHOTOS[2:]], KINDS, {}, r"x\[1\]: 2 axes of float64", "same scale"),
        ([*PHOTOS[:9] / 3000, *PHOTOS[9:] / 1], KINDS, {},
         "9 of 24 images are fractions", "normalise='image'"),
        (PHOTOS, KINDS, {"classes": ["a", "b"]}, "classes: 2 names, but y has numbers from 0 to 2", "in the order"),
        ([*PHOTOS[:-1], PHOTOS[0] * 0], KINDS, {}, r"x\[23\]: a constant image", "constant"),
        (PHOTOS, KINDS, {"axes": "XY"}, "axes: 'XY', but each image has 2 axes", "without N"),
        (PHOTOS, KINDS, {"table": "t.csv"}, "table: is for files", "from_files"),
        (PHOTOS, np.ma.array(KINDS, mask=KINDS == 0), {}, "y: a masked array", "nan"),
        (PHOTOS, KINDS * 1j, {}, r"y\[0\]: label is 0j", "finite numbers"),
        (PHOTOS, KINDS.astype(bytes), {}, r"y\[0\]: label is b'", "text"),
        (PHOTOS, [[0, 1], [1]] * 12, {}, "y: list that is not a table", "as many values"),
        (PHOTOS, {"a": 1}, {}, "y: dict that is not a table", "for each name"),
        (PHOTOS, [], {}, "y: shape", "one target for each"),
        (TEXT, np.where(Y > 0, np.inf, 0.5), {}, r"y\[\d+\]: label is inf", "finite"),
        ([*TEXT[:-1], 5], Y, {}, r"x\[59\]: 5", "list of strings"),
        ([Path(text) for text in TEXT], Y, {}, r"x\[0\]: PosixPath", "from_files"),
        (pd.DataFrame({"sequence": TEXT}), Y, {}, "x: a table with the columns sequence", "x['sequence']"),
        (TEXT, Y, {"folder": 5}, "folder: 5 of type int is not a path", "for example"),
        (TEXT, Y, {"folder": f"{__file__}/new"}, "a file is where a folder is needed", "another"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused(x: Any, y: Any, more: dict[str, Any], message: str, remedy: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Dataset.from_arrays(x, y, **more)
    assert remedy in caught.value.remedy


def test_examples_are_named_as_they_were_given(tmp_path: Path) -> None:
    """By their indices; those of a table by their lines, whatever its name."""
    words = [["no", "yes", "No"][2 if row == 6 else row % 2] for row in range(60)]
    pd.DataFrame({"sequence": TEXT, "kind": words}).to_csv(tmp_path / "examples.tsv", sep="\t", index=False)
    data = {"name": "Sequences", "table": "examples.tsv", "targets": {"kind": "class"}}
    with pytest.raises(InputError, match=r"examples\.tsv, .* 'No' \(line 8\)"):
        Dataset.from_files(data, data_root=tmp_path)
    with pytest.raises(InputError, match=r"^the arrays, .* 'No' \(index 6\)"):
        Dataset.from_arrays(TEXT, {"kind": words})
    words[6] = None
    row = Dataset.from_arrays(TEXT, {"kind": words, "bound": Y}).checks.set_index("example").loc["index 6"]
    assert (row["source"], row["count"]) == ("the arrays", 1)


def test_words_of_a_user_are_no_lines_of_a_table() -> None:
    with pytest.raises(InputError, match=r"^classes: .* 'cell line 293'"):
        Dataset.from_arrays(np.random.default_rng(0).random((24, 16, 16)), ["a"] * 24, classes=["a", "cell line 293"])


def test_ids_groups_and_splits_are_kept(tmp_path: Path) -> None:
    split = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    more = {"covariates": {"dose": np.arange(60) / 7}, "folder": tmp_path / "mine"}
    found = Dataset.from_arrays(TEXT, Y, ids=[f"s{i}" for i in range(60)], groups=range(60), split=split, **more)
    again = Dataset(tmp_path / "mine")
    assert list(again.examples["id"]) == [f"s{i}" for i in range(60)]
    assert list(again.examples["split"]) == split
    assert again.facts.covariates == ["dose"]
    assert found.sections["data"]["group"] == "group"
    with pytest.raises(InputError, match="exists"):
        Dataset.from_arrays(TEXT, Y, folder=tmp_path / "mine")


def test_a_temporary_data_set_lasts_as_long_as_its_object() -> None:
    found = Dataset.from_arrays(TEXT, Y, split={"val": 0.3, "test": 0.2})
    other, folder = found.with_share(0.5, "group", 1), found.folder
    del found
    assert (folder / "x.npy").exists()
    assert "yes or no for each sequence (binary); label; 60 sequences of 24 bp" in repr(other)
    assert "<td" in other._repr_html_()
    del other
    assert not folder.exists()


def test_public_names_are_listed_and_found() -> None:
    assert {"Dataset", "train", "load", "Model", "InputError"} <= set(dir(biocnn))
    assert all(hasattr(biocnn, name) for name in dir(biocnn))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": 0.2}, r"split: 0\.2\n  give a list"),
        ({"split": "random"}, "split: 'random'"),
        ({"groups": [1, None] * 30}, r"groups\[1\]: is missing"),
        ({"groups": [1]}, "groups: 1 for 60 examples"),
        ({"ids": pd.DataFrame({"id": range(60)})}, "ids: a table"),
        ({"covariates": {"dose": 1}}, "covariates: dict without a list of values for each name"),
        ({"covariates": np.ones((60, 2))}, "covariates: ndarray"),
    ],
)
def test_what_belongs_to_each_example_is_a_list(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Dataset.from_arrays(TEXT, Y, **given)


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a "], ["", "b"], ["a\tb", "c"]])
def test_targets_need_names_of_their_own(names: list[str]) -> None:
    with pytest.raises(InputError, match=r"y: .* as name of column"):
        Dataset.from_arrays(TEXT, pd.DataFrame(np.c_[Y, 1 - Y], columns=names))


def test_booleans_of_pandas_may_be_missing() -> None:
    first = pd.Series(Y == 1, dtype="boolean")
    assert same(Dataset.from_arrays(TEXT, first), Dataset.from_arrays(TEXT, Y))
    first[0] = pd.NA
    found = Dataset.from_arrays(TEXT, {"a": first, "b": 1 - Y})
    assert np.isnan(found.y[0][0])
    assert found.y[1].tolist() == [Y[1], 1 - Y[1]]


def test_x_that_is_empty_or_names_files_is_refused() -> None:
    for x, message in (([], "an empty list"), (["a.png"] * 4, "looks like a file"), (X[:, 0, :0], "is not an image")):
        with pytest.raises(InputError, match=message):
            Dataset.from_arrays(x, [0, 1, 0, 1])


def test_tensors_and_arrays_of_objects_are_taken_as_arrays() -> None:
    given = (torch.tensor(PHOTOS.astype(np.int32)), torch.tensor(KINDS * 1.0, requires_grad=True))
    assert Dataset.from_arrays(*given, task="regression").facts.dtype == "int32"
    rates = [torch.tensor(kind, dtype=torch.bfloat16, requires_grad=True) for kind in KINDS]
    assert Dataset.from_arrays(PHOTOS, rates, task="regression").facts.task == "regression"
    photos = np.array([*PHOTOS[:-1], PHOTOS[-1][:10]], dtype=object)
    assert Dataset.from_arrays(photos, KINDS.astype(object)).facts.outputs == ["0", "1", "2"]
    assert Dataset.from_arrays(PHOTOS, (PHOTOS > 1200).astype(int).tolist()).facts.task == "mask"


def test_from_files_takes_sections_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data: 't\.csv' is not a section"):
        Dataset.from_files("t.csv")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"split: .* is not a section"):
        Dataset.from_files({"name": "Images"}, split=["train"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such data set"):
        Dataset(tmp_path)
    with pytest.raises(InputError, match="folder: None of type NoneType is not a path"):
        Dataset(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"data\.images: must be the path"):
        Dataset.from_files({"name": "Images", "images": PHOTOS, "masks": PHOTOS})
