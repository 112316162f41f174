"""Areas under curves of pixels, compared with scikit-learn, and resampled sums, compared with resampled images."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from biocnn.metrics import auprc_of_counts, auroc_of_counts, dice, interval, pixel_histogram
from biocnn.metrics.histograms import coarse
from biocnn.metrics.masks import confusion, dice_of_counts
from biocnn.metrics.resampling import bootstrap, replicates, sum_replicates


def image(seed: int, shape: tuple[int, ...] = (40, 50)) -> tuple[np.ndarray, np.ndarray]:
    """Return stored probabilities, many of them exactly 0 and 1, and a mask with an unknown margin."""
    rng = np.random.default_rng(seed)
    target = (rng.random(shape) < 0.2).astype(np.uint8)
    p = np.clip(rng.normal(0.2 + 0.4 * target, 0.3), 0, 1).astype(np.float16)
    target[:5] = 255
    return p, target


@pytest.mark.parametrize("shape", [(40, 50), (8, 12, 10)])
def test_areas_equal_those_of_scikit_learn(shape):
    pairs = [image(seed, shape) for seed in range(3)]
    counts = np.stack([pixel_histogram(*pair) for pair in pairs])
    known = [(p[target != 255].astype(float), target[target != 255]) for p, target in pairs]
    for number, (p, target) in enumerate(known):
        assert auroc_of_counts(counts)[number] == pytest.approx(roc_auc_score(target, p), abs=1e-12)
        assert auprc_of_counts(counts)[number] == pytest.approx(average_precision_score(target, p), abs=1e-12)
    p, target = (np.concatenate(side) for side in zip(*known, strict=True))
    assert auroc_of_counts(counts.sum(axis=0)) == pytest.approx(roc_auc_score(target, p), abs=1e-12)
    assert auprc_of_counts(counts.sum(axis=0)) == pytest.approx(average_precision_score(target, p), abs=1e-12)


def test_pixels_outside_the_field_of_view_do_not_count():
    p, target = image(0)
    other = p.copy()
    other[:5] = 1 - p[:5]
    np.testing.assert_array_equal(pixel_histogram(p, target), pixel_histogram(other, target))
    assert pixel_histogram(p, target).sum() == 35 * 50


def test_a_single_class_has_no_curve():
    counts = pixel_histogram(np.full((3, 3), 0.5), np.zeros((3, 3), int))
    assert np.isnan([auroc_of_counts(counts), auprc_of_counts(counts)]).all()
    assert np.isnan([auroc_of_counts(counts[::-1]), auprc_of_counts(counts[::-1])]).all()


def test_coarse_histograms_keep_all_pixels_and_almost_the_same_areas():
    counts = np.stack([pixel_histogram(*image(seed)) for seed in range(4)])
    fewer = coarse(counts)
    assert fewer.shape[-1] <= 1000
    np.testing.assert_array_equal(fewer.sum(axis=-1), counts.sum(axis=-1))
    np.testing.assert_allclose(auroc_of_counts(fewer), auroc_of_counts(counts), atol=1e-3)
    np.testing.assert_allclose(auprc_of_counts(fewer), auprc_of_counts(counts), atol=3e-3)
    assert coarse(np.zeros((2, 2, 100), int)).sum() == 0


def mean_of(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def test_a_mean_is_computed_from_sums():
    values = np.random.default_rng(0).normal(size=30)
    found = sum_replicates(mean_of, np.stack([values, np.ones(30)], axis=-1), seed=3, n=500)
    np.testing.assert_allclose(found, replicates(np.mean, values, seed=3, n=500))


def test_pooled_values_equal_those_of_resampled_images():
    rng = np.random.default_rng(0)
    pairs = [(rng.random((9, 9)) < share, rng.random((9, 9)) < 0.4) for share in (0.1, 0.3, 0.4, 0.6, 0.9)]
    counts = np.array([confusion(*pair)[:3] for pair in pairs])

    def pooled(rows: np.ndarray) -> float:
        return dice(*(np.concatenate([pairs[i][side] for i in rows]) for side in (0, 1)))

    found = sum_replicates(lambda c: dice_of_counts(c[..., 0], c[..., 1], c[..., 2]), counts, seed=1, n=20_000)
    low, high = bootstrap(pooled, np.arange(5), seed=2, n=1000)
    assert interval(found) == pytest.approx((low, high), abs=0.02)
    assert set(np.round(found, 9)) >= {round(pooled(np.full(5, i)), 9) for i in range(5)}, "each image once, separately"


def test_whole_groups_are_resampled():
    """Ten copies of each of eight images are as informative as the eight, and have the same interval."""
    values = np.random.default_rng(1).normal(size=8)
    sums = np.stack([values, np.ones(8)], axis=-1)
    copies, groups = np.repeat(sums, 10, axis=0), np.repeat(np.arange(8), 10)
    np.testing.assert_allclose(
        sum_replicates(mean_of, copies, groups, seed=5, n=300), sum_replicates(mean_of, sums, seed=5, n=300)
    )
    width = np.ptp(interval(sum_replicates(mean_of, copies, seed=5, n=300)))
    assert width < 0.5 * np.ptp(interval(sum_replicates(mean_of, copies, groups, seed=5, n=300)))


def test_one_group_has_no_interval():
    assert np.isnan(sum_replicates(mean_of, np.ones((5, 2)), ["a"] * 5, seed=1, n=9)).all()
    assert sum_replicates(mean_of, np.ones((5, 2)), seed=1, n=0).shape == (0,)
