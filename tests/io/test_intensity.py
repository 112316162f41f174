"""Intensity ranges equal those from numpy on all pixels at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biocnn.io.intensity import decide_normalise, image_ranges, intensity_percentiles, range_of
from biocnn.io.scales import Intensity


def images(dtype, seed, n=4, channels=2):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        shape = (channels, *rng.integers(1, 40, 2))
        yield (rng.gamma(2.0, 20.0, shape) + 5).astype(dtype)


@settings(max_examples=30)
@given(st.sampled_from(["uint8", "uint16", "int16", "uint32", "int32", "float32"]), st.integers(0, 1000))
def test_agrees_with_numpy(dtype, seed):
    found = intensity_percentiles(images(dtype, seed))
    for c in range(2):
        values = np.concatenate([image[c].ravel() for image in images(dtype, seed)]).astype(float)
        counted = dtype in ("uint8", "uint16")
        expected = np.percentile(values, [1, 99.8], method="lower" if counted else "linear")
        np.testing.assert_allclose([found.low[c], found.high[c]], expected, rtol=1e-6)
        np.testing.assert_allclose([found.mean[c], found.std[c]], [values.mean(), values.std()], rtol=1e-6)


def test_a_small_spread_around_a_large_value_is_precise():
    image = 1e6 + np.random.default_rng(1).normal(0, 1, (1, 300, 300)).astype(np.float32)
    found = intensity_percentiles([image, image])
    assert found.std[0] == pytest.approx(image.astype(float).std(), rel=1e-6)


def test_extremes_are_used_if_the_percentiles_are_equal():
    image = np.zeros((1, 100, 100), np.uint8)
    image[0, 0, 0] = 9
    assert (intensity_percentiles([image]).low, intensity_percentiles([image]).high) == ([0.0], [9.0])
    assert intensity_percentiles([image.astype(np.float32)]).high == [9.0]


def test_the_sample_of_large_float_sets_is_bounded_and_unbiased(monkeypatch):
    monkeypatch.setattr("biocnn.io.intensity._IN_ALL", 20_000)
    monkeypatch.setattr("biocnn.io.intensity._PER_IMAGE", 5_000)
    rng = np.random.default_rng(1)
    found = intensity_percentiles(rng.normal(i, 1, (1, 200, 200)).astype(np.float32) for i in range(40))
    levels = np.concatenate([np.random.default_rng(i).normal(i, 1, 10_000) for i in range(40)])
    np.testing.assert_allclose([found.low[0], found.high[0]], np.percentile(levels, [1, 99.8]), atol=0.5)


def test_an_empty_set_is_an_error():
    with pytest.raises(ValueError, match="no image"):
        intensity_percentiles([])


def test_each_image_has_its_own_range_and_the_network_uses_it_or_the_common_one():
    found = image_ranges(images("float32", 5))
    for image, (low, high) in zip(images("float32", 5), found, strict=True):
        np.testing.assert_allclose((low, high), np.percentile(image, [1, 99.8], axis=(1, 2)), rtol=1e-6)
        common = Intensity(low=[1.0, 2.0], high=[3.0, 4.0])
        np.testing.assert_array_equal(range_of(image, common), ([1, 2], [3, 4]))


def test_images_with_very_different_ranges_are_scaled_individually():
    alike = np.array([[[0.0], [100.0 + i]] for i in range(20)])
    unlike = alike * np.linspace(1, 5, 20)[:, None, None]
    assert decide_normalise("auto", alike)[0] == "dataset"
    assert decide_normalise("auto", unlike)[0] == "image"
    assert decide_normalise("image", alike) == ("image", "data.normalise is image")
