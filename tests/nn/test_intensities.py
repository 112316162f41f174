"""Statistics of intensities beside the features of a network."""

import numpy as np
import torch

from biocnn.models.resnet import ResNet
from biocnn.nn.intensities import Intensities, statistics


def test_statistics_are_those_of_numpy_for_each_channel() -> None:
    x = np.random.default_rng(1).gamma(2, 1, (3, 2, 9, 11)).astype(np.float32)
    found = statistics(torch.from_numpy(x)).reshape(3, 2, 9)
    np.testing.assert_allclose(found[..., 0], x.mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found[..., 1], x.std(axis=(2, 3)), rtol=1e-5)
    expected = np.percentile(x, (1, 5, 25, 50, 75, 95, 99), axis=(2, 3))
    np.testing.assert_allclose(found[..., 2:], np.moveaxis(expected, 0, 2), rtol=1e-5)


def test_they_are_standardised_by_the_training_images_and_constant_ones_count_for_nothing() -> None:
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    x[:, :, 0, 0] = 0  # so that there is a common minimum
    layer, constant = Intensities(1), Intensities(1)
    layer.fit(x.split(6))
    constant.fit([torch.full_like(x, 0.3)])
    np.testing.assert_allclose(layer(x).mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(layer(x).std(0, correction=0), 1, rtol=1e-4)
    assert not constant(x).any()


def test_a_large_image_is_sampled_in_all_of_its_columns() -> None:
    x = torch.arange(512.0).expand(1, 1, 256, 512)
    np.testing.assert_allclose(statistics(x)[0, :2], [255.5, np.arange(512).std()], rtol=1e-3)


def test_they_are_the_last_numbers_that_the_last_layer_of_a_network_receives() -> None:
    network = ResNet(2, 1, 1, channels=(2, 3, 4, 5), intensities=True).eval()
    x = torch.rand(2, 1, 40, 40, generator=torch.Generator().manual_seed(1))
    vectors = network.vectors(x)
    assert vectors.shape == (2, 5 + 9)
    torch.testing.assert_close(vectors[:, 5:], statistics(x))
    torch.testing.assert_close(network.head[-1](vectors), network(x))
