"""A small network and sequences with a planted motif, shared by several tests."""

import numpy as np
import torch
from torch import nn

from biocnn.nn.encode import one_hot

CONSENSUS = "TTACCCGT"


class Scan(nn.Module):
    """Convolution, ReLU, maximum of each kernel, linear layer."""

    def __init__(self, kernels: int, size: int, strands: str = "both", outputs: int = 1) -> None:
        super().__init__()
        self.strands = strands
        self.conv = nn.Conv1d(4, kernels, size)
        self.head = nn.Linear(kernels, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        strands = [x, x.flip(1, 2)] if self.strands == "both" else [x]
        return torch.stack([self.head(self.conv(s).relu().amax(dim=2)) for s in strands]).amax(dim=0)


def planted(number: int, seed: int, strands: str = "both", at: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return random sequences of 60 bp; the first half contains the consensus with one base in ten changed."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (number, 60)).astype(np.uint8)
    site = np.array(["ACGT".index(base) for base in CONSENSUS], dtype=np.uint8)
    for row in codes[: number // 2]:
        one = np.where(rng.random(len(site)) < 0.1, rng.integers(0, 4, len(site)), site).astype(np.uint8)
        start = rng.integers(0, 60 - len(site)) if at is None else at
        row[start : start + len(site)] = 3 - one[::-1] if strands == "both" and rng.random() < 0.5 else one
    return codes, (np.arange(number) < number // 2).astype(np.float32)


def trained(codes: np.ndarray, target: np.ndarray) -> Scan:
    torch.manual_seed(0)
    model, x, y = Scan(8, 12), one_hot(torch.from_numpy(codes)), torch.from_numpy(target)[:, None]
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02)
    for step in range(150):
        rows = torch.arange(step, len(x), 8)
        loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model
