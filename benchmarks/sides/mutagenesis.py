"""Saturation mutagenesis of random sequences with biocnn or tangermeme, with equal weights."""

import importlib.metadata

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.sides.common import DEVICE, clock, one_hot, read_task, report
from biocnn import models
from biocnn.explain import saturation_mutagenesis
from biocnn.models.sequence_network import SequenceNetwork


class Plain(nn.Module):
    """The same layers without a mask for padding, so that tangermeme's fast mode can capture them."""

    def __init__(self, network: SequenceNetwork) -> None:
        super().__init__()
        self.features, self.head, self.both = network.features, network.head, network.strands == "both"

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(self.strand(x), self.strand(x.flip(1, 2))) if self.both else self.strand(x)

    def strand(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).amax(2))


def biocnn(network: SequenceNetwork, codes: np.ndarray) -> Tensor:
    """Call biocnn like a user."""
    return saturation_mutagenesis(network, codes)


def tangermeme(network: SequenceNetwork, codes: np.ndarray) -> Tensor:
    """Call tangermeme with its defaults: from 30 s on it uses its fast mode if that is faster."""
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis as mutate

    before, after = mutate(Plain(network), torch.from_numpy(one_hot(codes)), raw_outputs=True, device=DEVICE)
    return after[..., 0] - before[:, None, None, 0]


def main() -> None:
    """Warm up on one sequence, mutate all, save the changes, report the time."""
    task = read_task()
    torch.manual_seed(1)
    network = getattr(models, task["network"])(1, 4, 1, **task["settings"]).eval().to(DEVICE)
    codes = np.random.default_rng(1).integers(0, 4, (task["number"], task["length"]), dtype=np.uint8)
    mutate = {f.__name__: f for f in (biocnn, tangermeme)}[task["tool"]]
    mutate(network, codes[:1])
    started = clock()
    change = mutate(network, codes)
    seconds = clock() - started
    np.save(task["save"], change.cpu().numpy())
    report({"sequences": seconds}, version=importlib.metadata.version(task["tool"]))


main()
