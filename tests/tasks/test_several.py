"""Truths about outputs of several kinds, and about unknown targets of every task with one vector per example."""

import numpy as np
import pytest
import torch
from tiny import image_facts, parts_of, sequence_facts, several, task_of

from biocnn.config.registry import tasks_of
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.metrics import quadratic_kappa, r2
from biocnn.tasks import make_task
from biocnn.tasks.facts import Part
from biocnn.tasks.several import Several

CPU = torch.device("cpu")
OUTPUTS = {"binary": 1, "multilabel": 3, "multiclass": 3, "ordinal": 3, "regression": 2}
LOSSES = [
    (name, loss)
    for name in OUTPUTS
    for task in tasks_of("image", "vector")
    if task.name == name
    for loss in task.losses
]


def made(loss: str = "") -> tuple[Several, np.ndarray]:
    """Return a task with four parts, and targets, some of them unknown."""
    raw = several()
    section = choose("losses", loss, "loss") if loss else None
    return make_task(make_task(raw.facts).facts_with(section)), np.asarray(raw.y)


def logits_of(task: Several, n: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, task.facts.out_channels, generator=torch.Generator().manual_seed(seed))


def targets(name: str, n: int = 12) -> torch.Tensor:
    k = OUTPUTS[name]
    if name in ("multiclass", "ordinal"):
        return torch.eye(k)[torch.arange(n) % k]
    return (torch.arange(n * k).view(n, k) % 5 < 2).float()


def test_every_vector_task_is_covered() -> None:
    assert {task.name for task in tasks_of("image", "vector")} == {*OUTPUTS, "several"}


@pytest.mark.parametrize(("name", "loss"), LOSSES)
def test_examples_without_a_target_change_neither_loss_nor_gradient(name: str, loss: str) -> None:
    section = choose("losses", loss, "loss")
    task = make_task(task_of(name, outputs=list("abc")[: OUTPUTS[name]]).facts_with(section))
    function, y = task.make_loss(section, "none", CPU), targets(name)
    z = torch.randn(len(y), task.facts.out_channels, generator=torch.Generator().manual_seed(1), requires_grad=True)
    known = torch.arange(len(y)) % 3 > 0
    y[~known] = torch.nan
    value, rest = function(z, y), function(z[known], y[known])
    torch.testing.assert_close(value, rest)
    (gradient,), (of_rest,) = torch.autograd.grad(value, z), torch.autograd.grad(rest, z)
    torch.testing.assert_close(gradient, of_rest)
    assert not gradient[~known].any()
    assert function(z, torch.full_like(y, torch.nan)).isfinite()


@pytest.mark.parametrize("name", OUTPUTS)
def test_examples_without_a_target_change_no_metric(name: str) -> None:
    from biocnn import metrics

    task = make_task(task_of(name, outputs=list("abc")[: OUTPUTS[name]]).facts_with(None))
    y = targets(name, 30)
    p = task.probability(torch.randn(30, task.facts.out_channels, generator=torch.Generator().manual_seed(2)))
    known = torch.arange(30) % 4 > 0
    partial = torch.where(known[:, None], y, torch.nan)
    for _, columns, measures in task.judged():
        pair = [
            metrics.labelled(t[:, columns].numpy(), q[:, columns].numpy())
            for t, q in ((partial, p), (y[known], p[known]))
        ]
        for measure in measures.values():
            a, b = (measure(found, target) for target, found in pair)
            assert a == b or (np.isnan(a) and np.isnan(b))
    np.testing.assert_array_equal(
        task.rated(p.numpy(), partial.numpy()), task.rated(p[known].numpy(), y[known].numpy())
    )
    words = task.words(partial[0].numpy())
    assert "?" in words or not words or name == "regression"
    assert np.isnan(task.losses_of(p.numpy(), partial.numpy())[0])


