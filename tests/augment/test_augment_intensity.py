"""Changes of values: known results, and filters compared with SciPy."""

import pytest
import torch
from pictures import SIZES, blobs, uniform
from scipy.ndimage import gaussian_filter

from biocnn.augment import separable
from biocnn.augment.intensity import blur, gamma, intensity, low_resolution, noise
from biocnn.augment.move import STAY
from biocnn.augment.numbers import uniform as more

DIMS = pytest.mark.parametrize("dims", [2, 3])


@DIMS
def test_intensity_is_a_linear_change_per_example_within_its_limits(dims: int) -> None:
    x, _ = blobs(60, *SIZES[dims])
    new, move = intensity(x, uniform(60), contrast=1.3, brightness=0.1)
    assert move is STAY
    flat, found = x.flatten(1), new.flatten(1)
    factor = (found.amax(1) - found.amin(1)) / (flat.amax(1) - flat.amin(1))
    offset = found.mean(1) - factor * flat.mean(1)
    torch.testing.assert_close(factor[:, None] * flat + offset[:, None], found, atol=1e-4, rtol=0)
    assert 1.25 < factor.max() <= 1.3001
    assert 1 / 1.3001 <= factor.min() < 0.8
    assert 0.09 < offset.abs().max() <= 0.1001


def test_channels_change_together_or_independently() -> None:
    x = torch.ones(20, 3, 4, 4)
    together, _ = intensity(x, uniform(20))
    apart, _ = intensity(x, uniform(20), per_channel=True)
    assert (together.amax((1, 2, 3)) == together.amin((1, 2, 3))).all()
    assert ((apart.amax((1, 2, 3)) - apart.amin((1, 2, 3))) > 0.01).all()
    assert (apart.amax((2, 3)) == apart.amin((2, 3))).all()


def test_gamma_is_a_power_and_keeps_values_below_zero() -> None:
    x, _ = blobs()
    u = uniform(6)
    new, move = gamma(x, u, power=2.0)
    assert move is STAY
    power = (2.0 ** (2 * u[:, 1] - 1)).view(6, 1, 1, 1)
    torch.testing.assert_close(new[x > 0], (x**power)[x > 0], atol=1e-5, rtol=1e-5)
    assert new[x <= 0].equal(x[x <= 0])


@DIMS
def test_noise_has_the_drawn_standard_deviation(dims: int) -> None:
    x = torch.zeros(4, 1, *{2: (100, 100), 3: (20, 20, 25)}[dims])
    u = uniform(4)
    new, move = noise(x, u, sd=0.2)
    assert move is STAY
    torch.testing.assert_close(new.flatten(1).std(1), 0.2 * u[:, 1], rtol=0.05, atol=0)
    assert not new[0].equal(new[1])


@DIMS
def test_blur_is_a_gaussian_of_the_drawn_width(dims: int) -> None:
    x, _ = blobs(4, *{2: (40, 48), 3: (24, 28, 32)}[dims], channels=2)
    x = x + more(torch.full((4, 2), 0.3), x.shape[1:])  # coarse
    u = uniform(4)
    new, move = blur(x, u, sigma=1.5)
    assert move is STAY
    inner = (slice(8, -8),) * dims
    for i in range(4):
        sigma = 1.5 * (1 + 2 * u[i, 1].item()) / 3
        for c in range(2):
            wanted = gaussian_filter(x[i, c].numpy(), sigma, truncate=6)[inner]
            torch.testing.assert_close(new[i, c].numpy()[inner], wanted, atol=2e-4, rtol=0)


def test_filters_keep_constant_images_up_to_the_border() -> None:
    x = torch.full((5, 2, 9, 11), 3.0)
    for function in (blur, low_resolution):
        torch.testing.assert_close(function(x, uniform(5))[0], x)


def test_filters_in_planes_do_not_mix_planes() -> None:
    x, _ = blobs(3, 8, 16, 16)
    for function in (blur, low_resolution):
        new, _ = function(x, uniform(3), in_plane=True)
        for plane in range(8):
            torch.testing.assert_close(function(x[:, :, plane], uniform(3))[0], new[:, :, plane])
        assert not function(x, uniform(3))[0].allclose(new, atol=1e-3)


def test_half_the_resolution_is_the_mean_of_each_pair() -> None:
    matrix = separable.coarsening(torch.tensor([2.0, 1.0]), 8)
    ramp = torch.arange(8.0)
    low = torch.tensor([0.5, 2.5, 4.5, 6.5])
    wanted = torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.5])  # a quarter and three quarters of neighbours
    torch.testing.assert_close(matrix[0] @ ramp, wanted)
    torch.testing.assert_close(matrix[0] @ low.repeat_interleave(2), matrix[0] @ ramp)
    torch.testing.assert_close(matrix[1], torch.eye(8))


@pytest.mark.parametrize("factor", [1.0, 1.1, 1.5, 1.99, 2.0, 3.7, 8.0, 50.0])
@pytest.mark.parametrize("length", [1, 2, 7, 16, 33])
def test_filters_are_weighted_means(factor: float, length: int) -> None:
    for matrix in (
        separable.coarsening(torch.tensor([factor]), length),
        separable.blurring(torch.tensor([factor]), length),
    ):
        torch.testing.assert_close(matrix.sum(-1), torch.ones(1, length))
        assert matrix.min() >= 0


@pytest.mark.parametrize("spacing", [4.0, 7.3, 100.0])
def test_splines_add_up_to_one_everywhere(spacing: float) -> None:
    matrix = separable.spline(50, spacing, torch.device("cpu"))
    torch.testing.assert_close(matrix.sum(1), torch.ones(50))
    assert matrix.min() >= 0


def test_along_is_a_product_on_every_axis() -> None:
    x = torch.rand(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    a, b, c = (torch.rand(2, m, n, generator=torch.Generator().manual_seed(n)) for m, n in ((3, 4), (7, 5), (2, 6)))
    found = separable.along(x, [a, b, c])
    torch.testing.assert_close(found, torch.einsum("ncdhw,nxd,nyh,nzw->ncxyz", x, a, b, c))
    torch.testing.assert_close(separable.along(x, [b, c]), torch.einsum("ncdhw,nyh,nzw->ncdyz", x, b, c))
