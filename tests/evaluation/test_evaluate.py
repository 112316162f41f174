"""The table of metrics, compared with scikit-learn and the metric functions on the same arrays."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, mean_squared_error, roc_auc_score
from tiny import images, labelled, sequences, stored

from biocnn import metrics
from biocnn.config.settings import Metrics, Split
from biocnn.data.dataset import Dataset
from biocnn.data.storing import write
from biocnn.evaluation.evaluate import describe, evaluate
from biocnn.io.ragged import Ragged

RUNS = ("fold0-seed1", "fold0-seed2")


def predictions(dataset: Dataset, folder: Path, make, runs=RUNS, shuffled: bool = False) -> dict:
    """Write outputs of the step predict: ``make(row, rng)`` for every example of val and test."""
    found = {}
    for number, run in enumerate(runs):
        rng = np.random.default_rng(number)
        rows = dataset.rows("val", "test")
        rows = rng.permutation(rows) if shuffled else rows
        Ragged.write(folder / f"{run}.npy", [make(i, rng) for i in rows], np.float32)
        found[run] = (
            Ragged(folder / f"{run}.npy"),
            dataset.examples.iloc[rows][["id", "split"]].reset_index(drop=True),
        )
    return found


def value(table: pd.DataFrame, **where) -> float:
    rows = table[np.logical_and.reduce([table[key] == wanted for key, wanted in where.items()])]
    assert len(rows) == 1, rows
    return rows["value"].item()


@pytest.mark.parametrize("shuffled", [False, True])
def test_metrics_of_vectors_equal_those_of_scikit_learn(tmp_path: Path, shuffled: bool) -> None:
    raw = sequences(90, outputs=("a", "b"), task="multilabel")
    raw.y[:, 1] = np.random.default_rng(2).integers(0, 2, 90)
    dataset = stored(raw, tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: rng.random(2), shuffled=shuffled)
    table, detail, _ = evaluate(dataset, found, {}, Metrics(resamples=50), 1)
    assert detail.empty
    for run, (values, rows) in found.items():
        for split in ("val", "test"):
            chosen = np.flatnonzero(rows["split"] == split)
            p = np.stack([values[i] for i in chosen])
            y = np.stack([dataset.y[int(name[1:])] for name in rows["id"].iloc[chosen]])
            for k, output in enumerate("ab"):
                where = {"run": run, "split": split, "output": output}
                assert value(table, metric="auroc", **where) == pytest.approx(roc_auc_score(y[:, k], p[:, k]))
                assert value(table, metric="auprc", **where) == pytest.approx(average_precision_score(y[:, k], p[:, k]))
                assert value(table, metric="accuracy", **where) == pytest.approx(((p[:, k] >= 0.5) == y[:, k]).mean())
    assert (table["over"] == "all").all()
    assert set(table["n"]) == {dataset.facts.n.val, dataset.facts.n.test}


def test_classes_are_judged_together_and_one_against_all_others(tmp_path: Path) -> None:
    raw = labelled(96, classes=("a", "b", "c", "d"))
    raw.examples["group"] = raw.examples["id"]
    dataset = stored(raw, tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: rng.dirichlet(np.ones(4)), runs=RUNS[:1], shuffled=True)
    table, detail, _ = evaluate(dataset, found, {}, Metrics(resamples=50), 1)
    assert detail.empty
    values, rows = found[RUNS[0]]
    chosen = np.flatnonzero(rows["split"] == "test")
    y = np.stack([dataset.y[int(name[1:])] for name in rows["id"].iloc[chosen]])
    p = np.stack([values[i] for i in chosen])[known := ~np.isnan(y[:, 0])]
    y = y[known].argmax(axis=1)
    where = {"split": "test", "output": "all"}
    assert value(table, metric="accuracy", **where) == pytest.approx((p.argmax(axis=1) == y).mean())
    assert value(table, metric="auroc", **where) == pytest.approx(
        roc_auc_score(y, p / p.sum(1)[:, None], multi_class="ovr")
    )
    assert value(table, metric="top2_accuracy", **where) > value(table, metric="accuracy", **where)
    assert value(table, metric="auroc", split="test", output="b") == pytest.approx(roc_auc_score(y == 1, p[:, 1]))
    assert (table[table["split"] == "test"]["n"] == len(y)).all()
    ranked = table[(table["output"] == "all") & (table["metric"] == "auroc")]
    assert ((ranked["low"] < ranked["value"]) & (ranked["value"] < ranked["high"])).all()


def test_two_likeliest_of_three_classes_are_not_judged(tmp_path: Path) -> None:
    dataset = stored(labelled(36), tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: rng.dirichlet(np.ones(3)))
    assert "top2_accuracy" not in set(evaluate(dataset, found, {}, Metrics(resamples=0), 1).metrics["metric"])


def test_regression(tmp_path: Path) -> None:
    dataset = stored(sequences(60, task="regression"), tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: dataset.y[i] + rng.normal(0, 0.5, 1), RUNS[:1])
    table, *_ = evaluate(dataset, found, {}, Metrics(resamples=0), 1)
    rows = dataset.rows("test")
    p = dict(zip(dataset.rows("val", "test"), found[RUNS[0]][0], strict=True))
    p, y = np.array([p[i][0] for i in rows]), np.array([dataset.y[i][0] for i in rows])
    assert value(table, split="test", metric="pearson") == pytest.approx(stats.pearsonr(p, y)[0])
    assert value(table, split="test", metric="spearman") == pytest.approx(stats.spearmanr(p, y)[0])
    assert value(table, split="test", metric="mse") == pytest.approx(mean_squared_error(y, p))
    assert table[["low", "high"]].isna().all(axis=None)  # without resamples there is no interval


def test_ensemble_is_the_mean_of_the_runs(tmp_path: Path) -> None:
    dataset = stored(sequences(90), tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: rng.random(1))
    table, *_ = evaluate(dataset, found, {}, Metrics(resamples=20), 1)
    assert list(table["run"].unique()) == [*RUNS, "ensemble"]
    values = [np.stack(list(values)) for values, _ in found.values()]
    rows = found[RUNS[0]][1]
    test = (rows["split"] == "test").to_numpy()
    y = np.stack([dataset.y[int(name[1:])] for name in rows["id"]])
    wanted = roc_auc_score(y[test], np.mean(values, axis=0)[test])
    assert value(table, run="ensemble", split="test", metric="auroc") == pytest.approx(wanted)
    alone, *_ = evaluate(dataset, dict([next(iter(found.items()))]), {}, Metrics(resamples=20), 1)
    assert list(alone["run"].unique()) == [RUNS[0]]
    pd.testing.assert_frame_equal(alone, table[table["run"] == RUNS[0]])


def test_perfect_and_useless_predictions(tmp_path: Path) -> None:
    dataset = stored(sequences(90), tmp_path)
    table, *_ = evaluate(
        dataset,
        predictions(dataset, tmp_path, lambda i, rng: dataset.y[i], RUNS[:1]),
        {},
        Metrics(resamples=20),
        1,
    )
    ideal = (table["metric"] != "ece").astype(float)
    assert all((table[column] == ideal).all() for column in ("value", "low", "high"))
    table, *_ = evaluate(
        dataset,
        predictions(dataset, tmp_path, lambda i, rng: np.array([0.3]), RUNS[:1]),
        {},
        Metrics(resamples=20),
        1,
    )
    assert value(table, split="test", metric="auroc") == 0.5


def test_intervals_contain_the_value_and_depend_on_the_seed(tmp_path: Path) -> None:
    dataset = stored(sequences(300), tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: dataset.y[i] + rng.normal(0, 1, 1), RUNS[:1])
    one, same, other = (evaluate(dataset, found, {}, Metrics(resamples=200), seed)[0] for seed in (1, 1, 2))
    held = one[one["metric"] != "ece"]  # resampling has a larger error
    assert ((held["low"] <= held["value"]) & (held["value"] <= held["high"])).all()
    pd.testing.assert_frame_equal(one, same)
    assert not one["low"].equals(other["low"])


def test_the_ensemble_of_folds_pools_held_out_predictions(tmp_path: Path) -> None:
    """Each example is in the test split of one fold; each fold has two seeds."""
    write(sequences(90), Split(folds=3), 1, tmp_path / "dataset")
    dataset, found, p = Dataset(tmp_path / "dataset"), {}, {}
    assert dataset.folds == 3
    for fold in range(3):
        part = Dataset(tmp_path / "dataset", fold)
        for seed in (1, 2):
            one = predictions(part, tmp_path, lambda i, rng: rng.random(1), [f"fold{fold}-seed{seed}"], shuffled=True)
            found |= one
            ((values, rows),) = one.values()
            for i in np.flatnonzero(rows["split"] == "test"):
                p.setdefault(int(rows["id"][i][1:]), []).append(values[i][0])
    table, *_ = evaluate(dataset, found, {}, Metrics(resamples=0), 1)
    assert {len(values) for values in p.values()} == {2}
    y, mean = np.array([dataset.y[i][0] for i in p]), np.array([np.mean(values) for values in p.values()])
    pooled = {"run": "ensemble", "split": "test"}
    assert value(table, metric="auroc", **pooled) == pytest.approx(roc_auc_score(y, mean))
    assert set(table[(table["run"] == "ensemble")]["n"]) == {90}, "also for val, because each fold is val once"
    alone = table[(table["run"] == "fold1-seed2") & (table["split"] == "test")]
    assert set(alone["n"]) == {Dataset(tmp_path / "dataset", 1).facts.n.test}


def noisy(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(mask + rng.normal(0, 0.4, mask.shape), 0, 1).astype(np.float32)


def test_metrics_of_masks_are_per_image_and_pooled(tmp_path: Path) -> None:
    raw = images(12)
    raw.facts = raw.facts.model_copy(update={"spacing": [0.5, 0.5]})
    whole = raw.y

    def partly_ignored(i: int) -> np.ndarray:
        mask = whole(i).copy()
        mask[:, :6] = 255
        return mask

    raw.y = partly_ignored
    dataset = stored(raw, tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: noisy(whole(i)[None], rng), RUNS[:1])
    table, detail, _ = evaluate(dataset, found, {RUNS[0]: {}}, Metrics(resamples=50), 1)
    values, rows = found[RUNS[0]]
    for split in ("val", "test"):
        names = rows["id"][rows["split"] == split]
        pairs = [(values[k][0] > 0.5, partly_ignored(int(name[1:]))) for k, name in names.items()]
        for name, function in {
            "dice": metrics.dice,
            "iou": metrics.iou,
            "hausdorff95": lambda mask, target: metrics.hausdorff95(mask, target, spacing=0.5),
        }.items():
            wanted = [function(mask, target) for mask, target in pairs]
            chosen = detail[(detail["split"] == split) & (detail["metric"] == name)]
            assert list(chosen["id"]) == list(names)
            np.testing.assert_allclose(chosen["value"], wanted)
            per_image = value(table, split=split, metric=name, over="per_image")
            assert per_image == pytest.approx(np.mean(wanted))
        together = [np.concatenate([pair[side] for pair in pairs]) for side in (0, 1)]
        assert value(table, split=split, metric="dice", over="pooled") == pytest.approx(metrics.dice(*together))
        assert value(table, split=split, metric="iou", over="pooled") == pytest.approx(metrics.iou(*together))
    assert set(detail["output"]) == {"disc"}


def test_each_class_except_background_has_metrics(tmp_path: Path) -> None:
    raw = images(8, task="classes")
    dataset = stored(raw, tmp_path)
    found = predictions(
        dataset, tmp_path, lambda i, rng: noisy(np.stack([raw.y(i) == k for k in range(3)]), rng), RUNS[:1]
    )
    table, *_ = evaluate(dataset, found, {RUNS[0]: {}}, Metrics(resamples=10), 1)
    assert list(table["output"].unique()) == ["even", "odd"]
    values, rows = found[RUNS[0]]
    names = rows["id"][rows["split"] == "test"]
    for label, output in ((1, "even"), (2, "odd")):
        wanted = [metrics.dice(values[k].argmax(0), raw.y(int(name[1:])), label=label) for k, name in names.items()]
        found_value = value(table, split="test", output=output, metric="dice", over="per_image")
        assert found_value == pytest.approx(np.mean(wanted))


def test_objects_are_made_with_the_settings_of_their_run(tmp_path: Path) -> None:
    raw = images(8, task="instances", size=(48, 48))
    dataset = stored(raw, tmp_path)

    def maps(i: int, rng: np.random.Generator) -> np.ndarray:
        classes, distance, _ = dataset.y[i]
        p = np.stack([*(classes == k for k in range(3)), distance / 255]).astype(np.float32)
        return np.clip(p + rng.normal(0, 0.05, p.shape), 0, 1)

    found = predictions(dataset, tmp_path, maps)
    settings = {RUNS[0]: {"min_size": 1}, RUNS[1]: {"min_size": 100_000}}
    table, detail, _ = evaluate(dataset, found, settings, Metrics(resamples=10), 1)
    values, rows = found[RUNS[0]]
    names = rows["id"][rows["split"] == "test"]
    labels = [dataset.task.decide(np.asarray(values[k]), settings[RUNS[0]]) for k in names.index]
    pairs = [(one, raw.y(int(name[1:]))) for one, name in zip(labels, names, strict=True)]
    wanted = np.array([metrics.average_precision_iou(*pair) for pair in pairs])
    for k, name in enumerate(["0.5", "0.6", "0.7", "0.8", "0.9"]):
        where = {"run": RUNS[0], "split": "test", "metric": f"average_precision_iou_{name}"}
        assert value(table, over="per_image", **where) == pytest.approx(wanted[:, k].mean())
    where = {"run": RUNS[0], "split": "test", "metric": "average_precision_iou"}
    assert value(table, over="per_image", **where) == pytest.approx(wanted.mean())
    together = metrics.pooled([metrics.matching(*pair) for pair in pairs])
    assert value(table, over="pooled", **where) == pytest.approx(metrics.iou_of_counts(*together[:3]).mean())
    assert wanted[:, 0].mean() > 0.8
    assert value(table, over="per_image", **(where | {"run": RUNS[1]})) == 0  # its settings remove all objects
    assert value(table, over="per_image", **(where | {"run": "ensemble"})) > 0.8  # those of the first run
    assert set(detail["run"]) == {*RUNS, "ensemble"}


def test_errors_in_a_small_unit_are_not_rounded_to_zero() -> None:
    row = {"run": "r", "split": "test", "output": "y", "metric": "mse", "over": "all", "value": 1.31e-8}
    compared = pd.DataFrame(columns=["split", "difference"])
    (line,) = describe(pd.DataFrame([row | {"low": 9e-9, "high": 2e-8}]), compared)
    assert line == "test r, y (all): mse = 1.31e-08 (95% CI: 9e-09 to 2e-08)"


def test_without_intervals_the_log_states_why_once() -> None:
    both = {"split": "test", "output": "y", "metric": "mse", "low": np.nan, "high": np.nan}
    table = pd.DataFrame([both | {"run": "r", "over": "all", "value": 2.0}])
    differences = {"baseline": "mean", "difference": 0.5, "difference_low": np.nan, "difference_high": np.nan}
    found = list(describe(table, pd.DataFrame([both | differences])))
    why = "a number without 95% CI: this needs resamples of at least 5 groups"
    assert found == ["test r, y (all): mse = 2", "test y, mse: network minus mean = +0.5000", why]
