"""bfloat16 is used if it is fast and validation agrees; otherwise it leaves no trace."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import experiment, images, stored
from torch import Tensor, nn
from trainings import CPU, network, resumed, same_weights, stopped, trained

from biocnn.config.settings import Train
from biocnn.core.errors import Interrupted
from biocnn.data.dataset import Dataset
from biocnn.nn.precision import SLOW, autocast, fast_bfloat16, is_large
from biocnn.training.checkpoint import load_model, save_model
from biocnn.training.loop import Training
from biocnn.training.metadata import Precision
from biocnn.training.runs import describe_precision, train_run
from biocnn.training.validation import TOLERANCE

SHORT = {"epochs": 3, "batch_size": 4, "steps_per_epoch": 4, "lr": 3e-3}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(12), tmp_path_factory.mktemp("cells"))


class Fine(nn.Module):
    """Its logits have a large offset, at which bfloat16 only has steps of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        nn.init.constant_(self.conv.weight, 0.3)
        nn.init.constant_(self.conv.bias, -1.0)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.conv.weight, self.conv.bias + 1000, padding=1) - 1000


def fine(dataset: Dataset, folder: Path | None = None, **settings: Any):
    run = {"model": Fine().to(memory_format=torch.channels_last), **SHORT, **settings}
    return trained(dataset, **run) if folder is None else resumed(dataset, folder, **run)


def test_autocast_computes_in_the_named_precision() -> None:
    conv, x = nn.Conv1d(1, 1, 3), torch.rand(1, 1, 9)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with autocast(precision, CPU)():
            assert conv(x).dtype == dtype
    assert conv.weight.dtype == torch.float32


def test_auto_trains_in_bfloat16_if_validation_agrees(cells: Dataset) -> None:
    model, history, _ = trained(cells, **SHORT, precision="auto")
    assert set(history["precision"]) == {"bfloat16"}
    quick, _, _ = trained(cells, **SHORT, precision="bfloat16")
    assert same_weights(model, quick), "the check must not change anything"


def test_auto_restarts_in_float32_if_validation_disagrees(cells: Dataset) -> None:
    model, history, lines = fine(cells, precision="auto")
    assert any(line.endswith("restarting in float32") for line in lines)
    assert history["precision"].tolist() == ["float32"] * 3
    assert history["epoch"].tolist() == [1, 2, 3]
    exact, wanted, _ = fine(cells, precision="float32")
    assert same_weights(model, exact)
    assert history.drop(columns="seconds").equals(wanted.drop(columns="seconds"))


# During the epoch in bfloat16; its validation, and the one in float32 for comparison; in float32, the first
# and the second epoch.
@pytest.mark.parametrize("when", [(2, True), (1, False), (4, False), (6, True), (10, True)])
def test_an_interruption_at_any_point_changes_nothing(when: tuple[int, bool], cells: Dataset, tmp_path: Path) -> None:
    stopped(cells, tmp_path, when, model=Fine().to(memory_format=torch.channels_last), **SHORT, precision="auto")
    model, history, _ = fine(cells, tmp_path, precision="auto")
    assert same_weights(model, fine(cells, precision="float32")[0])
    assert history["precision"].tolist() == ["float32"] * 3


def run(dataset: Dataset, precision: str, model: nn.Module | None = None, state: Path | None = None):
    train = Train(**SHORT, precision=precision, threads=1)
    settings = experiment({"name": "UNet", "channels": [8, 16]}, data="Images", train=train)
    lines: list[str] = []
    return *train_run(settings, dataset, 1, model, lines.append, state), lines


