"""Training from Python: the same bytes and metrics as the workflow, and a model that keeps its history."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from tiny import labelled, sequences
from torch import nn

import biocnn
from biocnn.config.settings import Metrics
from biocnn.core.errors import InputError
from biocnn.evaluation.evaluate import evaluate_stored
from biocnn.io.fasta import decode
from biocnn.workflow import steps

RAW = sequences(flank=0)
TEXT, Y = [decode(RAW.x(row)) for row in range(60)], RAW.y[:, 0].astype(int)
MODEL = {"name": "DeepBind", "channels": 8, "kernel_size": 9}
TRAIN: dict[str, Any] = {"epochs": 2, "threads": 1}
SECTIONS = {"split": {"val": 0.3, "test": 0.3}, "augment": ["reverse_complement"], "model": MODEL, "train": TRAIN}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the results of the steps up to predictions."""
    folder = tmp_path_factory.mktemp("run")
    pd.DataFrame({"id": range(60), "sequence": TEXT, "bound": Y}).to_csv(folder / "t.tsv", sep="\t", index=False)
    path, run = folder / "mine.yaml", folder / "fold0-seed1"
    path.write_text(yaml.safe_dump({"data": {"name": "Sequences", "table": str(folder / "t.tsv")}, **SECTIONS}))
    run.mkdir()
    steps.check(path, folder / "raw", folder / "checks.tsv")
    steps.dataset(path, folder / "raw", folder / "dataset")
    steps.train(path, folder / "dataset", "fold0-seed1", run / "model.safetensors", run / "history.tsv")
    steps.predict([run / "model.safetensors"], folder / "dataset", run / "predictions")
    return folder


@pytest.fixture(scope="module")
def model(done: Path) -> biocnn.Model:
    """Return the network trained from Python on the data set of the workflow."""
    given = {"augment": SECTIONS["augment"], "log": None, **TRAIN}
    return biocnn.train(biocnn.Dataset(done / "dataset"), MODEL, **given)


def test_training_gives_the_bytes_of_the_workflow(done: Path, model: biocnn.Model) -> None:
    assert model.path.read_bytes() == (done / "fold0-seed1/model.safetensors").read_bytes()


def test_a_data_set_of_the_same_files_gives_the_same_bytes(done: Path, model: biocnn.Model, tmp_path: Path) -> None:
    data = biocnn.Dataset.from_files({"name": "Sequences", "table": done / "t.tsv"}, split=SECTIONS["split"])
    again = biocnn.train(data, MODEL, augment=["reverse_complement"], folder=tmp_path / "run", log=None, **TRAIN)
    assert again.path.read_bytes() == model.path.read_bytes()
    lines: list[str] = []
    biocnn.train(data, MODEL, augment=["reverse_complement"], folder=tmp_path / "run", log=lines.append, **TRAIN)
    assert any("already trained" in line for line in lines)


def test_evaluation_gives_the_metrics_of_the_workflow(done: Path, model: biocnn.Model) -> None:
    data = biocnn.Dataset(done / "dataset")
    wanted = evaluate_stored(data, [done / "fold0-seed1"], Metrics(resamples=50), 1).metrics
    found = model.evaluate(data, resamples=50)
    pd.testing.assert_frame_equal(found, wanted.drop(columns="run").reset_index(drop=True))
    with pytest.raises(InputError, match=r"metrics\.resample: unknown key"):
        model.evaluate(data, resample=50)


def test_a_data_set_of_an_earlier_version_is_refused(done: Path, model: biocnn.Model, tmp_path: Path) -> None:
    shutil.copytree(done / "dataset", tmp_path / "old", ignore=shutil.ignore_patterns("settings.json"))
    old = biocnn.Dataset(tmp_path / "old")
    for call in (lambda: biocnn.train(old, MODEL, log=None), lambda: model.evaluate(old)):
        with pytest.raises(InputError, match=r"earlier version of biocnn stored it\n.*rerun the step dataset"):
            call()


def test_a_model_keeps_its_history_and_can_be_saved(model: biocnn.Model, tmp_path: Path) -> None:
    assert list(model.history["epoch"]) == [1, 2]
    assert set(model.metrics) == {"val_loss", "val_auprc"}
    assert "DeepBind; yes or no for each sequence (binary); bound; sequences of 24 bp; auprc" in repr(model)
    assert "<td" in model._repr_html_()
    copy = biocnn.load(model.save(tmp_path / "mine.safetensors"))
    assert np.array_equal(copy.predict(TEXT), model.predict(TEXT))
    with pytest.raises(InputError, match=r"history\.tsv"):
        _ = copy.history
    with pytest.raises(InputError, match="is a folder"):
        model.save(tmp_path)


