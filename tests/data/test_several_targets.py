"""Columns of several kinds in one table: classes, yes or no, grades and numbers, each with empty cells."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from labelled import counts, pictures, read, refused

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.sequences import Sequences

HEADER = "image,type,sick,stage,size"
ROWS = [
    "a,1,low,2.5", "b,0,high,3.5", "a,,mid,", ",1,low,4", "b,0,,1", ",,,", "a,0,high,7", "b,1,mid,", "a,1,low,2",
]  # fmt: skip
GRADES = ["low", "mid", "high"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    for k in range(len(ROWS)):
        tifffile.imwrite(folder / f"{k}.tif", pictures(9, 8))
    lines = [HEADER, *(f"{k}.tif,{row}" for k, row in enumerate(ROWS))]
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder / "index.csv"


def test_columns_of_several_kinds(table: Path) -> None:
    raw, checks = read(table=table, labels=["type", "sick"], grades="stage", values=["size"], classes={"stage": GRADES})
    assert raw.facts.task == "several"
    assert [(part.name, part.task, part.outputs) for part in raw.facts.parts] == [
        ("type", "multiclass", ["a", "b"]), ("sick", "binary", ["sick"]), ("stage", "ordinal", GRADES),
        ("size", "regression", ["size"]),
    ]  # fmt: skip
    assert raw.facts.outputs == ["type_a", "type_b", "sick", "stage_low", "stage_mid", "stage_high", "size"]
    n = np.nan
    np.testing.assert_array_equal(
        raw.y,
        [
            [1, 0, 1, 1, 0, 0, 2.5], [0, 1, 0, 0, 0, 1, 3.5], [1, 0, n, 0, 1, 0, n], [n, n, 1, 1, 0, 0, 4],
            [0, 1, 0, n, n, n, 1], [1, 0, 0, 0, 0, 1, 7], [0, 1, 1, 0, 1, 0, n], [1, 0, 1, 1, 0, 0, 2],
        ],
    )  # fmt: skip
    found = counts(checks)
    assert found["no known label or value"] == 1
    unknown = {"type": 2, "sick": 2, "stage": 2, "size": 3}  # with the image that has no label at all
    assert {name: found[f"{name} is unknown: not used in training and evaluation"] for name in unknown} == unknown


def test_one_list_of_classes_is_for_the_only_column_that_has_them(table: Path) -> None:
    raw, checks = read(table=table, labels=["type"], values=["size"], classes=["b", "a"])
    assert raw.facts.outputs == ["type_b", "type_a", "size"]
    assert len(raw.y) == 8
    raw, checks = read(table=table, grades="stage", values=["size"], classes=["low", "high"])
    assert raw.facts.outputs == ["stage_low", "stage_high", "size"]
    assert len(raw.y) == 6  # two images have neither a size nor a grade that is listed
    assert counts(checks)["images of class mid, which data.classes does not list"] == 2


def test_two_columns_of_words_are_two_parts(table: Path) -> None:
    raw, _ = read(table=table, labels=["type", "stage"])
    assert [(part.name, part.task) for part in raw.facts.parts] == [("type", "multiclass"), ("stage", "multiclass")]
    raw, _ = read(table=table, labels=["type", "sick"], classes={"sick": ["1", "0"]})
    assert raw.facts.outputs == ["type_a", "type_b", "sick_1", "sick_0"]


def test_combinations_that_cannot_be_read(table: Path) -> None:
    refused("data.labels: duplicate column 'type'", table=table, labels=["type", "type"], values=["size"])
    refused("data.values: duplicate column 'type'", table=table, labels=["type"], values=["type"])
    refused("one list for several columns", table=table, labels=["type"], grades="stage", classes=["a", "b"])
    refused(
        "'typo' is not a column of labels or grades",
        table=table,
        labels=["type"],
        values=["size"],
        classes={"typo": ["a"]},
    )
    refused("the order of the grades", table=table, values=["size"], grades="stage")
    refused("can be combined for a table only", npz=table, values=["a"], grades="b")


def sequences(tmp_path: Path, text: str, **settings: object):
    checks = Checks()
    (tmp_path / "t.tsv").write_text(text)
    return Sequences(table=tmp_path / "t.tsv", **settings).read(1, checks), counts(checks)


def test_sequences_with_targets_of_several_kinds(tmp_path: Path) -> None:
    rows = ["ACGT\t1\ta\t0.5", "AGGT\t0\tb\t", "ACCT\t\tb\t2", "ATTT\t1\t\t3", "AATT\t\t\t", "TTTA\t0\ta\t4"]
    text = "\n".join(["sequence\tbound\tfamily\taffinity", *rows]) + "\n"
    kinds = {"bound": "label", "family": "class", "affinity": "value"}
    raw, found = sequences(tmp_path, text, targets=kinds)
    assert raw.facts.outputs == ["bound", "family_a", "family_b", "affinity"]
    assert [part.task for part in raw.facts.parts] == ["binary", "multiclass", "regression"]
    n = np.nan
    np.testing.assert_array_equal(raw.y, [[1, 1, 0, 0.5], [0, 0, 1, n], [n, 0, 1, 2], [1, n, n, 3], [0, 1, 0, 4]])
    assert found["no known label or value"] == 1
    assert not {"bound", "family", "affinity"} & set(raw.examples)
    raw, found = sequences(tmp_path, text, targets={"family": "class"})  # alone: classes of sequences
    assert (raw.facts.task, raw.facts.outputs, raw.facts.parts) == ("multiclass", ["a", "b"], [])
    np.testing.assert_array_equal(raw.y, [[1, 0], [0, 1], [0, 1], [1, 0]])
    assert found["no known label or value"] == 2
    with pytest.raises(InputError, match="family has words") as caught:
        sequences(tmp_path, text, targets=["family"])
    assert "{family: class}" in caught.value.remedy
    with pytest.raises(InputError, match="the only kind is value"):
        sequences(tmp_path, text, targets={"bound": "value", "affinity": "value"})
    with pytest.raises(InputError, match="no column 'afinity'"):
        sequences(tmp_path, text, targets={"bound": "label", "afinity": "value"})


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"bound": "class", "family": "class"}, ["column bound: all 4 sequences are of class '1'", "two classes"]),
        ({"affinity": "value", "family": "label"}, ["line 2: family is 'a'", "data.targets: label (0, 1 or empty)"]),
        ({"bound": "label", "family": "value"}, ["line 2: family is 'a'", "data.targets"]),
        ({"bound": "label", "affinity": "class"}, ["column affinity: the labels are numbers with decimals"]),
    ],
)
def test_faults_of_sequences_name_the_column_and_settings_of_sequences(
    tmp_path: Path, kinds: dict[str, str], words: list[str]
) -> None:
    rows = ["ACGT\t1\ta\t0.5", "AGGT\t1\tb\t1.5", "ACCT\t1\tb\t2.5", "ATTT\t1\t\t3.5"]
    with pytest.raises(InputError) as caught:
        sequences(tmp_path, "\n".join(["sequence\tbound\tfamily\taffinity", *rows]) + "\n", targets=kinds)
    for word in words:
        assert word in str(caught.value)
    assert not any(word in str(caught.value) for word in ("images", "data.labels", "data.values", "data.classes"))
