"""The workflow end to end with one label for each image, from a folder for each class to predictions for new images."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from tiny import labelled

from tests.workflow.test_workflow import planned, snakemake

CELLS = {
    "data": {"name": "LabelledImages", "folder": "cells"},
    "model": {"name": "ResNet", "channels": [4, 4, 4, 4]},
    "train": {"epochs": 1, "threads": 1, "seeds": [1, 2]},
    "metrics": {"resamples": 20},
    "explain": {"examples": 4, "units": 0, "likeness": True},
    "apply": {"images": "new"},
}
OPTIONS = ("--config", "experiments=[cells.yaml]")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the experiment was run."""
    folder, raw = tmp_path_factory.mktemp("labelled"), labelled(36, sizes=[(16, 16), (16, 20)])
    names = [raw.facts.outputs[k] for k in raw.y.argmax(axis=1)]
    for name in {*names}:
        (folder / "cells" / name).mkdir(parents=True)
    (folder / "new").mkdir()
    for row, name in enumerate(names):
        tifffile.imwrite(folder / "cells" / name / f"{row}.tif", raw.x(row)[0])
    for row in range(3):
        tifffile.imwrite(folder / "new" / f"{row}.tif", raw.x(row)[0])
    (folder / "cells.yaml").write_text(yaml.safe_dump(CELLS))
    snakemake(folder, *OPTIONS)
    return folder / "results/cells"


def test_every_step_writes_its_files(done: Path) -> None:
    assert not (done / "uncertainty").exists(), "it is for maps"
    metrics = pd.read_csv(done / "metrics.tsv", sep="\t")
    assert {"accuracy", "auroc"} <= set(metrics["metric"])
    with np.load(done / "explain/cam.npz") as cam:
        assert len({*cam["id"]}) == 4
        assert cam["cam"].shape[1:] == (16, 18), "in pixels of the images that the network sees"
        assert cam["true"].any()
    assert planned(done.parents[1], *OPTIONS) == set()


def test_likeness_is_of_the_first_run_and_only_for_the_report(done: Path) -> None:
    assert len(np.load(done / "runs/fold0-seed1/features/features.npy")) == 36
    assert not (done / "runs/fold0-seed2/features").exists()
    page = (done / "report.html").read_text()
    assert "One of the five nearest others is" in page
    assert "the training images whose vectors are nearest" in page
    folder = done.parents[1]
    try:
        (folder / "cells.yaml").write_text(yaml.safe_dump({**CELLS, "explain": {"examples": 4, "units": 0}}))
        assert planned(folder, *OPTIONS) == {"report", "summary"}
    finally:
        (folder / "cells.yaml").write_text(yaml.safe_dump(CELLS))


def test_new_images_are_predicted_by_all_runs(done: Path) -> None:
    table = pd.read_csv(done / "apply/predictions.csv")
    assert table["path"].tolist() == ["0.tif", "1.tif", "2.tif"]
    assert {"class", "probability_dark", "uncertainty", "disagreement"} <= set(table)
    page = (done / "report.html").read_text()
    assert "Predicted classes." in page
    assert "Objects" not in page
    assert "The most uncertain new images." in page
