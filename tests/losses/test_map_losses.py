"""Losses of numbers for each pixel, compared with torch and the metric; unknown pixels have no influence."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from biocnn import losses, metrics

SIZES = pytest.mark.parametrize("size", [(20, 17), (9, 8, 10)])


def pair(*size: int, channels: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(3, channels, *size, generator=generator)
    return target + 0.2 * torch.randn(target.shape, generator=generator), target


@SIZES
def test_ssim_is_1_minus_the_metric(size: tuple[int, ...]) -> None:
    x, y = pair(*size)
    wanted = 1 - np.mean([metrics.ssim(a.numpy(), b.numpy(), data_range=1) for a, b in zip(x, y, strict=True)])
    assert losses.ssim(x, y).item() == pytest.approx(wanted, rel=1e-4)
    assert losses.ssim(y, y).item() == pytest.approx(0, abs=1e-6)


def test_errors_are_those_of_torch() -> None:
    x, y = pair(9, 8)
    torch.testing.assert_close(losses.l1(x, y), F.l1_loss(x, y))
    torch.testing.assert_close(losses.mse(x, y), F.mse_loss(x, y))


@pytest.mark.parametrize("name", ["l1", "mse", "ssim"])
def test_unknown_pixels_have_no_influence(name: str) -> None:
    loss, (x, y) = getattr(losses, name), pair(9, 8)
    y[0, 1, 4, 5] = torch.nan
    other = x.clone().requires_grad_()
    with torch.no_grad():
        other[0, 1, 4, 5] += 9
    value = loss(other, y)
    torch.testing.assert_close(value, loss(x, y))
    value.backward()
    assert other.grad.isfinite().all()
    assert other.grad[0, 1, 4, 5] == 0
    assert loss(x, torch.full_like(y, torch.nan)).isfinite()


def test_patches_smaller_than_a_window_are_one_window() -> None:
    x, y = pair(4, 12)
    assert 0 < losses.ssim(x, y).item() < 1
