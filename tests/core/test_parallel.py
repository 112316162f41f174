"""Several processes that share each batch learn the same as one process."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from tiny import stored
from torch import nn
from trainings import RAW, SERVER, work

from biocnn.core.errors import InputError
from biocnn.core.parallel import ALONE, Processes
from biocnn.training.checkpoint import load_model
from biocnn.workflow.cli import main

SETTINGS = {
    "sequences": {
        "data": {"name": "Sequences", "table": "none"},
        "augment": ["reverse_complement", {"name": "shift", "max": 4}],
        "model": {"name": "DeepBind", "channels": 8, "kernel_size": 9, "strands": "both"},
        "train": {"epochs": 3, "batch_size": 30},
    },
    "images": {
        "data": {"name": "Images", "table": "none"},
        "augment": ["flip", "intensity"],
        "model": {"name": "UNet", "channels": [8, 16], "norm": "group"},
        "loss": {"name": "dice_bce"},  # not a mean over examples, so the mean of the processes' losses would differ
        "train": {"epochs": 2, "batch_size": 5, "steps_per_epoch": 6},
    },
    "boxed": {
        "data": {"name": "BoxedImages", "table": "none"},
        "augment": ["flip", "intensity"],
        "model": {"name": "own_detector:OneBox"},  # with a loss of its own
        "train": {"epochs": 2, "batch_size": 4, "steps_per_epoch": 4},
    },
    "labelled": {
        "data": {"name": "LabelledImages", "table": "none"},
        "augment": ["flip", "intensity"],
        "model": {"name": "SlideNet", "channels": [4, 8], "hidden": 8, "dropout": 0.0},
        "train": {"epochs": 2, "batch_size": 5},
    },
}


def by_torchrun(step: list[str], folder: Path) -> str:
    """Run a step in two processes that torchrun starts, and return their log."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "biocnn.workflow.cli"]
    run = subprocess.run([sys.executable, *launch, *step], capture_output=True, text=True, timeout=240, cwd=folder)
    assert run.returncode == 0, run.stderr
    return run.stderr


def as_torchrun_does(rank: int, port: int) -> None:
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in told.items()})


def by_hand(step: list[str], folder: Path) -> str:
    """Do the same in two forked processes, which need not import torch."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    ranks = [partial(as_torchrun_does, rank, port) for rank in range(2)]
    processes = [SERVER.Process(target=work, args=(step, str(log), rank)) for rank in ranks]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0, log.read_text()
    return log.read_text()


def trained(folder: Path, kind: str, launch: Callable[[list[str], Path], str] | None) -> tuple:
    """Train in this process or in others; return history, network, and the log of the others."""
    (folder / "none").touch()
    if not (folder / "dataset").exists():
        stored(RAW[kind](), folder)
    settings = SETTINGS[kind] | {"train": SETTINGS[kind]["train"] | {"threads": 1, "precision": "float32"}}
    (folder / "e.yaml").write_text(yaml.safe_dump(settings))
    out = folder / ("others" if launch else "alone")
    paths = [folder / "e.yaml", folder / "dataset", "fold0-seed1", out / "model.safetensors", out / "history.tsv"]
    step = list(map(str, ["train", *paths, "--data-root", folder, "--state", out / "state"]))
    log = ""
    if launch:
        log = launch(step, folder)
    else:
        assert main(step) == 0
    return (
        pd.read_csv(out / "history.tsv", sep="\t"),
        load_model(out / "model.safetensors", trust=["own_detector"])[0],
        log,
    )


@pytest.mark.parametrize(
    ("kind", "launch"),
    [
        pytest.param("sequences", by_torchrun, marks=pytest.mark.slow),
        ("sequences", by_hand),
        ("images", by_hand),
        pytest.param("labelled", by_hand, marks=pytest.mark.slow),
        pytest.param("boxed", by_hand, marks=pytest.mark.slow),
    ],
)
def test_two_processes_have_the_same_loss_curve_as_one(
    kind: str, launch: Callable[[list[str], Path], str], tmp_path: Path
) -> None:
    one, network, _ = trained(tmp_path, kind, None)
    two, other, log = trained(tmp_path, kind, launch)
    numbers = ["step", "lr", "train_loss", "val_loss"]
    pd.testing.assert_frame_equal(one[numbers], two[numbers], rtol=1e-5, atol=1e-5)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, rtol=1e-3, atol=1e-4)
    assert log.count("epoch   1/") == 1, "only the first process may log"
    assert "2 processes" in log
    kept = {path.name for path in (tmp_path / "others" / "state").rglob("*") if path.is_file()}
    assert kept == {"over", "model.safetensors", "history.tsv"}, "no states"


def test_a_single_process_has_everything() -> None:
    index, logits, y = torch.arange(5), torch.randn(5, 1), torch.ones(5, 1)
    assert ALONE.share(index) is not None
    assert ALONE.share(index).equal(index)
    assert ALONE.gather(logits, y) == (logits, y)
    assert ALONE.mean(logits) is logits
    assert ALONE.agree(True, False) == [True, False]
    assert ALONE.of_first("x") == "x"


def test_shares_add_up_to_the_batch() -> None:
    index = torch.randperm(11)
    shares = [Processes(rank, 3).share(index) for rank in range(3)]
    assert [len(share) for share in shares] == [4, 4, 3]
    assert torch.cat(shares).equal(index)


def test_batch_norm_on_several_cpus_is_refused() -> None:
    with pytest.raises(InputError, match="batch norm cannot be shared") as caught:
        Processes(0, 2).wrap(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))
    assert "model.norm: group" in caught.value.remedy
