"""Train the same network in plain torch, in a plain loop on float32 one-hot arrays, with two loader workers."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.sides.common import DEVICE, fit, one_hot, read_task


class DeepBind(nn.Module):
    """Motif scan, ReLU, the maximum of each kernel, and a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 16, 24, padding=23)
        self.head = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.scan(x)).amax(-1))


class Conv5(nn.Module):
    """Same as ``benchmarks.networks.Conv5``."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv1d(4, 64, 15, padding="same"), nn.ReLU()]
        for _ in range(4):
            conv = nn.Conv1d(64, 64, 5, padding="same", bias=False)
            layers += [conv, nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(2)]
        self.tower, self.head = nn.Sequential(*layers), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.tower(x).mean(-1))


def main() -> None:
    """Train, and report the time of an epoch (training and validation)."""
    task = read_task()
    arrays = np.load(f"{task['data']}/peers.npz")
    x, y = torch.from_numpy(one_hot(arrays["train_x"])), torch.from_numpy(arrays["train_y"])
    torch.manual_seed(1)
    settings = {"num_workers": 2, "persistent_workers": True, "pin_memory": DEVICE.type == "cuda"}
    loader = DataLoader(TensorDataset(x, y), task["batch_size"], shuffle=True, **settings)
    network = {"deepbind": DeepBind, "conv5": Conv5}[task["network"]]()
    fit(network, loader, nn.BCEWithLogitsLoss(), arrays, task)


main()
