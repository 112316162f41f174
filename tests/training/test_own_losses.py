"""Networks that own their loss: it is the one that training reports and follows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import boxed, experiment, images, stored
from torch import nn

from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.prediction.model import Model
from biocnn.tasks.box_scores import calibrated
from biocnn.training.checkpoint import save_model
from biocnn.training.runs import train_run

SMALL = {"name": "CentreNet", "channels": [4, 4, 4, 4], "stem": "medium"}
BRIEF = {"epochs": 2, "batch_size": 4, "steps_per_epoch": 2, "threads": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(boxed(), tmp_path_factory.mktemp("boxed"))


def settings(**sections):
    return experiment(SMALL, data="BoxedImages", train=BRIEF, **sections)


def test_boxes_are_learned_stored_and_predicted(dataset: Dataset, tmp_path: Path) -> None:
    network, history, meta = train_run(settings(augment=["flip"]), dataset, 1)
    assert list(history["val_ap50"].between(0, 1)) == [True, True]
    assert len(meta.postprocess.thresholds) == 2
    save_model(tmp_path / "model.safetensors", network, meta)
    model, rows = Model(tmp_path / "model.safetensors"), dataset.rows("val")
    for row, found in zip(rows, model.predict_stored(dataset, rows), strict=True):
        np.testing.assert_array_equal(model.predict(dataset.x[row]), found)
        kept = model.detect(dataset.x[row])
        wanted = found[found[:, 1] >= np.float32(meta.postprocess.thresholds)[found[:, 0].astype(int)]]
        for label, (scale, shift) in enumerate(zip(meta.postprocess.scale, meta.postprocess.shift, strict=True)):
            of_class = wanted[wanted[:, 0] == label]
            of_class[:, 1] = calibrated(of_class[:, 1], scale, shift)
            np.testing.assert_array_equal(kept[kept[:, 0] == label], of_class)
        assert (np.diff(kept[:, 1]) <= 0).all()


def test_the_validation_loss_is_that_of_the_network(dataset: Dataset) -> None:
    """The loss of the best weights, averaged over validation images one by one."""
    network, history, _ = train_run(settings(), dataset, 1)
    best = history[history["best"] == 1].iloc[0]
    values = []
    for row in dataset.rows("val"):
        low, high = dataset.ranges[row]
        x = (torch.from_numpy(dataset.x[row].astype(np.float32)) - float(low[0])) / float(high[0] - low[0])
        truth = torch.from_numpy(np.insert(np.asarray(dataset.y[row]), 0, 0, axis=1))
        with torch.no_grad():
            values.append(network.eval().loss(x[None], truth).item())
    assert np.mean(values) == pytest.approx(best["val_loss"], rel=1e-4)


def test_a_second_loss_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="loss: bce, but CentreNet has a loss of its own"):
        train_run(settings(loss="bce"), dataset, 1)


class Halves(nn.Module):
    """A network for masks that owns its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0 + self.weight

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (self.weight - 0.5).square().sum()


def test_any_task_takes_a_network_with_a_loss_of_its_own(tmp_path: Path) -> None:
    train = BRIEF | {"epochs": 30, "lr": 0.1, "weight_decay": 0}
    section = experiment("UNet", data="Images", train=train)
    network, history, _ = train_run(section, stored(images(), tmp_path), 1, network=Halves())
    assert history["train_loss"].iloc[-1] < 0.01 < history["train_loss"].iloc[0]
    assert network.weight.item() == pytest.approx(0.5, abs=0.1)


def test_a_network_that_cannot_learn_boxes_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InputError, match=r"no method loss\(x, y\)") as caught:
        train_run(settings(), dataset, 1, network=nn.Sequential(nn.Conv2d(1, 2, 3)))
    assert "CentreNet" in caught.value.remedy
