"""Balanced folds of whole groups; splits by hashed names, unchanged by new data; stored facts of each fold."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import images, sequences, stored

from biocnn.config.settings import Split
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.dataset import Dataset
from biocnn.data.splits import SPLITS, assign, assign_folds, balanced_folds, splits_of_fold


def table(groups, **columns) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"e{i}" for i in range(len(groups))], "group": groups, **columns})


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(2, 6), st.integers(0, 99))
def test_folds_hold_whole_groups_and_differ_by_at_most_one_group(groups: list[int], folds: int, seed: int) -> None:
    names = pd.Series(groups).astype(str)
    if names.nunique() < folds:
        with pytest.raises(
            InputError, match=f"{plural(names.nunique(), 'group')} cannot be divided into {folds} folds"
        ):
            balanced_folds(names, folds, seed)
        return
    found = balanced_folds(names, folds, seed)
    sizes = found.value_counts()
    assert set(found) == set(range(folds))
    assert (found.groupby(names).nunique() == 1).all()
    # The fullest fold received its last group when it was the emptiest, and no later group was larger.
    assert sizes.max() - sizes.min() <= names.value_counts().max()
    pd.testing.assert_series_equal(found, balanced_folds(names, folds, seed))


def test_the_largest_groups_go_to_different_folds() -> None:
    groups = pd.Series(np.repeat(["a", "b", "c", "d", "e"], [50, 40, 30, 20, 10]))
    sizes = balanced_folds(groups, 3, 1).value_counts()
    assert sorted(sizes) == [50, 50, 50]


def test_groups_of_one_size_are_dealt_at_random() -> None:
    """A regular order, such as alternating positives and negatives, must not result in a fold of positives."""
    positive = np.arange(1000) % 2 == 0
    for seed in range(3):
        found = balanced_folds(pd.Series([f"s{i:04d}" for i in range(1000)]), 2, seed)
        assert found.value_counts().tolist() == [500, 500]
        assert 0.4 < positive[found == 0].mean() < 0.6


@pytest.mark.parametrize("hashed", [False, True])
@given(groups=st.lists(st.integers(0, 60), min_size=60, max_size=120), folds=st.integers(3, 4))
def test_each_example_is_tested_once_and_validated_once(groups: list[int], folds: int, hashed: bool) -> None:
    examples = table([*groups, *range(61)])
    numbers = assign_folds(examples, 1, Split(folds=folds, hashed=hashed))
    splits = [splits_of_fold(numbers, fold, folds) for fold in range(folds)]
    for part, times in (("test", 1), ("val", 1), ("train", folds - 2)):
        assert (sum((split == part).astype(int) for split in splits) == times).all()
    for split in splits:
        assert (split.groupby(examples["group"]).nunique() == 1).all()


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        ({"split": ["test"] * 5 + ["train"] * 20 + ["val"] * 5}, {}),
        ({"part": ["test"] * 5 + ["train"] * 25}, {"column": "part"}),
        ({}, {"test": list(range(5))}),
    ],
)
def test_an_official_test_split_is_kept(columns: dict, settings: dict) -> None:
    numbers = assign_folds(table(range(30), **columns), 1, Split(folds=5, **settings))
    assert list(numbers[:5]) == [-1] * 5
    assert numbers[5:].value_counts().to_dict() == dict.fromkeys(range(5), 5)
    for fold in range(5):
        split = splits_of_fold(numbers, fold, 5)
        assert (split[:5] == "test").all()
        assert set(split[numbers == fold]) == {"val"}
        assert (split == "train").sum() == 20


def test_a_fraction_can_be_set_aside() -> None:
    numbers = assign_folds(table(range(100)), 1, Split(folds=4, test=0.2))
    assert numbers.value_counts().to_dict() == {-1: 20, 0: 20, 1: 20, 2: 20, 3: 20}


@pytest.mark.parametrize(
    ("settings", "folds", "message"),
    [
        ({"val": 0.2}, 5, "split.val and split.folds: cannot be combined"),
        ({}, 2, "2 folds leave none to train"),
        ({"test": [f"g{i}" for i in range(10)]}, 3, "split.test: no group 'g0'"),
        ({"group": "chrom"}, 3, "split.group: no column 'chrom'"),
    ],
)
def test_errors_name_the_key(settings: dict, folds: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        assign_folds(table(range(10)), 1, Split(folds=folds, **settings))
    assert message in caught.value.message
    assert caught.value.remedy


names = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=30)


@given(names, names)
def test_hashed_names_do_not_move_when_data_are_added(old: list[str], new: list[str]) -> None:
    fixed = [f"chr{i}" for i in range(60)]  # enough that no split is empty
    before = assign(table([*fixed, *old]), 1, Split(hashed=True))
    after = assign(table([*fixed, *old, *new]), 2, Split(hashed=True))
    assert list(after[: len(before)]) == list(before)
    folds = [
        assign_folds(table(some), 1, Split(folds=3, hashed=True)) for some in ([*fixed, *old], [*fixed, *old, *new])
    ]
    assert list(folds[1][: len(before)]) == list(folds[0])


def test_hashed_fractions_are_met_on_average() -> None:
    found = assign(table(range(20_000)), 1, Split(val=0.25, test=0.2, hashed=True))
    counts = found.value_counts() / 20_000
    assert counts["test"] == pytest.approx(0.2, abs=0.01)
    assert counts["val"] == pytest.approx(0.8 * 0.25, abs=0.01)


def test_hashed_splits_do_not_change_between_versions() -> None:
    """A change of the hash would move the examples of every user."""
    found = assign(table([f"chr{i}" for i in range(1, 23)]), 1, Split(hashed=True))
    parts = {part: [f"chr{i + 1}" for i in np.flatnonzero(found == part)] for part in ("val", "test")}
    assert parts == {"val": ["chr14", "chr19", "chr20", "chr22"], "test": ["chr8"]}


def test_each_fold_of_a_stored_data_set(tmp_path: Path) -> None:
    raw = sequences(90)
    stored(raw, tmp_path, val=None, test=None, folds=3)
    splits = []
    for fold in range(3):
        found = Dataset(tmp_path / "dataset", fold)
        split = found.examples["split"]
        assert set(split[found.examples["fold"] == fold]) == {"test"}
        assert set(split[found.examples["fold"] == (fold + 1) % 3]) == {"val"}
        assert dict(found.facts.n) == split.value_counts().to_dict() == dict.fromkeys(SPLITS, 30)
        train = found.rows("train")
        assert found.facts.positives == pytest.approx(raw.y[train].mean(axis=0))
        assert found.facts.n_positive.train == raw.y[train].sum(axis=0).tolist()
        assert not found.facts.folds, "a model file needs only its own fold"
        splits.append(tuple(split))
    assert len(set(splits)) == 3
    with pytest.raises(InputError, match="has no fold 3"):
        Dataset(tmp_path / "dataset", 3)


def test_images_are_measured_on_the_training_split_of_each_fold(tmp_path: Path) -> None:
    raw = images(12)
    x = raw.x
    raw.x = lambda i: x(i) + 1000 * (i // 2)  # each group is brighter than the previous one
    stored(raw, tmp_path, val=None, test=None, folds=3)
    for fold in np.arange(3):
        found = Dataset(tmp_path / "dataset", fold)
        train = found.rows("train")
        assert found.facts.intensity.mean[0] == pytest.approx(np.mean([raw.x(i).mean() for i in train]))
        assert found.facts.class_shares[1] == pytest.approx(np.mean([raw.y(i).mean() for i in train]))


def test_without_folds_there_is_one(tmp_path: Path) -> None:
    found = stored(sequences(), tmp_path)
    assert "folds" not in json.loads((tmp_path / "dataset/facts.json").read_text())
    assert "fold" not in found.examples
    with pytest.raises(InputError, match="has no fold 1"):
        Dataset(tmp_path / "dataset", 1)
