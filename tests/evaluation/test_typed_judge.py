"""Objects with classes: metrics by hand, and classes that pool to the metrics of all objects."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_evaluate import RUNS, predictions, value
from test_evaluate_images import judged, object_maps
from tiny import image_facts, images, stored

from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.evaluation import typed_judge
from biocnn.evaluation.uncertainty.judging import TypedJudge
from biocnn.evaluation.uncertainty.maps import Uncertainty
from biocnn.tasks.object_classes import class_map, classes_of

OUTPUTS = ["background", "inside", "boundary", "distance", "round", "long"]


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return true labels, their classes, predicted labels, and the class of each of these.

    True: 1, 2 and 3 are round, 4 is long, 5 unknown. Predicted: 1 round, 2 long, 3 missed, 4 long, 5 round, and 6 false
    and long.
    """
    truth = np.zeros((16, 64), np.int32)
    for label in range(1, 6):
        truth[4:10, 10 * label - 8 : 10 * label - 2] = label
    said = truth.copy()
    said[truth == 3] = 0
    said[4:10, 54:60] = 6
    return truth, np.array([[1, 0], [2, 0], [3, 0], [4, 1], [5, 255]], np.int32), said, np.array([0, 0, 1, 0, 1, 0, 1])


@pytest.fixture
def found(tmp_path: Path) -> tuple[Dataset, object]:
    truth, classes, said, kinds = scene()
    n = 8
    x = np.random.default_rng(1).integers(0, 255, (n, 1, *truth.shape)).astype(np.uint8)
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i}" for i in range(n)]})
    facts = image_facts(task="typed_instances", outputs=OUTPUTS, dtype="uint8")
    raw = Raw(examples, x.__getitem__, lambda i: truth, facts, classes=lambda i: classes)
    dataset = stored(raw, tmp_path)

    def maps(i: int, rng: np.random.Generator) -> np.ndarray:
        p = np.zeros((6, *truth.shape), np.float32)
        p[0], p[1], p[3] = said == 0, said > 0, said > 0
        p[4:] = np.where(kinds[said] == 0, np.array([[[0.8]], [[0.2]]]), np.array([[[0.4]], [[0.6]]]))
        return p

    return dataset, judged(dataset, predictions(dataset, tmp_path, maps, RUNS[:1]))


def test_metrics_by_hand(found: tuple) -> None:
    _, evaluation = found
    of = {
        (output, metric): value(evaluation.metrics, output=output, metric=metric, over="pooled", split="test")
        for output in ("objects", "round", "long")
        for metric in ("panoptic_quality_0.5", "f1_0.5", "average_precision_iou_0.5", "class_accuracy")
    }
    assert of["objects", "average_precision_iou_0.5"] == pytest.approx(4 / 6)  # one missed, one false
    assert of["round", "average_precision_iou_0.5"] == pytest.approx(1 / 3)  # 2 and 3 missed; 5 is not judged
    assert of["long", "average_precision_iou_0.5"] == pytest.approx(1 / 3)  # 2 and 6 false
    assert of["round", "f1_0.5"] == of["long", "f1_0.5"] == pytest.approx(1 / 2)
    assert of["objects", "class_accuracy"] == pytest.approx(2 / 3)  # 1 and 4, but not 2
    assert of["round", "class_accuracy"] == pytest.approx(1 / 2)
    assert of["long", "class_accuracy"] == 1
    mean = value(evaluation.metrics, output="objects", metric="mean_panoptic_quality_0.5", over="pooled", split="test")
    assert mean == pytest.approx((of["round", "panoptic_quality_0.5"] + of["long", "panoptic_quality_0.5"]) / 2)
    of_classes = evaluation.metrics[evaluation.metrics["output"] != "objects"]
    assert "mean_panoptic_quality_0.5" not in set(of_classes["metric"])


def test_each_match_names_both_classes(found: tuple) -> None:
    table = found[1].matches
    one = table[table["id"] == table["id"].iloc[0]].sort_values(["target_label", "label"])
    assert one[["kind", "label", "class", "target_class"]].to_numpy().tolist() == [
        ["false", 5, "long", ""], ["matched", 1, "round", "round"], ["matched", 2, "long", "round"],
        ["missed", 0, "", "round"], ["matched", 3, "long", "long"], ["matched", 4, "round", ""],
    ]  # fmt: skip
    np.testing.assert_allclose(one["class_score"], [0.6, 0.8, 0.6, np.nan, 0.6, 0.8], rtol=1e-3)


