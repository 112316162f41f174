"""Stored data equal the data read; facts are measured on the training split; unusable splits are refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import images, sequences, stored

from biocnn.config.registry import REGISTRY, Entry
from biocnn.config.settings import Split
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.stored_raw import hashes
from biocnn.data.storing import write
from biocnn.tasks.binary import Binary
from biocnn.tasks.facts import Decision
from biocnn.tasks.instance_targets import instance_targets


def test_round_trip_of_sequences(tmp_path: Path) -> None:
    raw = sequences(30, outputs=("a", "b"), task="multilabel")
    found = stored(raw, tmp_path)
    assert list(found.examples["id"]) == list(raw.examples["id"])
    for i in range(30):
        np.testing.assert_array_equal(found.x[i], raw.x(i))
        np.testing.assert_array_equal(found.y[i], raw.y[i])
    np.testing.assert_array_equal(found.examples[["y_0", "y_1"]], raw.y)
    assert found.labels is None


def test_round_trip_of_sequences_of_different_lengths(tmp_path: Path) -> None:
    raw = sequences(lengths=range(20, 50))
    found = stored(raw, tmp_path)
    for i in range(30):
        np.testing.assert_array_equal(found.x[i], raw.x(i))


@pytest.mark.parametrize("task", ["mask", "classes"])
def test_round_trip_of_images_and_masks(tmp_path: Path, task: str) -> None:
    raw = images(8, task=task, channels=2, size=(20, 30))
    found = stored(raw, tmp_path)
    for i in range(8):
        np.testing.assert_array_equal(found.x[i], raw.x(i))
        np.testing.assert_array_equal(found.y[i], raw.y(i)[None])
    assert found.x[0].dtype == np.uint16
    assert found.y[0].dtype == np.uint8


def test_labels_are_stored_beside_the_maps_to_learn(tmp_path: Path) -> None:
    raw = images(8, task="instances")
    found = stored(raw, tmp_path)
    for i in range(8):
        np.testing.assert_array_equal(found.labels[i], raw.y(i)[None])
        np.testing.assert_array_equal(found.y[i], instance_targets(raw.y(i)))


def test_rows_and_counts_of_the_splits(tmp_path: Path) -> None:
    found = stored(sequences(), tmp_path)
    rows = {part: found.rows(part) for part in ("train", "val", "test")}
    assert {part: len(r) for part, r in rows.items()} == dict(found.facts.n)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(60))
    np.testing.assert_array_equal(found.rows("val", "test"), np.sort(np.concatenate([rows["val"], rows["test"]])))


def test_names_that_look_like_missing_values_stay_names(tmp_path: Path) -> None:
    raw = sequences(9)
    raw.examples["id"] = ["NA", "nan", "null", "007", "1e5", "", "a\tb", 'q"', "-"]
    raw.examples["group"] = ["NA", "NA", "01", "01", "None", "None", "x", "x", "x"]
    raw.examples["chrom"] = [None, *"12345678"]
    found = stored(raw, tmp_path, val=["01"], test=["None"])
    for column in ("id", "group"):
        assert list(found.examples[column]) == list(raw.examples[column])
    assert list(found.examples["chrom"][1:]) == [*"12345678"]


def test_shares_and_intensity_come_from_the_training_split(tmp_path: Path) -> None:
    raw = images(6)
    x, y = raw.x, raw.y
    raw.x = lambda i: x(i) if i < 2 else x(i) + 5000
    raw.y = lambda i: y(i) if i < 2 else np.ones_like(y(i))
    found = stored(raw, tmp_path, val=["g1"], test=["g2"])
    share = np.mean([y(0), y(1)])
    assert found.facts.class_shares == pytest.approx([1 - share, share])
    assert found.facts.intensity.high[0] < 2000


def test_ignored_pixels_do_not_count(tmp_path: Path) -> None:
    raw = images(6)
    y = raw.y

    def half_ignored(i: int) -> np.ndarray:
        mask = y(i).copy()
        mask[:, :16] = 255
        return mask

    raw.y = half_ignored
    found = stored(raw, tmp_path)
    share = np.mean([y(i)[:, 16:] for i in found.rows("train")])
    assert found.facts.class_shares == pytest.approx([1 - share, share])


@pytest.mark.parametrize(
    ("task", "number"), [("mask", 2), ("classes", 3), ("instances", 3)], ids=["mask", "classes", "instances"]
)
def test_shares_add_up_to_one(tmp_path: Path, task: str, number: int) -> None:
    shares = stored(images(8, task=task), tmp_path).facts.class_shares
    assert len(shares) == number
    assert sum(shares) == pytest.approx(1)


def test_share_of_positives(tmp_path: Path) -> None:
    found = stored(sequences(), tmp_path)
    rows = found.rows("train")
    assert found.facts.positives == pytest.approx([np.mean([found.y[i][0] for i in rows])])


@pytest.mark.parametrize(
    ("size", "patch"), [((32, 32), 32), ((33, 60), 32), ((47, 47), 32), ((8, 300), 16), ((300, 400), 256)]
)
def test_patch_fits_the_images_and_the_reason_is_recorded(tmp_path: Path, size: tuple[int, int], patch: int) -> None:
    decision = stored(images(6, size=size), tmp_path).facts.decisions["patch"]
    assert decision.value == [patch, patch]
    assert f"shorter side {min(size)} px" in decision.reason


def test_reasons_of_the_reader_are_kept(tmp_path: Path) -> None:
    raw = images(6)
    raw.facts = raw.facts.model_copy(update={"decisions": {"task": Decision(value="mask", reason="values 0 and 1")}})
    decision = stored(raw, tmp_path).facts.decisions["task"]
    assert decision == Decision(value="mask", reason="values 0 and 1")


class OwnTask(Binary):
    """A task that measures a fact of its own."""

    name = "own"

    def measure(self, found: dict[str, list[np.ndarray]]) -> dict[str, Any]:
        return super().measure(found) | {"spread": [float(np.std(found["train"]))]}


@pytest.mark.parametrize("split", [{}, {"folds": 4, "val": None, "test": None}])
def test_facts_of_an_own_task_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: dict) -> None:
    monkeypatch.setitem(REGISTRY["tasks"], "own", Entry(f"{__name__}:OwnTask"))
    dataset = stored(sequences(task="own"), tmp_path, **split)
    for fold in range(dataset.folds):
        train = Dataset(tmp_path / "dataset", fold)
        assert train.facts.spread == [pytest.approx(np.std(train.y.stacked(train.rows("train"))))]


def test_hashes_of_sources(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_bytes(b">a\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(b"")
    one, two = hashes({"data.genome": tmp_path / "a.fa", "data.images": tmp_path / "images"})
    assert one.sha256 == hashlib.sha256(b">a\n").hexdigest()
    assert one.bytes == 3
    assert two.plain() == {"key": "data.images", "path": str(tmp_path / "images"), "files": 1}


@pytest.mark.parametrize(("part", "group"), [("val", "g1"), ("test", "g2"), ("train", "g3")])
def test_a_split_of_one_class_is_refused(tmp_path: Path, part: str, group: str) -> None:
    raw = sequences(12)
    alone = {"train": ["g0", "g3"], "val": ["g1"], "test": ["g2"]}[part]
    raw.y[raw.examples["group"].isin(alone)] = 1
    with pytest.raises(InputError, match=f"the {part} split has only one class \\(1\\) of 'bound'") as caught:
        stored(raw, tmp_path, val=["g1"], test=["g2"])
    assert f"larger {part} split" in caught.value.remedy


def test_regression_has_no_classes(tmp_path: Path) -> None:
    found = stored(sequences(30, task="regression"), tmp_path)
    assert "positives" not in json.loads((found.folder / "facts.json").read_text())


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(sequences(30), Split(), 1, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["checks.tsv", "examples.tsv", "facts.json", "x.npy", "x.shapes.npy", "y.npy", "y.shapes.npy"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_provenance_is_kept(tmp_path: Path) -> None:
    raw = sequences(9)
    raw.examples["chrom"] = [f"chr{i % 3}" for i in range(9)]
    raw.examples["start"] = range(9)
    write(raw, Split(val=["g0"], test=["g1"]), 1, tmp_path / "dataset")
    pd.testing.assert_frame_equal(
        Dataset(tmp_path / "dataset").examples[["chrom", "start"]], raw.examples[["chrom", "start"]]
    )


def test_a_folder_that_does_not_exist_is_not_to_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/facts\.json: no such data set") as caught:
        Dataset(tmp_path / "nowhere")
    assert "give a folder from biocnn dataset" in caught.value.remedy
    assert "delete" not in caught.value.remedy
