"""Train gReLU's ConvModel with gReLU: its data set of strings, Lightning module and loader with two workers."""

import tempfile
from typing import Any

import grelu.data.dataset
import numpy as np
import pandas as pd
import torch
from grelu.lightning import LightningModel

from benchmarks.sides.common import DEVICE, after_first, clock, read_task, report, validate

# n_conv of gReLU includes the first layer; a 1 x 1 convolution and a pooling over all positions follow.
NETWORKS = {
    "deepbind": {"stem_channels": 16, "stem_kernel_size": 24, "n_conv": 1, "final_pool_func": "max"},
    "conv5": {
        "stem_channels": 64, "stem_kernel_size": 15, "n_conv": 5, "channel_init": 64, "kernel_size": 5, "norm": True,
        "pool_func": "max", "pool_size": 2, "final_pool_func": "avg",
    },
}  # fmt: skip


class Timed(LightningModel):
    """Records the end of each epoch, including validation."""

    def on_train_start(self) -> None:
        self.ends = [clock()]

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self.ends.append(clock())


def dataset(codes: np.ndarray, y: np.ndarray) -> grelu.data.dataset.DFSeqDataset:
    """Build a data set from a table of strings and labels, as in gReLU's tutorials."""
    letters = np.frombuffer(b"ACGT", np.uint8)[codes]
    table = pd.DataFrame({"sequence": [row.tobytes().decode() for row in letters], "label": y[:, 0]})
    return grelu.data.dataset.DFSeqDataset(table)


def main() -> None:
    """Train, and report the time of an epoch (training and validation)."""
    task: dict[str, Any] = read_task()
    arrays = np.load(f"{task['data']}/peers.npz")
    train, val = (dataset(arrays[f"{part}_x"], arrays[f"{part}_y"]) for part in ("train", "val"))
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "task": "binary", "loss": "bce", "lr": task["lr"], "batch_size": task["batch_size"], "num_workers": 2,
            "devices": [0] if DEVICE.type == "cuda" else "cpu", "logger": None, "save_dir": folder,
            "max_epochs": task["epochs"],
        }  # fmt: skip
        model = Timed({"model_type": "ConvModel", "n_tasks": 1, **NETWORKS[task["network"]]}, settings)
        started = clock()
        model.train_on_dataset(train, val)
        total = clock() - started
    weights = sum(p.numel() for p in model.model.parameters())
    metric = validate(model.model.to(DEVICE), arrays)
    report(after_first(np.diff(model.ends).tolist()), total_seconds=total, metric=metric, weights=weights)


main()
