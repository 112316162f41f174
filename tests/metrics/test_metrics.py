"""Metrics of masks, compared with MONAI, and of objects, compared with brute force."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from work import calls

from biocnn import metrics
from biocnn.core.errors import InputError
from biocnn.metrics import (
    average_precision_iou,
    confusion,
    dice,
    dice_of_counts,
    hausdorff95,
    iou,
    iou_of_counts,
    matching,
    panoptic_quality,
    pooled,
)

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)

masks = arrays(bool, (6, 7))
label_maps = arrays(np.int32, (7, 8), elements=st.integers(0, 4))


ONE = np.zeros((5, 5), int)
ONE[1:3, 1:3] = 1
OTHER = np.zeros((5, 5), int)
OTHER[1:3, 2:4] = 1


def test_overlap_of_two_squares_by_hand():
    assert confusion(ONE, OTHER) == (2, 2, 2, 19)
    assert dice(ONE, OTHER) == 0.5
    assert iou(ONE, OTHER) == pytest.approx(1 / 3)
    assert hausdorff95(ONE, OTHER) == 1.0
    assert hausdorff95(ONE, OTHER, spacing=(1, 0.25)) == 0.25


def test_sizes_must_agree():
    with pytest.raises(InputError, match="shape"):
        dice(np.zeros((3, 3)), np.zeros((3, 4)))


def test_ignored_pixels_do_not_count():
    target = OTHER.copy()
    target[1, 1] = target[1, 3] = 255
    assert confusion(ONE, target) == (2, 1, 1, 19)
    outside = OTHER.copy()
    outside[4, 4] = 1
    target[4, 4] = 255
    assert hausdorff95(outside, target) == hausdorff95(OTHER, target)


def test_each_class_is_its_own_mask():
    classes = np.array([[0, 1, 2], [2, 2, 1]])
    target = np.array([[0, 1, 1], [2, 255, 2]])
    assert [dice(classes, target, label=k) for k in range(3)] == [1, 0.5, 0.5]


def test_empty_masks_are_defined():
    empty = np.zeros((3, 4), bool)
    full = ~empty
    assert dice(empty, empty) == iou(empty, empty) == 1
    assert dice(empty, full) == iou(full, empty) == 0
    assert hausdorff95(empty, empty) == 0
    assert hausdorff95(empty, full) == hausdorff95(full, empty) == 5
    assert hausdorff95(empty, full, spacing=2) == 10


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")  # MONAI triggers its own warning
@pytest.mark.parametrize("shape", [(12, 15), (6, 8, 7)])
@pytest.mark.parametrize("seed", range(3))
def test_masks_agree_with_monai(shape, seed):
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    pair = [gaussian_filter(rng.normal(size=shape), 1.5) > 0.05 for _ in range(2)]
    one, other = (torch.tensor(mask)[None, None] for mask in pair)
    assert dice(*pair) == pytest.approx(compute_dice(one, other).item(), rel=1e-6)
    assert iou(*pair) == pytest.approx(compute_iou(one, other).item(), rel=1e-6)
    for spacing in ((1.0,) * len(shape), (0.5, 2.0, 1.5)[: len(shape)]):
        monai = compute_hausdorff_distance(one, other, percentile=95, spacing=spacing).item()
        assert hausdorff95(*pair, spacing=spacing) == pytest.approx(monai, rel=1e-5)


@given(masks, masks)
def test_agreement_is_symmetric_and_dice_follows_from_iou(one, other):
    assert dice(one, other) == dice(other, one)
    assert hausdorff95(one, other) == hausdorff95(other, one)
    assert dice(one, other) == pytest.approx(2 * iou(one, other) / (1 + iou(one, other)))
    assert dice(one, one) == 1
    assert hausdorff95(one, one) == 0


def brute_force_matching(labels, target_labels, threshold):
    """Return the most pairs, then the largest summed IoU, over all one-to-one assignments (StarDist's definition)."""
    predicted, true = (np.setdiff1d(np.unique(side), [0]) for side in (labels, target_labels))
    ious = np.array([[iou(labels == p, target_labels == t) for t in true] for p in predicted]).reshape(
        len(predicted), len(true)
    )
    if ious.shape[0] > ious.shape[1]:
        ious = ious.T
    best = (0, 0.0)
    for columns in permutations(range(ious.shape[1]), ious.shape[0]):
        kept = [value for value in ious[np.arange(len(columns)), list(columns)] if value >= threshold]
        best = max(best, (len(kept), sum(kept)))
    return best[0], len(predicted) - best[0], len(true) - best[0], best[1]


@given(label_maps, label_maps)
def test_matching_equals_brute_force(labels, target_labels):
    found = matching(labels, target_labels, THRESHOLDS)
    for row, threshold in zip(zip(*found, strict=True), THRESHOLDS, strict=True):
        expected = brute_force_matching(labels, target_labels, threshold)
        assert row[:3] == expected[:3]
        assert row[3] == pytest.approx(expected[3])


@given(label_maps, label_maps, st.permutations(range(1, 5)), st.sampled_from([1, 7, -3, 10**9]))
def test_matching_does_not_depend_on_label_numbers(labels, target_labels, order, factor):
    renamed = factor * np.concatenate([[0], order])[labels]
    for one, other in zip(matching(renamed, target_labels), matching(labels, target_labels), strict=True):
        np.testing.assert_allclose(one, other)


@given(label_maps, label_maps)
def test_swapping_sides_swaps_false_positives_and_negatives(labels, target_labels):
    one, other = matching(labels, target_labels), matching(target_labels, labels)
    np.testing.assert_array_equal([one.tp, one.fp, one.fn], [other.tp, other.fn, other.fp])


def test_objects_of_one_image_by_hand():
    target = np.zeros((10, 10), int)
    target[0:4, 0:4], target[6:10, 0:4], target[0:4, 6:10] = 1, 2, 3
    labels = np.zeros((10, 10), int)
    labels[0:4, 0:4], labels[6:10, 0:2] = 9, 8  # exact; half of object 2, IoU 0.5; object 3 missed
    labels[9, 9] = 7
    found = matching(labels, target, (0.5, 0.6))
    np.testing.assert_array_equal([found.tp, found.fp, found.fn], [[2, 1], [1, 2], [1, 2]])
    np.testing.assert_allclose(average_precision_iou(labels, target, (0.5, 0.6)), [2 / 4, 1 / 5])
    np.testing.assert_allclose(dice_of_counts(*found[:3]), [4 / 6, 2 / 6])
    np.testing.assert_allclose(panoptic_quality(found), [1.5 / 3, 1 / 3])


def test_images_without_objects_are_defined():
    empty, full = np.zeros((4, 4), int), np.ones((4, 4), int)
    assert average_precision_iou(empty, empty).tolist() == [1] * 5
    assert average_precision_iou(full, empty).tolist() == average_precision_iou(empty, full).tolist() == [0] * 5
    assert panoptic_quality(matching(empty, empty)).tolist() == [1] * 5


def test_pooling_weights_objects_and_not_images():
    half = np.array([[1, 1, 0, 0]] * 4)
    many = np.arange(1, 17).reshape(4, 4)
    both = pooled([matching(half, half.T), matching(many, many)])
    np.testing.assert_allclose(iou_of_counts(*both[:3])[0], 16 / 18)


def test_the_work_hardly_grows_with_the_number_of_objects():
    labels = np.kron(np.arange(1, 530).reshape(23, 23), np.ones((30, 30), int)).astype(np.int32)
    shifted = np.roll(labels, 5, axis=1)
    few, many = (calls(lambda n=n: matching(labels[:n], shifted[:n])) for n in (30, 690))
    assert many < 2 * few
    assert matching(labels, shifted).tp[0] == 23 * 23


def test_every_public_name_exists_and_is_documented():
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__