def test_candidates_compete_as_in_the_workflow(tmp_path: Path) -> None:
    data, lines = biocnn.Dataset.from_arrays(TEXT, Y, split=SECTIONS["split"]), []
    candidates = [{"model": {"name": "DeepBind", "channels": 4, "kernel_size": size}} for size in (5, 9)]
    given = {"calibrate": {"candidates": candidates, "epochs": 1}, "folder": tmp_path, "log": lines.append, **TRAIN}
    model = biocnn.train(data, **given)
    assert any("is the best of 2" in line for line in lines)
    assert len(list((tmp_path / "calibrate").glob("*.json"))) == 2
    lines.clear()
    again = biocnn.train(data, **given)
    assert again.path.read_bytes() == model.path.read_bytes()
    assert not any(line.startswith("trial0-part0") for line in lines)


@pytest.mark.parametrize(
    ("given", "message", "remedy"),
    [
        ({"epoch": 3}, "train.epoch: unknown key", "did you mean 'epochs'"),
        ({"epochs": 0}, "train.epochs: must be a whole number >= 1", "for example"),
        ({"model": "DeepBnd"}, "model.name: 'DeepBnd' is not known", "did you mean 'DeepBind'"),
        ({"model": {"name": "DeepBind", "chanels": 2}}, "model.chanels: unknown key", "did you mean 'channels'"),
        ({"augment": ["flip"]}, "augment.0: flip is not for sequences", "reverse_complement"),
        ({"seeds": [1, 2]}, "train.seeds: is for runs of the workflow", "seed="),
        ({"model": nn.Linear(1, 1)}, "model: Linear itself", "my_module:Linear"),
        ({"log": True}, "log: True cannot be called", "None: quiet"),
        ({"folder": __file__}, "test_train.py is a file", "another"),
    ],
)
def test_settings_are_checked_like_those_of_a_file(
    given: dict[str, Any], message: str, remedy: str, done: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        biocnn.train(biocnn.Dataset(done / "dataset"), **given)
    assert remedy in caught.value.remedy


def test_only_data_sets_and_paths_are_taken(model: biocnn.Model, done: Path) -> None:
    for given in ("folder", done / "dataset", None, [1]):
        for call in (biocnn.train, model.evaluate):
            with pytest.raises(InputError, match=r"(?s)is not a data set.*biocnn\.Dataset\("):
                call(given)
    for call in (biocnn.load, model.save):
        with pytest.raises(InputError, match="path: None of type NoneType is not a path"):
            call(None)
    for fold in (-1, "0"):
        with pytest.raises(InputError, match="has no fold"):
            biocnn.Dataset(done / "dataset", fold)
    with pytest.raises(InputError, match="of type dict is not a sequence"):
        model.predict({"ACGT": 1})


def test_arrays_keep_the_axes_of_training() -> None:
    raw = labelled(12, channels=3)
    x = np.stack([np.moveaxis(raw.x(row), 0, -1) for row in range(12)])
    data = biocnn.Dataset.from_arrays(x, raw.y.argmax(1), classes=["a", "b", "c"], axes="YXC")
    model = biocnn.train(data, {"name": "LeNet5"}, epochs=1, threads=1, log=None)
    stored = next(model.predict_stored(data, np.array([3])))
    assert model.predict(x[3]) == pytest.approx(stored, abs=1e-5)
    assert model.predict(list(x[:2])).shape == (2, 3)
    with pytest.raises(InputError, match="channels"):
        model.predict(raw.x(3))


def test_training_leaves_torch_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    raw = labelled(12)
    data = biocnn.Dataset.from_arrays([raw.x(row)[0] for row in range(12)], raw.y.argmax(1), classes=list("abc"))
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode(), torch.get_rng_state()
    model = biocnn.train(data, {"name": "LeNet5"}, epochs=1, threads=1, seed=2)
    assert (torch.get_num_threads(), torch.get_deterministic_debug_mode()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert "epoch" in capsys.readouterr().out
    assert model.meta.seed == 2
    assert model.predict(raw.x(0)).shape == (3,)
