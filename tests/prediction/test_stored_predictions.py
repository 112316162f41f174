"""All splits are predicted, of train a sample."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import metadata, sequences, stored

from biocnn.config.schema import choose
from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation.evaluate import evaluate_stored
from biocnn.prediction.model import Model
from biocnn.prediction.stored_predictions import read_predictions, sample_of_train, write_predictions
from biocnn.training.checkpoint import build_model, save_model


def test_examples_of_all_splits_are_predicted_and_judged(tmp_path: Path) -> None:
    dataset = stored(sequences(120), tmp_path, train_dev=0.2)
    section = choose("models", {"name": "DeepBind", "channels": 4, "kernel_size": 9}, "model")
    torch.manual_seed(1)
    run = tmp_path / "fold0-seed1"
    save_model(run / "model.safetensors", build_model(section, dataset.facts), metadata(section, dataset.facts))
    model = Model(run / "model.safetensors")
    (run / "predictions").mkdir()
    write_predictions(run / "predictions", model, dataset)
    values, table = read_predictions(run / "predictions")
    n = dataset.facts.n
    unused = len(dataset.rows("train_dev"))
    assert unused == round(0.2 * (n.train + unused))
    counts = {"val": n.val, "test": n.test, "train_dev": unused, "train": min(n.train, max(n.val, n.test))}
    assert table["split"].value_counts().to_dict() == counts
    rows = dict(zip(dataset.examples["id"], range(len(dataset.examples)), strict=True))
    assert (dataset.examples["split"].iloc[[rows[id] for id in table["id"]]].to_numpy() == table["split"]).all()
    wanted = model.predict(dataset.windows(np.array([rows[id] for id in table["id"]])))
    np.testing.assert_allclose(np.stack(list(values)), wanted, atol=1e-3)
    metrics = evaluate_stored(dataset, [run], Metrics(resamples=0), 1).metrics
    assert dict(metrics[metrics["metric"] == "auroc"][["split", "n"]].to_numpy().tolist()) == counts
    assert list(metrics["split"].unique()) == ["val", "test", "train_dev", "train"]


@pytest.mark.parametrize("folds", [3, 5])
def test_no_training_example_is_drawn_in_two_folds(tmp_path: Path, folds: int) -> None:
    """Otherwise the runs of several folds would predict it together, but test examples by those of one fold."""
    dataset = stored(sequences(200), tmp_path, folds=folds, val=None, test=None)
    drawn = []
    for fold in range(folds):
        of_fold = Dataset(dataset.folder, fold)
        rows = sample_of_train(of_fold)
        assert (of_fold.examples["split"].iloc[rows] == "train").all()
        assert 0 < len(rows) <= max(len(of_fold.rows("val")), len(of_fold.rows("test")))
        drawn += rows.tolist()
    assert len(set(drawn)) == len(drawn) > 0.7 * len(dataset.examples)
