"""Losses of numbers equal those of torch and scikit-learn, and ignore unknown targets."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss, mean_poisson_deviance
from torch import nn

from biocnn.config.registry import find
from biocnn.losses import gaussian_nll, huber, mse, poisson, quantiles, supervised
from biocnn.tasks.regression import CHANNELS, FORMS, Regression

rng = np.random.default_rng(0)
Y = torch.tensor(rng.gamma(2, 1, (20, 3)), dtype=torch.float32)


def logits(loss: str, rows: int = 20) -> torch.Tensor:
    blocks = CHANNELS[FORMS.get(loss, "value")]
    return torch.randn(rows, 3 * blocks, generator=torch.Generator().manual_seed(1), requires_grad=True)


@pytest.mark.parametrize("name", Regression.losses)
def test_unknown_targets_leave_the_loss_of_the_others(name: str) -> None:
    loss, z, y = find("losses", name), logits(name), Y.clone()
    y[::3] = torch.nan
    known = torch.arange(20) % 3 > 0
    torch.testing.assert_close(loss(z, y), loss(z[known], y[known]))
    value = loss(z, torch.where(torch.rand(y.shape) < 0.3, torch.nan, y))
    value.backward()
    assert value.isfinite()
    assert z.grad.isfinite().all()
    assert loss(z, torch.full_like(y, torch.nan)) == 0


def test_losses_equal_oracles() -> None:
    z = logits("mse")
    torch.testing.assert_close(mse(z, Y), nn.MSELoss()(z, Y))
    torch.testing.assert_close(huber(z, Y, delta=0.7), nn.HuberLoss(delta=0.7)(z, Y))
    counts = Y.round()
    expected = mean_poisson_deviance(counts.ravel(), z.detach().exp().ravel()) / 2
    assert poisson(z, counts).item() == pytest.approx(expected, rel=1e-5)
    mean, log_sd = logits("gaussian_nll").chunk(2, 1)
    both = torch.cat([mean, log_sd], 1)
    torch.testing.assert_close(
        gaussian_nll(both, Y, beta=0), nn.GaussianNLLLoss(full=True)(mean, Y, (2 * log_sd).exp())
    )
    median, below, above = logits("quantiles").detach().chunk(3, 1)
    found = {0.05: median - below.exp(), 0.5: median, 0.95: median + above.exp()}
    pinball = [mean_pinball_loss(Y.ravel(), q.ravel(), alpha=level) for level, q in found.items()]
    assert quantiles(logits("quantiles"), Y).item() == pytest.approx(np.mean(pinball), rel=1e-5)


def test_with_beta_1_the_mean_learns_as_from_the_squared_error() -> None:
    z = logits("gaussian_nll")
    slope = torch.autograd.grad(gaussian_nll(z, Y, beta=1), z)[0][:, :3]
    mean = z[:, :3].detach().requires_grad_()
    torch.testing.assert_close(slope, torch.autograd.grad(mse(mean, Y) / 2, mean)[0])


def test_each_image_of_a_bag_has_the_target_of_its_bag() -> None:
    bags = torch.tensor([[1.0, 0.0], [2.0, 0.0]], requires_grad=True)
    images = torch.tensor([[[1.0, 1.0], [5.0, 1.0]], [[2.0, 3.0], [torch.nan, torch.nan]]], requires_grad=True)
    target = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    found = supervised(mse)([bags, images], target)
    own, each = 1 / 4, (0 + 1 + 16 + 1 + 1 + 9) / 6
    assert found.item() == pytest.approx((own + each / 2) / 1.5)
    found.backward()
    assert images.grad[1, 1].tolist() == [0, 0]
