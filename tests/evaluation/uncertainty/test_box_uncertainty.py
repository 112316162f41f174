"""Uncertainty of boxes: 1 minus their score."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from boxed import scenes
from tiny import image_facts, stored

from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.evaluation.uncertainty.boxes import BoxJudge
from biocnn.metrics import match_detections
from biocnn.metrics.detections import counts

CLASSES = ["red", "white", "platelet"]


def dataset(truth: list[np.ndarray], folder: Path, classes: list[str]) -> Dataset:
    """Store a training and a validation image with a box of each class, and test images with these boxes."""
    known = np.array([[k, 0, 0, 9, 9] for k in range(len(classes))], np.float32)
    truth = [known, known, *truth]
    x = np.random.default_rng(0).integers(0, 255, (len(truth), 1, 96, 96), dtype=np.uint8)
    examples = pd.DataFrame({"id": [f"i{i - 2}" for i in range(len(truth))]})
    examples["group"] = examples["id"]
    examples["split"] = ["train", "val", *["test"] * (len(truth) - 2)]
    facts = image_facts(task="boxes", outputs=classes, dtype="uint8")
    return stored(Raw(examples, x.__getitem__, truth.__getitem__, facts), folder)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Return the tables of made-up scenes, of which the last has no boxes."""
    found, truth = scenes(4, images=24, steps=1000, crowds=0)
    found[-1] = found[-1][:0]
    judge = BoxJudge(dataset(truth, tmp_path_factory.mktemp("boxes"), CLASSES))
    for row, boxes in enumerate(found, 2):  # after a training and a validation image
        fused = judge.estimate([boxes])
        np.testing.assert_array_equal(fused.mean, boxes)
        judge.add("ensemble", "test", row, fused, boxes[boxes[:, 1] >= 0.4])
    decided = [boxes[boxes[:, 1] >= 0.4] for boxes in found]
    return judge.tables() | {"counts": sum(map(counts, match_detections(decided, truth, 3, (0.5,))))}


def test_the_risk_of_an_image_is_1_minus_f1_over_all_classes(tables) -> None:
    hits, false, missed = tables["counts"].T
    np.testing.assert_allclose(tables["per_image"]["risk"], 1 - 2 * hits / (2 * hits + false + missed))
    assert tables["per_image"]["objects"].tolist() == (hits + false).tolist()


def test_boxes_are_as_uncertain_as_their_scores_are_low(tables) -> None:
    boxes = tables["per_object"]
    assert boxes["matched"].sum() == tables["counts"][:, 0].sum() > 20
    assert (boxes["iou"] >= 0.5)[boxes["matched"] == 1].all()
    assert boxes["uncertainty"].between(0, 0.6).all()
    of_image = boxes.groupby("id")["uncertainty"].mean()
    per_image = tables["per_image"].set_index("id")["uncertainty"]
    kept = per_image.index.intersection(of_image.index)
    np.testing.assert_allclose(per_image[kept], of_image[kept], rtol=1e-5)
    assert per_image.iloc[-1] == 0, "nothing was found, not even with a low score"
    assert set(tables["calibration"]["of"]) == {"objects"}


def test_disagreement_of_runs_is_uncertainty(tmp_path) -> None:
    truth = [np.float32([[0, 5, 5, 20, 20], [0, 40, 40, 60, 60]])]
    judge = BoxJudge(dataset(truth, tmp_path, CLASSES[:1]))
    both, one = (np.insert(truth[0][:n], 1, 0.8, axis=1) for n in (2, 1))
    fused = judge.estimate([both, one]).mean
    np.testing.assert_allclose(fused[:, 1], [0.8, 0.4])


def test_no_box_at_all_gives_tables_without_rows(tmp_path) -> None:
    truth = [np.float32([[0, 5, 5, 20, 20]])]
    judge = BoxJudge(dataset(truth, tmp_path, CLASSES[:1]))
    low = np.float32([[0, 0.3, 5, 5, 20, 20]])
    judge.add("ensemble", "test", 2, judge.estimate([low]), low[:0])
    tables = judge.tables()
    assert tables["per_image"][["uncertainty", "risk"]].to_numpy() == pytest.approx(np.array([[0.3, 1]]))
    assert len(tables["calibration"]) == len(tables["per_object"]) == 0
