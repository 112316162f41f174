"""Similarity of images equals that of scikit-image; the affine fit undoes brightness and contrast."""

import numpy as np
import pytest
from skimage import metrics as theirs

from biocnn.metrics import psnr, psnr_fitted, ssim
from biocnn.metrics.similarity import mae

SHAPES = pytest.mark.parametrize("shape", [(1, 20, 31), (3, 16, 9), (2, 9, 12, 8)])


def pair(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.uniform(0, 200, shape).astype(np.float32)
    return target + rng.normal(0, 20, shape).astype(np.float32), target


@SHAPES
@pytest.mark.parametrize("data_range", [255.0, 3000.0])
def test_psnr_and_ssim_equal_those_of_scikit_image(shape: tuple[int, ...], data_range: float) -> None:
    image, target = (one.astype(float) for one in pair(shape))
    wanted = theirs.peak_signal_noise_ratio(target, image, data_range=data_range)
    assert psnr(image, target, data_range=data_range) == pytest.approx(wanted)
    wanted = theirs.structural_similarity(target, image, data_range=data_range, channel_axis=0)
    assert ssim(image, target, data_range=data_range) == pytest.approx(wanted)


def test_equal_images() -> None:
    _, target = pair((1, 12, 12))
    assert psnr(target, target, data_range=255) == np.inf
    assert ssim(target, target, data_range=255) == pytest.approx(1)
    assert mae(target, target) == 0


@SHAPES
def test_psnr_after_the_fit_ignores_brightness_and_contrast_of_each_channel(shape: tuple[int, ...]) -> None:
    image, target = pair(shape)
    factor = np.arange(1, 1 + len(image)).reshape(-1, *[1] * (image.ndim - 1)) / 3
    wanted = psnr_fitted(image, target, data_range=255)
    assert psnr_fitted(factor * image - 40, target, data_range=255) == pytest.approx(wanted)
    assert wanted >= psnr(image, target, data_range=255)
    slope, shift = np.polyfit(image[0].ravel().astype(float), target[0].ravel().astype(float), 1)
    alone = psnr(slope * image[:1] + shift, target[:1], data_range=255)
    assert psnr_fitted(image[:1], target[:1], data_range=255) == pytest.approx(alone, rel=1e-5)


def test_a_constant_prediction_is_fitted_by_the_mean() -> None:
    _, target = pair((1, 12, 12))
    assert psnr_fitted(np.zeros_like(target), target, data_range=255) == pytest.approx(
        20 * np.log10(255) - 10 * np.log10(target.astype(float).var())
    )


def test_unknown_pixels_are_left_out_and_small_images_have_no_structural_similarity() -> None:
    image, target = pair((1, 12, 12))
    target[0, 3, 4] = np.nan
    known = ~np.isnan(target)
    wanted = theirs.peak_signal_noise_ratio(target[known], image[known], data_range=255)
    assert psnr(image, target, data_range=255) == pytest.approx(wanted)
    assert mae(image, target) == pytest.approx(np.abs(image[known] - target[known]).mean())
    assert np.isfinite(psnr_fitted(image, target, data_range=255))
    assert np.isnan(ssim(image, target, data_range=255))
    assert np.isnan(ssim(*pair((1, 6, 30)), data_range=255))
    assert np.isnan(psnr(image, np.full_like(target, np.nan), data_range=255))
