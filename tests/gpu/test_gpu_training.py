"""Trainings on a GPU: the same bits twice, after a kill, and nearly the same by several processes."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import experiment
from trainings import Run, wait_until

from biocnn.data.dataset import Dataset
from biocnn.nn.precision import fast_bfloat16
from biocnn.training.runs import train_run

pytestmark = pytest.mark.gpu
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone"]


@pytest.fixture(scope="module", params=["sequences", "images", "labelled"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return a folder with a data set, its kind, and the hash of the model of a training without interruption."""
    folder = tmp_path_factory.mktemp(request.param)
    return folder, request.param, Run(folder, request.param, "whole").finish()


def test_two_trainings_give_the_same_bits(whole: tuple[Path, str, str]) -> None:
    folder, kind, wanted = whole
    assert Run(folder, kind, "again").finish() == wanted


def test_a_killed_training_resumes_to_the_same_bits(whole: tuple[Path, str, str]) -> None:
    folder, kind, wanted = whole
    run = Run(folder, kind, "killed")
    process = run.start()
    wait_until(run.states, process)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert run.finish() == wanted
    assert "resuming from step" in run.log()


def by_torchrun(run: Run, number: int) -> str:
    """Train in processes that torchrun starts, and return what they logged."""
    command = [*LAUNCH, f"--nproc-per-node={number}", "-m", "biocnn.workflow.cli", *run.arguments()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_one_process_of_torchrun_changes_no_bit(whole: tuple[Path, str, str]) -> None:
    folder, kind, wanted = whole
    if kind != "sequences":
        pytest.skip("one kind suffices")
    run = Run(folder, kind, "torchrun")
    by_torchrun(run, 1)
    assert hashlib.sha256(run.model.read_bytes()).hexdigest() == wanted


def test_two_processes_learn_what_one_does(device: torch.device, tmp_path: Path) -> None:
    if device.type == "cuda" and torch.cuda.device_count() < 2:
        pytest.skip("one GPU only")
    histories = []
    for number in (1, 2):
        run = Run(tmp_path, "sequences", f"by{number}", precision="float32", batch_size=20, epochs=2)
        text = run.config.read_text().replace("dropout: 0.2", "dropout: 0.0")  # which each process draws independently
        run.config.write_text(text)
        log = by_torchrun(run, number)
        histories.append(pd.read_csv(run.folder / "history.tsv", sep="\t")[["step", "train_loss", "val_loss"]])
    pd.testing.assert_frame_equal(*histories, rtol=1e-4, atol=1e-4)
    assert "2 processes" in log


def test_bfloat16_in_channels_last_trains_like_float32(datasets: dict[str, Dataset], device: torch.device) -> None:
    if not fast_bfloat16(device):
        pytest.skip("no bfloat16 in hardware")
    seen, losses = [], {}

    def watch(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if module.training:
            seen.append((inputs[0].is_contiguous(memory_format=torch.channels_last), output.dtype))

    for precision in ("float32", "bfloat16"):
        train = {"epochs": 3, "batch_size": 4, "steps_per_epoch": 8, "threads": 1, "precision": precision}
        settings = experiment({"name": "UNet", "channels": [8, 16]}, train=train)
        hook = torch.nn.modules.module.register_module_forward_hook(
            lambda module, inputs, output: watch(module, inputs, output) if type(module) is torch.nn.Conv2d else None
        )
        try:
            _, history, meta = train_run(settings, datasets["images"], 1)
        finally:
            hook.remove()
        assert meta.precision.train == precision
        losses[precision] = history["val_loss"].to_numpy()
    # With one channel both layouts are equal: the first convolution then returns the other one to the second.
    assert [last for last, _ in seen].count(False) <= len(seen) / 7, "a convolution got another layout"
    assert {kind for _, kind in seen} == {torch.float32, torch.bfloat16}
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], atol=0.05)


def test_steps_do_not_wait_for_the_device(datasets: dict[str, Dataset], device: torch.device) -> None:
    """Loading batches never synchronises with the GPU, which torch would report as an error; CPUs cannot."""
    from biocnn.augment.sets import resolve_augment
    from biocnn.training.batches import make

    for kind in ("sequences", "images"):
        dataset = datasets[kind]
        patch = [16, 16] if kind == "images" else None
        augment = resolve_augment("default", dataset.facts, patch or [16, 16]) if patch else []
        batches = make(dataset, dataset.rows("train"), device, augment, patch)
        plan = batches.plan(1, 0, 4, 3)
        next(iter(batches.load(plan[:1])))  # fills caches
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            for x, y in batches.load(plan):
                assert len(x) == len(y)
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
