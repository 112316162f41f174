"""Vectors before the last layer: with that layer they give the predictions, however they are made."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from sklearn.linear_model import LogisticRegression
from tiny import images, labelled, metadata, stored
from torch import nn

import biocnn
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.evaluation.likeness import centred, measure, read_features, write_features
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model

TEMPERATURE = 2.0


def model_of(dataset: Dataset, folder: Path, name: str = "ResNet", **settings) -> Model:
    """Return a network with random weights, saved and loaded."""
    section = choose("models", {"name": name, **settings}, "model")
    torch.manual_seed(1)
    network = build_model(section, dataset.facts)
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
    save_model(folder / "m.safetensors", network, metadata(section, dataset.facts, temperature=[TEMPERATURE]))
    return biocnn.load(folder / "m.safetensors", "cpu")


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(labelled(24, sizes=[(20, 24), (24, 20)]), tmp_path_factory.mktemp("shades"))


@pytest.fixture(scope="module")
def resnet(shades: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_of(shades, tmp_path_factory.mktemp("resnet"), channels=[4, 5, 6, 7], stem="small")


@pytest.mark.parametrize(
    ("name", "settings", "size"),
    [
        ("ResNet", {"channels": [4, 5, 6, 7], "stem": "small"}, 7),
        ("SlideNet", {"channels": [3, 4], "hidden": 9}, 9),
        ("AlexNet", {"channels": [3, 4, 5, 6, 7], "hidden": 8}, 8),
    ],
)
def test_vectors_and_the_last_layer_give_the_predictions(
    shades: Dataset, tmp_path: Path, name: str, settings: dict, size: int
) -> None:
    model = model_of(shades, tmp_path, name, **settings)
    every = [shades.x[row] for row in range(6)]
    vectors = model.features(every)
    assert (vectors.shape, vectors.dtype) == ((6, size), np.float32)
    with torch.inference_mode():
        logits = model.network.head[-1](torch.from_numpy(vectors)) / TEMPERATURE
    np.testing.assert_allclose(logits.softmax(1), model.predict(every), rtol=0, atol=1e-5)
    assert len(model.features([])) == 0


def test_a_head_fitted_to_vectors_predicts_the_same_within_the_network(shades: Dataset, tmp_path: Path) -> None:
    model = model_of(shades, tmp_path, channels=[4, 5, 6, 7], stem="small")
    every = [shades.x[row] for row in range(24)]
    vectors = model.features(every)
    head = LogisticRegression().fit(vectors, shades.y.stacked(np.arange(24)).argmax(1))
    with torch.no_grad():
        model.network.head[-1].weight.copy_(TEMPERATURE * torch.from_numpy(head.coef_))
        model.network.head[-1].bias.copy_(TEMPERATURE * torch.from_numpy(head.intercept_))
    save_model(tmp_path / "new.safetensors", model.network, model.meta)
    new = biocnn.load(tmp_path / "new.safetensors", "cpu")
    np.testing.assert_allclose(new.predict(every), head.predict_proba(vectors), rtol=0, atol=1e-5)


def test_files_arrays_and_the_stored_set_have_the_same_vectors(shades: Dataset, resnet: Model, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for row in range(3):
        tifffile.imwrite(tmp_path / "new" / f"{row}.tif", shades.x[row][0])
    lines = [*write_features(resnet, shades.folder, tmp_path)]
    vectors, table = read_features(tmp_path)
    assert lines[-1] == "24 vectors of 7 numbers"
    assert table["id"].tolist() == shades.examples["id"].tolist()
    assert table["class"].tolist()[:3] == ["dark", "even", "bright"]
    np.testing.assert_array_equal(resnet.features(tmp_path / "new"), vectors[:3])
    np.testing.assert_array_equal(resnet.features(shades.x[1]), vectors[1])


def test_likeness_is_that_of_test_images_and_of_intensities(shades: Dataset, resnet: Model, tmp_path: Path) -> None:
    for _ in write_features(resnet, shades.folder, tmp_path):
        pass
    vectors, table = read_features(tmp_path)
    stored_ = pd.read_csv(tmp_path / "likeness.tsv", sep="\t").set_index(["vectors", "metric"])["value"]
    assert stored_["intensities", "recall_at_1"] == 1, "classes differ in brightness"
    swapped = table.assign(split=table["split"].where(table["split"] != "val", "unused"))
    again = measure(centred(vectors, table), swapped).set_index("metric")["value"]
    np.testing.assert_allclose(stored_["network"][again.index], again, rtol=1e-5)
    assert "accuracy_1_shot" in again.index


def test_larger_images_are_seen_at_their_centre_which_is_logged(resnet: Model, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    data = stored(labelled(12, sizes=[(40, 44)]), tmp_path)
    lines = [*write_features(resnet, data.folder, tmp_path / "out")]
    assert lines[0] == "warning: only the centre is seen of 12 images, which are larger than those of training"


def test_vectors_are_centred_by_the_training_images() -> None:
    table = pd.DataFrame({"split": ["train", "train", "test"]})
    found = centred(np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 7.0]]), table)
    assert found.tolist() == [[-1, 0], [1, 0], [3, 7]]


def test_a_network_of_maps_has_no_vectors(tmp_path: Path) -> None:
    cells = stored(images(8), tmp_path)
    model = model_of(cells, tmp_path, "UNet", channels=[4, 8])
    with pytest.raises(InputError, match="UNet makes no vector of an image"):
        model.features(cells.x[0])