def test_the_loss_is_the_mean_of_the_parts_relative_to_the_best_constants() -> None:
    task, y = made()
    unit = {"mean": [0.0] * 7 + [float(np.nanmean(y[:, 7]))], "sd": [1.0] * 7 + [float(np.nanstd(y[:, 7]))]}
    learned = torch.from_numpy((y - np.array(unit["mean"])) / np.array(unit["sd"])).float()
    z = logits_of(task, len(y))
    plain = [part.task.make_loss(None, "none", CPU)(z[:, part.logits], learned[:, part.targets]) for part in task.parts]
    assert task.make_loss(None, "none", CPU)(z, learned).item() == pytest.approx(torch.stack(plain).mean().item())
    task.learned = learned
    shares = np.nanmean(y, axis=0)
    entropy = -(shares[:3] * np.log(shares[:3])).sum()
    binary = -(shares[3] * np.log(shares[3]) + (1 - shares[3]) * np.log(1 - shares[3]))
    above = np.array([shares[5] + shares[6], shares[6]])
    grades = -(above * np.log(above) + (1 - above) * np.log(1 - above)).mean()
    wanted = np.mean([one.item() / base for one, base in zip(plain, (entropy, binary, grades, 1), strict=True)])
    assert task.make_loss(None, "none", CPU)(z, learned).item() == pytest.approx(wanted, rel=1e-4)


def test_probabilities_of_several_models_at_once_are_those_of_each() -> None:
    """Effects of variants are computed so."""
    outputs = list("abcd")
    task = make_task(sequence_facts(task="several", outputs=outputs, parts=parts_of(outputs)))
    assert "for images" in str(next(task.check_loss(choose("losses", "gaussian_nll", "loss"), "none")))
    z = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(task.probability(z), torch.stack([task.probability(one) for one in z]))


@pytest.mark.parametrize("loss", ["", "huber", "gaussian_nll", "quantiles"])
def test_predictions_of_a_part_are_those_of_its_own_task(loss: str) -> None:
    task, y = made(loss)
    z = logits_of(task, len(y))
    p = task.probability(z)
    tuned = task.tune(list(p.numpy()), list(y))
    settled = task.settle(p.numpy(), tuned)
    for part in task.parts:
        own = part.task.probability(z[:, part.logits])
        torch.testing.assert_close(task.of_part(p, part), own)
        of_own = part.task.tune(list(own.numpy()), list(y[:, part.targets]))
        np.testing.assert_array_equal(task.of_part(settled, part), part.task.settle(own.numpy(), of_own))
    np.testing.assert_array_equal(settled[:, :8], p[:, :8])
    ends = task.intervals(settled)
    assert ends.shape == (len(y), 8, 2)
    assert np.isnan(ends[:, :7]).all()
    assert (ends[:, 7, 0] <= settled[:, 7]).all()
    np.testing.assert_allclose(task.combine([settled, settled]), settled, rtol=1e-6)


def test_a_constant_prediction_has_no_skill_and_a_perfect_one_is_1() -> None:
    task, y = made()
    full = torch.from_numpy(np.asarray(several(missing=False).y))
    score = task.score()
    score.add(full, torch.from_numpy(y))
    found = score.value()
    assert found["skill"] == pytest.approx(1)
    assert list(found) == ["skill", "auroc of kind", "auprc of lit", "quadratic_kappa of stage", "r2 of size"]
    score = task.score()
    score.add(full.mean(0).expand_as(full), torch.from_numpy(y))
    assert score.value()["skill"] == pytest.approx(0, abs=0.05)
    score = task.score()
    for rows in (slice(0, 20), slice(20, None)):
        score.add(full[rows].roll(1, 0), torch.from_numpy(y[rows]))
    p, known = np.concatenate([full[rows].roll(1, 0) for rows in (slice(0, 20), slice(20, None))]), ~np.isnan(y)
    assert score.value()["r2 of size"] == pytest.approx(r2(p[known[:, 7], 7], y[known[:, 7], 7]))
    assert score.value()["quadratic_kappa of stage"] == pytest.approx(
        quadratic_kappa(p[known[:, 4], 4:7], y[known[:, 4], 4:7])
    )


