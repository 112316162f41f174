"""Trials see train and val only, resume after an interruption, and are ranked by the mean over inner folds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import experiment, sequences, stored

from biocnn.config.search_space import chosen
from biocnn.config.settings import Calibrate, Settings, Train
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.training import calibrate
from biocnn.training.calibrate import choose_trial, inner_fold, rank_trials, run_trial
from biocnn.workflow import steps


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(120), tmp_path_factory.mktemp("bound"))


@pytest.fixture(scope="module", autouse=True)
def one_split() -> Iterator[None]:
    """Validate candidates on the validation split, although these data sets are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "FEW", 0)
        yield


DRAW = {"train.lr": {"log_uniform": [1e-3, 1e-1]}, "model.hidden": {"choice": [0, 8]}}


def settings(**draw: Any) -> Settings:
    calibrate = Calibrate(trials=2, folds=3, epochs=3, draw=draw or DRAW)
    model = {"name": "DeepBind", "channels": 4, "kernel_size": 7}
    return experiment(model, train=Train(epochs=2, threads=1), calibrate=calibrate)


def test_inner_folds_cover_train_and_val_and_never_test(bound: Dataset) -> None:
    parts = [inner_fold(bound, part, 3, "group", 1) for part in range(3)]
    outer = set(bound.rows("train", "val"))
    validated = [set(one.rows("val")) for one in parts]
    assert set.union(*validated) == outer
    assert sum(map(len, validated)) == len(outer)
    for one in parts:
        assert set(one.rows("train")) == outer - set(one.rows("val"))
        assert not len(one.rows("test"))
        assert dict(one.facts.n) == {"train": len(one.rows("train")), "val": len(one.rows("val")), "test": 0}
        groups = one.examples["group"]
        assert not set(groups.iloc[one.rows("train")]) & set(groups.iloc[one.rows("val")])
    assert set(bound.examples["split"]) == {"train", "val", "test"}, "the stored data set must not change"


def test_a_trial_is_reproducible_and_records_what_was_run(bound: Dataset) -> None:
    lines: list[str] = []
    first, again = (run_trial(settings(), bound, 1, 2, lines.append) for _ in range(2))
    first.pop("seconds"), again.pop("seconds")
    assert first == again
    assert (first["trial"], first["part"], first["metric"], first["epochs"]) == (1, 2, "auprc", 3)
    assert first["value"] == first["score"]
    assert set(first["settings"]) == {"train.lr", "model.hidden"}
    assert run_trial(settings(), bound, 0, 2, lines.append)["settings"] == {"train.lr": 1e-3, "model.hidden": 32}


def test_the_test_split_does_not_affect_trials(bound: Dataset) -> None:
    """Inverting the targets of the test split does not change a digit."""
    other = bound.with_split(bound.examples["split"])
    y = np.stack([bound.y[i] for i in range(len(bound.examples))])
    y[bound.rows("test")] = 1 - y[bound.rows("test")]

    class Turned:
        shapes = bound.y.shapes

        def stacked(self, rows: np.ndarray) -> np.ndarray:
            return y[rows]

        def __getitem__(self, row: int) -> np.ndarray:
            return y[row]

    other.y = Turned()
    found = [run_trial(settings(), data, 1, 0, lambda line: None)["value"] for data in (bound, other)]
    assert found[0] == found[1]


def test_a_trial_that_diverges_is_recorded(bound: Dataset) -> None:
    wild = settings(**{"train.lr": {"choice": [1e30]}})
    lines: list[str] = []
    record = run_trial(wild, bound, 1, 0, lines.append)
    assert record["value"] is record["score"] is record["best_epoch"] is None
    assert "diverged" in lines[-1]


def test_an_interrupted_trial_resumes(bound: Dataset, tmp_path: Path) -> None:
    """The state is saved after each epoch; that of a finished training gives the same result."""
    kept = run_trial(settings(), bound, 1, 0, lambda line: None, tmp_path / "state")
    lines: list[str] = []
    again = run_trial(settings(), bound, 1, 0, lines.append, tmp_path / "state")
    assert any("resuming from step" in line for line in lines)
    assert again["value"] == kept["value"]
    lines.clear()
    run_trial(settings(), bound, 1, 1, lines.append, tmp_path / "state")
    assert not any("resuming" in line for line in lines), "each inner fold is trained separately"


