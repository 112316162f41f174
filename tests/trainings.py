"""Small trainings for tests: in this process, and in separate ones, which may be killed."""

import gc
import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny import (
    accompanied,
    bagged,
    boxed,
    chosen,
    counted,
    images,
    labelled,
    pairs,
    profiled,
    sequences,
    several,
    stored,
    valued,
)
from torch import nn

from biocnn.config.settings import Train
from biocnn.core.errors import Interrupted
from biocnn.data.dataset import Dataset
from biocnn.models import DeepBind, UNet
from biocnn.training.batches import make
from biocnn.training.loop import fit
from biocnn.training.state import StateFolder
from biocnn.training.transfer import NO_TRANSFER, TransferState
from biocnn.workflow import cli

CPU = torch.device("cpu")
AUGMENT = {
    "sequence": chosen("reverse_complement", {"name": "shift", "max": 4}),
    "image": chosen("flip", {"name": "noise", "sd": 0.05}),
}
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["biocnn.training.runs", "biocnn.workflow.steps", "sklearn.metrics", "tests.warm"])

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
    "boxed": {
        "data": {"name": "BoxedImages", "table": "none"},
        "augment": ["flip", "rotate90", "intensity", "noise"],
        "model": {"name": "CentreNet", "channels": [4, 4, 4, 4]},
        "train": {"epochs": 2, "batch_size": 4, "steps_per_epoch": 8, "threads": 1, "save_minutes": 0},
    },
    "pairs": {
        "data": {"name": "PairedImages", "table": "none"},
        "augment": "default",
        "model": {"name": "UNet", "channels": [4, 8], "norm": None},
        "train": {
            "epochs": 2,
            "batch_size": 4,
            "steps_per_epoch": 8,
            "patch": [16, 16],
            "threads": 1,
            "save_minutes": 0,
        },
    },
    "counted": {
        "data": {"name": "CountedImages", "table": "none"},
        "augment": ["flip", "rotate90", {"name": "affine", "elastic": 2}, "noise"],
        "model": {"name": "UNet", "channels": [4, 8]},
        "train": {
            "epochs": 2,
            "batch_size": 4,
            "steps_per_epoch": 8,
            "patch": [32, 32],
            "threads": 1,
            "save_minutes": 0,
        },
    },
    "profiled": {
        "data": {"name": "GenomeTracks", "genome": "none", "tracks": "none"},
        "augment": ["reverse_complement", {"name": "shift", "max": 2}],
        "model": {"name": "UNet", "channels": [4, 8], "strands": "both"},
        "loss": "multinomial",
        "train": {"epochs": 2, "batch_size": 4, "threads": 1, "save_minutes": 0},
    },
    "labelled": {
        "data": {"name": "LabelledImages", "table": "none"},
        "augment": ["flip", "rotate90", "intensity", "noise"],
        "model": {"name": "ResNet", "channels": [4, 4, 4, 4]},
        "train": {"epochs": 2, "batch_size": 4, "threads": 1, "save_minutes": 0},
    },
}
SETTINGS["accompanied"] = SETTINGS["labelled"] | {"model": {"name": "LeNet5"}}
SETTINGS["bagged"] = {
    "data": {"name": "BaggedImages", "table": "none"},
    "augment": ["flip", "intensity", "noise"],
    "model": {"name": "BagNetwork", "network": {"name": "ResNet", "channels": [4, 4, 4, 4]}, "hidden": 4},
    "train": {"epochs": 2, "batch_size": 3, "instances": 3, "threads": 1, "save_minutes": 0},
}
SETTINGS["typed"] = SETTINGS["images"]
SETTINGS["several"] = SETTINGS["labelled"]
SETTINGS["blind"] = SETTINGS["finer"] = SETTINGS["pairs"]
SETTINGS["valued"] = SETTINGS["labelled"] | {"loss": "gaussian_nll"}
RAW = {
    "typed": partial(images, 12, task="typed_instances"),
    "accompanied": lambda: accompanied(labelled(48)),
    "valued": valued,
    "several": partial(several, 60),
    "boxed": boxed,
    "bagged": partial(bagged, 40),
    "pairs": pairs,
    "blind": partial(pairs, blind=True),
    "finer": partial(pairs, size=(64, 64), upscale=2),
    "counted": partial(counted, 12),
    "profiled": profiled,
    "sequences": partial(sequences, 400, window=40),
    "images": partial(images, 12),
    "labelled": partial(labelled, 48, sizes=[(16, 16), (18, 18)]),
}


