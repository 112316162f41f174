"""Evaluation of images: fates of objects, regions, metrics on request, groups, intervals."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_evaluate import RUNS, noisy, predictions, value
from tiny import images, sequences, stored

from biocnn import metrics
from biocnn.config.settings import Metrics, Split
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.data.storing import write
from biocnn.evaluation.evaluate import Evaluation, evaluate
from biocnn.evaluation.judges import BORDERS
from biocnn.io.ragged import Ragged


def judged(dataset: Dataset, found: dict, runs: tuple[str, ...] = RUNS[:1], **settings) -> Evaluation:
    return evaluate(dataset, found, {run: {} for run in runs}, Metrics(resamples=40, **settings), 1)


def object_maps(dataset: Dataset, i: int, rng: np.random.Generator) -> np.ndarray:
    classes, distance = dataset.y[i][:2]
    p = np.stack([*(classes == k for k in range(3)), distance / 255]).astype(np.float32)
    return np.clip(p + rng.normal(0, 0.05, p.shape), 0, 1)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, dict, Evaluation]:
    folder = tmp_path_factory.mktemp("objects")
    dataset = stored(images(8, task="instances", size=(48, 48)), folder)
    found = predictions(dataset, folder, lambda i, rng: object_maps(dataset, i, rng))
    also = ["v_rand", "vi_split", "variation_of_information"]
    return dataset, found, judged(dataset, found, RUNS, also=also)


def pairs_of(dataset: Dataset, found: dict, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    values, rows = found[RUNS[0]]
    names = rows["id"][rows["split"] == split]
    return [(dataset.task.decide(np.asarray(values[k]), {}), dataset.labels[int(n[1:])][0]) for k, n in names.items()]


def test_objects_have_all_their_metrics(objects) -> None:
    dataset, found, evaluation = objects
    table, pairs = evaluation.metrics, pairs_of(dataset, found, "test")
    matchings = [metrics.matching(*pair) for pair in pairs]
    wanted = {
        "f1_0.5": [metrics.dice_of_counts(*m[:3])[0] for m in matchings],
        "f1": [metrics.dice_of_counts(*m[:3]).mean() for m in matchings],
        "panoptic_quality_0.7": [metrics.panoptic_quality(m)[2] for m in matchings],
        "panoptic_quality": [metrics.panoptic_quality(m).mean() for m in matchings],
        "aji": [metrics.aji(*pair) for pair in pairs],
        "v_rand": [metrics.v_rand(*pair) for pair in pairs],
        "vi_split": [metrics.variation_of_information(*pair)[0] for pair in pairs],
        "variation_of_information": [sum(metrics.variation_of_information(*pair)) for pair in pairs],
    }
    for name, each in wanted.items():
        where = {"run": RUNS[0], "split": "test", "metric": name}
        assert value(table, over="per_image", **where) == pytest.approx(np.mean(each)), name
    where = {"run": RUNS[0], "split": "test", "metric": "panoptic_quality", "over": "pooled"}
    assert value(table, **where) == pytest.approx(metrics.panoptic_quality(metrics.pooled(matchings)).mean())
    assert not table["value"].isna().any()


def test_every_object_has_a_fate_in_every_run(objects) -> None:
    dataset, found, evaluation = objects
    table = evaluation.matches
    assert set(table["run"]) == {*RUNS, "ensemble"}
    assert list(table) == ["run", "split", "id", "kind", "label", "target_label", "area", "target_area", "iou", "score"]
    mine = table[(table["run"] == RUNS[0]) & (table["split"] == "test")]
    for (_, target), (_, part) in zip(pairs_of(dataset, found, "test"), mine.groupby("id", sort=False), strict=True):
        assert set(part["target_label"]) - {0} == set(np.unique(target)) - {0}
    counts = metrics.pooled([metrics.matching(*pair) for pair in pairs_of(dataset, found, "test")])
    assert (mine["kind"] == "matched").sum() == counts.tp[0]
    assert mine.loc[mine["kind"] == "matched", "score"].min() > 0.5


def test_masks_have_the_default_and_the_requested_metrics(tmp_path: Path) -> None:
    raw = images(60)
    raw.facts = raw.facts.model_copy(update={"spacing": [2.0, 0.5]})
    dataset = stored(raw, tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: noisy(raw.y(i)[None], rng), RUNS[:1])
    also = ["surface_dice", "average_surface_distance", "cldice", "v_rand", "vi_merge"]
    table = judged(dataset, found, also=also, tolerance=0.6).metrics
    assert set(judged(dataset, found).metrics["metric"]) == set(dataset.task.metrics)
    assert set(table["metric"]) == {*dataset.task.metrics, *also}
    values, rows = found[RUNS[0]]
    pairs = [(values[k][0] > 0.5, raw.y(int(n[1:]))) for k, n in rows["id"][rows["split"] == "test"].items()]
    for name, function in {
        "sensitivity": metrics.sensitivity,
        "specificity": metrics.specificity,
        "pixel_error": metrics.pixel_error,
        "cldice": metrics.cldice,
        "surface_dice": lambda *pair: metrics.surface_dice(*pair, tolerance=0.6, spacing=(2.0, 0.5)),
        "average_surface_distance": lambda *pair: metrics.average_surface_distance(*pair, spacing=(2.0, 0.5)),
    }.items():
        per_image = value(table, split="test", metric=name, over="per_image")
        assert per_image == pytest.approx(np.mean([function(*pair) for pair in pairs])), name
    pooled = table[(table["over"] == "pooled") & (table["split"] == "test")].set_index("metric")
    assert "hausdorff95" not in pooled.index
    assert ((pooled["low"] <= pooled["value"] + 1e-3) & (pooled["value"] <= pooled["high"] + 1e-3)).all()
    assert (pooled["low"] < pooled["high"]).loc[["dice", "auroc", "surface_dice"]].all()


def test_curves_exclude_images_of_one_class_and_report_it(tmp_path: Path) -> None:
    raw = images(12)
    whole = raw.y
    raw.y = lambda i: whole(i) * (i % 3 > 0)
    dataset = stored(raw, tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: noisy(whole(i)[None], rng), RUNS[:1])
    evaluation = judged(dataset, found)
    for split in ("val", "test"):
        names = dataset.examples["id"][dataset.examples["split"] == split]
        some = [name for name in names if int(name[1:]) % 3]
        detail = evaluation.per_example.query("split == @split and metric == 'auroc'")
        assert sorted(detail["id"]) == sorted(some)
        rows = evaluation.metrics.query("split == @split and metric == 'auroc'").set_index("over")["n"]
        assert rows.to_dict() == {"per_image": len(some), "pooled": len(names)}
    assert not evaluation.per_example["value"].isna().any()


def test_a_region_is_evaluated_as_one_class(tmp_path: Path) -> None:
    raw = images(8, task="classes")
    dataset = stored(raw, tmp_path)
    found = predictions(
        dataset, tmp_path, lambda i, rng: noisy(np.stack([raw.y(i) == k for k in range(3)]), rng), RUNS[:1]
    )
    table = judged(dataset, found, regions={"disc": ["even", "odd"]}).metrics
    assert list(table["output"].unique()) == ["even", "odd", "disc"]
    values, rows = found[RUNS[0]]
    names = rows["id"][rows["split"] == "test"]
    wanted = [metrics.dice(values[k].argmax(0) > 0, raw.y(int(name[1:])) > 0) for k, name in names.items()]
    assert value(table, split="test", output="disc", metric="dice", over="per_image") == pytest.approx(np.mean(wanted))
    with pytest.raises(InputError, match=r"metrics.regions.disc: unknown class 'evn'\n.*did you mean 'even'"):
        judged(dataset, found, regions={"disc": ["evn"]})


def test_the_threshold_of_borders_is_chosen_on_validation_images(tmp_path: Path) -> None:
    """With cell walls of low probability, a threshold of 0.5 joins everything; a better one is found on val."""
    raw = images(12)
    walls = np.zeros((32, 32), np.uint8)
    walls[::8], walls[:, ::8] = 1, 1
    raw.y = lambda i: walls
    dataset = stored(raw, tmp_path)

    def maps(i: int, rng: np.random.Generator) -> np.ndarray:
        return (0.35 * walls + rng.uniform(0, 0.15, walls.shape))[None].astype(np.float32)

    found = predictions(dataset, tmp_path, maps, RUNS[:1])
    table = judged(dataset, found, also=["v_rand"]).metrics
    assert value(table, split="test", metric="dice", over="pooled") < 0.3
    assert value(table, split="test", metric="v_rand", over="per_image") == pytest.approx(1)
    assert 0.5 in BORDERS


def test_the_middle_one_of_equally_good_thresholds_is_chosen(tmp_path: Path) -> None:
    """If every threshold divides val images equally, 0.1 would turn less confident images into borders entirely."""
    raw = images(12)
    walls = np.zeros((32, 32), np.uint8)
    walls[::8], walls[:, ::8] = 1, 1
    raw.y = lambda i: walls
    dataset = stored(raw, tmp_path)
    sure = set(dataset.rows("val"))

    def maps(i: int, rng: np.random.Generator) -> np.ndarray:
        return (walls if i in sure else 0.2 + 0.6 * walls)[None].astype(np.float32)

    table = judged(dataset, predictions(dataset, tmp_path, maps, RUNS[:1]), also=["v_rand"]).metrics
    assert value(table, split="test", metric="v_rand", over="per_image") == pytest.approx(1)


def in_folds(raw: Raw, folder: Path, maps: Callable[[int, int], np.ndarray]) -> tuple[Dataset, dict]:
    """Write predictions of one run per fold for its val and test splits: ``maps(row, fold of image)``."""
    write(raw, Split(folds=3), 1, folder / "dataset")
    found = {}
    for fold in range(3):
        dataset = Dataset(folder / "dataset", fold)
        rows, run = dataset.rows("val", "test"), f"fold{fold}-seed1"
        Ragged.write(folder / f"{run}.npy", [maps(i, dataset.examples["fold"][i]) for i in rows], np.float32)
        found[run] = Ragged(folder / f"{run}.npy"), dataset.examples.iloc[rows][["id", "split"]].reset_index(drop=True)
    return Dataset(folder / "dataset"), found


def test_the_threshold_of_a_fold_is_chosen_without_its_test_images(tmp_path: Path) -> None:
    """An ensemble of one run per fold equals, for each image, the run of its fold.

    Its threshold is chosen on the images of all val splits, which are also those of all test splits.
    """
    raw = images(12)
    walls = np.zeros((32, 32), np.uint8)
    walls[::8], walls[:, ::8] = 1, 1
    raw.y = lambda i: walls
    levels = {0: (0.05, 0.25), 1: (0.45, 0.75), 2: (0.85, 0.95)}  # no threshold divides the images of both folds

    def maps(i: int, fold: int) -> np.ndarray:
        low, high = levels[fold]
        return np.where(walls, high, low)[None].astype(np.float32)

    dataset, found = in_folds(raw, tmp_path, maps)
    evaluation = judged(dataset, found, tuple(found), also=["v_rand"])
    each = evaluation.per_example.query("metric == 'v_rand'").set_index(["split", "id"]).sort_index()
    of_all, of_runs = (each[(each["run"] == "ensemble") == wanted]["value"] for wanted in (True, False))
    pd.testing.assert_series_equal(of_all, of_runs)
    assert (of_all["val"] == 1).all(), "it was chosen on these"
    assert (of_all["test"] < 0.7).all(), "images of each fold differ from those of the others"


def test_objects_of_a_fold_are_made_with_settings_chosen_without_it(tmp_path: Path) -> None:
    raw = images(9, task="instances", size=(48, 48))
    stored_once = stored(raw, tmp_path / "once")
    rng = np.random.default_rng(0)
    dataset, found = in_folds(raw, tmp_path, lambda i, fold: object_maps(stored_once, i, rng))
    sizes = {run: {"min_size": size} for run, size in zip(found, (1, 30, 100_000), strict=True)}
    evaluation = evaluate(dataset, found, sizes, Metrics(resamples=0), 1)
    table = evaluation.per_example.set_index(["split", "id", "metric"]).sort_index()
    ensemble = table["run"] == "ensemble"
    pd.testing.assert_series_equal(table[ensemble]["value"], table[~ensemble]["value"])
    assert (table.query("run == 'fold2-seed1'")["value"] == 0).all(), "its settings remove all objects"


def test_intervals_resample_groups_of_images(tmp_path: Path) -> None:
    """Both images of a group are equal, so the interval over groups is wider than that over images."""
    raw = images(40)
    first = raw.y
    raw.y = lambda i: first(i - i % 2)
    dataset = stored(raw, tmp_path, test=0.5)
    found = predictions(dataset, tmp_path, lambda i, _: noisy(raw.y(i)[None], np.random.default_rng(i // 2)), RUNS[:1])
    settings = Metrics(resamples=2000)
    by_group, by_image = (evaluate(dataset, found, {RUNS[0]: {}}, settings, 1, group) for group in ("group", "id"))
    tables = [found.metrics.query("split == 'test' and metric == 'dice'") for found in (by_group, by_image)]
    for one, other in zip(*(table.to_dict("records") for table in tables), strict=True):
        assert one["value"] == other["value"]
        assert (one["high"] - one["low"]) / (other["high"] - other["low"]) == pytest.approx(np.sqrt(2), rel=0.15)


@pytest.mark.parametrize("task", ["mask", "instances"])
def test_metrics_of_another_task_are_refused(tmp_path: Path, task: str) -> None:
    dataset = stored(images(8, task=task, size=(48, 48)), tmp_path)
    wrong, near = {"mask": ("aji", "v_rand"), "instances": ("cldice", "v_rand")}[task]
    found = predictions(dataset, tmp_path, lambda i, rng: np.zeros((4, 48, 48)), RUNS[:1])
    with pytest.raises(InputError, match=rf"metrics.also: '{wrong}' is not a metric of the task {task}\n.*{near}"):
        judged(dataset, found, also=[wrong])


def test_every_metric_is_finite_for_empty_masks(tmp_path: Path) -> None:
    for task in ("mask", "instances"):
        raw = images(8, task=task, size=(48, 48))
        truth = raw.y
        raw.y = (lambda i, truth=truth: 0 * truth(i)) if task == "mask" else truth
        dataset = stored(raw, tmp_path / task)
        empty = np.stack([np.ones((48, 48)), *np.zeros((3, 48, 48))])[
            slice(None) if task == "instances" else slice(1, 2)
        ]
        found = predictions(dataset, tmp_path / task, lambda i, rng, empty=empty: empty, RUNS[:1])
        table = judged(dataset, found, also=sorted(set(dataset.task.catalogue()) - {*dataset.task.metrics})).metrics
        undefined = table["metric"].isin(("auroc", "auprc"))
        assert np.isfinite(table.loc[~undefined, "value"]).all()
        if task == "mask":
            perfect = table[~undefined].set_index("metric")["value"]
            assert perfect[["dice", "iou", "surface_dice", "cldice", "sensitivity", "specificity"]].eq(1).all()
            assert perfect[["hausdorff95", "average_surface_distance", "pixel_error"]].eq(0).all()
            assert (table.loc[undefined & (table["over"] == "per_image"), "n"] == 0).all()
        else:
            assert (table.loc[table["metric"].str.match("average|f1|panoptic|aji"), "value"] == 0).all()


def test_sequences_have_neither_matches_nor_metrics_of_images(tmp_path: Path) -> None:
    dataset = stored(sequences(90), tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: rng.random(1), RUNS[:1])
    evaluation = judged(dataset, found)
    assert len(evaluation.matches) == 0
    assert "kind" in evaluation.matches
    columns = ["run", "split", "id", "output", "metric", "value", "unit"]
    pd.testing.assert_index_equal(evaluation.per_example.columns, pd.Index(columns))
    with pytest.raises(InputError, match="apply only to image maps"):
        judged(dataset, found, also=["dice"])


@pytest.mark.parametrize(("sizes", "unit"), [([5.0, 5.2], "mm"), (None, "pixels")])
def test_distances_are_in_the_unit_of_each_image(tmp_path: Path, sizes: list[float] | None, unit: str) -> None:
    raw = images(8)
    columns = {} if sizes is None else {f"spacing_{axis}": [sizes[i % 2] for i in range(8)] for axis in "yx"}
    facts = raw.facts.model_copy(update={"unit": "mm"})
    dataset = stored(Raw(raw.examples.assign(**columns), raw.x, raw.y, facts), tmp_path)
    found = predictions(dataset, tmp_path, lambda i, rng: noisy(dataset.y[i], rng), RUNS[:1])
    evaluation = judged(dataset, found, also=["average_surface_distance", "surface_dice"])
    values, rows = found[RUNS[0]]
    for k, name in rows[rows["split"] == "test"]["id"].items():
        p, target, i = np.asarray(values[k]), dataset.y[int(name[1:])][0], int(name[1:])
        told = {"spacing": 1.0 if sizes is None else sizes[i % 2]}
        each = evaluation.per_example.query("id == @name and split == 'test'").set_index("metric")
        for metric in (metrics.hausdorff95, metrics.average_surface_distance):
            line = each.loc[metric.__name__]
            assert line["value"] == pytest.approx(metric(dataset.task.decide(p, {}), target, **told))
            assert line["unit"] == unit
        wanted = metrics.surface_dice(dataset.task.decide(p, {}), target, tolerance=told["spacing"], **told)
        assert each.loc["surface_dice", "value"] == pytest.approx(wanted)
        assert each.loc["dice", "unit"] == ""
    assert set(evaluation.metrics.query("metric == 'hausdorff95'")["unit"]) == {unit}
