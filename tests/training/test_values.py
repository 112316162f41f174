"""Numbers of images from data set to report: in one unit for every loss, with intervals that every step shares."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from tiny import experiment, stored, valued

from biocnn.apply.images import apply_images
from biocnn.config.settings import Metrics
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.evaluation.audit import audit_stored
from biocnn.evaluation.baselines import write_baselines
from biocnn.evaluation.evaluate import evaluate_stored
from biocnn.metrics import mae
from biocnn.prediction.model import Model
from biocnn.prediction.stored_predictions import write_predictions
from biocnn.tasks.regression import FORMS
from biocnn.training.checkpoint import save_model
from biocnn.training.runs import train_run

RESNET = {"name": "ResNet", "channels": [4, 4, 4, 4], "depth": 18, "stem": "small"}
TRAIN = {"epochs": 1, "batch_size": 8, "lr": 1e-2, "threads": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(valued(60), tmp_path_factory.mktemp("valued"), val=0.3, test=0.3)


def trained(dataset: Dataset, folder: Path, loss: str | None = None, **train: object) -> Model:
    settings = experiment(RESNET, data="LabelledImages", augment="none", loss=loss, train=TRAIN | train)
    network, history, meta = train_run(settings, dataset, 1)
    assert history["val_r2"].notna().all()
    save_model(folder / "model.safetensors", network, meta)
    return Model(folder / "model.safetensors", "cpu")


@pytest.mark.parametrize("loss", FORMS)
def test_every_loss_predicts_in_the_unit_of_the_targets(dataset: Dataset, tmp_path: Path, loss: str) -> None:
    model = trained(dataset, tmp_path, loss)
    p = np.stack([*model.predict_stored(dataset, dataset.rows("val"))])
    blocks = model.task.blocks(p)
    assert (np.abs(blocks[0] - 5) < 8).all(), "around the mean of the targets, even after one epoch"
    assert len(blocks) == (4 if loss in ("poisson", "gaussian_nll") else 3)
    covered = {output: each for output, name, each in model.task.averaged(p, dataset.y.stacked(dataset.rows("val")))
               if name == "coverage90"}  # fmt: skip
    assert np.nanmean(covered["bright"]) >= 0.9, "those that the intervals were chosen on"


def test_from_training_to_tables_and_new_images(dataset: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "runs/fold0-seed1"
    (run / "predictions").mkdir(parents=True)
    model = trained(dataset, run, epochs=8)
    write_predictions(run / "predictions", model, dataset)
    found = evaluate_stored(dataset, [run], Metrics(resamples=50), 1).metrics
    test = found[(found["split"] == "test") & (found["output"] == "bright")].set_index("metric")
    rows = dataset.rows("test")
    p, y = np.stack([*model.predict_stored(dataset, rows)]), dataset.y.stacked(rows)
    assert test.loc["mae", "value"] == pytest.approx(mae(p[:, 0], y[:, 0]), rel=1e-5)
    within = (p[:, 2] <= y[:, 0]) & (y[:, 0] <= p[:, 4])
    assert test.loc["coverage90", "value"] == pytest.approx(within.mean())
    other = found[(found["split"] == "test") & (found["output"] == "other")].set_index("metric")
    assert (other["n"] == (~np.isnan(y[:, 1])).sum()).all(), "only known values"

    (tmp_path / "baselines").mkdir()
    settings = experiment(RESNET, data="LabelledImages")
    write_baselines(dataset.folder, settings, tmp_path / "baselines")
    audit = audit_stored(dataset, [run], tmp_path / "baselines", 50, 1)
    audit = audit[(audit["split"] == "test") & (audit["output"] == "bright")].set_index(["metric", "baseline"])
    error = np.square(dataset.y.stacked(dataset.rows("train"))[:, 0].mean() - y[:, 0]).mean()
    assert audit.loc[("r2", "constant"), "value"] == pytest.approx(1 - error / y[:, 0].var(), abs=1e-3)
    assert audit.loc[("r2", "brightness"), "value"] > 0.6

    (tmp_path / "new").mkdir()
    (tmp_path / "apply").mkdir()
    for row in rows[:2]:
        tifffile.imwrite(tmp_path / f"new/{row:03}.tif", np.asarray(dataset.x[row])[0])
    apply_images(tmp_path / "new", [model], tmp_path / "apply")
    table = pd.read_csv(tmp_path / "apply/predictions.csv")
    names = ["value_bright", "value_other", "low_bright", "low_other", "high_bright", "high_other"]
    np.testing.assert_allclose(table[names], p[:2], rtol=1e-4)
    np.testing.assert_allclose(model.predict(tmp_path / "new"), p[:2, :2], rtol=1e-4)
    ends = model.predict_intervals(tmp_path / "new")
    np.testing.assert_allclose(ends, np.stack([p[:2, 2:4], p[:2, 4:]], axis=-1), rtol=1e-4)


def test_counts_below_0_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    raw = valued()
    raw.y[0, 0] = -1
    with pytest.raises(InputError, match="poisson is for counts"):
        trained(stored(raw, tmp_path, val=0.2), tmp_path, "poisson")
