"""Evaluation of boxes: metrics of classes, their mean and intervals, fates of boxes, runs combined by fusion."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from boxed import scenes
from test_evaluate import value
from tiny import image_facts, stored

from biocnn import metrics
from biocnn.config.settings import Metrics
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.evaluation.evaluate import Evaluation, evaluate

Images = list[np.ndarray]
IMAGES = 24  # of the test split, two per group
LOWEST = 0.4


def dataset(truth: Images, folder: Path, classes: list[str]) -> Dataset:
    """Store a training and a validation image with a box of each class, and test images with these boxes."""
    known = np.array([[k, 0, 0, 9, 9] for k in range(len(classes))], np.float32)
    truth, rng = [known, known, *truth], np.random.default_rng(0)
    x = rng.integers(0, 255, (len(truth), 1, 96, 96), dtype=np.uint8)
    group = ["train", "val", *(f"g{i // 2}" for i in range(len(truth) - 2))]
    examples = pd.DataFrame({"id": [f"i{i - 2}" for i in range(len(truth))], "group": group})
    raw = Raw(examples, x.__getitem__, truth.__getitem__, image_facts(task="boxes", outputs=classes, dtype="uint8"))
    return stored(raw, folder, val=["val"], test=sorted(set(group[2:])))


def judged(data: Dataset, runs: dict[str, Images], keep=None, lowest=LOWEST, **settings) -> Evaluation:
    """Evaluate predictions of the test images; the validation image is predicted perfectly."""
    rows = data.examples.iloc[data.rows("val", "test")][["id", "split"]].reset_index(drop=True)
    assert rows["split"].iloc[0] == "val"
    number = len(data.task.outputs)
    tuned = {"thresholds": [lowest] * number, "scale": [1.0] * number, "shift": [0.0] * number}
    perfect = np.insert(data.y[data.rows("val")[0]], 1, 0.9, axis=1)
    predictions = {run: ([perfect, *found], rows) for run, found in runs.items()}
    settings = Metrics(**{"resamples": 200} | settings)
    found = evaluate(data, predictions, dict.fromkeys(runs, tuned), settings, 1, keep=keep)
    return Evaluation(*(table[table["split"] == "test"] for table in found))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Images, Images, Evaluation]:
    found, truth = scenes(30, images=IMAGES, steps=1000)
    data = dataset(truth, tmp_path_factory.mktemp("boxes"), ["red", "white", "platelet", "absent"])
    return data, found, truth, judged(data, {"run": found})


def test_the_mean_is_over_the_classes_with_true_boxes(case) -> None:
    data, found, truth, (table, *_) = case
    assert set(table["output"]) == {"all", *data.task.outputs}
    assert set(table["metric"]) == set(data.task.metrics)
    assert table.loc[table["output"] == "absent", ["value", "low", "high"]].isna().all(axis=None)
    known = table[table["output"] != "absent"]
    assert known.notna().all(axis=None)
    assert (known["low"] < known["high"]).all()
    assert ((known["low"] <= known["value"] + 0.01) & (known["value"] <= known["high"] + 0.01)).all()
    expected = metrics.mean_average_precision(found, truth, 4)
    assert value(table, output="all", metric="ap50") == pytest.approx(expected[0])
    assert value(table, output="all", metric="ap50_95") == pytest.approx(expected.mean())
    for name, part in known.groupby("metric"):
        each = part.set_index("output")["value"]
        assert each["all"] == pytest.approx(each.drop("all").mean()), name


def test_f1_and_counts_are_those_of_the_boxes_kept(case) -> None:
    _, found, truth, (table, per_image, matches) = case
    red = matches[(matches["label"] == "red") | (matches["target_label"] == "red")]
    tp = (red["kind"] == "matched").sum()
    number = sum((boxes[:, 0] == 0).sum() for boxes in truth)
    predicted = ((matches["label"] == "red") & (matches["kind"] != "ignored")).sum()
    assert value(table, output="red", metric="precision") == pytest.approx(tp / predicted)
    assert value(table, output="red", metric="recall") == pytest.approx(tp / number)
    assert value(table, output="red", metric="f1") == pytest.approx(2 * tp / (predicted + number))
    assert value(table, output="red", metric="count_bias") == pytest.approx((predicted - number) / IMAGES)
    kept = sum((boxes[:, 1] >= LOWEST).sum() for boxes in found)
    assert len(matches) - (matches["kind"] == "missed").sum() == kept
    first = per_image[per_image["id"] == "i0"].set_index("metric")["value"]
    mine = matches[matches["id"] == "i0"]["kind"].value_counts().reindex(["matched", "missed", "confused"]).fillna(0)
    assert first["matched"] == mine["matched"]
    assert first["missed"] == mine["missed"] + mine["confused"]
    assert first["f1"] == metrics.dice_of_counts(first["matched"], first["false"], first["missed"])


def test_intervals_are_those_of_resampled_groups(case) -> None:
    _, found, truth, (table, *_) = case
    rng, values = np.random.default_rng(2), []
    for _ in range(200):
        chosen = [2 * group + i for group in rng.integers(IMAGES // 2, size=IMAGES // 2) for i in (0, 1)]
        values.append(metrics.mean_average_precision(*([rows[i] for i in chosen] for rows in (found, truth)), 3, [0.5]))
    (row,) = table[(table["output"] == "all") & (table["metric"] == "ap50")].itertuples()
    np.testing.assert_allclose([row.low, row.high], np.percentile(values, [2.5, 97.5]), atol=0.02)


def test_runs_are_fused_and_the_boxes_of_the_ensemble_are_kept(case) -> None:
    data, found, truth, (alone, *_) = case
    others = [boxes[::2] for boxes in found]
    kept: dict[str, np.ndarray] = {}
    table, _, matches = judged(data, {"a": found, "b": others}, kept.__setitem__, resamples=0)
    assert set(table["run"]) == set(matches["run"]) == {"a", "b", "ensemble"}
    fused = [metrics.fuse_boxes(pair)[0] for pair in zip(found, others, strict=True)]
    expected = metrics.mean_average_precision(fused, truth, 3, [0.5])[0]
    assert value(table, run="ensemble", output="all", metric="ap50") == pytest.approx(expected)
    where = {"output": "all", "metric": "ap50"}
    assert value(table, run="a", **where) == value(alone, **where)
    assert list(kept) == ["i-1.val", *(f"i{i}.test" for i in range(IMAGES))]
    for boxes, name in zip(fused, list(kept)[1:], strict=True):
        np.testing.assert_allclose(kept[name], boxes[boxes[:, 1] >= LOWEST], rtol=1e-5)


def test_one_class_is_judged_once(tmp_path: Path) -> None:
    found, truth = scenes(31, images=4, classes=1)
    table, _, matches = judged(dataset(truth, tmp_path, ["cell"]), {"run": found}, lowest=0.0)
    assert set(table["output"]) == {"all"}
    assert table["low"].isna().all()  # two groups
    assert set(matches["label"]) == {"cell", ""}
    assert list(matches)[:8] == ["run", "split", "id", "kind", "label", "target_label", "score", "iou"]


def test_settings_of_maps_are_refused(case) -> None:
    data, found, *_ = case
    with pytest.raises(InputError, match="apply only to image maps, but the task is boxes"):
        judged(data, {"run": found}, also=["aji"])