def test_the_uncertainty_of_classes_is_judged_for_matched_objects_of_known_class(found: tuple) -> None:
    dataset, _ = found
    truth, _, said, kinds = scene()
    of_kinds = [(said > 0) & (kinds[said] == k) for k in (0, 1)]
    p = np.stack([said == 0, said > 0, said < 0, said > 0, *of_kinds]).astype(np.float32)
    judge, flat = TypedJudge(dataset), np.zeros(truth.shape)
    judge.add("m", "test", 0, Uncertainty(p, flat, flat), dataset.task.decide(p, {}))
    tables = judge.tables()
    assert tables["per_object"]["class"].tolist() == ["round", "long", "long", "round", "long"]
    assert tables["per_object"]["target_class"].tolist() == ["round", "round", "long", "", ""]
    assert (tables["per_object"]["class_entropy"] == 0).all()
    summary = tables["summary"].set_index(["of", "measure"])
    assert summary.loc[("classes", "ece"), "n"] == 3
    assert summary.loc[("classes", "ece"), "value"] == pytest.approx(1 / 3)  # always certain, one of three wrong


def test_perfect_classes_pool_to_the_metrics_of_all_objects(tmp_path: Path) -> None:
    dataset = stored(images(8, task="typed_instances", size=(48, 48)), tmp_path)

    def maps(i: int, rng: np.random.Generator) -> np.ndarray:
        kinds = class_map(dataset.labels[i][0], dataset.classes[i])
        return np.concatenate([object_maps(dataset, i, rng), np.stack([kinds == 0, kinds == 1]).astype(np.float32)])

    found = predictions(dataset, tmp_path, maps, RUNS[:1])
    evaluation = judged(dataset, found)
    rows = evaluation.matches[evaluation.matches["split"] == "test"]
    matched = rows[rows["kind"] == "matched"]
    assert (matched["class"] == matched["target_class"]).all()
    counts = {}
    for output in ("objects", "even", "odd"):
        own = rows if output == "objects" else rows[(rows[["class", "target_class"]] == output).any(axis=1)]
        tp = int((own["kind"] == "matched").sum())
        f1 = value(evaluation.metrics, output=output, metric="f1_0.5", over="pooled", split="test")
        counts[output] = np.array([tp, 2 * tp / f1 - 2 * tp])  # matched; false and missed
    np.testing.assert_allclose(counts["even"] + counts["odd"], counts["objects"], atol=1e-9)


def test_the_class_of_an_object_is_that_of_the_largest_mean_probability() -> None:
    labels = np.array([[1, 1, 1, 0, 2]])
    p = np.array([[[0.9, 0.4, 0.4, 0.9, 0.3]], [[0.1, 0.6, 0.6, 0.1, 0.7]]])
    found = classes_of(p, labels)
    assert found.number.tolist() == [0, 1]  # most pixels of the first are likelier of the second class
    np.testing.assert_allclose(found.score, [1.7 / 3, 0.7])
    assert found.entropy[0] > found.entropy[1] > 0
    assert [len(one) for one in classes_of(p, np.zeros((1, 5), int))] == [0, 0, 0]


def test_images_without_objects_count_for_no_class(tmp_path: Path) -> None:
    dataset = stored(images(8, task="typed_instances", size=(48, 48)), tmp_path)
    empty = np.zeros((6, 48, 48), np.float32)
    empty[0] = 1
    found = predictions(dataset, tmp_path, lambda i, rng: empty, RUNS[:1])
    table = judged(dataset, found).metrics.query("split == 'test' and over == 'pooled'").set_index(["output", "metric"])
    assert table.loc[("even", "f1_0.5"), "value"] == 0
    assert np.isnan(table.loc[("objects", "class_accuracy"), "value"])
    judge = TypedJudge(dataset)
    judge.add("m", "test", 0, Uncertainty(empty, empty[1], empty[1]), dataset.task.decide(empty, {}))
    assert list(judge.objects[0]["class"]) == []
    of_judge = typed_judge.TypedJudge(dataset, Metrics(resamples=0), "group", 1)
    dataset.labels, dataset.classes = [np.zeros((1, 48, 48), np.int32)], [np.zeros((0, 2), np.int32)]
    assert len(of_judge.matches(empty, np.zeros((48, 48), np.int32), 0)) == 0
    cases = dict(of_judge.cases(empty, np.zeros((48, 48), np.int32), 0, 0))
    assert list(cases) == ["objects", "even", "odd"]
    assert not any(case.right.any() for case in cases.values())
