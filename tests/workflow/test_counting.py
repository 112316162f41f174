"""Counting end to end, on simulated discs: from tables of points to a report and counts in new images."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from tiny import counted

from biocnn.workflow import steps
from tests.report.simulated_results import coarse

COUNTED = {
    "data": {"name": "CountedImages", "table": "points.csv", "index": "index.csv"},
    "model": {"name": "UNet", "channels": [8, 16]},
    "train": {"epochs": 2, "steps_per_epoch": 25, "batch_size": 4, "patch": [32, 32], "lr": 0.01, "threads": 1},
    "metrics": {"resamples": 20},
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the steps were run, with two models."""
    folder, raw = tmp_path_factory.mktemp("counting"), counted(40)
    points, index = ["image,x,y"], ["image,split,count"]
    for i in range(40):
        Image.fromarray(raw.x(i)[0]).save(folder / f"{i}.png")
        points += [f"{i}.png,{column},{row}" for _, row, column in np.argwhere(raw.truth(i))]
        index.append(f"{i}.png,{('train', 'train', 'val', 'test')[i // 10]},{raw.truth(i).sum():.0f}")
    for name, lines in (("points", points), ("index", index)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    results = folder / "results/discs"
    results.mkdir(parents=True)
    config, data = folder / "discs.yaml", results / "dataset"
    config.write_text(yaml.safe_dump(COUNTED))
    root = {"data_root": folder}
    steps.check(config, results / "raw", results / "checks.tsv", **root)
    steps.dataset(config, results / "raw", data, **root)
    for seed in (1, 2):
        run = results / f"runs/fold0-seed{seed}"
        run.mkdir(parents=True)
        steps.train(config, data, run.name, run / "model.safetensors", run / "history.tsv", **root)
        steps.predict([run / "model.safetensors"], data, run / "predictions")
    steps.baselines(config, data, results / "baselines", **root)
    names = ("metrics.tsv", "metrics_per_example.tsv", "audit.tsv", "matches.tsv", "decided.npz", "errors.tsv")
    runs = sorted((results / "runs").iterdir())
    steps.evaluate(config, data, results / "baselines", *(results / name for name in names), *runs, **root)
    (folder / "new").mkdir()
    Image.fromarray(raw.x(39)[0]).save(folder / "new/disc.png")
    steps.predict([run / "model.safetensors" for run in runs], folder / "new", results / "apply")
    with coarse():
        steps.report(config, results / "report.html", results / "figures", **root)
    return results


def test_discs_are_counted_better_than_by_their_mean(done: Path) -> None:
    metrics = pd.read_csv(done / "metrics.tsv", sep="\t")
    test = metrics[(metrics["split"] == "test") & (metrics["run"] == "ensemble")].set_index("metric")["value"]
    counts = pd.read_csv(done / "dataset/examples.tsv", sep="\t")
    true = counts.loc[counts["split"] == "test", "y_0"]
    assert test["count_mae"] < 0.6 * (true - true.mean()).abs().mean()
    audit = pd.read_csv(done / "audit.tsv", sep="\t").query("split == 'test' and metric == 'count_mae'")
    assert audit["network"].tolist() == pytest.approx([test["count_mae"]] * 2, rel=1e-4)


def test_new_images_have_a_count_a_map_and_a_picture(done: Path) -> None:
    row = pd.read_csv(done / "apply/counts.csv").iloc[0]
    with Image.open(done / "apply/density/disc.tif") as density:
        assert np.asarray(density).sum() == pytest.approx(row["count"], rel=1e-4)
    assert row["low"] < row["count"] < row["high"]
    assert row["sd"] >= 0
    assert (done / "apply/overlays/disc.png").exists()


def test_the_report_shows_counts_and_images(done: Path) -> None:
    page = (done / "report.html").read_text()
    assert "The 90% intervals contain" in page
    assert "counts.csv" in page
    for name in ("counts", "predictions", "thumbnail"):
        assert (done / f"figures/{name}.png").exists()
