"""Segments: V-Rand and variation of information, compared with scikit-image; thinning of borders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biocnn.metrics import segments, v_rand, variation_of_information
from biocnn.metrics.partitions import partition_counts, v_rand_of_counts

label_maps = arrays(np.int32, (7, 8), elements=st.integers(0, 4))


def own_segments(labels: np.ndarray) -> np.ndarray:
    """Make each pixel of 0 its own segment."""
    own = 100 + np.arange(labels.size).reshape(labels.shape)
    return np.where(labels == 0, own, labels)


@given(label_maps, label_maps)
def test_scores_equal_those_of_scikit_image(labels, target):
    from skimage.metrics import adapted_rand_error
    from skimage.metrics import variation_of_information as oracle

    if (target > 0).any():
        split, merge = variation_of_information(labels, target)
        # 0 is ignored only in the truth; scikit-image cannot do this, so these pixels are removed here
        inside = target > 0
        expected = oracle(target[inside][None], own_segments(labels)[inside][None])
        assert (split, merge) == pytest.approx(tuple(expected), abs=1e-9)
    if partition_counts(labels, target)[1:3].all():  # otherwise scikit-image divides by zero
        error = adapted_rand_error(target, own_segments(labels), ignore_labels=(0,))[0]
        assert v_rand(labels, target) == pytest.approx(1 - error, abs=1e-9)


def test_one_split_and_one_merge_by_hand():
    target = np.repeat([[1, 2, 3, 3]], 4, axis=0)  # columns: two segments of 4, one of 8
    merged = np.repeat([[1, 1, 3, 3]], 4, axis=0)
    split = np.repeat([[1, 2, 3, 4]], 4, axis=0)
    assert variation_of_information(merged, target) == pytest.approx((0, 0.5))  # half of the pixels lack one bit
    assert variation_of_information(split, target) == pytest.approx((0.5, 0))
    pairs = {"target": 2 * 4 * 3 + 8 * 7, "merged": 2 * 8 * 7, "split": 4 * 4 * 3}
    assert v_rand(merged, target) == pytest.approx(2 * pairs["target"] / (pairs["target"] + pairs["merged"]))
    assert v_rand(split, target) == pytest.approx(2 * pairs["split"] / (pairs["target"] + pairs["split"]))


def test_empty_images_are_defined():
    empty, full = np.zeros((4, 4), int), np.ones((4, 4), int)
    assert v_rand(full, empty) == v_rand(empty, empty) == 1
    assert variation_of_information(full, empty) == (0, 0)
    assert v_rand(empty, full) == 0, "sixteen pixels should be together, but none are"
    assert variation_of_information(empty, full) == (4, 0)


@given(label_maps, label_maps, st.sampled_from([1, 7, -3]))
def test_label_numbers_do_not_matter_and_pooled_images_share_none(labels, target, factor):
    assert v_rand(factor * labels, target) == v_rand(labels, target)
    stacked = partition_counts(
        np.stack([labels, np.where(labels, labels + 9, 0)]), np.stack([target, np.where(target, target + 9, 0)])
    )
    summed = 2 * partition_counts(labels, target)
    np.testing.assert_allclose(stacked, summed)
    assert v_rand_of_counts(summed) == pytest.approx(v_rand(labels, target))


def test_thinned_borders_still_divide():
    border = np.zeros((21, 30), bool)
    border[:, 12:17] = True
    border[9:12, :12] = True
    labels = segments(border)
    assert labels.max() == 3
    assert ((labels == 0).sum(axis=1)[[0, 20]] == 1).all(), "one pixel must be left across"
    assert len({labels[0, 0], labels[20, 0], labels[0, 29]}) == 3
    assert (labels[border] > 0).mean() > 0.7


def test_a_border_that_divides_nothing_is_removed():
    border = np.zeros((9, 9), bool)
    border[4, :5] = True
    assert (segments(border) == 1).all()


@pytest.mark.parametrize("shape", [(24, 26), (8, 10, 12)])
def test_thinning_never_joins_segments(shape):
    from scipy import ndimage

    border = np.abs(ndimage.gaussian_filter(np.random.default_rng(4).normal(size=shape), 1.5)) < 0.05
    before, count = ndimage.label(~border)
    labels = segments(border)
    assert labels.max() == count
    np.testing.assert_array_equal(labels[~border], before[~border])
