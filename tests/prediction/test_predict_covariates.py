"""Models with covariates: trained with batches that carry them, and applied to new examples with values for each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import accompanied, experiment, labelled, metadata, predicted, sequences, several, stored
from torch import nn

from biocnn.apply.variants.scoring import Ensemble
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.frame import Frame
from biocnn.explain.covariates import importance
from biocnn.explain.request import Request
from biocnn.explain.step import explain_test_part
from biocnn.metrics import ERRORS
from biocnn.prediction.model import Model
from biocnn.training.batches import make, preview
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.runs import train_run

CPU = torch.device("cpu")
SETTINGS = {
    "images": experiment("LeNet5", data="LabelledImages", augment=["flip", "noise"], train={"epochs": 1, "threads": 1}),
    "several": experiment("LeNet5", data="LabelledImages", train={"epochs": 1, "threads": 1}),
    "sequences": experiment(
        {"name": "DeepBind", "strands": "both"},
        augment=["reverse_complement"],
        train={"epochs": 1, "threads": 1, "words": "none"},
    ),
}
RAW = {"images": labelled, "several": several, "sequences": sequences}


def table(dataset: Dataset, rows: np.ndarray) -> pd.DataFrame:
    """Return the covariates of examples as a user has them."""
    found = dataset.examples.iloc[rows]
    return found[["covariate_cells", "covariate_dose"]].set_axis(["cells", "dose"], axis=1)


@pytest.fixture(scope="module", params=list(SETTINGS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Model]:
    folder = tmp_path_factory.mktemp(request.param)
    dataset = stored(accompanied(RAW[request.param]()), folder)
    train_run(SETTINGS[request.param], dataset, 1, files=(folder / "m.safetensors", folder / "h.tsv"))
    return dataset, Model(folder / "m.safetensors")


def test_predictions_of_new_examples_are_those_of_stored_ones(trained: tuple[Dataset, Model]) -> None:
    dataset, model = trained
    rows = dataset.rows("test")
    wanted = np.stack([*model.predict_stored(dataset, rows)])[:, : len(model.outputs)]
    inputs = [dataset.x[row] for row in rows] if model.facts.kind == "image" else dataset.windows(rows)
    new = table(dataset, rows)
    np.testing.assert_allclose(model.predict(inputs, new), wanted, rtol=1e-4, atol=1e-5)
    mappings = new.to_dict("records")
    np.testing.assert_allclose(model.predict(inputs, mappings), wanted, rtol=1e-4, atol=1e-5)
    one = model.predict(inputs[0], mappings[0])
    np.testing.assert_allclose(np.ravel(one), wanted[0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(model.predict(inputs, new.assign(cells="", dose=None)), wanted)


def test_covariates_that_do_not_fit_are_refused(trained: tuple[Dataset, Model]) -> None:
    dataset, model = trained
    x = dataset.x[0] if model.facts.kind == "image" else dataset.windows(np.array([0]))
    for covariates, words in (
        (None, "needs dose, cells"),
        ({"dose": 1}, "no column 'cells'"),
        ([{"dose": 1, "cells": "hela"}] * 2, "2 rows for 1"),
        ({"dose": "high", "cells": "hela"}, "'high'"),
        (20, "20 of type int is not a mapping of covariates"),
        ("new.csv", "a str, which is not a mapping of covariates"),
        ([None], "a NoneType, which is not a mapping of covariates"),
    ):
        with pytest.raises(InputError, match=words):
            model.predict(x, covariates)


def test_what_differs_from_training_is_reported(
    trained: tuple[Dataset, Model], caplog: pytest.LogCaptureFixture
) -> None:
    dataset, model = trained
    x = dataset.x[0] if model.facts.kind == "image" else dataset.windows(np.array([0]))
    row = pd.Series({"dose": 20, "cells": "hela"})
    np.testing.assert_array_equal(model.predict(x, row), model.predict(x, row.to_dict()))
    assert not caplog.text
    model.predict(x, {"dose": 1e6, "cells": "HeLa"})
    assert "dose is outside the range of the training split" in caplog.text
    assert "cells is a word that the training split lacks, used as missing (1 of 1" in caplog.text


def test_models_and_data_must_have_the_same_covariates(trained: tuple[Dataset, Model], tmp_path: Path) -> None:
    _, model = trained
    kind = next(kind for kind in RAW if RAW[kind]().facts.outputs == model.outputs)
    plain = stored(RAW[kind](), tmp_path)
    with pytest.raises(InputError, match="covariates"):
        model.predict_stored(plain, np.array([0]))
    if model.facts.kind == "sequence":
        with pytest.raises(InputError, match="places in a genome"):
            model.scan(None, "chr1", stride=1)
        with pytest.raises(InputError, match="places in a genome"):
            Ensemble([model])


def test_explanations_are_made_with_covariates(trained: tuple[Dataset, Model], tmp_path: Path) -> None:
    dataset, model = trained
    folder = tmp_path / "predictions"
    folder.mkdir()
    predicted(model, dataset, folder)
    settings = SETTINGS["images" if model.facts.kind == "image" else "sequences"]
    assert [*explain_test_part(Request(model, dataset, [folder], settings, tmp_path))]
    if model.facts.kind == "image":
        assert np.load(tmp_path / "cam.npz")["image"].ndim == 3, "one channel, without those of covariates"


def test_augmentations_never_touch_covariates(tmp_path: Path) -> None:
    dataset, frame = stored(accompanied(labelled(12)), tmp_path), Frame((16, 16))
    rows = np.arange(12)
    batches = make(dataset, rows, CPU, SETTINGS["images"].augment, frame=frame)
    for index in batches.plan(1, 0, 5, None):
        x, _ = batches.get(index)
        z = torch.from_numpy(dataset.covariates[index])
        assert x.shape[1] == 1 + z.shape[1]
        assert x[:, 1:].equal(z[:, :, None, None].expand(-1, -1, 16, 16))
    x, _ = next(batches.plain())
    assert x[:, 1:, 3, 4].equal(torch.from_numpy(dataset.covariates))
    seen, _ = preview(dataset, SETTINGS["images"].augment, None, 2, 2, frame=frame)
    assert seen.shape == (2, 3, 1, 16, 16)


def test_every_output_has_a_loss_by_shuffling(trained: tuple[Dataset, Model]) -> None:
    dataset, model = trained
    found = importance(model, dataset, 1)
    outputs = found["output"][found["covariate"] == "dose"].tolist()
    names = [part.name for part in model.task.parts] or [""]
    assert all(any(output.startswith(name) for output in outputs) for name in names)
    assert len(found) == 2 * len(outputs)
    assert np.isfinite(found["value"]).all()
    sign = np.where(found["metric"].isin(ERRORS), 1, -1)
    np.testing.assert_allclose(found["loss"], sign * (found["shuffled"] - found["value"]), atol=1e-12)


def test_shuffling_a_covariate_that_matters_loses_the_metric(tmp_path: Path) -> None:
    """The class depends on the dose, and so does the only weight of the network; the cells carry no information."""
    raw = accompanied(labelled(48, classes=("low", "high")))
    high = (raw.examples["covariate_dose"].fillna(0) > 30).to_numpy().astype(int)
    dataset = stored(replace(raw, y=np.eye(2, dtype=np.float32)[high]), tmp_path)
    section = choose("models", "LeNet5", "model")
    network = build_model(section, dataset.facts)
    joint = network.head[-1]
    for weights in joint.parameters():
        nn.init.zeros_(weights)
    with torch.no_grad():
        joint.both[0].weight[0, joint.features], joint.both[0].bias[0] = 1, 3
        joint.both[2].weight[1, 0], joint.both[2].bias[1] = 9, -27
    save_model(tmp_path / "m.safetensors", network, metadata(section, dataset.facts))
    found = importance(Model(tmp_path / "m.safetensors"), dataset, 1)
    assert found["covariate"].tolist() == ["dose", "cells"]
    assert found["loss"][0] > 0.2
    assert found["loss"][1] == 0
    pd.testing.assert_frame_equal(found, importance(Model(tmp_path / "m.safetensors"), dataset, 1))
