"""Train the same network in plain torch, in a plain loop on float32 one-hot arrays, with two loader workers."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.plain import Conv5, DeepBind, ResNet18
from benchmarks.sides.common import DEVICE, fit, one_hot, read_task


def main() -> None:
    """Train, and report the time of an epoch (training and validation)."""
    task = read_task()
    arrays = np.load(f"{task['data']}/peers.npz")
    x, y = (arrays[f"train_{key}"] for key in "xy")
    x, y = torch.from_numpy(one_hot(x) if x.dtype == np.uint8 else x), torch.from_numpy(y)
    torch.manual_seed(1)
    settings = {"num_workers": 2, "persistent_workers": True, "pin_memory": DEVICE.type == "cuda"}
    loader = DataLoader(TensorDataset(x, y), task["batch_size"], shuffle=True, **settings)
    network = {"deepbind": DeepBind, "conv5": Conv5, "resnet": ResNet18}[task["network"]]()
    fit(network, loader, nn.CrossEntropyLoss() if y.ndim == 1 else nn.BCEWithLogitsLoss(), arrays, task)


main()
