"""Numbers for each example: units, intervals and their coverage, for every form of prediction."""

import numpy as np
import pytest
import torch
from tiny import image_facts, sequence_facts

from biocnn.config.schema import choose
from biocnn.metrics import gaussian_crps
from biocnn.tasks import make_task
from biocnn.tasks.regression import Regression

UNIT = {"mean": [3.0, -1.0], "sd": [2.0, 0.5]}
LOSSES = pytest.mark.parametrize("loss", Regression.losses)


def model_task(loss: str) -> Regression:
    facts = image_facts(task="regression", outputs=["a", "b"])
    return make_task(make_task(facts).facts_with(choose("losses", loss, "loss")))


def logits(task: Regression, rows: int = 6) -> torch.Tensor:
    return torch.randn(rows, task.facts.out_channels, generator=torch.Generator().manual_seed(1))


@LOSSES
def test_predictions_convert_like_logits_from_the_unit_of_training(loss: str) -> None:
    task = model_task(loss)
    task.unit = UNIT | ({"mean": [0.0, 0.0]} if task.facts.form == "rate" else {})
    z = logits(task)
    factor, shift = (torch.tensor(each) for each in task.from_unit(task.unit))
    expected = task.probability(z * factor + shift)
    np.testing.assert_allclose(task.in_targets_unit(task.probability(z).numpy()), expected, rtol=1e-5)


@LOSSES
def test_intervals_hold_9_of_10_validation_examples_and_the_value(loss: str) -> None:
    task, rng = model_task(loss), np.random.default_rng(0)
    assert list(task.check_facts()) == []
    p = task.probability(logits(task, 99)).numpy()
    y = np.abs(p[:, :2] + rng.normal(0, 1, (99, 2)).astype(np.float32))
    y[::9, 1] = np.nan
    tuned = task.tune(p, y)
    settled = task.settle(p, tuned)
    value, low, high = task.blocks(settled)[:3]
    np.testing.assert_array_equal(value, p[:, :2])
    assert (low < value).all()
    assert (high > value).all()
    within = np.where(np.isnan(y), np.nan, (low <= y + 1e-6) & (y - 1e-6 <= high))
    assert np.nansum(within, axis=0).tolist() == [90, 81]  # the smallest ceil(.9 (n + 1)) of 99 and 88
    found = {(output, name): each for output, name, each in task.averaged(settled, y)}
    assert {name for _, name in found} == {"coverage90", "interval_width", *["crps"] * (len(task.blocks(settled)) == 4)}


def test_new_examples_are_in_their_interval_in_9_of_10_cases() -> None:
    task, rng, covered = model_task("mse"), np.random.default_rng(1), []
    for _ in range(400):
        y = rng.standard_t(3, (40, 2)).astype(np.float32)
        settled = task.settle(np.zeros((20, 2), np.float32), task.tune(np.zeros((20, 2), np.float32), y[:20]))
        covered += [each.mean() for _, name, each in task.averaged(settled, y[20:]) if name == "coverage90"]
    assert 0.89 < np.mean(covered) < 0.92


def test_few_validation_examples_give_no_interval() -> None:
    task = model_task("mse")
    tuned = task.tune(np.zeros((8, 2)), np.ones((8, 2)))
    assert tuned == {"margin": [None, None]}
    settled = task.settle(np.zeros((3, 2)), tuned)
    assert np.isnan(settled[:, 2:]).all()
    assert np.isnan(next(task.averaged(settled, np.ones((3, 2))))[2]).all()


def test_several_models_are_averaged_and_distributions_mixed() -> None:
    task = model_task("gaussian_nll")
    one, other = np.array([1, 2, 0, 1, 2, 3, 0.5, 1.0]), np.array([3, 2, 2, 1, 4, 3, 0.5, 1.0])
    mixed = task.combine([one, other])
    np.testing.assert_allclose(mixed[:6], (one + other)[:6] / 2)
    np.testing.assert_allclose(mixed[6:], [np.sqrt(0.25 + 1), 1])
    row = task.describe(np.stack([one, other]))
    assert row["value_a"] == 2
    assert row["sd_a"] == pytest.approx(np.sqrt(2))
    assert (row["low_a"], row["high_a"]) == (1, 3)
    crps = [each for _, name, each in task.averaged(one[None], np.array([[1.0, 5.0]])) if name == "crps"]
    np.testing.assert_allclose(np.ravel(crps), gaussian_crps(one[:2], one[6:], np.array([1.0, 5.0])))


def test_numbers_of_sequences_are_judged_by_their_correlation() -> None:
    sequences = make_task(sequence_facts(task="regression", outputs=["a"]))
    assert (sequences.monitor, sequences.headline) == (Regression.monitor, Regression.headline)


def test_the_form_of_another_task_is_refused() -> None:
    facts = image_facts(task="regression", outputs=["a"]).model_copy(update={"form": "above"})
    assert list(facts.faults()) == ["out_channels is 1, not 0, for 1 output"]


def test_intervals_do_not_depend_on_the_unit() -> None:
    task, p = model_task("gaussian_nll"), np.random.default_rng(2).uniform(1, 5, (40, 4))
    y = p[:, :2] + 0.7 * p[:, 2:]
    femto = task.settle(p * 1e-15, task.tune(p * 1e-15, y * 1e-15))
    np.testing.assert_allclose(femto * 1e15, task.settle(p, task.tune(p, y)), rtol=1e-5)


def test_outputs_of_several_units_are_summarised_without_a_unit() -> None:
    assert make_task(image_facts(task="regression", outputs=["age"])).headline == ("mae", "pearson")
    assert make_task(image_facts(task="regression", outputs=["age", "area"])).headline == ("r2", "pearson")
