"""Vector metrics against scikit-learn and SciPy, masks against MONAI, objects against brute force."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biocnn import metrics
from biocnn.errors import InputError
from biocnn.metrics import (
    accuracy,
    auprc,
    auroc,
    average_precision_iou,
    bootstrap,
    confusion,
    dice,
    dice_of_counts,
    ece,
    hausdorff95,
    iou,
    iou_of_counts,
    matching,
    mse,
    panoptic_quality,
    pearson,
    pooled,
    recall_at_fdr10,
    replicates,
    spearman,
)

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)
VECTOR_METRICS = (auroc, auprc, recall_at_fdr10, accuracy, ece, pearson, spearman, mse)

masks = arrays(bool, (6, 7))
label_maps = arrays(np.int32, (7, 8), elements=st.integers(0, 4))


def oracle(metric):
    """The same metric from the package that everybody trusts."""
    from scipy import stats
    from sklearn import metrics as sk

    return {
        auroc: lambda p, y: sk.roc_auc_score(y, p),
        auprc: lambda p, y: sk.average_precision_score(y, p),
        recall_at_fdr10: lambda p, y: clean_recall(*sk.precision_recall_curve(y, p)),
        accuracy: lambda p, y: sk.accuracy_score(y, p >= 0.5),
        ece: calibration_error,
        pearson: lambda p, y: stats.pearsonr(p, y)[0],
        spearman: lambda p, y: stats.spearmanr(p, y)[0],
        mse: lambda p, y: sk.mean_squared_error(y, p),
    }[metric]


def clean_recall(precision, recall, _):
    return recall[np.flatnonzero(precision >= 0.9 - 1e-12)].max()


def calibration_error(probability, target):
    """Bin by bin: of the examples in order, those of one probability together, by the middle of their places."""
    places = np.array([((probability < p).sum() + (probability <= p).sum()) / 2 for p in probability])
    bins = np.floor(15 * places / len(places)).clip(max=14)
    gaps = [abs(np.sum(probability[bins == b] - target[bins == b])) for b in range(15)]
    return sum(gaps) / len(probability)


def example_vectors(decimals: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with many ties (few decimals) and a target that they predict somewhat."""
    rng = np.random.default_rng(decimals)
    target = (rng.random(n) < 0.3).astype(np.float32)
    return np.round(np.clip(rng.normal(0.4 + 0.2 * target, 0.2), 0, 1), decimals), target


def test_auroc_of_four_by_hand():
    assert auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert auprc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == pytest.approx(1 / 2 + (2 / 3) / 2)
    assert auroc([0.5, 0.5, 0.5], [0, 1, 1]) == 0.5
    assert auprc([0.5, 0.5, 0.5], [0, 1, 1]) == pytest.approx(2 / 3)
    assert accuracy([0.5, 0.4, 0.9], [1, 1, 0]) == pytest.approx(1 / 3)


def test_recall_at_ten_percent_by_hand():
    target = [1] * 9 + [0] + [1] * 9 + [0, 0, 1]
    probability = np.arange(len(target), 0, -1) / 30
    assert recall_at_fdr10(probability, target) == pytest.approx(
        18 / 19
    )  # 18 of the first 20 (2 / 20 = .1), not 19 / 22
    assert recall_at_fdr10([0.9, 0.8, 0.7], [0, 1, 1]) == 0, "no threshold is that clean"
    assert recall_at_fdr10([0.5, 0.5, 0.1], [0, 1, 0]) == 0, "ties are taken together"
    assert math.isnan(recall_at_fdr10([0.1, 0.2], [1, 1]))


def test_calibration_error_by_hand_and_as_scikit_learn_bins():
    from sklearn.calibration import calibration_curve

    assert ece([0.3] * 10, [1, 1, 1] + [0] * 7) == pytest.approx(0), "a share of .3 where .3 is said"
    assert ece([0.9] * 4, [1, 0, 0, 0]) == pytest.approx(0.65)
    rng = np.random.default_rng(0)
    probability = rng.random(15 * 40)
    target = (rng.random(600) < probability**2).astype(int)
    true, said = calibration_curve(target, probability, n_bins=15, strategy="quantile")
    assert ece(probability, target) == pytest.approx(np.abs(true - said).mean())


