"""Bias, variance and mismatch as in A. Ng, Machine Learning Yearning, with errors in percent; a person makes none."""

import math

import pytest

from biocnn.evaluation.diagnosis import SPLITS, Level, Step, steps
from biocnn.metrics.errors import error_of


def levels(*percent: float | None, noise: float = 0.01) -> list[Level]:
    """Make levels from errors in percent of train, train-dev, val and test; None: no such split."""
    named = zip(SPLITS, percent, strict=False)
    return [Level(name, e / 100, (e - noise) / 100, (e + noise) / 100) for name, e in named if e is not None]


def causes(found: list[Step]) -> list[str]:
    """Return the causes of the steps that call for a remedy, in order."""
    return [cause for step in found if step.found for cause in step.causes]


@pytest.mark.parametrize(
    ("errors", "found"),
    [
        ((1, 9, 10), ["variance"]),
        ((1, 1.5, 10), ["mismatch"]),
        ((10, 11, 12), ["bias"]),
        ((10, 11, 20), ["bias", "mismatch"]),
        ((1, None, 10), ["variance", "mismatch"]),  # cannot be told apart
        ((1, 1.5, 2, 10), ["overfitting"]),
        ((0.1, 0.1, 0.2, 0.2), []),  # too little to be worth a remedy
        ((5, 2, 1, 1), ["bias"]),  # easier examples have no cause
    ],
)
def test_worked_cases(errors, found):
    assert causes(steps(levels(*errors))) == found


def test_bias_is_measured_from_the_human_level():
    assert causes(steps([Level("human", 0.095), *levels(10, 11, 20)])) == ["mismatch"]


def test_steps_within_noise_have_no_cause():
    """A rise of 8% is clear if both errors are known to ±5%, but not to ±6%: sqrt(2) * 6 > 8."""
    assert causes(steps(levels(1, 9, noise=5)[:2])) == ["variance"]
    within = steps(levels(1, 9, noise=6))[1]
    assert within.large
    assert not within.clear
    assert within.noise == pytest.approx(math.sqrt(2) * 0.06)


def test_errors_without_a_largest_value_are_compared_as_they_are():
    assert causes(steps(levels(0.01, None, 0.1), least=0)) == ["variance", "mismatch"]
    assert causes(steps(levels(0.01, None, 0.1))) == []


def test_steps_without_an_interval_have_no_cause():
    """Too few groups for an interval: nothing is known about the noise."""
    unknown = Level("val", 0.1)
    (_, step) = steps([*levels(1), unknown])
    assert step.large
    assert math.isnan(step.noise)
    assert not step.found


def test_metrics_become_errors():
    assert error_of("auroc", 0.9) == pytest.approx(0.1)
    assert error_of("mse", 3) == 3
    assert math.isnan(error_of("psnr", 30))
