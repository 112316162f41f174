"""The fate of each box, by hand and compared with the counts of matched detections."""

import numpy as np
import pandas as pd
import pytest
from boxed import EMPTY, scenes

from biocnn.metrics import box_iou, match_boxes, match_detections
from biocnn.metrics.detections import counts


def test_each_fate_by_hand() -> None:
    truth = np.array(
        [[0, 0, 0, 10, 10], [1, 20, 0, 30, 10], [0, 40, 0, 50, 10], [-1, 60, 0, 80, 20], [1, 90, 0, 95, 5]], np.float32
    )
    found = np.array(
        [
            [0, 0.4, 1, 0, 11, 10],  # a second time
            [0, 0.9, 0, 0, 10, 8],
            [0, 0.8, 20, 0, 30, 10],  # of class 1
            [1, 0.7, 62, 0, 68, 5],  # not judged
            [0, 0.6, 40, 6, 50, 16],  # too far
            [0, 0.5, 20, 0, 30, 10],  # the confused box a second time
            [1, 0.3, 0, 0, 10, 10],  # a matched box a second time, in another class
        ],
        np.float32,
    )
    table = match_boxes(found, truth)
    rows = [tuple(row) for row in table[["kind", "label", "target_label"]].itertuples(index=False)]
    assert rows == [
        ("matched", 0, 0), ("confused", 0, 1), ("ignored", 1, -1), ("false", 0, -1), ("doubled", 0, 1),
        ("doubled", 0, 0), ("doubled", 1, 0), ("missed", -1, 0), ("missed", -1, 1),
    ]  # fmt: skip
    np.testing.assert_allclose(table["iou"], [0.8, 1, 1, 40 / 160, 1, 90 / 110, 1, 40 / 160, 0])
    np.testing.assert_allclose(table["score"], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, np.nan, np.nan])
    corners = table[["y_min", "x_min", "y_max", "x_max"]]
    assert corners.iloc[0].tolist() == [0, 0, 10, 8]
    assert corners.iloc[-1].tolist() == [90, 0, 95, 5]
    assert list(match_boxes(*EMPTY)) == list(table)
    assert (match_boxes(found, EMPTY[1])["kind"] == "false").all()
    assert (match_boxes(EMPTY[0], truth)["kind"] == "missed").all()


def test_corners_of_volumes_start_with_the_plane() -> None:
    table = match_boxes(np.array([[0, 0.5, 1, 2, 3, 4, 5, 6]]), np.zeros((0, 7)))
    assert list(table)[-6:] == ["z_min", "y_min", "x_min", "z_max", "y_max", "x_max"]
    assert table.iloc[0, -6:].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("seed", range(5))
def test_every_box_has_one_fate_and_the_counts_are_those_of_the_metrics(seed: int) -> None:
    found, truth = scenes(seed)
    tables = [match_boxes(*pair) for pair in zip(found, truth, strict=True)]
    every = pd.concat(tables)
    expected = sum(counts(one).sum(axis=0) for one in match_detections(found, truth, 3, [0.5]))
    kinds = every["kind"].value_counts().reindex(["matched", "confused", "doubled", "ignored", "false", "missed"])
    kinds = kinds.fillna(0)
    false = kinds[["confused", "doubled", "false"]].sum()
    assert [kinds["matched"], false, kinds["missed"] + kinds["confused"]] == expected.tolist()
    assert len(every) - kinds["missed"] == sum(map(len, found))
    taken = every[every["kind"].isin(["matched", "confused", "missed"])]
    assert len(taken) == sum((boxes[:, 0] >= 0).sum() for boxes in truth)
    assert ((every["label"] == every["target_label"]) | (every["kind"] != "matched")).all()
    for one, boxes, table in zip(found, truth, tables, strict=True):
        judged = boxes[boxes[:, 0] >= 0]
        false = table[table["kind"] == "false"]
        near = box_iou(false.iloc[:, -4:], judged[:, 1:]).max(axis=1, initial=0)
        np.testing.assert_allclose(false["iou"], near)
        assert (near < 0.5).all()
        assert len(table) >= len(one)