def network(dataset: Dataset, seed: int = 1) -> nn.Module:
    """Return a small network for a data set."""
    torch.manual_seed(seed)
    facts = dataset.facts
    sizes = facts.spatial_dims, facts.in_channels, facts.out_channels
    if facts.kind == "sequence":
        return DeepBind(*sizes, channels=8, kernel_size=9, dropout=0.1, strands="both")
    return UNet(*sizes, channels=[8, 16], dropout=0.1).to(memory_format=torch.channels_last)


def trained(
    dataset: Dataset,
    model: nn.Module | None = None,
    *,
    seed: int = 1,
    augment: Any = None,
    watch: Callable[[int, bool], None] = lambda number, learning: None,
    states: StateFolder | None = None,
    transfer: TransferState = NO_TRANSFER,
    **settings: Any,
):
    """Return a network after ``fit``, its history and log.

    ``watch`` is called at each use of the loss with its number, counted separately in training and validation, and
    whether it is training.
    """
    model = network(dataset) if model is None else model
    facts, lines, uses = dataset.facts, [], {True: 0, False: 0}
    augment = AUGMENT[facts.kind] if augment is None else augment
    parts = [make(dataset, dataset.rows(part), CPU, augment if part == "train" else ()) for part in ("train", "val")]
    plain = dataset.task.make_loss(None, "none", CPU)

    def loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        learning = torch.is_grad_enabled()
        uses[learning] += 1
        watch(uses[learning], learning)
        return plain(logits, y)

    section = Train(**settings)
    history = fit(model, *parts, loss, dataset.task, section, seed, lines.append, states, transfer=transfer)
    return model, history, lines


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Return whether weights are bit-identical."""
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


class Run:
    """One experiment, trained in separate processes, with its own output folder."""

    def __init__(self, folder: Path, kind: str, name: str, **train: Any) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.state, self.model = self.folder / "state", self.folder / "model.safetensors"
        self.config, self.root, self.data = self.folder / f"{kind}.yaml", folder, folder / "dataset"
        self.config.write_text(yaml.safe_dump(SETTINGS[kind] | {"train": SETTINGS[kind]["train"] | train}))
        if not self.data.exists():
            (folder / "none").touch()
            stored(RAW[kind](), folder)

    def arguments(self, saving: bool = True) -> list[str]:
        """Return the command line of the step."""
        paths = [self.config, self.data, "fold0-seed1", self.model, self.folder / "history.tsv"]
        options = ["--data-root", self.root]
        return ["train", *map(str, paths + options + (["--state", self.state] if saving else []))]

    def start(self, saving: bool = True, before: Callable[[], None] | None = None) -> ForkServerProcess:
        """Train in a separate process, which first calls ``before``."""
        log = str(self.folder / "log.txt")
        process = SERVER.Process(target=work, args=(self.arguments(saving), log, before))
        process.start()
        return process

    def finish(self) -> str:
        """Train to the end, and return the hash of the model."""
        process = self.start()
        process.join()
        assert process.exitcode == 0, self.log()
        return hashlib.sha256(self.model.read_bytes()).hexdigest()

    def states(self) -> list[Path]:
        return sorted(self.state.glob("[!.]*/[0-9]*.state"))  # not the folder of a lock, which appears and disappears

    def log(self) -> str:
        path = self.folder / "log.txt"
        return path.read_text() if path.exists() else ""


def work(arguments: list[str], log: str, before: Callable[[], None] | None) -> None:
    """Run the command in a child process, with its output in a file."""
    gc.freeze()
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    if before:
        before()
    raise SystemExit(cli.main(arguments))


def is_intact(state: Path) -> bool:
    """Return whether a state is intact: it starts with the digest of the rest."""
    content = state.read_bytes()
    return hashlib.sha256(content[32:]).digest() == content[:32]


def stopped(dataset: Dataset, folder: Path, when: tuple[int, bool], **settings: Any) -> list[str]:
    """Train in this process, request a stop at a given loss, and return the log."""
    lines: list[str] = []

    def watch(number: int, learning: bool) -> None:
        if (number, learning) == when:
            signal.raise_signal(signal.SIGTERM)

    with StateFolder(folder, "mark", lines.append) as states, pytest.raises(Interrupted, match="saved in"):
        trained(dataset, watch=watch, states=states, **settings)
    return lines


def resumed(dataset: Dataset, folder: Path, mark: str = "mark", **settings: Any):
    """Resume training; return the network, its history and the log."""
    lines: list[str] = []
    with StateFolder(folder, mark, lines.append) as states:
        model, history, more = trained(dataset, states=states, **settings)
    return model, history, lines + more


def wait_until(condition: Callable[[], object], process: ForkServerProcess, seconds: float = 60) -> None:
    """Wait for a condition while a process is alive."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.is_alive(), "the process ended first"
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.002)
