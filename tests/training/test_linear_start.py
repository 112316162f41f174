"""The last layer starts at a linear model of intensities: that of scikit-learn."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from tiny import image_facts
from torch import Tensor

from biocnn.models.resnet import ResNet
from biocnn.nn.covariates import Joint, beside
from biocnn.tasks import make_task
from biocnn.tasks.facts import Part
from biocnn.training.linear import fit_path
from biocnn.training.linear_start import start_at_intensities

UNIT = {"mean": [0.3], "sd": [0.1]}
TASK = make_task(image_facts(task="regression", outputs=["bright"]))
TASK.set_unit(UNIT)


class Images:
    """Images whose targets are their brightness, or noise."""

    def __init__(self, seed: int, *, noise: bool = False) -> None:
        rng = np.random.default_rng(seed)
        x = rng.uniform(0.2, 1, (30, 1, 1, 1)) * rng.random((30, 1, 6, 6))
        y = rng.normal(size=(30, 1)) if noise else x.mean(axis=(2, 3)) + 0.02 * rng.normal(size=(30, 1))
        self.x, self.y = torch.from_numpy(x).float(), torch.from_numpy(y).float()

    def plain(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.x.split(20), self.y.split(20), strict=True)


def started(train: Images, val: Images, covariates: int = 0) -> tuple[ResNet, str]:
    network = ResNet(2, 1, 1, channels=(2, 2, 2, 2), stem="small", intensities=True)
    if covariates:
        network.head[-1] = Joint(network.head[-1], covariates)
    line = start_at_intensities(network, train, val, TASK)
    return network.eval(), line


@pytest.mark.parametrize("covariates", [0, 3])
def test_the_network_predicts_what_ridge_regression_does(covariates: int) -> None:
    train, val = Images(1), Images(2)
    network, line = started(train, val, covariates)
    x, held = network.intensities(train.x).double().numpy(), network.intensities(val.x).double().numpy()
    penalty = fit_path(x, train.y.double().numpy(), held, val.y.double().numpy(), make_task(TASK.facts)).penalty[0]
    expected = Ridge(penalty * len(x)).fit(x, train.y).predict(held).reshape(-1, 1)
    with torch.no_grad():
        found = UNIT["mean"][0] + UNIT["sd"][0] * network(beside(val.x, torch.rand(len(val.x), covariates)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    r2 = r2_score(val.y, found)
    assert line == f"a linear model of intensities has a validation R² of {r2:.3f}: the last layer starts there"


def test_a_network_does_without_intensities_that_explain_little() -> None:
    network, line = started(Images(1, noise=True), Images(2, noise=True))
    assert line.endswith("below 0.9: the network does without them")
    x = Images(2).x
    with torch.no_grad():
        assert not network.intensities(x).any()
        torch.testing.assert_close(
            network(x), network.head[-1](torch.nn.functional.pad(network.vectors(x)[:, :2], (0, 9)))
        )


def test_for_classes_intensities_are_only_standardised() -> None:
    images, network = Images(1), ResNet(2, 1, 2, channels=(2, 2, 2, 2), stem="small", intensities=True)
    weights = network.head[-1].weight.clone()
    task = make_task(image_facts(task="multiclass", outputs=["a", "b"]))
    start_at_intensities(network, images, images, task)
    assert network.head[-1].weight.equal(weights)
    assert network.intensities(images.x).mean(0).abs().max() < 1e-4


@pytest.mark.parametrize(
    "about", [{"form": "gaussian"}, {"parts": [Part(name="bright", task="regression", outputs=["bright"])]}]
)
def test_a_network_for_more_than_values_does_without_intensities(about: dict) -> None:
    images, network = Images(1), ResNet(2, 1, 2, channels=(2, 2, 2, 2), stem="small", intensities=True)
    task = make_task(image_facts(task="several" if "parts" in about else "regression", outputs=["bright"], **about))
    assert start_at_intensities(network, images, images, task).endswith("it does without intensities")
    assert not network.intensities(images.x).any()
