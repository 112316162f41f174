"""A group is never cut; fractions, names and given columns are respected."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from biocnn.config.settings import Split
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.splits import SPLITS, TRAIN_DEV, assign, assign_folds, set_aside

fractions = st.floats(0.05, 0.6)


def table(groups, **columns) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"e{i}" for i in range(len(groups))], "group": groups, **columns})


def split(examples: pd.DataFrame, seed: int = 1, **settings) -> pd.Series:
    return assign(examples, seed, Split(**{"val": 0.2, "test": 0.2, **settings}))


def cut_groups(examples: pd.DataFrame, found: pd.Series, group: str = "group") -> int:
    return int((found.groupby(examples[group].astype(str)).nunique() > 1).sum())


@given(st.lists(st.integers(0, 9), min_size=3, max_size=60), fractions, fractions, st.integers(0, 99))
def test_no_group_is_cut_and_no_split_is_empty(groups: list[int], val: float, test: float, seed: int) -> None:
    assume(len(set(groups)) >= 3)
    examples = table(groups)
    found = split(examples, seed, val=val, test=test)
    assert found.index.equals(examples.index)
    assert set(found) == set(SPLITS)
    assert cut_groups(examples, found) == 0
    assert found.equals(split(examples, seed, val=val, test=test))


@given(st.lists(st.integers(0, 9), min_size=3, max_size=30), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(groups: list[int], random) -> None:
    assume(len(set(groups)) >= 3)
    examples = table(groups)
    rows = list(range(len(groups)))
    random.shuffle(rows)
    assert split(examples.iloc[rows]).equals(split(examples).iloc[rows])


@pytest.mark.parametrize("seed", range(5))
def test_fractions_are_met_if_groups_are_small(seed: int) -> None:
    found = split(table(np.arange(1000)), seed, val=0.25, test=0.2).value_counts()
    assert found.to_dict() == {"test": 200, "val": 200, "train": 600}  # val: fraction of the 800 that are not test


def test_seeds_differ() -> None:
    examples = table(np.arange(40))
    assert not split(examples, 1).equals(split(examples, 2))


def test_named_groups() -> None:
    examples = table(["a", "a", "b", "c", "d"])
    assert list(split(examples, val=["b"], test=["c", "d"])) == ["train", "train", "val", "test", "test"]
    assert list(split(examples, val=["b"], test=["a"])) == ["test", "test", "val", "train", "train"]


@pytest.mark.parametrize(("n", "val", "test"), [(20, 3, 3), (3, 1, 1), (8, 1, 1)])
def test_every_split_has_examples_of_each_class(n: int, val: int, test: int) -> None:
    """A share of 0.15 of twenty is 3, and of the other 17 nearest to 3; of three examples, each split has one."""
    kinds = pd.Series(np.repeat(list("xyz"), n))
    for seed in range(5):
        found = assign(table(range(3 * n)), seed, Split(), kinds)
        counts = pd.crosstab(kinds, found)
        assert (counts["val"] == val).all()
        assert (counts["test"] == test).all()


def test_groups_of_several_classes_stay_whole_when_classes_are_drawn() -> None:
    kinds = pd.Series(np.tile(list("xxy"), 20))
    groups = np.repeat(range(20), 3)
    found = assign(table(groups), 1, Split(), kinds)
    assert (found.groupby(groups).nunique() == 1).all()
    assert set(found) == {"train", "val", "test"}


def test_folds_have_the_same_number_of_each_class() -> None:
    kinds = pd.Series(np.repeat(list("xyz"), [15, 10, 7]))
    folds = assign_folds(table(range(32)), 1, Split(folds=5), kinds)
    assert np.ptp(pd.crosstab(kinds, folds).to_numpy(), axis=1).tolist() == [0, 0, 1]
    assert np.ptp(folds.value_counts().to_numpy()) <= 1


def test_groups_named_by_numbers() -> None:
    examples = table([1, 2, 3])
    assert list(split(examples, val=[2], test=["3"])) == ["train", "val", "test"]


@pytest.mark.parametrize("seed", range(5))
def test_named_groups_are_not_drawn_for_the_other_split(seed: int) -> None:
    found = split(table(list("abcde")), seed, val=["a", "b"], test=0.4)
    assert list(found[:2]) == ["val", "val"]
    assert (found == "test").sum() == 1  # 0.4 of the three remaining groups rounds to one
    assert (found == "train").sum() == 2


def test_any_column_can_be_the_group() -> None:
    examples = table(["a", "a", "a"], chrom=["x", "y", "z"])
    assert list(split(examples, group="chrom", val=["x"], test=["y"])) == ["val", "test", "train"]


def test_given_split_is_kept() -> None:
    parts = ["test", "val", "train", "train"]
    assert list(split(table(list("abcd"), split=parts))) == parts
    assert list(split(table(list("abcd"), fold=parts), column="fold")) == parts
    examples = table(list("abcd"), split=parts, fold=parts[::-1])
    assert list(split(examples, column="fold")) == parts[::-1]


def test_val_is_drawn_from_train_if_the_given_split_has_none() -> None:
    examples = table([*range(20), *range(20, 40)], split=["train"] * 20 + ["test"] * 20)
    found = split(examples, val=0.2)
    assert (found[20:] == "test").all()
    assert (found[:20] == "val").sum() == 4
    found = split(examples, val=[3, 5])
    assert list(found.index[found == "val"]) == [3, 5]


def refusal(examples: pd.DataFrame, **settings) -> InputError:
    with pytest.raises(InputError) as caught:
        split(examples, **settings)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("settings", "message", "remedy"),
    [
        ({"group": "grup"}, "split.group: no column 'grup'", "did you mean 'group'"),
        ({"column": "splt"}, "split.column: no column 'splt'", "did you mean 'split'"),
        ({"column": "other"}, "split column 'other' contains 'exam'", "allowed: train, val, test"),
        ({"test": ["chr11"]}, "split.test: no group 'chr11'", "did you mean 'chr1'"),
        ({"val": ["chr11"]}, "split.val: no group 'chr11'", "did you mean 'chr1'"),
        (
            {"val": ["chr1"], "test": ["chr1"]},
            "split.val: group 'chr1' is already in another split",
            "list each group once",
        ),
        ({"test": 1}, "split.test: 1 is not a fraction", "above 0 and below 1"),
        ({"test": 0}, "split.test: 0 is not a fraction", "above 0 and below 1"),
        ({"val": []}, "split: the val split is empty", "name groups in split.val"),
        ({"val": ["chr1"], "test": ["chr2", "chr3"]}, "split: the train split is empty", "split.train"),
    ],
)
def test_errors_name_key_and_remedy(settings: dict, message: str, remedy: str) -> None:
    examples = table(["chr1", "chr2", "chr3"], other=["exam", "train", "val"])
    if settings.get("column") == "splt":
        examples["split"] = "train"
    error = refusal(examples, **settings)
    assert error.message.startswith(message)
    assert remedy in error.remedy


def test_train_dev_is_a_random_share_of_the_training_split_whatever_the_groups() -> None:
    examples = table(np.repeat(np.arange(20), 10))
    before = split(examples)
    after = set_aside(before, 0.1, 1)
    assert (after == TRAIN_DEV).sum() == 0.1 * (before == "train").sum()
    assert before.equals(after.replace(TRAIN_DEV, "train"))
    assert cut_groups(examples, after) > 3
    assert not after.equals(set_aside(before, 0.1, 2))
    assert set_aside(before, None, 1) is before


def test_a_given_train_dev_is_kept() -> None:
    """It has the groups of the training split."""
    given = ["train", "train_dev", "val", "test"]
    found = split(table(["a", "a", "b", "c"], split=given))
    assert list(set_aside(found, 0.1, 1)) == given
    with pytest.raises(InputError, match="cuts 1 group"):
        split(table(["a", "b", "b", "c"], split=given))


def test_a_train_dev_share_without_examples_is_refused() -> None:
    with pytest.raises(InputError, match=r"split\.train_dev: 0\.01 of 24 training examples is none"):
        set_aside(split(table(np.arange(40)), val=0.25), 0.01, 1)


@pytest.mark.parametrize("groups", [["a", "a"], ["a", "b", "b"]])
def test_too_few_groups_leave_a_split_empty(groups: list[str]) -> None:
    error = refusal(table(groups))
    assert "split is empty" in error.message
    assert f"({plural(len(set(groups)), 'group')} in all: a" in error.message


@pytest.mark.parametrize("parts", [["test", "train", "train", "val"], ["train", "val", "val", "test"]])
def test_a_given_split_that_cuts_a_group_is_refused(parts: list[str]) -> None:
    error = refusal(table(["a", "a", "b", "c"], split=parts))
    assert error.message == "split column 'split' cuts 1 group, for example 'a'"
    assert "split.group: id" in error.remedy
    assert list(split(table(["a", "a", "b", "c"], split=parts), group="id")) == parts