def record(trial: int, part: int, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "trial": trial, "part": part, "round": 1, "digest": "0", "settings": {"train.lr": trial / 10},
        "metric": "auprc", "value": value, "score": value, "tie": None if value is None else 0.0, "resampled": [],
        "folds": [],
        "best_epoch": 4 if value else None, "epochs": 5, "seconds": 2.0, **more,
    }  # fmt: skip


def test_the_best_mean_wins() -> None:
    values = {0: (0.5, 0.7), 1: (0.9, 0.1), 2: (0.6, 0.62), 3: (0.99, None)}
    records = [record(t, p, v) for t, both in values.items() for p, v in enumerate(both)]
    table, best = rank_trials(records[::-1])
    assert list(table["trial"]) == [2, 0, 1, 3], "a trial that failed in any fold has no mean, and comes last"
    assert list(table["rank"]) == [1, 2, 3, 4]
    assert best == {"train.lr": 0.2}
    row = table.set_index("trial").loc[0]
    assert row["mean"] == pytest.approx(0.6)
    assert row["sd"] == pytest.approx(0.2 / np.sqrt(2))
    assert (row["part0"], row["part1"], row["best_epoch"], row["seconds"]) == (0.5, 0.7, 4, 4.0)
    assert np.isnan(table.set_index("trial").loc[3, "mean"])


def test_the_first_of_equal_trials_wins() -> None:
    table, best = rank_trials([record(t, p, 0.5) for t in (2, 0, 1) for p in (0, 1)])
    assert list(table["trial"]) == [0, 1, 2]
    assert best == {"train.lr": 0.0}


def test_the_lower_loss_wins_among_equal_scores() -> None:
    records = [record(t, p, 1.0, tie=-loss) for t, loss in ((0, 0.6), (1, 0.02), (2, 0.3)) for p in (0, 1)]
    table, best = rank_trials(records)
    assert list(table["trial"]) == [1, 2, 0]
    assert best == {"train.lr": 0.1}


def test_a_smaller_loss_is_better() -> None:
    records = [record(t, p, v, metric="val_loss", score=-v) for t, v in ((0, 0.7), (1, 0.4)) for p in (0, 1)]
    table, _ = rank_trials(records)
    assert list(table["trial"]) == [1, 0]
    assert table["mean"].iloc[0] == 0.4


def test_it_is_an_error_if_no_trial_succeeded() -> None:
    with pytest.raises(InputError, match="no trial trained well") as caught:
        rank_trials([record(0, 0, None), record(0, 1, 0.5)])
    assert "lower train.lr" in caught.value.remedy


def resampled(mean: float, noise: float, n: int = 50) -> list[float]:
    """Return scores of resamples that differ from those of another mean and noise by the difference of both."""
    return [mean + noise * (-1) ** i for i in range(n)]


@pytest.mark.parametrize(("noise", "best"), [(0.02, 1), (0.004, 0)])
def test_a_lead_within_two_standard_errors_is_a_tie(noise: float, best: int) -> None:
    """Trials 0 and 1 differ by 0.01; trial 1 has a lower loss; trial 2 is as noisy, but has a higher loss than both."""
    records = [
        record(0, 0, 0.81, tie=-0.5, resampled=resampled(0.81, 0)),
        record(1, 0, 0.80, tie=-0.4, resampled=resampled(0.80, noise)),
        record(2, 0, 0.80, tie=-0.9, resampled=resampled(0.80, noise)),
        record(3, 0, None),
    ]
    table, chosen = rank_trials(records)
    assert list(table["trial"]) == [best, *[i for i in range(4) if i != best]]
    assert chosen == {"train.lr": best / 10}
    rows = table.set_index("trial")
    assert rows["se"].to_dict() == pytest.approx({0: 0, 1: noise, 2: noise, 3: np.nan}, rel=0.02, nan_ok=True)
    assert (rows["loss"][0], rows["loss"][1]) == (0.5, 0.4)


