"""The fate of each object, by hand and compared with the counts of matching; the aggregated Jaccard index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biocnn.metrics import aji, iou, match_objects, matching

label_maps = arrays(np.int32, (7, 8), elements=st.integers(0, 4))


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return, left to right: a match, two merged true objects, one split in two, one missed, and a false one."""
    target, labels = np.zeros((6, 40), int), np.zeros((6, 40), int)
    target[0:4, 0:4], labels[0:4, 0:3] = 1, 11
    target[0:4, 6:9], target[0:4, 10:13], labels[0:4, 6:13] = 2, 3, 12
    target[0:4, 15:25], labels[0:4, 15:19], labels[0:4, 21:25] = 4, 13, 14
    target[0:4, 28:31] = 5
    labels[0:4, 34:38] = 15
    return labels, target


def test_each_fate_by_hand():
    labels, target = scene()
    table = match_objects(labels, target, labels / 100)
    found = [tuple(row) for row in table[["kind", "label", "target_label"]].itertuples(index=False)]
    assert found == [
        ("matched", 11, 1), ("merged", 12, 2), ("merged", 12, 3), ("split", 13, 4), ("split", 14, 4),
        ("missed", 0, 5), ("false", 15, 0),
    ]  # fmt: skip
    assert table["area"].tolist() == [12, 28, 28, 16, 16, 0, 16]
    assert table["target_area"].tolist() == [16, 12, 12, 40, 40, 12, 0]
    np.testing.assert_allclose(table["iou"], [12 / 16, 12 / 28, 12 / 28, 0.4, 0.4, 0, 0])
    np.testing.assert_allclose(table["score"], [0.11, 0.12, 0.12, 0.13, 0.14, np.nan, 0.15])


def test_a_piece_beside_a_match_is_split_and_an_object_beside_a_match_is_merged():
    target, labels = np.zeros((4, 20), int), np.zeros((4, 20), int)
    target[:, 0:10] = 1
    labels[:, 0:7], labels[:, 7:10] = 1, 2
    target[:, 12:17], target[:, 17:19] = 2, 3
    labels[:, 12:19] = 3
    table = match_objects(labels, target).set_index(["label", "target_label"])["kind"]
    assert table.to_dict() == {(1, 1): "matched", (2, 1): "split", (3, 2): "matched", (3, 3): "merged"}


def test_too_large_and_too_small_are_missed_and_false():
    target, labels = np.zeros((9, 9), int), np.zeros((9, 9), int)
    target[3:5, 3:5], labels[1:7, 1:7] = 1, 1
    table = match_objects(labels, target)
    assert sorted(table["kind"]) == ["false", "missed"]
    np.testing.assert_allclose(table["iou"], 4 / 36)
    assert table["score"].isna().all()


@given(label_maps, label_maps, st.sampled_from([0.3, 0.5, 0.7]))
def test_every_object_has_one_fate_and_the_counts_are_those_of_matching(labels, target, threshold):
    table = match_objects(labels, target, threshold=threshold)
    kinds = dict(tuple(table.groupby("kind")))
    pieces = {kind: kinds.get(kind, table.iloc[:0]) for kind in ("matched", "merged", "split", "missed", "false")}
    tp, fp, fn, _ = (int(counts[0]) for counts in matching(labels, target, [threshold]))
    assert len(pieces["matched"]) == tp
    owners = set(pieces["merged"]["label"]) - set(pieces["matched"]["label"])
    torn = (
        set(pieces["split"]["target_label"])
        - set(pieces["matched"]["target_label"])
        - set(pieces["merged"]["target_label"])
    )
    assert len(pieces["false"]) + len(pieces["split"]) + len(owners) == fp
    assert len(pieces["missed"]) + len(pieces["merged"]) + len(torn) == fn
    for column, there in (("label", labels), ("target_label", target)):
        assert set(table[column]) - {0} == set(np.unique(there)) - {0}
    for row in table.itertuples():
        assert row.area == (np.count_nonzero(labels == row.label) if row.label else 0)
        assert row.target_area == (np.count_nonzero(target == row.target_label) if row.target_label else 0)


def test_without_objects_there_are_no_rows_but_the_same_columns():
    empty = np.zeros((4, 4), int)
    none = match_objects(empty, empty, empty)
    assert len(none) == 0
    assert list(none.columns) == list(match_objects(*scene()).columns)
    assert match_objects(empty, empty + 1)["kind"].tolist() == ["missed"]
    assert match_objects(empty + 1, empty)["kind"].tolist() == ["false"]


def brute_force_aji(labels: np.ndarray, target: np.ndarray) -> float:
    """Algorithm 1 of Kumar et al. 2017."""
    predicted, true = (np.setdiff1d(np.unique(side), [0]) for side in (labels, target))
    intersection, union, used = 0, 0, set()
    for t in true:
        ious = [iou(labels == p, target == t) for p in predicted]
        if not ious or max(ious) == 0:
            union += np.count_nonzero(target == t)
            continue
        p = predicted[int(np.argmax(ious))]
        intersection += np.count_nonzero((labels == p) & (target == t))
        union += np.count_nonzero((labels == p) | (target == t))
        used.add(p)
    union += sum(np.count_nonzero(labels == p) for p in predicted if p not in used)
    return intersection / union if union else 1.0


@given(label_maps, label_maps)
def test_aji_equals_the_published_algorithm(labels, target):
    assert aji(labels, target) == pytest.approx(brute_force_aji(labels, target))


def test_aji_by_hand_and_of_empty_images():
    labels, target = scene()
    # 12/16; merged: 12/28 twice; the first piece of two 16/40, the other 16; missed 12; false 16
    assert aji(labels, target) == pytest.approx((12 + 12 + 12 + 16) / (16 + 28 + 28 + 40 + 16 + 12 + 16))
    empty = np.zeros((3, 3), int)
    assert aji(empty, empty) == 1
    assert aji(empty + 1, empty) == aji(empty, empty + 1) == 0
