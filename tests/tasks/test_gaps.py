"""The gap map is d1 + d2 of the U-Net paper; the weight of borders follows from it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from biocnn.losses import border_weights, instances
from biocnn.tasks.instance_targets import FAR, GAP_STEPS, gap_widths, instance_targets


def naive(labels: np.ndarray) -> np.ndarray:
    """Return the sum of the two smallest distances at each pixel, from one transform of the whole image per object."""
    numbers = np.unique(labels[labels > 0])
    away = [ndimage.distance_transform_edt(labels != number) for number in numbers]
    away += [np.full(labels.shape, FAR)] * max(0, 2 - len(away))
    return np.minimum(np.sort(away, axis=0)[:2].sum(0), FAR)


def scattered(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """Return boxes of many sizes with arbitrary labels, some of which touch or cover others."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int64)
    for number in rng.permutation(3 * count)[:count] + 1:
        start = [rng.integers(0, n) for n in shape]
        labels[tuple(slice(s, s + rng.integers(1, 12)) for s in start)] = number
    return labels


@pytest.mark.parametrize("shape", [(120, 150), (12, 200), (40, 30, 50)])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 25])
def test_gaps_are_the_sum_of_the_two_smallest_distances(shape: tuple[int, ...], count: int) -> None:
    labels = scattered(shape, count, seed=count)
    np.testing.assert_allclose(gap_widths(labels), naive(labels), rtol=1e-6)


@given(labels=arrays(np.uint16, (7, 45), elements=st.sampled_from([0] * 12 + [1, 2, 9])))
@settings(max_examples=50)
def test_gaps_of_any_labels(labels: np.ndarray) -> None:
    np.testing.assert_allclose(gap_widths(labels), naive(labels), rtol=1e-6)


def test_large_labels_are_supported() -> None:
    labels = scattered((50, 60), 6, 0)
    renamed = np.where(labels, labels + 4_000_000_000, 0)
    np.testing.assert_array_equal(gap_widths(renamed), gap_widths(labels))


def test_gap_map_by_hand() -> None:
    labels = np.zeros((3, 60), np.uint8)
    labels[:, 2:5], labels[:, 9:12] = 1, 2
    gap = instance_targets(labels)[2, 1]
    between = GAP_STEPS * 5  # anywhere between the two, 1 + 4 = 2 + 3 pixels
    assert gap[5:9].tolist() == [between] * 4
    assert gap[2:5].tolist() == [GAP_STEPS * n for n in (7, 6, 5)]  # inside the first: distance from the second
    assert gap[0] == GAP_STEPS * (2 + 9)
    assert gap[-1] == 255


def test_the_weight_of_borders_equals_that_of_the_paper() -> None:
    widths = np.linspace(0, 20, 81)
    weights = border_weights(torch.from_numpy((widths * GAP_STEPS).astype(np.uint8)), 10.0, 5.0)
    np.testing.assert_allclose(weights.numpy(), 1 + 10 * np.exp(-(widths**2) / 50), rtol=1e-5)


def test_only_cross_entropy_weights_pixels_in_gaps() -> None:
    labels = scattered((40, 40), 8, 3)
    target = torch.from_numpy(instance_targets(labels))[None]
    logits = torch.randn(1, 4, 40, 40, generator=torch.Generator().manual_seed(0))
    classes = target[:, 0].long()
    surprise = torch.nn.functional.cross_entropy(logits[:, :3], classes, reduction="none")
    extra = instances(logits, target, border_weight=10.0, border_sigma=3.0) - instances(logits, target)
    weights = border_weights(target[:, 2], 10.0, 3.0)
    torch.testing.assert_close(extra, ((weights - 1) * surprise).mean())
