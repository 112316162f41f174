"""Numbers of images are read from columns of a table or an .npz file; nothing is guessed, nothing dropped silently."""

from pathlib import Path

import numpy as np
import pytest
from labelled import counts, pictures, read, refused
from PIL import Image


def table(folder: Path, *rows: str, header: str = "image,age,size") -> Path:
    for i in range(len(rows)):
        Image.fromarray(np.roll(pictures(9, 8), i)).save(folder / f"i{i}.png")
    lines = [header, *(f"i{k}.png,{row}" for k, row in enumerate(rows))]
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder / "index.csv"


def test_empty_cells_are_unknown_and_rows_without_a_value_are_dropped(tmp_path: Path) -> None:
    path = table(tmp_path, "61,1.5", ",2e-1", "NA,.", "40.25,-3")
    raw, checks = read(table=path, values=["age", "size"])
    assert raw.facts.task == "regression"
    assert raw.facts.outputs == ["age", "size"]
    assert raw.examples["id"].tolist() == ["i0", "i1", "i3"]
    np.testing.assert_allclose(raw.y, [[61, 1.5], [np.nan, 0.2], [40.25, -3]], rtol=1e-6)
    found = counts(checks)
    assert found["no known value"] == 1
    assert found["age is unknown: not used in training and evaluation"] == 1
    rows = checks.frame().set_index("reason")
    assert rows.loc["age is unknown: not used in training and evaluation", "example"] == "line 3"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("61,1", "old,2", "5,3"), ["index.csv line 3: age is 'old'", "data.labels: [age]", "data.grades: age"]),
        (('"61,5",1', '"3,5",2', "5,3"), ["line 2: age is '61,5'", "(2 such cells)", "decimal point: 61.5"]),
        (("inf,1", "4,2", "5,3"), ["line 2: age is 'inf'"]),
        (("1e60,1", "4,2", "5,3"), ["line 2: age is '1e60'"]),
        (("7,1", "7.0,2", ",3"), ["all 2 known values of age are 7", "leave it out of data.values"]),
        ((",1", "NA,2", "nan,3"), ["all values of age are unknown"]),
        (("1e9,1", "1000000001,2", "1000000002,3"), ["too little for 32-bit floats"]),
    ],
)
def test_what_is_no_number_is_refused(tmp_path: Path, rows: tuple[str, ...], words: list[str]) -> None:
    refused(*words, table=table(tmp_path, *rows), values=["age", "size"])


def test_numbers_are_numbers_even_if_they_look_like_classes(tmp_path: Path) -> None:
    raw, checks = read(table=table(tmp_path, *(f"{k % 3},{k}.5" for k in range(9))), values=["age"])
    assert raw.facts.task == "regression"
    found = checks.frame()
    (example,) = found.loc[found["reason"].str.startswith("age has few distinct whole numbers"), "example"]
    assert example == "0, 1, 2"


def test_numbers_as_labels_are_refused_or_noted_with_the_way_to_values(tmp_path: Path) -> None:
    path = table(tmp_path, *(f"{k % 3},{k}.5" for k in range(9)))
    refused("numbers with decimals", "data.values instead of data.labels", table=path, labels=["size"])
    refused("give data.values", table=path, labels=["age", "size"])
    _, checks = read(table=path, labels=["age"])
    doubt = "labels are numbers, used as classes without an order: quantities are for values, ranks for grades"
    assert counts(checks)[doubt] == 9
    refused("no column 'label'", "one of numbers in data.values", table=path)


def test_settings_that_do_not_go_together(tmp_path: Path) -> None:
    path = table(tmp_path, "1,2", "2,3")
    refused("data.classes: numbers have no classes", table=path, values=["age"], classes=["a", "b"])
    refused("data.values", "name at least one", table=path, values=[])
    refused("duplicate column 'age'", table=path, values=["age", "age"])
    refused("names columns of a table", folder=tmp_path, values=["age"])
    refused("no column 'ages'", "age", table=path, values=["ages"])


def test_numbers_in_an_npz_file(tmp_path: Path) -> None:
    y = np.array([[0.5, 3], [np.nan, 4], [1.25, 7]])
    np.savez(tmp_path / "d.npz", train_images=pictures(3, 9, 8), train_labels=y)
    raw, _ = read(npz=tmp_path / "d.npz", values=["age", "size"])
    np.testing.assert_array_equal(raw.y, y.astype(np.float32))
    assert raw.facts.outputs == ["age", "size"]
    refused("1 name for 2 columns", npz=tmp_path / "d.npz", values=["age"])


def test_codes_of_many_digits_are_different_classes_and_numbered_grades_are_no_classes_without_order(
    tmp_path: Path,
) -> None:
    path = table(tmp_path, *(f"{k % 3},{12345678 + k % 2}" for k in range(9)))
    raw, _ = read(table=path, labels=["size"])
    assert raw.facts.outputs == ["12345678", "12345679"]
    _, checks = read(table=path, grades="age")
    assert not any("without an order" in reason for reason in counts(checks))


def test_grades_are_ordered_by_number_or_as_listed(tmp_path: Path) -> None:
    path = table(tmp_path, *(f"{k % 3},{['low', 'high'][k % 2]}" for k in range(9)), header="image,stage,word")
    raw, _ = read(table=path, grades="stage")
    assert raw.facts.task == "ordinal"
    assert raw.facts.outputs == ["0", "1", "2"]
    refused("the order of the grades high, low is unknown", "from the lowest to the highest", table=path, grades="word")
    raw, _ = read(table=path, grades="word", classes=["low", "high"])
    assert raw.facts.outputs == ["low", "high"]
    assert raw.y.argmax(axis=1).tolist() == [k % 2 for k in range(9)]
    refused("data.values: duplicate column 'stage'", table=path, values=["stage"], grades="stage")
