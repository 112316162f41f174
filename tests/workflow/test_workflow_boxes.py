"""The workflow end to end with boxes, from a table to a report and boxes in new images."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from biocnn.workflow.simulate import simulate_cells
from tests.workflow.test_workflow import planned, snakemake

CELLS = {
    "data": {"name": "BoxedImages", "table": "cells/boxes.csv"},
    "model": {"name": "CentreNet", "channels": [4, 4, 4, 4], "stem": "large"},
    "train": {
        "epochs": 1,
        "steps_per_epoch": 2,
        "batch_size": 2,
        "patch": [64, 64],
        "threads": 1,
        "seeds": [1, 2],
    },
    "metrics": {"resamples": 20},
    "explain": {"examples": 2, "units": 0},
    "apply": {"images": "cells/new"},
}
OPTIONS = ("--config", "experiments=[cells.yaml]")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the experiment was run, on every second image of six slides."""
    folder = tmp_path_factory.mktemp("boxed")
    simulate_cells(folder / "cells", 1)
    table = pd.read_csv(folder / "cells/boxes.csv")
    table[table["image"].str.contains(r"slide[1-6]_field[13]")].to_csv(folder / "cells/boxes.csv", index=False)
    (folder / "cells.yaml").write_text(yaml.safe_dump(CELLS))
    snakemake(folder, *OPTIONS)
    return folder / "results/cells"


def test_every_step_writes_its_files(done: Path) -> None:
    metrics = pd.read_csv(done / "metrics.tsv", sep="\t")
    assert set(metrics["run"]) == {"fold0-seed1", "fold0-seed2", "ensemble"}
    assert {"ap50", "f1", "froc"} <= set(metrics["metric"])
    assert set(metrics["output"]) == {"all", "red", "white"}
    for name in ("examples", "augmentation", "training", "curves", "predictions", "confusion", "agreement"):
        assert (done / f"figures/{name}.png").exists()
    found = pd.read_csv(done / "uncertainty/annotate_next.tsv", sep="\t", dtype={"id": str})
    assert set(found["id"]) == {path.stem for path in (done / "apply/overlays").glob("*.png")}
    assert (done / "figures/confidence.png").exists()
    assert planned(done.parents[1], *OPTIONS) == set()


def test_an_undertrained_network_and_missing_maps_are_reported(done: Path) -> None:
    warned = "no threshold of the score of red is useful: at the best one F1 is"
    assert f"fold0-seed1: {warned}" in re.sub("</?abbr[^>]*>", "", (done / "report.html").read_text())
    assert f"warning: {warned}" in (done / "logs/train-fold0-seed1.log").read_text()
    assert "no activation maps" in (done / "logs/explain.log").read_text()


def test_boxes_in_new_images_are_counted_and_drawn(done: Path) -> None:
    images = pd.read_csv(done / "apply/images.csv")
    assert images.groupby("image")["class"].agg(list).tolist() == [["red", "white"]] * 3
    boxes = pd.read_csv(done / "apply/boxes.csv")
    assert len(boxes) == images["n_objects"].sum()
    assert len(list((done / "apply/overlays").glob("*.png"))) == 3
    page = (done / "report.html").read_text()
    assert "Objects in new images." in page
    assert "on which the models disagree most" in page
