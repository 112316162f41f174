"""The training loop: the same seed gives the same bits, the best epoch is kept, it stops when it should, it learns."""

import math
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import experiment, images, sequence_facts, sequences, stored, task_of
from torch import nn
from trainings import AUGMENT, CPU, network, same_weights, trained

from biocnn import metrics
from biocnn.config.registry import REGISTRY, find
from biocnn.config.schema import choose
from biocnn.config.settings import Train
from biocnn.core.errors import InputError, Interrupted
from biocnn.data.dataset import Dataset
from biocnn.models import DeepBind, UNet
from biocnn.tasks import make_task
from biocnn.training.batches import make
from biocnn.training.checkpoint import save_model
from biocnn.training.forward import predict_batches
from biocnn.training.loop import fit
from biocnn.training.runs import train_run
from biocnn.training.state import StateFolder


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(600, window=40), tmp_path_factory.mktemp("bound"))


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(16), tmp_path_factory.mktemp("cells"))


@pytest.mark.parametrize("name", ["bound", "cells"])
def test_same_seed_gives_the_same_bits(name: str, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    settings = {"epochs": 2, "batch_size": 8, "steps_per_epoch": 4}
    one, history, _ = trained(dataset, **settings)
    torch.rand(7)  # the state of the global generator must not matter
    other, again, _ = trained(dataset, **settings)
    assert same_weights(one, other)
    assert history.drop(columns="seconds").equals(again.drop(columns="seconds"))
    third, _, _ = trained(dataset, seed=2, **settings)
    assert not same_weights(one, third)


def test_learns_a_planted_motif(bound: Dataset) -> None:
    model, history, _ = trained(bound, epochs=15, batch_size=32, lr=1e-2)
    test = make(bound, bound.rows("test"), CPU)
    p = np.stack(list(predict_batches(model, test, bound.task)))[:, 0]
    assert metrics.auroc(p, test.y[:, 0].numpy()) > 0.9
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


def test_every_level_learns_and_one_map_is_predicted(cells: Dataset) -> None:
    model = UNet(2, 1, 1, channels=[4, 6, 8], attention=True, deep_supervision=True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model, history, _ = trained(cells, model, epochs=1, batch_size=4, steps_per_epoch=2)
    assert not torch.equal(model.coarser_heads[0].conv.weight, before["coarser_heads.0.conv.weight"])
    assert history["train_loss"].notna().all()
    (p,) = predict_batches(model, make(cells, cells.rows("test")[:1], CPU), cells.task)
    assert p.shape == (1, 32, 32)


def test_learns_to_segment_bright_discs(cells: Dataset) -> None:
    model, _, _ = trained(cells, epochs=4, batch_size=4, lr=1e-2, steps_per_epoch=10)
    found = predict_batches(model, make(cells, cells.rows("test"), CPU), cells.task)
    scores = [metrics.dice((p[0] > 0.5), cells.y[i][0]) for p, i in zip(found, cells.rows("test"), strict=True)]
    assert np.mean(scores) > 0.9


class Scripted(nn.Module):
    """Predicts worse or better according to a script: its only weight counts the epochs of validation."""

    def __init__(self, quality: list[float]) -> None:
        super().__init__()
        self.quality, self.weight = quality, nn.Parameter(torch.zeros(1))
        self.register_buffer("epoch", torch.zeros(1))
        self.previously_training = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.previously_training and not self.training:
            self.epoch += 1
        self.previously_training = self.training
        if self.training:
            return self.weight + torch.zeros(len(x), 1)
        return self.weight * 0 + self.quality[int(self.epoch) - 1] * torch.ones(len(x), 1)


class Truth:
    """Batches, one half of them positives; the validation loss falls as predicted values approach zero."""

    def __init__(self) -> None:
        self.x, self.y = torch.zeros(8, 4, 5), torch.tensor([[0.0], [1.0]] * 4)

    def __len__(self):
        return len(self.x)

    def plan(self, seed, epoch, batch_size, steps):
        return list(torch.arange(8).split(4))

    def load(self, indices):
        return ((self.x[index], self.y[index]) for index in indices)

    def plain(self):
        yield self.x, self.y


def scripted(quality: list[float], task: str = "instances", **settings):
    """Train on the script; the task is judged by the validation loss, which grows with |quality|."""
    model, lines = Scripted(quality), []

    def loss(logits, y):
        return (logits**2).mean()

    section = Train(epochs=len(quality), **settings)
    asked = make_task(sequence_facts(task=task)) if task == "regression" else task_of(task)
    history = fit(model, Truth(), Truth(), loss, asked, section, 1, lines.append)
    return model, history, lines


def test_best_epoch_is_kept_not_the_last() -> None:
    model, history, lines = scripted([3, 1, 2, 4])
    assert history["val_loss"].tolist() == [9, 1, 4, 16]
    assert history["best"].tolist() == [0, 1, 0, 0]
    assert model.epoch.item() == 2
    assert [line.endswith("*best") for line in lines] == [True, True, False, False]


def test_the_first_of_equal_epochs_is_kept() -> None:
    assert scripted([2, 1, 1, 1])[1]["best"].tolist() == [0, 1, 0, 0]


def test_the_lowest_loss_decides_between_equally_good_epochs() -> None:
    """The correlation with constant predictions is undefined in every epoch; patience counts as usual."""
    model, history, _ = scripted([3, 2, 1, 1, 2, 0], task="regression", patience=2)
    assert history["best"].tolist() == [0, 0, 1, 0, 0]
    assert model.epoch.item() == 3


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_a_resumed_training_decides_ties_in_the_same_way(stop: int, tmp_path: Path) -> None:
    """The state holds everything by which the best epoch so far is judged."""
    quality, settings = [3, 2, 1, 1, 2, 0], Train(epochs=6, patience=2)

    def ask_to_stop(line: str) -> None:
        if line.startswith(f"epoch   {stop}/"):
            signal.raise_signal(signal.SIGTERM)

    for log, ends in ((ask_to_stop, pytest.raises(Interrupted)), (print, nullcontext())):
        model = Scripted(quality)
        with StateFolder(tmp_path, "mark", print) as states, ends:
            history = fit(
                model,
                Truth(),
                Truth(),
                lambda z, y: (z**2).mean(),
                task_of("regression"),
                settings,
                1,
                log,
                states,
            )
    assert history["best"].tolist() == [0, 0, 1, 0, 0]
    assert model.epoch.item() == 3


def test_an_early_perfect_ranking_does_not_keep_an_unconfident_network(tmp_path: Path) -> None:
    """With an easy motif and few validation examples, the AUPRC is 1 from the first epochs."""
    dataset = stored(sequences(600, window=40), tmp_path)
    _, history, _ = trained(dataset, epochs=12, batch_size=32, lr=1e-2)
    perfect = history[history["val_auprc"] == history["val_auprc"].max()]
    assert len(perfect) > 1
    assert history.loc[history["best"] == 1, "val_loss"].item() == perfect["val_loss"].min()
    assert perfect["best"].iloc[0] == 0


def test_patience_counts_epochs_without_a_better_one() -> None:
    model, history, lines = scripted([3, 1, 2, 2, 0, 0], patience=2)
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert model.epoch.item() == 2
    assert lines[-1] == "stopped: no better epoch in 2"
    assert len(scripted([3, 1, 2, 0.5, 2, 0.1], patience=2)[1]) == 6


def test_max_minutes_ends_training_after_a_complete_epoch() -> None:
    _, history, lines = scripted([3, 2, 1], max_minutes=1e-9)
    assert len(history) == 1
    assert "train.max_minutes" in lines[-1]


def test_an_undefined_metric_in_every_epoch_is_not_an_error() -> None:
    """The correlation with constant predictions is undefined; the first epoch is kept."""
    _, history, _ = scripted([1, 2], task="regression")
    assert history["val_pearson"].isna().all()
    assert history["best"].tolist() == [1, 0]


def test_history_names_steps_and_rates() -> None:
    _, history, lines = scripted([3, 2, 1], schedule="constant", lr=0.125)
    assert history["step"].tolist() == [2, 4, 6]
    assert history["lr"].tolist() == [0.125] * 3
    wanted = ["epoch", "step", "lr", "train_loss", "val_loss", "precision", "seconds", "best"]
    assert list(history.columns) == wanted
    assert all(line.startswith(f"epoch   {i}/3  train_loss ") for i, line in enumerate(lines, 1))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_names_step_and_rate(bound: Dataset, bad: float) -> None:
    calls = []

    def loss(logits, y):
        calls.append(1)
        return (logits * (bad if len(calls) == 3 else 1)).abs().sum()

    parts = [make(bound, bound.rows(part), CPU) for part in ("train", "val")]
    settings = Train(lr=0.5, schedule="constant", batch_size=16)
    with pytest.raises(InputError, match=r"the loss is (nan|inf) at step 2 \(lr 5\.00e-01\)") as caught:
        fit(network(bound), *parts, loss, bound.task, settings, 1, print)
    assert "lower train.lr (now 0.5)" in caught.value.remedy


class Explodes(torch.autograd.Function):
    """Passes values on, and returns an infinite gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.inf


def test_infinite_gradient_of_a_finite_loss_leaves_finite_weights_on_disk(bound: Dataset, tmp_path: Path) -> None:
    """It is noticed before the step; the state of the first epoch remains; the next attempt ends in the same way."""
    parts = [make(bound, bound.rows(part), CPU) for part in ("train", "val")]
    settings = Train(epochs=2, batch_size=16, steps_per_epoch=3, lr=0.5, schedule="constant")
    plain = bound.task.make_loss(None, "none", CPU)
    for attempt in range(2):
        calls = [] if attempt == 0 else [1] * 3

        def loss(logits, y):
            if not torch.is_grad_enabled():
                return plain(logits, y)
            calls.append(1)  # noqa: B023
            return plain(Explodes.apply(logits) if len(calls) == 5 else logits, y)  # noqa: B023

        model = network(bound)
        with (
            StateFolder(tmp_path, "mark", print) as states,
            pytest.raises(InputError, match=r"the gradient is not finite at step 4 \(lr 5\.00e-01\)") as caught,
        ):
            fit(model, *parts, loss, bound.task, settings, 1, print, states)
        assert f"the last good state is kept in {tmp_path / 'mark'}" in caught.value.message
        assert "lower train.lr (now 0.5)" in caught.value.remedy
        assert all(torch.isfinite(value).all() for value in model.state_dict().values())
        (state,) = (tmp_path / "mark").glob("*.state")
        with StateFolder(tmp_path, "mark", print) as states:
            tensors, progress = states.load()
        assert all(torch.isfinite(value).all() for value in tensors.values())
        assert (state.stem, progress["epoch"], progress["done"]) == ("00000001", 1, 0)


def test_two_fresh_runs_give_the_same_file(cells: Dataset, tmp_path: Path) -> None:
    train = Train(epochs=2, batch_size=4, steps_per_epoch=4, threads=1)
    unet = {"name": "UNet", "channels": [4, 8], "dropout": 0.1}
    settings = experiment(unet, data="Images", augment=AUGMENT["image"], train=train)
    for name in "ab":
        found, _, meta = train_run(settings, cells, 1)
        save_model(tmp_path / name, found, meta)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("name", "wrong"), [("bound", UNet), ("cells", DeepBind)])
def test_a_network_for_another_kind_of_target_is_refused(name: str, wrong, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    facts = dataset.facts
    model = wrong(facts.spatial_dims, facts.in_channels, facts.out_channels, channels=4 if wrong is DeepBind else [4])
    settings = experiment(train=Train(epochs=1, threads=1))
    with pytest.raises(InputError, match=r"model: the output has shape .* and targets of shape") as caught:
        train_run(settings, dataset, 1, network=model)
    assert ("UNet" if name == "cells" else "DeepBind") in caught.value.remedy


@pytest.mark.parametrize("name", [name for name in REGISTRY["tasks"] if find("tasks", name).losses])
def test_every_task_has_a_default_loss_and_refuses_losses_of_other_tasks(name: str) -> None:
    task = task_of(name)
    task.make_loss(None, "none", CPU)
    other = next(loss for loss in REGISTRY["losses"] if loss not in task.losses)
    with pytest.raises(
        InputError, match=f"loss: {other} (suits none of the outputs|does not suit targets of kind {name})"
    ) as caught:
        task.make_loss(choose("losses", other, "loss"), "none", CPU)
    assert task.losses[0] in caught.value.remedy


@pytest.fixture
def own_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of losses in the working folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "losses_of_mine.py").write_text(
        "def square(logits, target): return (logits - target) ** 2\n"
        "def mean(logits, target): return square(logits, target).mean()\n"
        "def number(logits, target): return mean(logits, target).item()\n"
        "def decided(logits, target): return ((logits > 0) != target).float().mean()\n"
        "def no_target(logits, *, power: int = 2): return logits.mean()\n"
    )
    yield "losses_of_mine"
    sys.modules.pop("losses_of_mine", None)


def test_own_losses_return_one_differentiable_value(own_losses: str) -> None:
    logits, y = torch.randn(6, 1, requires_grad=True), torch.tensor([[1.0], [0], [0], [0], [0], [0]])
    task = task_of("binary", positives=[0.25])

    def loss(name: str, weights: str = "none") -> torch.Tensor:
        return task.make_loss(choose("losses", f"{own_losses}:{name}", "loss"), weights, CPU)(logits, y)

    loss("mean").backward()
    for name, wrong in (
        ("square", r"returns shape \(6, 1\)"), ("number", "returns float"), ("decided", "has no gradient"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"^loss: losses_of_mine:{name} {wrong}\n  return one value"):
            loss(name)
    with pytest.raises(InputError, match=r"loss\.name: no_target\(logits\) does not have the signature of a loss"):
        loss("no_target")
    with pytest.raises(InputError, match=r"class_weights: balanced, but losses_of_mine:mean has no parameter"):
        loss("mean", "balanced")


def test_a_network_returns_a_tensor(bound: Dataset) -> None:
    class Two(nn.Linear):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x.mean(2), x

    with pytest.raises(InputError, match="model: the output is of type tuple"):
        trained(bound, Two(4, 1), epochs=1)


def test_balanced_weights_give_every_class_the_same_total() -> None:
    assert task_of("multilabel", positives=[0.25, 0.5]).class_weights().tolist() == [3, 1]
    torch.testing.assert_close(task_of("mask", class_shares=[0.9, 0.1]).class_weights(), torch.tensor([9.0]))
    shares = torch.tensor([0.7, 0.2, 0.1])
    weights = task_of("classes", class_shares=shares.tolist()).class_weights()
    torch.testing.assert_close(weights * shares / (weights * shares)[0], torch.ones(3))
    assert weights.mean().item() == pytest.approx(1)
    assert torch.isfinite(task_of("classes", class_shares=[1.0, 0.0, 0.0]).class_weights()).all()


def test_balanced_loss_weights_positives_as_torch_does() -> None:
    logits, y = torch.randn(6, 1), torch.tensor([[1.0], [0], [0], [0], [0], [0]])
    loss = task_of("binary", positives=[0.25]).make_loss(None, "balanced", CPU)
    wanted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))(logits, y)
    torch.testing.assert_close(loss(logits, y), wanted)


def test_regression_has_no_classes_to_weight() -> None:
    with pytest.raises(InputError, match=r"train\.class_weights: balanced, but regression has no classes"):
        task_of("regression").make_loss(None, "balanced", CPU)


def test_bfloat16_learns_too(cells: Dataset) -> None:
    _, history, _ = trained(cells, epochs=2, batch_size=4, lr=1e-2, steps_per_epoch=8, precision="bfloat16")
    assert history["val_dice"].max() > 0.5


def test_any_seed_can_be_used(bound: Dataset) -> None:
    """Seeds made from dates, for example, are long."""
    one, _, _ = trained(bound, seed=20240131235959, epochs=1, batch_size=16, steps_per_epoch=2)
    other, _, _ = trained(bound, seed=20240131235959, epochs=1, batch_size=16, steps_per_epoch=2)
    assert same_weights(one, other)


def test_the_other_strand_of_rna_is_not_trained_on(tmp_path: Path) -> None:
    """Only reading the data may show that they are RNA, and a trial may draw both strands."""
    raw = sequences(40)
    raw.facts = raw.facts.model_copy(update={"alphabet": "ACGU"})
    dataset = stored(raw, tmp_path)
    for change in ({"model": {"name": "DeepBind", "strands": "both"}}, {"augment": ["reverse_complement"]}):
        with pytest.raises(InputError, match="RNA, which has one strand"):
            train_run(experiment(**change, train=Train(epochs=1)), dataset, 1)
