"""Networks in plain torch, with the layers of biocnn's; they import nothing from it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
    """Same as biocnn's ResNet of depth 18 with a small stem, or the usual one; by default half of the usual widths."""

    def __init__(self, widths: Sequence[int] = (32, 64, 128, 256), small: bool = True) -> None:
        super().__init__()
        before = widths[0]
        stem = nn.Conv2d(3, before, 3, padding=1, bias=False) if small else nn.Conv2d(3, before, 7, 2, 3, bias=False)
        layers = [stem, nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
        layers += [] if small else [nn.MaxPool2d(3, 2, 1)]
        for number, width in enumerate(widths):
            layers += [Residual(before, width, 2 if number else 1), Residual(width, width, 1)]
            before = width
        self.features, self.head = nn.Sequential(*layers), nn.Linear(before, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))
