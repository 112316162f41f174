"""Evaluation of boxes: metrics of classes, their mean and intervals, fates of boxes, runs combined by fusion."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from boxed import scenes
from test_evaluate import value

from biocnn import metrics
from biocnn.config.settings import Metrics
from biocnn.core.errors import InputError
from biocnn.evaluation.box_judge import BoxJudge

CLASSES = ["red", "white", "platelet", "absent"]


class Task:
    name, outputs = "boxes", CLASSES

    @staticmethod
    def decide(p: np.ndarray, postprocess: dict) -> np.ndarray:
        return p[p[:, 1] >= postprocess["threshold"]]


def dataset(truth: list[np.ndarray], group: list[str]) -> SimpleNamespace:
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(len(truth))], "group": group})
    return SimpleNamespace(task=Task, y=truth, examples=examples, groups=lambda name: examples[name].to_numpy())


def judged(found, truth, group, keep=None, resamples=200, thresholds=(0.4,)):
    judge = BoxJudge(dataset(truth, group), Metrics(resamples=resamples), "group", 1)
    numbers = np.arange(len(truth))
    for which, threshold in enumerate(thresholds):
        chosen = numbers[which :: len(thresholds)]
        judge.choose(chosen, found.__getitem__, [], np.zeros(0, int), {"threshold": threshold})
    return judge.judge(found.__getitem__, numbers, numbers, keep)


@pytest.fixture(scope="module")
def case() -> tuple[list[np.ndarray], list[np.ndarray], tuple[pd.DataFrame, ...]]:
    found, truth = scenes(30, images=24, steps=1000)
    return found, truth, judged(found, truth, [f"g{i // 2}" for i in range(24)])


def test_the_mean_is_over_the_classes_with_true_boxes(case) -> None:
    found, truth, (table, _, _) = case
    assert set(table["output"]) == {"all", *CLASSES}
    assert table.loc[table["output"] == "absent", ["value", "low", "high"]].isna().all(axis=None)
    known = table[table["output"] != "absent"]
    assert known.notna().all(axis=None)
    assert (known["low"] < known["high"]).all()
    inside = (known["low"] <= known["value"] + 0.01) & (known["value"] <= known["high"] + 0.01)
    assert inside[~known["metric"].isin(["ece"])].all()
    expected = metrics.mean_average_precision(found, truth, 4)
    assert value(table, output="all", metric="ap50") == pytest.approx(expected[0])
    assert value(table, output="all", metric="ap50_95") == pytest.approx(expected.mean())
    for name, part in known.groupby("metric"):
        each = part.set_index("output")["value"]
        assert each["all"] == pytest.approx(each[CLASSES[:3]].mean()), name


def test_f1_and_counts_are_those_of_the_boxes_kept(case) -> None:
    found, truth, (table, per_image, matches) = case
    kept = [rows[rows[:, 1] >= 0.4] for rows in found]
    red = matches[(matches["label"] == "red") | (matches["target_label"] == "red")]
    tp = (red["kind"] == "matched").sum()
    number = sum((boxes[:, 0] == 0).sum() for boxes in truth)
    predicted = ((matches["label"] == "red") & (matches["kind"] != "ignored")).sum()
    assert value(table, output="red", metric="precision") == pytest.approx(tp / predicted)
    assert value(table, output="red", metric="recall") == pytest.approx(tp / number)
    assert value(table, output="red", metric="f1") == pytest.approx(2 * tp / (predicted + number))
    assert len(matches) - (matches["kind"] == "missed").sum() == sum(map(len, kept))
    first = per_image[per_image["id"] == "i0"].set_index("metric")["value"]
    mine = matches[matches["id"] == "i0"]["kind"].value_counts().reindex(["matched", "missed", "confused"]).fillna(0)
    assert first["matched"] == mine["matched"]
    assert first["missed"] == mine["missed"] + mine["confused"]
    assert first["f1"] == metrics.dice_of_counts(first["matched"], first["false"], first["missed"])


def test_intervals_are_those_of_resampled_groups(case) -> None:
    found, truth, (table, _, _) = case
    rng, values = np.random.default_rng(2), []
    for _ in range(200):
        chosen = [2 * group + i for group in rng.integers(12, size=12) for i in (0, 1)]
        values.append(metrics.mean_average_precision(*([rows[i] for i in chosen] for rows in (found, truth)), 3, [0.5]))
    (row,) = table[(table["output"] == "all") & (table["metric"] == "ap50")].itertuples()
    np.testing.assert_allclose([row.low, row.high], np.percentile(values, [2.5, 97.5]), atol=0.02)


def test_thresholds_may_differ_between_images_and_decided_boxes_are_kept(case) -> None:
    found, truth, _ = case
    kept = {}
    judged(found, truth, ["a"] * 24, kept.__setitem__, 10, (0.2, 0.8))
    assert list(kept) == [f"i{i}" for i in range(24)]
    for i, boxes in enumerate(kept.values()):
        np.testing.assert_array_equal(boxes, found[i][found[i][:, 1] >= (0.2, 0.8)[i % 2]])


def test_one_class_is_judged_once() -> None:
    found, truth = scenes(31, classes=1)
    one = dataset(truth, ["a"] * 12)
    one.task = type("OneClass", (Task,), {"outputs": ["cell"]})
    judge = BoxJudge(one, Metrics(resamples=10), "group", 1)
    judge.choose(range(12), found.__getitem__, [], np.zeros(0, int), {"threshold": 0})
    table, _, matches = judge.judge(found.__getitem__, range(12), np.arange(12))
    assert set(table["output"]) == {"all"}
    assert table["low"].isna().all()  # one group
    assert set(matches["label"]) == {"cell", ""}


def test_settings_of_maps_are_refused() -> None:
    with pytest.raises(InputError, match="apply only to image maps, but the task is boxes"):
        BoxJudge(dataset([], []), Metrics(also=["aji"]), "group", 1)
