"""Metrics of one of several classes, compared with scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from biocnn import metrics
from biocnn.core.errors import InputError
from biocnn.metrics.resampling import OF_CLASSES

N, K = 30, 4
ROWS = np.eye(K)
ORACLES = {
    metrics.macro_auroc: lambda p, y: sk.roc_auc_score(y, p, multi_class="ovr", labels=range(K)),
    metrics.macro_auprc: lambda p, y: sk.average_precision_score(ROWS[y], p),
    metrics.class_accuracy: lambda p, y: sk.accuracy_score(y, p.argmax(axis=1)),
    metrics.top2_accuracy: lambda p, y: sk.top_k_accuracy_score(y, p, k=2, labels=range(K)),
    metrics.balanced_accuracy: lambda p, y: sk.balanced_accuracy_score(y, p.argmax(axis=1)),
    metrics.cohens_kappa: lambda p, y: sk.cohen_kappa_score(y, p.argmax(axis=1)),
    metrics.class_ece: lambda p, y: metrics.ece(p.max(axis=1), p.argmax(axis=1) == y),
}


def examples(seed: int, n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities weakly related to the class of each example."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, n)
    p = np.exp(rng.normal(0, 1, (n, K)) + ROWS[y])
    return p / p.sum(axis=1, keepdims=True), y


@given(st.integers(0, 2**32 - 1), arrays(np.int64, N, elements=st.integers(0, K - 1)))
def test_metrics_equal_those_of_scikit_learn(seed: int, y: np.ndarray) -> None:
    assume(len(set(y)) == K)
    p, _ = examples(seed, N)
    for metric, oracle in ORACLES.items():
        assert metric(p, ROWS[y]) == pytest.approx(oracle(p, y), abs=1e-9)
    np.testing.assert_array_equal(metrics.class_confusion(p, ROWS[y]), sk.confusion_matrix(y, p.argmax(axis=1)))


@pytest.mark.parametrize("metric", ORACLES)
def test_a_weighted_metric_equals_the_metric_of_resampled_examples(metric) -> None:
    p, y = examples(1)
    drawn = np.random.default_rng(3).integers(len(y), size=(20, len(y)))
    counts = np.stack([np.bincount(rows, minlength=len(y)) for rows in drawn]).astype(float)
    found = OF_CLASSES[metric](counts, p, ROWS[y])
    np.testing.assert_allclose(found, [ORACLES[metric](p[rows], y[rows]) for rows in drawn], atol=1e-9)


@given(
    arrays(np.float64, N, elements=st.integers(0, 8).map(lambda i: i / 8)),
    arrays(np.int8, N, elements=st.integers(0, 1)),
)
def test_sensitivity_at_a_specificity_is_that_of_the_roc_curve(p: np.ndarray, y: np.ndarray) -> None:
    assume(len(set(y)) == 2)
    false, true, _ = sk.roc_curve(y, p, drop_intermediate=False)
    assert metrics.sensitivity_at_specificity90(p, y) == pytest.approx(true[false <= 0.1 + 1e-12].max())


def test_sensitivity_at_specificity_by_hand() -> None:
    """One of ten negatives may lie above the threshold."""
    target = [1, 1, 0, 1, 0, 1] + [0] * 8
    assert metrics.sensitivity_at_specificity90(-np.arange(14), target) == 0.75
    assert metrics.sensitivity_at_specificity90([0.5] * 14, target) == 0, "ties share a threshold"
    assert math.isnan(metrics.sensitivity_at_specificity90([0.1, 0.2], [1, 1]))


def test_means_leave_out_classes_without_examples() -> None:
    p, y = examples(2)
    p, y = p[y > 0], y[y > 0]
    each = [metrics.auroc(p[:, k], y == k) for k in range(1, K)]
    assert metrics.macro_auroc(p, ROWS[y]) == pytest.approx(np.mean(each))
    assert metrics.macro_auprc(p, ROWS[y]) == pytest.approx(
        np.mean([metrics.auprc(p[:, k], y == k) for k in range(1, K)])
    )
    recalls = [(p[y == k].argmax(axis=1) == k).mean() for k in range(1, K)]
    assert metrics.balanced_accuracy(p, ROWS[y]) == pytest.approx(np.mean(recalls))


def test_one_class_alone_has_an_accuracy_but_no_ranking_and_no_kappa() -> None:
    p, target = np.tile([0.7, 0.2, 0.1, 0.0], (6, 1)), np.tile(ROWS[0], (6, 1))
    assert metrics.class_accuracy(p, target) == metrics.balanced_accuracy(p, target) == 1
    for metric in (metrics.macro_auroc, metrics.macro_auprc, metrics.cohens_kappa):
        assert math.isnan(metric(p, target))


@pytest.mark.parametrize("metric", ORACLES)
def test_empty_and_nan_input_give_nan_and_shapes_must_agree(metric) -> None:
    p, y = examples(3)
    assert math.isnan(metric(p[:0], ROWS[y[:0]]))
    assert math.isnan(metric(np.where(p > 0.9, np.nan, p), ROWS[y]))
    assert np.isnan(metrics.bootstrap(metric, np.where(p > 0.9, np.nan, p), ROWS[y], seed=1, n=5)).all()
    with pytest.raises(InputError, match="shapes"):
        metric(p, y)


@pytest.mark.parametrize("metric", ORACLES)
def test_intervals_contain_the_value_and_draw_whole_groups(metric) -> None:
    p, y = examples(4, 400)
    low, high = metrics.bootstrap(metric, p, ROWS[y], seed=1, n=300)
    assert low < metric(p, ROWS[y]) < high
    p, target, groups = np.repeat(p[:80], 5, axis=0), np.repeat(ROWS[y[:80]], 5, axis=0), np.repeat(np.arange(80), 5)
    wide, alone = (
        np.ptp(metrics.bootstrap(metric, p, target, seed=1, n=300, groups=which)) for which in (groups, None)
    )
    assert wide > 1.2 * alone, "five copies of an example are no new information"


def test_rows_are_labelled_if_all_their_columns_are_known() -> None:
    target = np.array([[1, 0], [np.nan, np.nan], [0, 1]])
    known, rows = metrics.labelled(target, np.arange(3))
    np.testing.assert_array_equal(known, target[[0, 2]])
    np.testing.assert_array_equal(rows, [0, 2])