def test_calibration_error_of_honest_probabilities_is_small():
    rng = np.random.default_rng(1)
    probability = rng.random(60_000)
    assert ece(probability, rng.random(60_000) < probability) < 0.01
    assert ece(probability, rng.random(60_000) < probability / 2) == pytest.approx(0.25, abs=0.01)


def test_replicates_are_paired_by_the_seed():
    probability, target = example_vectors(2)
    worse = probability + np.random.default_rng(0).normal(0, 0.05, 200)
    one, other = (replicates(auroc, p, target, seed=1, n=300) for p in (probability, worse))
    independent = replicates(auroc, worse, target, seed=2, n=300)
    assert np.std(one - other) < 0.5 * np.std(one - independent)
    np.testing.assert_array_equal(one - replicates(auroc, probability**3, target, seed=1, n=300), 0)


@pytest.mark.parametrize("decimals", [1, 2, 9])
@pytest.mark.parametrize("metric", VECTOR_METRICS)
def test_vector_metrics_equal_their_oracles(metric, decimals):
    probability, target = example_vectors(decimals)
    assert metric(probability, target) == pytest.approx(oracle(metric)(probability, target), abs=1e-12)


@pytest.mark.parametrize("metric", VECTOR_METRICS)
def test_weighted_metric_equals_the_metric_of_the_drawn_examples(metric):
    from biocnn.metrics.resampling import WEIGHTED

    probability, target = example_vectors(1)
    drawn = np.random.default_rng(3).integers(200, size=(20, 200))
    counts = np.stack([np.bincount(rows, minlength=200) for rows in drawn]).astype(float)
    weighted = WEIGHTED[metric](counts, probability, target.astype(float))
    np.testing.assert_allclose(weighted, [oracle(metric)(probability[r], target[r]) for r in drawn], atol=1e-12)


@pytest.mark.parametrize("metric", VECTOR_METRICS)
@pytest.mark.parametrize(("probability", "target"), [([], []), ([0.1, np.nan], [0, 1])])
def test_nothing_and_nan_give_nan(metric, probability, target):
    assert math.isnan(metric(probability, target))


@pytest.mark.parametrize("target", [[0, 0, 0], [1, 1, 1]])
def test_one_class_has_no_ranking(target):
    probability = [0.1, 0.2, 0.3]
    assert math.isnan(auroc(probability, target))
    assert math.isnan(auprc(probability, target))


@pytest.mark.parametrize("constant", [0.1, 1e9, 0.0])
def test_constant_input_has_no_correlation(constant):
    for metric in (pearson, spearman):
        assert math.isnan(metric([constant] * 7, range(7)))
        assert math.isnan(metric(range(7), [constant] * 7))


def test_a_small_spread_on_a_large_offset_is_not_constant():
    assert pearson(1e6 + np.arange(9) * 1e-3, np.arange(9)) == pytest.approx(1)


def test_lengths_must_agree():
    with pytest.raises(InputError, match="shapes"):
        auroc([0.1, 0.2], [0, 1, 1])
    with pytest.raises(InputError, match="shape"):
        dice(np.zeros((3, 3)), np.zeros((3, 4)))


@given(
    arrays(np.float64, 30, elements=st.integers(0, 8).map(lambda i: i / 8)),
    arrays(np.int8, 30, elements=st.integers(0, 1)),
)
def test_ranking_metrics_see_ranks_only(probability, target):
    for metric in (auroc, auprc, spearman):
        np.testing.assert_allclose(metric(probability**3 + 5, target), metric(probability, target))
    np.testing.assert_allclose(auroc(-probability, target), 1 - auroc(probability, target))


