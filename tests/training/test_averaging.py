"""The moving average of weights."""

import copy

import numpy as np
import torch
from scipy.special import comb
from torch import nn

from biocnn.training.averaging import POWER, move_average


def test_it_is_the_mean_with_weights_that_grow_with_the_step() -> None:
    """Closed form: the weights of step t count in proportion to (t + 1) (t + 2) ... (t + 8)."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double()
    average = copy.deepcopy(model)
    seen = []
    for step in range(40):
        for value in model.state_dict().values():
            value.add_(torch.randn(value.shape).double() if value.is_floating_point() else 1)
        move_average(average, model, step)
        seen.append([value.clone().numpy() for value in model.state_dict().values()])
    counts = comb(np.arange(40) + POWER, POWER)
    for mean, *values in zip(average.state_dict().values(), *seen, strict=True):
        wanted = np.average(values, axis=0, weights=counts) if mean.is_floating_point() else values[-1]
        np.testing.assert_allclose(mean.numpy(), wanted, rtol=1e-10)
    assert counts[-5:].sum() / counts.sum() > 0.6, "it follows: the last eighth of the steps has most of the weight"
