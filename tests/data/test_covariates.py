"""Covariates are read from tables, measured on the training split, and coded; nothing is guessed silently."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from labelled import counts, pictures, read, refused
from PIL import Image
from tiny import accompanied, labelled, stored

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.covariates import encode_covariates, given, measure, read_covariates
from biocnn.data.dataset import Dataset
from biocnn.data.facts import checked
from biocnn.data.sequences import Sequences
from biocnn.data.stored_raw import open_raw, write_raw
from biocnn.tasks.facts import Covariate

AGES = ["20", "40", "", "60", "30", "10", "70", "50"]
SEXES = ["f", "m", "m", "NA", "f", "f", "m", "m"]


def images(folder: Path, ages: list[str], sexes: list[str], **options) -> Path:
    rows = ["image,label,age,sex,split"]
    for i, (age, sex) in enumerate(zip(ages, sexes, strict=True)):
        Image.fromarray(np.roll(pictures(9, 8), i)).save(folder / f"i{i}.png")
        rows.append(f"i{i}.png,{'ab'[i % 2]},{age},{sex},{'train' if i < 4 else 'val' if i < 6 else 'test'}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder / "index.csv"


def text(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns, dtype=object).rename(index="line {}".format)


def test_numbers_are_standardised_words_are_one_hot_and_missing_cells_are_marked(tmp_path: Path) -> None:
    raw, checks = read(table=images(tmp_path, AGES, SEXES), covariates=["age", "sex"])
    assert raw.facts.covariates == ["age", "sex"]
    found = counts(checks)
    assert found["covariate age is missing: coded as 0, and marked"] == 1
    assert found["covariate sex is missing: coded as 0, and marked"] == 1
    write_raw(raw, {}, tmp_path / "raw")
    dataset = stored(open_raw(tmp_path / "raw"), tmp_path, val=None, test=None)
    age, sex = dataset.facts.coded
    assert age == Covariate(name="age", mean=40.0, sd=np.std([20, 40, 60]), least=20.0, most=60.0, missing=True)
    assert (sex.levels, sex.missing) == (["f", "m"], True)
    columns = [name for one in dataset.facts.coded for name in one.columns]
    assert columns == ["age", "age: missing", "sex: f", "sex: m", "sex: missing"]
    z = (np.array([20, 40, 40, 60, 30, 10, 70, 50]) - 40) / np.std([20, 40, 60])
    np.testing.assert_allclose(dataset.covariates[:, 0], z, rtol=1e-6)
    np.testing.assert_array_equal(dataset.covariates[:, 1], [0, 0, 1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(dataset.covariates[:, 2:].argmax(1), [0, 1, 1, 2, 0, 0, 1, 1])
    np.testing.assert_array_equal(dataset.covariates[:, 2:].sum(1), 1)
    told = pd.read_csv(dataset.folder / "checks.tsv", sep="\t").set_index("reason")
    assert told.loc["covariate age is outside the range of the training split (20 to 60)", "count"] == 2


def test_each_fold_is_standardised_by_its_own_training_split(tmp_path: Path) -> None:
    raw, _ = read(table=images(tmp_path, AGES, SEXES), covariates=["age"])
    raw.examples = raw.examples.drop(columns="split")
    stored(raw, tmp_path, val=None, test=None, folds=4)
    for fold in range(4):
        dataset = Dataset(tmp_path / "dataset", fold)
        known = dataset.examples["covariate_age"][dataset.rows("train")].dropna()
        assert dataset.facts.coded[0].mean == pytest.approx(known.mean())
        np.testing.assert_allclose(dataset.covariates[dataset.rows("train"), 0].sum(), 0, atol=1e-6)


def test_a_word_that_the_training_split_lacks_counts_as_missing(tmp_path: Path) -> None:
    raw, _ = read(table=images(tmp_path, AGES, ["f", "m", "m", "f", "f", "x", "m", "m"]), covariates=["sex"])
    dataset = stored(raw, tmp_path, val=None, test=None)
    np.testing.assert_array_equal(dataset.covariates[5], [0, 0])
    told = pd.read_csv(dataset.folder / "checks.tsv", sep="\t").set_index("reason")
    row = told.loc["covariate sex is a word that the training split lacks, used as missing"]
    assert (row["count"], row["example"]) == (1, "i5")


def test_words_that_look_like_other_things_stay_words(tmp_path: Path) -> None:
    flags = ["true", "false", "1e5x", "true", "false", "true", "false", "true"]
    raw, _ = read(table=images(tmp_path, AGES, flags), covariates=["sex"])
    dataset = stored(raw, tmp_path, val=None, test=None)
    assert dataset.facts.coded[0].levels == ["1e5x", "false", "true"]
    np.testing.assert_array_equal(dataset.covariates[:, 2], [word == "true" for word in flags])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"covariates": ["agge"]}, ["data.covariates", "'agge'", "age"]),
        ({"covariates": ["age", "age"]}, ["duplicate column 'age'"]),
        ({"covariates": ["label"]}, ["'label' is predicted"]),
        ({"covariates": ["image"]}, ["'image' names examples"]),
        ({"covariates": ["group"]}, ["'group' names examples, groups"]),
        ({"covariates": []}, ["names columns"]),
    ],
)
def test_names_that_cannot_be_covariates_are_refused(tmp_path: Path, options: dict, words: list[str]) -> None:
    refused(*words, table=images(tmp_path, AGES, SEXES), **options)


def test_a_reader_that_forgets_a_covariate_is_refused() -> None:
    raw = accompanied(labelled())
    with pytest.raises(InputError, match="no column 'covariate_dose'"):
        checked(replace(raw, examples=raw.examples.drop(columns="covariate_dose")))


def test_a_folder_has_no_covariates(tmp_path: Path) -> None:
    refused("data.covariates", "table", folder=tmp_path, covariates=["age"])


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1", "2", "3y", "4"], ["line 2", "'3y'", "not a finite number"]),
        (["1", "2", "inf", "4"], ["line 2", "'inf'"]),
        (["1", "2", "1e200", "4"], ["line 2", "'1e200'"]),
        (["1,5", "", "2,5", "4,0"], ["line 0", "'1,5', a number with a comma (3 such cells)", "points: 1.5"]),
        (["1", "1", "", "1"], ["'1' everywhere"]),
        (["", "", "", "NA"], ["has no values"]),
        (["F", "m", "f", "m"], ["'F' and 'f'"]),
        ([f"p{i}" for i in range(33)], ["33 different words", "an id"]),
    ],
)
def test_cells_that_cannot_be_used_are_refused(cells: list[str], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_covariates(text(c=cells), ["c"], Checks(), "t.csv")
    for word in words:
        assert word in str(caught.value)


def test_a_column_that_would_be_replaced_is_refused() -> None:
    with pytest.raises(InputError, match="columns 'dose' and 'covariate_dose'"):
        read_covariates(text(dose=["1", "2"], covariate_dose=["a", "b"]), ["dose"], Checks(), "t.csv")


def test_few_whole_numbers_may_be_categories() -> None:
    checks = Checks()
    read_covariates(text(c=["1", "2", "3", "1"]), ["c"], checks, "t.csv")
    assert any("for categories write words" in reason for reason in counts(checks))


def test_new_values_are_coded_like_those_of_training() -> None:
    table = read_covariates(text(age=AGES, sex=SEXES), ["age", "sex"], Checks(), "t.csv")
    coded = measure(table, ["age", "sex"], np.ones(8, bool))
    plain = pd.DataFrame({"sex": SEXES, "other": 1, "age": [float(age) if age else None for age in AGES]})
    np.testing.assert_array_equal(encode_covariates(coded, given(coded, plain, str)), encode_covariates(coded, table))
    with pytest.raises(InputError, match="no column 'sex'"):
        given(coded, plain[["age"]], str)
    for age in ("old", 1e300):
        with pytest.raises(InputError, match=re.escape(f"row 0: age is '{age}'")):
            given(coded, plain.assign(age=age), "row {}".format)


def test_sequences_have_covariates_too(tmp_path: Path) -> None:
    lines = [
        f"s{i}\t{'ACGTTGCA' * 3}{'ACGT'[i % 4]}{'ACGT'[i // 4]}\t{i / 7}\t{10 * i}\t{'xy'[i % 2]}" for i in range(8)
    ]
    lines = ["id\tsequence\tactivity\tdose\tcells", *lines]
    (tmp_path / "t.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "kind.tsv").write_text("\n".join(lines).replace("cells", "kind", 1) + "\n")
    (tmp_path / "faulty.tsv").write_text("\n".join(lines).replace("\t0\t", "\tx\t", 1) + "\n")
    raw = Sequences(table=tmp_path / "t.tsv", covariates=["dose", "cells"]).read(1, Checks())
    assert raw.facts.outputs == ["activity"]
    assert raw.facts.covariates == ["dose", "cells"]
    assert raw.examples["covariate_dose"].tolist() == [10.0 * i for i in range(8)]
    kinds = Sequences(table=tmp_path / "kind.tsv", targets=["activity"], covariates=["kind"]).read(1, Checks())
    assert kinds.examples["covariate_kind"].tolist() == ["x", "y"] * 4
    with pytest.raises(InputError, match="sequence s0: dose is 'x'"):
        Sequences(table=tmp_path / "faulty.tsv", targets=["activity"], covariates=["dose"]).read(1, Checks())
    with pytest.raises(InputError, match="'activity' is predicted"):
        Sequences(table=tmp_path / "t.tsv", targets=["activity"], covariates=["activity"])
    with pytest.raises(InputError, match="no column 'doses'"):
        Sequences(table=tmp_path / "t.tsv", covariates=["doses"]).read(1, Checks())