def test_the_second_round_counts_more_than_the_first() -> None:
    records = [record(trial, 0, 0.8 - trial / 100) for trial in range(3)]
    longer = [record(0, 0, 0.5, round=2), record(1, 0, 0.6, round=2)]
    table, best = rank_trials(records + longer)
    assert table[["trial", "round", "mean", "seconds"]].to_numpy().tolist() == [
        [1, 2, 0.6, 4],
        [0, 2, 0.5, 4],
        [2, 1, 0.78, 2],
    ]
    assert best == {"train.lr": 0.1}


CANDIDATES = [
    {"model": {"name": "DeepBind", "channels": 4, "kernel_size": 7}, "train.lr": 1e-2},
    {"model": {"name": "DanQ", "channels": 4, "kernel_size": 7, "recurrent": 3}},
    {"model": {"name": "DeepBind", "channels": 2, "kernel_size": 3}, "train.lr": 1e-5},
]


@pytest.fixture(scope="module")
def plan() -> Settings:
    return experiment("DeepBind", train=Train(threads=1, epochs=12), calibrate=Calibrate(candidates=CANDIDATES))


def tried(plan: Settings, data: Dataset, folder: Path) -> list[Path]:
    paths = [folder / f"{name}.json" for name in plan.calibrate.names]
    for trial, path in enumerate(paths):
        path.write_text(json.dumps(run_trial(plan, data, trial, 0, lambda line: None)))
    return paths


@pytest.fixture(scope="module")
def records(plan: Settings, bound: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the records of trials of 10 steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "STEPS", {1: 10, 2: 20})
        return tried(plan, bound, tmp_path_factory.mktemp("records"))


def test_the_best_two_of_close_candidates_train_for_longer(
    plan: Settings, bound: Dataset, records: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "STEPS", {1: 10, 2: 20})
    first = [json.loads(path.read_text()) for path in records]
    assert all(len(one["resampled"]) == calibrate.RESAMPLES for one in first)
    best_two = sorted(range(3), key=lambda trial: -first[trial]["tie"])[:2]  # all tie, so the loss decides
    lines: list[str] = []
    monkeypatch.setattr(calibrate, "CLEAR", 1e9)
    table, best = choose_trial(plan, bound, records, lines.append, tmp_path / "state")
    assert sorted(table["trial"][table["round"] == 2]) == sorted(best_two)
    assert table["round"].tolist() == [2, 2, 1]
    assert best == CANDIDATES[table["trial"].iloc[0]]
    assert sum("too close to call" in line for line in lines) == 2
    assert sum("10 epochs of 2 steps" in line for line in lines) == 2
    lines.clear()
    again, _ = choose_trial(plan, bound, records, lines.append, tmp_path / "state")
    assert sum("resuming from step 20 of 20" in line for line in lines) == 2, "finished trainings are not repeated"
    assert again.drop(columns="seconds").equals(table.drop(columns="seconds"))
    monkeypatch.setattr(calibrate, "CLEAR", -1e9)
    assert choose_trial(plan, bound, records, lines.append)[0]["round"].tolist() == [1, 1, 1], "a clear lead"


