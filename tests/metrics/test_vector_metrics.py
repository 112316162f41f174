"""Vector metrics, compared with scikit-learn and SciPy; their bootstrap, compared with theory."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biocnn.core.errors import InputError
from biocnn.metrics import (
    accuracy,
    auprc,
    auroc,
    bootstrap,
    ece,
    iou_of_counts,
    mse,
    pearson,
    recall_at_fdr10,
    replicates,
    spearman,
)
from biocnn.metrics.weighted import bins_of_equal_mass

VECTOR_METRICS = (auroc, auprc, recall_at_fdr10, accuracy, ece, pearson, spearman, mse)


def oracle(metric):
    """Return the same metric from an established package."""
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
    """Compute bin by bin: equal probabilities share the bin of their mean rank."""
    places = np.array([((probability < p).sum() + (probability <= p).sum()) / 2 for p in probability])
    bins = np.floor(15 * places / len(places)).clip(max=14)
    gaps = [abs(np.sum(probability[bins == b] - target[bins == b])) for b in range(15)]
    return sum(gaps) / len(probability)


def example_vectors(decimals: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities with many ties (few decimals) and a weakly related target."""
    rng = np.random.default_rng(decimals)
    target = (rng.random(n) < 0.3).astype(np.float32)
    return np.round(np.clip(rng.normal(0.4 + 0.2 * target, 0.2), 0, 1), decimals), target


def test_auroc_of_four_examples_by_hand():
    assert auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert auprc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == pytest.approx(1 / 2 + (2 / 3) / 2)
    assert auroc([0.5, 0.5, 0.5], [0, 1, 1]) == 0.5
    assert auprc([0.5, 0.5, 0.5], [0, 1, 1]) == pytest.approx(2 / 3)
    assert accuracy([0.5, 0.4, 0.9], [1, 1, 0]) == pytest.approx(1 / 3)


def test_recall_at_ten_percent_by_hand():
    target = [1] * 9 + [0] + [1] * 9 + [0, 0, 1]
    probability = np.arange(len(target), 0, -1) / 30
    # 18 of the first 20 (2 / 20 = 0.1), not 19 / 22
    assert recall_at_fdr10(probability, target) == pytest.approx(18 / 19)
    assert recall_at_fdr10([0.9, 0.8, 0.7], [0, 1, 1]) == 0, "no threshold reaches this FDR"
    assert recall_at_fdr10([0.5, 0.5, 0.1], [0, 1, 0]) == 0, "ties share a threshold"
    assert math.isnan(recall_at_fdr10([0.1, 0.2], [1, 1]))


def test_calibration_error_by_hand_and_as_scikit_learn_bins():
    from sklearn.calibration import calibration_curve

    assert ece([0.3] * 10, [1, 1, 1] + [0] * 7) == pytest.approx(0), "a fraction of 0.3 at probability 0.3"
    assert ece([0.9] * 4, [1, 0, 0, 0]) == pytest.approx(0.65)
    rng = np.random.default_rng(0)
    probability = rng.random(15 * 40)
    target = (rng.random(600) < probability**2).astype(int)
    true, said = calibration_curve(target, probability, n_bins=15, strategy="quantile")
    assert ece(probability, target) == pytest.approx(np.abs(true - said).mean())
    assert np.bincount(bins_of_equal_mass(np.ones((1, 600)), probability, 8)[0]).tolist() == [75] * 8


def test_calibration_error_of_calibrated_probabilities_is_small():
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
def test_a_weighted_metric_equals_the_metric_of_resampled_examples(metric):
    from biocnn.metrics.resampling import WEIGHTED

    probability, target = example_vectors(1)
    drawn = np.random.default_rng(3).integers(200, size=(20, 200))
    counts = np.stack([np.bincount(rows, minlength=200) for rows in drawn]).astype(float)
    weighted = WEIGHTED[metric](counts, probability, target.astype(float))
    np.testing.assert_allclose(weighted, [oracle(metric)(probability[r], target[r]) for r in drawn], atol=1e-12)


@pytest.mark.parametrize("metric", VECTOR_METRICS)
@pytest.mark.parametrize(("probability", "target"), [([], []), ([0.1, np.nan], [0, 1])])
def test_empty_and_nan_input_give_nan(metric, probability, target):
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


@given(
    arrays(np.float64, 30, elements=st.integers(0, 8).map(lambda i: i / 8)),
    arrays(np.int8, 30, elements=st.integers(0, 1)),
)
def test_ranking_metrics_depend_only_on_ranks(probability, target):
    for metric in (auroc, auprc, spearman):
        np.testing.assert_allclose(metric(probability**3 + 5, target), metric(probability, target))
    np.testing.assert_allclose(auroc(-probability, target), 1 - auroc(probability, target))


@pytest.mark.parametrize("metric", VECTOR_METRICS)
def test_bootstrap_intervals_contain_the_value_and_are_reproducible(metric):
    probability, target = example_vectors(2)
    low, high = bootstrap(metric, probability, target, seed=1)
    assert low < metric(probability, target) < high
    assert (low, high) == bootstrap(metric, probability, target, seed=1)
    assert (low, high) != bootstrap(metric, probability, target, seed=2)


def test_bootstrap_of_the_mean_is_close_to_theory_and_to_the_slow_way():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap(np.mean, values, seed=1, n=2000)
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose([low, high], values.mean() + np.array([-half, half]), atol=0.015)
    np.testing.assert_allclose(bootstrap(lambda v: v.mean(), values, seed=1, n=2000), [low, high], atol=0.015)


def test_bootstrap_of_pooled_counts_accepts_any_function():
    tp, fp, fn = np.random.default_rng(0).integers(0, 50, (3, 40))
    low, high = bootstrap(lambda a, b, c: iou_of_counts(a.sum(), b.sum(), c.sum()), tp, fp, fn, seed=1)
    assert 0 < low < iou_of_counts(tp.sum(), fp.sum(), fn.sum()) < high < 1


def test_bootstrap_without_a_defined_value_is_nan():
    assert all(map(math.isnan, bootstrap(auroc, [0.1, 0.2], [1, 1], seed=1)))
    assert all(map(math.isnan, bootstrap(np.mean, [0.1], seed=1)))
    assert all(map(math.isnan, bootstrap(auroc, [0.1, np.nan, 0.3, 0.2, 0.4], [1, 0, 1, 1, 0], seed=1)))


def test_few_examples_have_no_interval():
    """Three perfectly separated examples would have an interval from 1 to 1."""
    probability, target = np.array([0.1, 0.2, 0.8, 0.9, 0.3]), np.array([0, 0, 1, 1, 0])
    assert np.isnan(bootstrap(auroc, probability[:4], target[:4], seed=1)).all()
    assert bootstrap(auroc, probability, target, seed=1) == (1, 1)
