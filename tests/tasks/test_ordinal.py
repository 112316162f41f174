"""Ordered grades: a distribution over them, its median, and errors that count how far they are apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score
from tiny import experiment, image_facts, labelled, stored
from torch.nn import functional as F

from biocnn import metrics
from biocnn.evaluation.image_baselines import of_images
from biocnn.losses import cumulative
from biocnn.metrics.resampling import OF_CLASSES
from biocnn.prediction.model import Model
from biocnn.tasks import make_task
from biocnn.tasks.ordinal import Ordinal
from biocnn.training.checkpoint import save_model
from biocnn.training.runs import train_run

GRADES = ["none", "mild", "moderate", "severe"]
rng = np.random.default_rng(2)
TRUE = rng.integers(0, 4, 60)
Y = np.eye(4)[TRUE]
P = rng.dirichlet(np.ones(4), 60) + 2 * np.eye(4)[np.clip(TRUE + rng.integers(-1, 2, 60), 0, 3)]
P /= P.sum(axis=1, keepdims=True)


def model_task() -> Ordinal:
    return make_task(make_task(image_facts(task="ordinal", outputs=GRADES)).facts_with(None))


def test_probabilities_are_a_distribution_and_never_increase_above_a_grade() -> None:
    task, z = model_task(), torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    assert list(task.check_facts()) == []
    p = task.probability(z)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(1), torch.ones(50))
    falling = z.sort(1, descending=True).values
    above = torch.stack([task.probability(falling)[:, k:].sum(1) for k in (1, 2, 3)], 1)
    torch.testing.assert_close(above, falling.sigmoid())


def test_the_decision_is_the_median() -> None:
    task = model_task()
    assert task.decide(np.array([0.4, 0.0, 0.25, 0.35]))["grade"] == "moderate"
    assert task.decide(np.array([0.5, 0.5, 0, 0]))["grade"] == "none"
    errors = np.abs(np.arange(4)[:, None] - np.arange(4)) @ P.T
    chosen = task.chosen(P)
    np.testing.assert_allclose(errors[chosen, np.arange(60)], errors.min(axis=0), atol=1e-9)
    assert set(task.explained(torch.tensor([0.9, 0.1, 0, 0]), torch.eye(4)[0])) == {1}
    assert task.logit_of(1) == 0


def test_the_loss_is_the_mean_cross_entropy_of_being_above_each_grade() -> None:
    z, y = torch.randn(60, 3, generator=torch.Generator().manual_seed(1)), torch.tensor(Y, dtype=torch.float32)
    above = torch.tensor(TRUE[:, None] > np.arange(3), dtype=torch.float32)
    torch.testing.assert_close(cumulative(z, y), F.binary_cross_entropy_with_logits(z, above))
    torch.testing.assert_close(cumulative(z, y, torch.ones(4)), cumulative(z, y))
    masked = y.clone()
    masked[::3] = torch.nan
    known = torch.arange(60) % 3 > 0
    torch.testing.assert_close(cumulative(z, masked), cumulative(z[known], y[known]))


def test_metrics_equal_scikit_learn_and_scipy() -> None:
    found = model_task().chosen(P)
    assert metrics.quadratic_kappa(P, Y) == pytest.approx(cohen_kappa_score(TRUE, found, weights="quadratic"))
    assert metrics.grade_mae(P, Y) == pytest.approx(np.abs(found - TRUE).mean())
    assert metrics.grade_accuracy(P, Y) == pytest.approx((found == TRUE).mean())
    assert metrics.grade_spearman(P, Y) == pytest.approx(spearmanr(P @ np.arange(4), TRUE).statistic)
    again = rng.integers(60, size=60)
    counts = np.bincount(again, minlength=60)[None].astype(float)
    for name in ("quadratic_kappa", "grade_mae", "grade_accuracy", "grade_spearman"):
        metric = getattr(metrics, name)
        assert OF_CLASSES[metric](counts, P, Y)[0] == pytest.approx(metric(P[again], Y[again])), name
    assert np.isnan(metrics.quadratic_kappa(Y[TRUE == 1], Y[TRUE == 1]))


def test_a_network_learns_grades_and_baselines_are_compared(tmp_path: Path) -> None:
    dataset = stored(labelled(36, task="ordinal"), tmp_path)
    resnet = {"name": "ResNet", "channels": [4, 4, 4, 4], "depth": 18, "stem": "small"}
    train = {"epochs": 2, "batch_size": 8, "threads": 1}
    settings = experiment(resnet, data="LabelledImages", augment="none", train=train)
    network, history, meta = train_run(settings, dataset, 1)
    assert history["val_quadratic_kappa"].notna().all()
    assert len(meta.temperature) == 1
    save_model(tmp_path / "model.safetensors", network, meta)
    model = Model(tmp_path / "model.safetensors", "cpu")
    p = model.predict(np.asarray(dataset.x[0]))
    assert p.shape == (3,)
    assert p.sum() == pytest.approx(1, abs=1e-6)
    assert model.task.describe(p[None])["grade"] in dataset.facts.outputs
    found = of_images(dataset, settings)
    assert found.probability.shape[1:] == (2, 3)
    assert found.table["quadratic_kappa"].iloc[0] > 0.9, "brightness shows the grade"