@pytest.mark.parametrize("metric", VECTOR_METRICS)
def test_bootstrap_holds_the_value_and_repeats(metric):
    probability, target = example_vectors(2)
    low, high = bootstrap(metric, probability, target, seed=1)
    assert (low if metric is not ece else 0) < metric(probability, target) < high  # that of resamples is larger
    assert (low, high) == bootstrap(metric, probability, target, seed=1)
    assert (low, high) != bootstrap(metric, probability, target, seed=2)


def test_bootstrap_of_the_mean_is_close_to_theory_and_to_the_slow_way():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap(np.mean, values, seed=1, n=2000)
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose([low, high], values.mean() + np.array([-half, half]), atol=0.015)
    np.testing.assert_allclose(bootstrap(lambda v: v.mean(), values, seed=1, n=2000), [low, high], atol=0.015)


def test_bootstrap_of_pooled_counts_takes_any_function():
    tp, fp, fn = np.random.default_rng(0).integers(0, 50, (3, 40))
    low, high = bootstrap(lambda a, b, c: iou_of_counts(a.sum(), b.sum(), c.sum()), tp, fp, fn, seed=1)
    assert 0 < low < iou_of_counts(tp.sum(), fp.sum(), fn.sum()) < high < 1


def test_bootstrap_without_a_defined_value_is_nan():
    assert all(map(math.isnan, bootstrap(auroc, [0.1, 0.2], [1, 1], seed=1)))
    assert all(map(math.isnan, bootstrap(np.mean, [0.1], seed=1)))
    assert all(map(math.isnan, bootstrap(auroc, [0.1, np.nan, 0.3], [1, 0, 1], seed=1)))


ONE = np.zeros((5, 5), int)
ONE[1:3, 1:3] = 1
OTHER = np.zeros((5, 5), int)
OTHER[1:3, 2:4] = 1


def test_overlap_of_two_squares_by_hand():
    assert confusion(ONE, OTHER) == (2, 2, 2)
    assert dice(ONE, OTHER) == 0.5
    assert iou(ONE, OTHER) == pytest.approx(1 / 3)
    assert hausdorff95(ONE, OTHER) == 1.0
    assert hausdorff95(ONE, OTHER, spacing=(1, 0.25)) == 0.25


def test_ignored_pixels_do_not_count():
    target = OTHER.copy()
    target[1, 1] = target[1, 3] = 255
    assert confusion(ONE, target) == (2, 1, 1)
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


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")  # MONAI warns of its own use of its own option
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
    """The most pairs, then the largest summed IoU, over all one-to-one assignments (StarDist's definition)."""
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


@settings(deadline=None)
@given(label_maps, label_maps)
def test_matching_equals_brute_force(labels, target_labels):
    found = matching(labels, target_labels, THRESHOLDS)
    for row, threshold in zip(zip(*found, strict=True), THRESHOLDS, strict=True):
        expected = brute_force_matching(labels, target_labels, threshold)
        assert row[:3] == expected[:3]
        assert row[3] == pytest.approx(expected[3])


@given(label_maps, label_maps, st.permutations(range(1, 5)), st.sampled_from([1, 7, -3, 10**9]))
def test_matching_does_not_see_the_numbers_of_objects(labels, target_labels, order, factor):
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
    labels[0:4, 0:4], labels[6:10, 0:2] = 9, 8  # exact; half of object 2, IoU .5; object 3 missed
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


def test_pooling_weighs_objects_and_not_images():
    half = np.array([[1, 1, 0, 0]] * 4)
    many = np.arange(1, 17).reshape(4, 4)
    both = pooled([matching(half, half.T), matching(many, many)])
    np.testing.assert_allclose(iou_of_counts(*both[:3])[0], 16 / 18)


def test_five_hundred_objects_take_milliseconds():
    from time import perf_counter

    labels = np.kron(np.arange(1, 530).reshape(23, 23), np.ones((30, 30), int)).astype(np.int32)
    shifted = np.roll(labels, 5, axis=1)
    matching(labels, shifted)
    start = perf_counter()
    found = matching(labels, shifted)
    assert perf_counter() - start < 0.5
    assert found.tp[0] == 23 * 23


def test_every_public_name_is_there_and_documented():
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__
