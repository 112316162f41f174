"""A training that is killed, or asked to stop, goes on to the same bits as one that was left alone."""

import hashlib
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import images, sequences, stored

from biocnn import cli

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["biocnn.runs", "biocnn.steps", "sklearn.metrics"])

SETTINGS: dict[str, dict[str, Any]] = {
    "sequences": {
        "data": {"name": "Sequences", "table": "none"},
        "augment": ["reverse_complement", {"name": "shift", "max": 4}],
        "model": {"name": "DeepBind", "channels": 8, "kernel_size": 9, "dropout": 0.2, "strands": "both"},
        "train": {"epochs": 4, "batch_size": 16, "threads": 1, "save_minutes": 0},
    },
    "images": {
        "data": {"name": "Images", "table": "none"},
        "augment": ["flip", "rotate90", {"name": "affine", "elastic": 2}, "intensity", "noise"],
        "model": {"name": "UNet", "channels": [8, 16], "dropout": 0.1},
        "train": {"epochs": 3, "batch_size": 4, "steps_per_epoch": 12, "threads": 1, "save_minutes": 0},
    },
}


class Run:
    """One experiment, trained by processes of its own; what it writes lies in a folder of its own."""

    def __init__(self, folder: Path, kind: str, name: str, **train: Any) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.state, self.model = self.folder / "state", self.folder / "model.safetensors"
        self.config, self.data = folder / f"{kind}.yaml", folder / "dataset"
        self.config.write_text(yaml.safe_dump(SETTINGS[kind] | {"train": SETTINGS[kind]["train"] | train}))
        if not self.data.exists():
            (folder / "none").touch()
            stored(sequences(400, window=40) if kind == "sequences" else images(12), folder)

    def arguments(self) -> list[str]:
        """The command line of the step."""
        paths = [self.config, self.data, "fold0-seed1", self.model, self.folder / "history.tsv"]
        options = ["--data-root", self.config.parent, "--state", self.state]
        return ["train", *map(str, paths + options)]

    def start(self) -> ForkServerProcess:
        """Train in a process of its own."""
        process = SERVER.Process(target=work, args=(self.arguments(), str(self.folder / "log.txt")))
        process.start()
        return process

    def finish(self) -> str:
        """Train to the end; the hash of the model."""
        process = self.start()
        process.join()
        assert process.exitcode == 0, self.log()
        return hashlib.sha256(self.model.read_bytes()).hexdigest()

    def states(self) -> list[Path]:
        return sorted(self.state.glob("*/*.state"))

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


def work(arguments: list[str], log: str) -> None:
    """What a child does: the command, with its messages in a file."""
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    raise SystemExit(cli.main(arguments))


def until(condition, process: ForkServerProcess, seconds: float = 60) -> None:
    """Wait for something to become true while a process lives."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.is_alive(), "the process ended first"
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.002)


@pytest.mark.parametrize("kind", SETTINGS)
def test_ten_kills_at_any_moment_change_no_bit(kind: str, tmp_path: Path) -> None:
    whole = Run(tmp_path, kind, "whole").finish()
    run, moment = Run(tmp_path, kind, "killed"), random.Random(kind)
    kills = 0
    while kills < 10:
        before = run.states()[-1:]
        process = run.start()
        # Some die before they have begun, others while they train, or while they save, which happens after each step.
        if kills % 3:
            until(lambda: run.states()[-1:] != before, process)  # noqa: B023
        time.sleep(moment.uniform(0, 0.1))
        assert process.is_alive(), "too short a training for ten kills"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    assert run.finish() == whole
    assert run.log().count("going on from step") >= 6
    assert not run.state.exists(), "states are removed once the model is saved"