def test_candidates_for_few_examples_are_validated_on_three_folds(
    plan: Settings, bound: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their scores are the means of those of three trials with ``calibrate.folds: 3``."""
    monkeypatch.setattr(calibrate, "STEPS", {1: 10, 2: 20})
    monkeypatch.setattr(calibrate, "FEW", 50)
    found = run_trial(plan, bound, 0, 0, lambda line: None)
    folds = plan.model_copy(update={"calibrate": Calibrate(candidates=CANDIDATES, folds=3)})
    each = [run_trial(folds, bound, 0, part, lambda line: None) for part in range(3)]
    for key in ("value", "score", "tie", "resampled"):
        expected = np.mean([one[key] for one in each], axis=0)
        np.testing.assert_allclose(found[key], expected, rtol=1e-12)
    row, expected = (rank_trials(records)[0].iloc[0] for records in ([found], each))
    assert row[["mean", "sd", "part0", "part1", "part2"]].equals(expected[["mean", "sd", "part0", "part1", "part2"]])


def test_there_is_no_second_round_if_the_first_was_as_long_as_the_training(
    bound: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "CLEAR", 1e9)
    short = experiment("DeepBind", train=Train(threads=1, epochs=1), calibrate=Calibrate(candidates=CANDIDATES[:2]))
    table, _ = choose_trial(short, bound, tried(short, bound, tmp_path), lambda line: None)
    assert table["round"].tolist() == [1, 1]


def test_records_of_other_experiments_are_refused(
    plan: Settings, bound: Dataset, records: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "STEPS", {1: 10, 2: 20})

    def refused(message: str, paths: list[Path], data: Dataset = bound, **train: Any) -> None:
        other = plan.model_copy(update={"train": plan.train.model_copy(update=train)})
        with pytest.raises(InputError, match=message):
            choose_trial(other, data, paths, lambda line: None)

    refused("trial1-part0 of another experiment", records, weight_decay=0.5)
    refused("trial0-part0 of another experiment", records, stored(sequences(90), tmp_path / "other"))
    refused("missing trials: trial1-part0", [records[0], records[2]])
    refused("is a second record of trial2-part0", [*records, records[2]])
    stray = tmp_path / "stray.json"
    stray.write_text(records[0].read_text().replace('"trial": 0', '"trial": 9'))
    refused("trial9-part0 of another experiment", [*records, stray])
    with pytest.raises(InputError, match="no trials to rank"):
        choose_trial(experiment("DeepBind"), bound, [], lambda line: None)


@pytest.mark.parametrize(
    "change", [{"value": "x"}, {"trial": 1.5}, {"settings": {"a.b.c": 1}}, {"more": 1}, {"score": float("inf")}]
)
def test_a_damaged_record_of_a_trial_is_refused(
    plan: Settings, bound: Dataset, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "trial.json"
    path.write_text(json.dumps(record(1, 0, 0.5) | change))
    with pytest.raises(InputError, match=f"trial.json.{next(iter(change))}"):
        choose_trial(plan, bound, [path], lambda line: None)
    path.write_text(path.read_text()[:20])
    with pytest.raises(InputError, match="cannot be read as JSON"):
        choose_trial(plan, bound, [path], lambda line: None)


def test_candidates_are_compared_briefly_on_the_validation_split(bound: Dataset) -> None:
    plan = experiment("DeepBind", train=Train(threads=1, epochs=2), calibrate=Calibrate(candidates=CANDIDATES[:2]))
    assert plan.calibrate.names == ["trial0-part0", "trial1-part0"]
    assert inner_fold(bound, 0, 1, "group", 1) is bound
    lines: list[str] = []
    records = [run_trial(plan, bound, trial, 0, lines.append) for trial in (0, 1)]
    assert [one["settings"] for one in records] == CANDIDATES[:2]
    assert any(line.startswith(f"examples: {len(bound.rows('train'))} train") for line in lines)
    table, best = rank_trials(records)
    assert best == CANDIDATES[table["trial"].iloc[0]]
    assert json.loads(table["model"].iloc[0])["name"] == best["model"]["name"]
    assert chosen(plan, best, Path("best.json")).model.name == best["model"]["name"]
    with pytest.raises(InputError, match=r"none of calibrate\.candidates"):
        chosen(plan, {"train.lr": 1.0}, Path("best.json"))


def test_a_training_needs_the_choice_among_candidates(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").touch()
    (tmp_path / "mine.yaml").write_text("data: {name: Sequences, table: t.tsv}\n")
    with pytest.raises(InputError, match="--settings: is missing") as caught:
        steps.train(tmp_path / "mine.yaml", tmp_path, "fold0-seed1", tmp_path / "m", tmp_path / "h", data_root=tmp_path)
    assert "biocnn calibrate" in caught.value.remedy


def test_trials_that_do_not_exist_are_refused(bound: Dataset) -> None:
    for trial, part in ((3, 0), (0, 3)):
        with pytest.raises(InputError, match=f"no trial{trial}-part{part}") as caught:
            run_trial(settings(), bound, trial, part, lambda line: None)
        assert caught.value.remedy == "allowed: trial0-part0 to trial2-part2"