@pytest.mark.skipif(not fast_bfloat16(CPU), reason="this machine has no instructions for bfloat16")
def test_the_model_file_records_the_choice_and_the_reason(cells: Dataset, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("biocnn.nn.precision.LARGE", 1000)
    model, history, meta, lines = run(cells, "auto")
    found = meta.precision
    assert found.train == found.predict == "bfloat16"
    assert found.metric == "val_dice"
    assert found.tolerance == TOLERANCE
    assert abs(found.float32 - found.bfloat16) <= TOLERANCE
    assert found.bfloat16 == history.loc[history["best"] == 1, "val_dice"].item()
    assert describe_precision(found) in lines
    save_model(tmp_path / "model.safetensors", model, meta)
    assert load_model(tmp_path / "model.safetensors")[1].precision == found

    _, history, meta, lines = run(cells, "auto", Fine())
    assert meta.precision == Precision(train="float32", predict="float32")
    assert set(history["precision"]) == {"float32"}
    assert any("restarting in float32" in line for line in lines)
    assert "trained in float32" in lines


@pytest.mark.skipif(not fast_bfloat16(CPU), reason="this machine has no instructions for bfloat16")
def test_requested_bfloat16_predicts_in_float32_if_they_differ(cells: Dataset) -> None:
    _, history, meta, _ = run(cells, "bfloat16", Fine())
    assert set(history["precision"]) == {"bfloat16"}
    assert meta.precision.train == "bfloat16"
    assert meta.precision.predict == "float32"
    assert abs(meta.precision.float32 - meta.precision.bfloat16) > TOLERANCE


def test_bfloat16_is_never_emulated(cells: Dataset, monkeypatch) -> None:
    """Without instructions for it, everything is in float32, and reported so."""
    exact, wanted, _, _ = run(cells, "float32")
    monkeypatch.setattr("biocnn.nn.precision.FAST", ())
    model, history, meta, lines = run(cells, "bfloat16")
    assert same_weights(model, exact)
    assert history.drop(columns="seconds").equals(wanted.drop(columns="seconds"))
    assert meta.precision == Precision(train="float32", predict="float32", asked="bfloat16", reason=SLOW)
    assert any("this machine has no instructions for it: using float32" in line for line in lines)
    assert f"warning: trained in float32, although train.precision is bfloat16: {SLOW}" in lines


@pytest.mark.parametrize(
    ("step", "epochs"),
    [
        (2, ["bfloat16, float32", "float32", "float32"]),
        (4, ["bfloat16, float32", "float32", "float32"]),  # it is validated in float32
        (6, ["bfloat16", "bfloat16, float32", "float32"]),
    ],
)
def test_a_run_started_in_bfloat16_resumes_in_float32_elsewhere(
    step: int, epochs: list[str], cells: Dataset, tmp_path: Path, monkeypatch
) -> None:
    """This happens on clusters with different nodes; the history and the model file record it."""
    if not fast_bfloat16(CPU):
        pytest.skip("this machine has no instructions for bfloat16")
    monkeypatch.setattr("biocnn.nn.precision.LARGE", 1000)
    started = 0

    def stop(self: Training, x: Tensor, y: Tensor, step_of: Callable = Training._step) -> None:
        nonlocal started
        step_of(self, x, y)
        started += 1
        if started == step:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as here:
        here.setattr(Training, "_step", stop)
        with pytest.raises(Interrupted):
            run(cells, "auto", state=tmp_path / "state")
    monkeypatch.setattr("biocnn.nn.precision.FAST", ())
    monkeypatch.setattr("biocnn.training.runs.validate", None)  # which would compare both
    _, history, meta, lines = run(cells, "auto", state=tmp_path / "state")
    assert history["precision"].tolist() == epochs
    assert meta.precision == Precision(train="bfloat16, float32", predict="float32", asked="auto", reason=SLOW)
    assert any("continuing in float32: the run started in bfloat16" in line for line in lines)


def test_disabled_instructions_are_not_used() -> None:
    code = "import torch; from biocnn.nn.precision import fast_bfloat16; print(fast_bfloat16(torch.device('cpu')))"
    older = dict(os.environ, ONEDNN_MAX_CPU_ISA="AVX2")
    found = subprocess.run([sys.executable, "-c", code], env=older, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_requested_float32_is_not_compared(cells: Dataset) -> None:
    _, _, meta, lines = run(cells, "float32", network(cells))
    assert meta.precision == Precision(train="float32", predict="float32")
    assert not any("bfloat16" in line for line in lines)


def test_signal_handlers_are_restored_afterwards(cells: Dataset) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run(cells, "float32")
    assert signal.getsignal(signal.SIGTERM) is before


def test_small_networks_stay_in_float32(cells: Dataset) -> None:
    _, history, meta, _ = run(cells, "auto")
    assert set(history["precision"]) == {"float32"}
    assert meta.precision == Precision(train="float32", predict="float32")


def test_large_networks_are_those_with_many_multiply_adds_per_example() -> None:
    """A kernel of 5 x 5 on 20 channels takes 500 multiply-adds per value: 10 million for 20,000 values."""
    network = nn.Sequential(nn.Conv2d(20, 2, 5, padding=2), nn.BatchNorm2d(2)).train()
    before = network[1].running_mean.clone()
    assert is_large(network, torch.rand(2, 20, 100, 100))
    assert not is_large(network, torch.rand(2, 20, 100, 99))
    assert network.training
    assert network[1].running_mean.equal(before), "nothing may be learned"
