"""Agreement of two annotations, by hand and on images that were annotated twice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from biocnn.metrics import annotator_agreement


def test_boxes_and_points_by_hand() -> None:
    first = np.array([[0, 0, 0, 10, 10], [1, 20, 0, 30, 10], [1, 50, 50, 60, 60]])
    second = np.array([[0, 0, 0, 10, 8], [0, 22, 0, 32, 10]])
    found = annotator_agreement([first, first], [second, first[:0]])
    assert found == (6, 2, 2, 1)
    assert found.f1 == pytest.approx(4 / 8)
    assert found.class_agreement == 0.5
    assert annotator_agreement([first], [second], iou=0.7).matched == 1
    points = np.array([[0, 0, 0], [1, 0, 20], [2, 0, 40]]), np.array([[0, 0, 10], [1, 0, 60]])
    # The first point of the second annotation is as close to two of the first.
    assert annotator_agreement(*([one] for one in points), distance=20).matched == 2
    assert annotator_agreement(*([one] for one in points), distance=19.9).matched == 1
    assert np.isnan(annotator_agreement([first[:0]], [second]).class_agreement)


def test_as_many_objects_as_possible_are_matched() -> None:
    first, second = np.array([[0, 0, 0], [0, 0, 8]]), np.array([[0, 0, 9], [0, 0, 12]])
    assert annotator_agreement([first], [second], distance=10).matched == 2  # the closest pair alone would leave one


def test_images_annotated_twice(data_root: Path) -> None:
    path = data_root / "images" / "rbc12_two_annotations" / "points.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    table = pd.read_csv(path)
    table["class"] = table["label"].astype("category").cat.codes
    table = table.sort_values("image", kind="stable")
    first, second = (
        [rows[["class", "y", "x"]].to_numpy() for _, rows in table[table["annotation"] == name].groupby("image")]
        for name in ("first", "second")
    )
    found = annotator_agreement(first, second, distance=20)
    assert found == (543, 343, 251, 211)
    # Pairs of smallest summed distance are fewer, if those beyond the limit are dropped only afterwards.
    distances = [cdist(one[:, 1:], other[:, 1:]) for one, other in zip(first, second, strict=True)]
    assert sum((apart[linear_sum_assignment(apart)] <= 20).sum() for apart in distances) == 243
