"""Folds and calibration in the workflow: each trial and each run is a job, and nothing is done twice."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import sequences

from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.training.metadata import read_metadata
from biocnn.workflow import steps
from tests.workflow.test_workflow import ROOT, planned, snakemake, write

DRAW = {"train.lr": {"log_uniform": [1e-3, 1e-1]}, "model.hidden": {"choice": [0, 8]}}
EXPERIMENT = {
    "data": {"name": "Sequences", "table": "table.tsv"},
    "model": {"name": "DeepBind", "channels": 4, "kernel_size": 7, "strands": "both"},
    "train": {"epochs": 1, "threads": 1},
    "calibrate": {"trials": 1, "folds": 2, "epochs": 1, "draw": DRAW},
    "metrics": {"resamples": 20},
}
ONLY = ("--config", "experiments=[calibrated]")


def counts(folder: Path) -> dict[str, int]:
    """Return the number of jobs per rule in a dry run."""
    text = snakemake(folder, "--dry-run", *ONLY)
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table of sequences, in which nothing was run."""
    folder = tmp_path_factory.mktemp("folds")
    (folder / "config/experiments").mkdir(parents=True)
    shutil.copy(ROOT / "config/config.yaml", folder / "config/config.yaml")
    raw = sequences(120, flank=0)
    letters = ["".join(np.array(list("ACGT"))[raw.x(i)]) for i in range(120)]
    table = pd.DataFrame({"id": raw.examples["id"], "sequence": letters, "label": raw.y[:, 0].astype(int)})
    table.to_csv(folder / "table.tsv", sep="\t", index=False)
    write(folder, "calibrated", EXPERIMENT)
    return folder


def test_every_trial_and_every_run_is_a_job(folder: Path) -> None:
    more = {"split": {"folds": 3}, "train": {"seeds": [1, 2]}, "calibrate": {"trials": 4, "folds": 3}}
    try:
        write(folder, "calibrated", {**EXPERIMENT, **more})
        found = counts(folder)
        assert (found["trial"], found["calibrate"]) == (3 * (4 + 1) * 3, 3)
        assert found["train"] == found["predict"] == 3 * 2
        write(folder, "calibrated", {**EXPERIMENT, **more, "calibrate": {}})
        assert not {"trial", "calibrate"} & set(counts(folder))
    finally:
        write(folder, "calibrated", EXPERIMENT)


def test_an_impossible_draw_stops_the_dry_run(folder: Path) -> None:
    write(folder, "faulty", {**EXPERIMENT, "calibrate": {"trials": 1, "draw": {"model.hiden": {"choice": [0]}}}})
    text = snakemake(folder, "--dry-run", "--config", "experiments=[faulty]", status=2)
    assert re.search(r"calibrate\.draw\.model\.hiden: cannot be drawn\n.*did you mean 'model\.hidden'", text), text


def test_the_best_settings_train_the_runs_and_nothing_runs_twice(folder: Path) -> None:
    snakemake(folder, *ONLY, "--until", "train")
    results = folder / "results/calibrated"
    best = json.loads((results / "calibrate/fold0/best.json").read_text())
    table = pd.read_csv(results / "calibrate/fold0/trials.tsv", sep="\t")
    assert sorted(table["trial"]) == [0, 1]
    assert table["mean"].is_monotonic_decreasing
    assert best == pytest.approx({key: table[key].iloc[0] for key in DRAW}, rel=1e-5)
    meta = read_metadata(results / "runs/fold0-seed1/model.safetensors")
    trained = meta.experiment.plain()
    assert {key: trained[key.split(".")[0]][key.split(".")[1]] for key in DRAW} == best
    assert not list((results / "calibrate").rglob("*.state")), "states of finished trials must be removed"
    assert not {"trial", "calibrate", "train"} & planned(folder, *ONLY)
    try:
        write(folder, "calibrated", {**EXPERIMENT, "calibrate": {**EXPERIMENT["calibrate"], "trials": 2}})
        found = counts(folder)
        assert (found["trial"], found["calibrate"]) == (2, 1), "finished trials must be kept"
    finally:
        write(folder, "calibrated", EXPERIMENT)


def test_a_learning_curve_adds_runs_on_shares_and_keeps_the_others(folder: Path) -> None:
    plain = {**EXPERIMENT, "calibrate": {}}
    only = ("--config", "experiments=[plain]")
    write(folder, "plain", plain)
    snakemake(folder, "results/plain/metrics.tsv", *only)
    try:
        write(folder, "plain", {**plain, "train": {**plain["train"], "learning_curve": [0.5]}})
        assert not {"dataset", "evaluate"} & planned(folder, *only)
        snakemake(folder, "results/plain/learning_curve.tsv", *only)
    finally:
        write(folder, "plain", plain)
    results = folder / "results/plain"
    table = pd.read_csv(results / "learning_curve.tsv", sep="\t")
    assert {*zip(table["share"], table["run"], strict=True)} == {(0.5, "fold0-seed1"), (1.0, "fold0-seed1")}
    half, whole = (table[table["share"] == share]["n_train"].unique().item() for share in (0.5, 1))
    assert half == pytest.approx(whole / 2, abs=3), "groups have three sequences"
    metrics = pd.read_csv(results / "metrics.tsv", sep="\t")
    assert table[table["share"] == 1]["value"].tolist() == pytest.approx(metrics["value"].tolist(), nan_ok=True)
    run = results / "runs/fold0-seed1-share0.5"
    meta = read_metadata(run / "model.safetensors")
    assert meta.share is not None
    part = Dataset(results / "dataset").with_share(**meta.share.plain())
    found = pd.read_csv(run / "predictions/examples.tsv", sep="\t")
    assert set(found["id"][found["split"] == "train"]) <= set(part.examples["id"].iloc[part.rows("train")])


def test_a_run_on_another_share_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"0\.3 is not one of train\.learning_curve"):
        steps.train(
            folder / "config/experiments/plain.yaml", folder, "fold0-seed1-share0.3", folder / "a", folder / "b",
            data_root=folder,
        )  # fmt: skip


def test_a_run_of_a_later_fold_predicts_that_fold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    write(folder, "folded", {**EXPERIMENT, "split": {"folds": 3}, "calibrate": {}})
    config, data, run = Path("config/experiments/folded.yaml"), Path("dataset"), Path("fold2-seed1")
    steps.check(config, Path("raw"), Path("checks.tsv"))
    steps.dataset(config, Path("raw"), data)
    steps.train(config, data, run.name, run / "model.safetensors", run / "history.tsv")
    steps.predict([run / "model.safetensors"], data, run / "predictions")
    fold = Dataset(data, 2)
    found = pd.read_csv(run / "predictions/examples.tsv", sep="\t").query("split != 'train'")
    assert (
        found.to_numpy().tolist() == fold.examples.iloc[fold.rows("val", "test")][["id", "split"]].to_numpy().tolist()
    )
    assert set(found["id"][found["split"] == "test"]) == set(fold.examples["id"][fold.examples["fold"] == 2])
    assert read_metadata(run / "model.safetensors").facts.n == fold.facts.n
