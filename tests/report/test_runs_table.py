"""The table of all trainings."""

import json
from pathlib import Path

import pandas as pd

from biocnn.config.experiment import Experiment, settings_of
from biocnn.report.results import Results
from biocnn.report.runs_table import runs_table

DATA = {"name": "Intervals", "genome": "genome.fa", "positives": "a.bed"}
METRICS = """run\tsplit\toutput\tmetric\tover\tvalue
fold0-seed1\tval\tpeaks\tauroc\tall\t0.75
fold0-seed1\ttest\tpeaks\tauroc\tall\t0.5
ensemble\ttest\tpeaks\tauroc\tall\t0.875
"""
FACTS = {
    "kind": "sequence", "task": "binary", "spatial_dims": 1, "in_channels": 4, "out_channels": 1, "outputs": ["peaks"],
}  # fmt: skip


def results(folder: Path, **sections: dict) -> Results:
    settings = settings_of({"data": DATA, **sections}, stored=True)
    Experiment(folder.name, settings).freeze(folder / "experiment.json")
    return Results(folder)


def test_each_run_has_a_row_with_the_settings_that_differ(tmp_path: Path) -> None:
    one = results(tmp_path / "one", train={"seeds": [1, 2], "lr": 0.5}, split={"folds": 3})
    two = results(tmp_path / "two", train={"lr": 0.25, "learning_curve": [0.5]}, model={"name": "DanQ"})
    table = runs_table([one, two, Results(tmp_path / "none")])
    assert table["id"].tolist() == [
        *(f"one/fold{fold}-seed{seed}" for fold in range(3) for seed in (1, 2)),
        "two/fold0-seed1",
        "two/fold0-seed1-share0.5",
    ]
    assert table["share"].tolist() == [1] * 7 + [0.5]
    assert set(table["state"]) == {"not started"}
    assert table["train.lr"].tolist() == ["0.5"] * 6 + ["0.25"] * 2
    assert table["model.name"].tolist()[-1] == "DanQ"
    assert {"train.seeds", "data.genome", "train.threads"}.isdisjoint(table.columns)


def test_metrics_and_cost_are_those_of_the_run(tmp_path: Path) -> None:
    one = results(tmp_path / "one")
    run = tmp_path / "one/runs/fold0-seed1"
    for path, text in (
        (run / "model.safetensors", ""),
        (run / "history.tsv", "epoch\tbest\n1\t0\n2\t1\n3\t0\n"),
        (tmp_path / "one/benchmarks/train-fold0-seed1.tsv", "s\tmax_rss\tcpu_time\n2.5\t300.25\t4.5\n"),
        (tmp_path / "one/metrics.tsv", METRICS),
        (tmp_path / "one/dataset/facts.json", json.dumps(FACTS)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (row,) = runs_table([one]).to_dict("records")
    assert row["state"] == "done"
    assert (row["val_auroc"], row["test_auroc"]) == (0.75, 0.5)
    assert (row["epochs"], row["best_epoch"]) == (3, 2)
    assert [float(row[name]) for name in ("seconds", "cpu_seconds", "memory_mb")] == [2.5, 4.5, 300.25]


def test_a_table_without_trainings_has_its_columns(tmp_path: Path) -> None:
    assert list(runs_table([Results(tmp_path)])) == [
        "id", "experiment", "run", "fold", "seed", "share", "state", "epochs", "best_epoch", "seconds", "cpu_seconds",
        "memory_mb",
    ]  # fmt: skip
    assert isinstance(runs_table([]), pd.DataFrame)