def test_temperatures_units_and_explained_logits_are_those_of_the_parts() -> None:
    task, y = made("gaussian_nll")
    z = 3 * logits_of(task, len(y))
    found = task.temperature([(z[:30], torch.from_numpy(y[:30])), (z[30:], torch.from_numpy(y[30:]))], len(y))
    assert len(found) == task.facts.out_channels == 3 + 1 + 2 + 2
    for part in task.parts:
        own = part.task.temperature([(z[:, part.logits], torch.from_numpy(y[:, part.targets]))], len(y)) or [1.0]
        assert set(found[part.logits]) == set(own)
    factor, shift = task.from_unit({"mean": [0.0] * 7 + [5.0], "sd": [1.0] * 7 + [2.0]})
    assert factor == [1.0] * 6 + [2.0, 1.0]
    assert shift == [0.0] * 6 + [5.0, pytest.approx(np.log(2))]
    p, truth = torch.tensor([0.1, 0.7, 0.2, 0.8, 0, 0.1, 0.9, 4.0, 1.0]), torch.from_numpy(y[2])
    assert [task.outputs[k] for k in task.explained(p, truth)] == ["kind_b", "kind_c", "lit", "stage_high", "size"]
    assert [task.logit_of(k) for k in task.explained(p, truth)] == [1, 2, 3, 5, 6]
    assert [name for name in task.logit_names if name] == ["kind", "lit", "stage", "size"]
    assert task.tempered == ["kind", "lit", "stage"]


def test_words_and_columns_name_the_parts() -> None:
    task, y = made()
    assert task.words(y[1]) == "kind b, not lit, stage low, size " + f"{y[1, 7]:.3g}"
    row = task.describe(np.array([[0.1, 0.7, 0.2, 0.8, 0, 0.1, 0.9, 4, 3, 5]]))
    assert list(row) == [
        "class_kind", "probability_kind_a", "probability_kind_b", "probability_kind_c", "uncertainty_kind",
        "predicted_lit", "probability_lit", "uncertainty_lit", "grade_stage", "probability_stage_low",
        "probability_stage_mid", "probability_stage_high", "uncertainty_stage", "value_size", "low_size", "high_size",
    ]  # fmt: skip
    assert (row["class_kind"], row["predicted_lit"], row["grade_stage"]) == ("b", "yes", "high")
    p = task.probability(logits_of(task, len(y))).numpy()
    chosen = task.instructive(p, y, 8)
    assert len(set(chosen)) == 8


def test_what_is_wrong_is_named() -> None:
    facts = several().facts
    parts = facts.parts
    for changed, words in (
        ([], "two parts or more"),
        ([*parts[:3], parts[2]], "a name of its own"),
        (parts[:3], "as many outputs"),
        ([*parts[:3], Part(name="size", task="mask", outputs=["size"])], "task mask"),
        ([*parts[:3], Part(name="size", task="several", outputs=["size"])], "task several"),
    ):
        assert words in "; ".join(facts.model_copy(update={"parts": changed}).faults())
    task = make_task(facts)
    faults = list(task.check_loss(choose("losses", "dice", "loss"), "none"))
    assert "suits none of the outputs" in str(faults[0])
    assert not list(task.check_loss(choose("losses", "huber", "loss"), "balanced"))
    truth = np.zeros((4, 8), np.float32)
    assert [fault.split(":")[0] for fault in task.check_truth(truth)] == ["kind", "stage"]


def test_a_part_without_labels_in_a_split_is_refused_or_noted() -> None:
    task, y = make_task(several().facts), np.asarray(several(missing=False).y)
    found = {"train": list(y[:30]), "val": list(y[30:45]), "test": list(y[45:])}
    assert list(task.check_split(found)) == []
    measured = task.measure(found)
    assert measured["of_parts"][0]["n_positive"]["train"] == [10, 10, 10]
    assert measured["n_known"]["val"] == [15] * 8
    gone = y.copy()
    gone[30:45, 7] = np.nan
    notes = list(task.check_split(found | {"val": list(gone[30:45])}))
    assert [name for _, name in notes] == ["size"]
    for columns, split in ((slice(0, 3), "val"), (slice(3, 4), "test"), (slice(4, 7), "train")):
        gone = y.copy()
        gone[:, columns] = np.nan
        rows = {"train": slice(0, 30), "val": slice(30, 45), "test": slice(45, None)}[split]
        with pytest.raises(InputError, match=f"the {split} split has"):
            list(task.check_split(found | {split: list(gone[rows])}))


def test_facts_of_a_file_without_parts_are_refused() -> None:
    facts = image_facts(task="several", outputs=["a", "b"])
    assert "two parts or more" in "; ".join(facts.faults())
