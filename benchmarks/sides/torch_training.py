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


class Residual(nn.Module):
    """Two convolutions with batch norm, and a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet18(nn.Module):
    """Same as biocnn's ResNet of depth 18 with a small stem and half of the usual widths."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True)]
        before = 32
        for width in (32, 64, 128, 256):
            layers += [Residual(before, width, 1 if width == 32 else 2), Residual(width, width, 1)]
            before = width
        self.features, self.head = nn.Sequential(*layers), nn.Linear(256, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


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
