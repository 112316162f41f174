"""A network applied to a long sequence gives the same as for each window."""

from copy import deepcopy
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from biocnn.models import Basset, DeepBind
from biocnn.models.sequence_network import SequenceNetwork, head
from biocnn.nn.blocks import ConvBlock, GlobalPool
from biocnn.nn.encode import one_hot
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.prediction import sliding
from biocnn.prediction.sliding import slides


def network_of(kind: type[nn.Module] = DeepBind, out_channels: int = 1, **settings: Any) -> nn.Module:
    torch.manual_seed(1)
    return fuse_batchnorm(kind(1, 4, out_channels, **{"channels": 5, "kernel_size": 8, "hidden": 6} | settings))


def codes_of(length: int, seed: int = 1) -> Tensor:
    """Return bases, some unknown, with runs of unknown and of equal ones."""
    codes = np.random.default_rng(seed).choice(5, length, p=[0.24] * 4 + [0.04]).astype(np.uint8)
    codes[length // 3 : length // 3 + 30], codes[length // 2 : length // 2 + 30] = 4, 0
    return torch.from_numpy(codes)


@torch.inference_mode()
def check(network: nn.Module, window: int, stride: int, number: int = 40) -> None:
    codes = codes_of((number - 1) * stride + window)
    found = slides(network, window)
    assert found is not None
    wanted = network(one_hot(codes.unfold(0, window, stride)))
    torch.testing.assert_close(found.logits(codes, stride), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("pool", "hidden", "strands", "combine"),
    [*product(["max", "both"], [0, 6], ["both"], ["max", "mean"]), *product(["max", "both"], [0], ["single"], ["max"])],
)
@pytest.mark.parametrize("stride", [1, 3, 10])
def test_every_setting(pool: str, hidden: int, strands: str, combine: str, stride: int) -> None:
    check(network_of(pool=pool, hidden=hidden, strands=strands, combine=combine), 31, stride)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 7, 22, 23, 24, 25])
@pytest.mark.parametrize(("window", "stride"), [(29, 1), (29, 5), (30, 29), (101, 10), (101, 77), (101, 200)])
def test_every_length(kernel_size: int, window: int, stride: int) -> None:
    check(network_of(kernel_size=kernel_size, strands="both", pool="both"), window, stride)


def test_the_published_size_and_several_outputs() -> None:
    check(network_of(out_channels=3, channels=16, kernel_size=24, hidden=32, strands="both"), 101, 10, number=300)
    check(network_of(out_channels=3, channels=16, kernel_size=24, hidden=32, strands="both"), 1000, 7)


@torch.inference_mode()
def test_sums_do_not_drift() -> None:
    """Means over 100,000 positions agree with those in float64."""
    network = network_of(strands="single", pool="both", hidden=0)
    codes = codes_of(100_300)
    x = one_hot(codes.unfold(0, 100_000, 100)).double()
    wanted = network.head(network.pool(deepcopy(network.features).double()(x)).float())
    torch.testing.assert_close(slides(network, 100_000).logits(codes, 100), wanted, rtol=1e-5, atol=1e-5)


class OneMean(SequenceNetwork):
    """A user's network: a batch norm, and a mean over all positions."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, **settings: Any) -> None:
        block = ConvBlock(spatial_dims, in_channels, 7, 9, **{"padding": "full"} | settings)
        over = GlobalPool("average")
        super().__init__(
            1, 4, nn.Sequential(block), over, head(7, 0, out_channels, 0.0), strands="both", combine="mean"
        )


class Standardised(DeepBind):
    """A network that changes its input in a way that its layers do not reveal."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - x[:, 0].mean(1, keepdim=True)


def test_users_networks() -> None:
    torch.manual_seed(1)
    own = OneMean(1, 4, 2)
    nn.init.normal_(own.features[0].norm.running_mean)
    check(fuse_batchnorm(own), 40, 7)
    for settings in ({"padding": "same"}, {"act": "gelu"}, {"norm": "instance"}, {"stride": 2}, {"dilation": 2}):
        assert slides(fuse_batchnorm(OneMean(1, 4, 2, **settings)), 40) is None, settings


def test_networks_that_must_see_each_window() -> None:
    assert slides(network_of(kernel_size=40), 30) is None
    assert slides(fuse_batchnorm(Standardised(1, 4, 1)), 60) is None
    assert slides(fuse_batchnorm(Basset(1, 4, 1)), 60) is None
    assert slides(nn.Sequential(nn.Flatten(), nn.LazyLinear(1)), 60) is None


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(channels=16, strands="both")
    for stride, window in ((1, 50), (10, 101), (200, 201)):
        rows = slides(network, window).rows(stride)
        assert 1 <= rows * max(stride, 7) * 32 <= sliding.CELLS * torch.get_num_threads() * sliding.PARTS
    monkeypatch.setattr(sliding, "CELLS", 1)
    assert slides(network, 50).rows(10) == 4 * sliding.PARTS
    check(network, 50, 10, number=100)
