"""Attributions: closed forms, completeness, and brute force."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from biocnn.explain.attributions import base_contributions, input_x_gradient, integrated_gradients
from biocnn.nn.encode import one_hot


class Linear(nn.Module):
    """Two logits, each a weighted sum of the one-hot sequence."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 4, length, generator=torch.Generator().manual_seed(1)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("ncl,kcl->nk", x, self.weight)


def network() -> nn.Module:
    torch.manual_seed(2)
    layers = [nn.Conv1d(4, 8, 5), nn.BatchNorm1d(8), nn.Softplus(), nn.AdaptiveAvgPool1d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(8, 3))


@pytest.fixture
def codes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (7, 20)).astype(np.uint8)


@pytest.mark.parametrize("output", [0, 1])
def test_attributions_of_a_linear_model_are_its_weights(codes: np.ndarray, output: int) -> None:
    model, x = Linear(20), one_hot(torch.from_numpy(codes))
    weight = model.weight[output].detach()
    centred = weight - weight.mean(dim=0)
    torch.testing.assert_close(base_contributions(model, x, output), centred.expand(7, 4, 20))
    torch.testing.assert_close(input_x_gradient(model, x, output), x * centred)


def test_a_constant_added_to_four_weights_changes_nothing(codes: np.ndarray) -> None:
    one, other, x = Linear(20), Linear(20), one_hot(torch.from_numpy(codes))
    with torch.no_grad():
        other.weight += torch.randn(2, 1, 20)
    torch.testing.assert_close(input_x_gradient(one, x), input_x_gradient(other, x))


@pytest.mark.parametrize("baseline", [0.25, torch.zeros(1, 4, 1)])
def test_integrated_gradients_add_up_to_the_difference(codes: np.ndarray, baseline: float | Tensor) -> None:
    model, x = network().eval(), one_hot(torch.from_numpy(codes))
    attributions = integrated_gradients(model, x, baseline, output=1)
    with torch.no_grad():
        difference = model(x)[:, 1] - model(torch.as_tensor(baseline).expand_as(x))[:, 1]
    torch.testing.assert_close(attributions.sum(dim=(1, 2)), difference, atol=1e-4, rtol=1e-4)


def test_batch_size_and_training_mode_do_not_matter(codes: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = network(), one_hot(torch.from_numpy(codes))
    whole = base_contributions(model, x)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    monkeypatch.setattr("biocnn.explain.attributions.BATCH", 2)
    torch.testing.assert_close(whole, base_contributions(model, x), atol=1e-5, rtol=1e-4)
