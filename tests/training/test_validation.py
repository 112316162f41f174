"""Validation: loss and metric over all examples, the better of two epochs, and when two precisions agree."""

import math

import numpy as np
import pytest
import torch
from tiny import images, sequences, stored, task_of
from trainings import CPU, network

from biocnn import metrics
from biocnn.config.registry import REGISTRY
from biocnn.data.dataset import Dataset
from biocnn.tasks import Task
from biocnn.training.batches import make
from biocnn.training.validation import TOLERANCE, compare, describe, validate, validation_score

TASKS = [pytest.param(task_of(name), id=name) for name in REGISTRY["tasks"]]


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(600, window=40), tmp_path_factory.mktemp("bound"))


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(16), tmp_path_factory.mktemp("cells"))


def test_validation_is_the_loss_and_the_metric_over_all_examples(bound: Dataset) -> None:
    model, batches = network(bound).eval(), make(bound, bound.rows("val"), CPU)
    loss = bound.task.make_loss(None, "none", CPU)
    row = validate(model, batches, loss, bound.task, torch.no_grad)
    ((x, y),) = batches.plain()
    with torch.no_grad():
        assert row["val_loss"] == pytest.approx(loss(model(x), y).item())
        p = model(x).sigmoid()[:, 0].numpy()
    assert row["val_auprc"] == pytest.approx(metrics.auprc(p, y[:, 0].numpy()))


@pytest.mark.parametrize("task", TASKS)
def test_an_undefined_metric_is_worse_than_any_other(task: Task) -> None:
    key = task.monitored
    good, bad = (0.1, 0.9) if key == "val_loss" else (0.9, 0.1)
    rows = [{"val_loss": 0.5, key: value} for value in (good, bad, math.nan)]
    assert sorted(rows, key=lambda row: validation_score(row, task), reverse=True) == rows
    assert validation_score(rows[-1], task)[0] == -math.inf


@pytest.mark.parametrize("task", [param for param in TASKS if param.values[0].monitor])
@pytest.mark.parametrize("value", [1.0, math.nan])
def test_the_lower_loss_is_better_among_equal_metrics(task: Task, value: float) -> None:
    surer, less_sure, broken = ({"val_loss": loss, task.monitored: value} for loss in (0.014, 0.632, math.nan))
    assert validation_score(surer, task) > validation_score(less_sure, task) > validation_score(broken, task)


def test_validation_of_masks_is_the_mean_dice_of_images(cells: Dataset) -> None:
    model, batches, calls = network(cells).eval(), make(cells, cells.rows("val"), CPU), []
    loss = cells.task.make_loss(None, "none", CPU)
    row = validate(model, batches, loss, cells.task, torch.no_grad, lambda: calls.append(1))
    scores, losses = [], []
    with torch.no_grad():
        for x, y in batches.plain():
            scores.append(metrics.dice((model(x)[0, 0] > 0).numpy(), y[0, 0].numpy()))
            losses.append(loss(model(x), y).item())
    assert row["val_dice"] == pytest.approx(np.mean(scores))
    assert row["val_loss"] == pytest.approx(np.mean(losses))
    assert len(calls) == len(scores), "requests to stop must be checked after each image"


def test_validation_changes_nothing(cells: Dataset) -> None:
    model = network(cells)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    validate(
        model, make(cells, cells.rows("val"), CPU), cells.task.make_loss(None, "none", CPU), cells.task, torch.no_grad
    )
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("task", "exact", "quick", "holds"),
    [
        ("mask", 0.9, 0.9 + 0.9 * TOLERANCE, True),
        ("mask", 0.9, 0.9 - 1.1 * TOLERANCE, False),
        ("regression", math.nan, math.nan, True),
        ("regression", 0.5, math.nan, False),
        ("instances", 10.0, 10 + 9 * TOLERANCE, True),  # for a loss above 1 the tolerance is relative
        ("instances", 10.0, 10 + 11 * TOLERANCE, False),
        ("instances", 0.1, 0.1 + 0.9 * TOLERANCE, True),
        ("instances", 0.1, math.inf, False),
    ],
)
def test_precisions_agree_within_the_tolerance(task: str, exact: float, quick: float, holds: bool) -> None:
    made = task_of(task)
    name = made.monitored
    found = compare({name: exact}, {name: quick}, made)
    assert found["holds"] is holds
    assert found["metric"] == name
    assert found["tolerance"] == TOLERANCE


def test_an_epoch_is_summarised_in_one_line() -> None:
    row = {"epoch": 3, "lr": 0.001, "train_loss": 0.5, "val_loss": 0.25, "val_dice": 0.875, "seconds": 1.25}
    wanted = "epoch   3/10  train_loss 0.5000  val_loss 0.2500  val_dice 0.8750  lr 1.0e-03  1.2 s  *best"
    assert describe(row, 10, True) == wanted
    assert describe(row, 10, False) == wanted.removesuffix("  *best")
