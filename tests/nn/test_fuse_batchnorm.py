"""Folding changes neither predictions nor the network that is given."""

import copy

import pytest
import torch
from every_model import BOXES, IN, SMALL, VARIANTS, build, outputs
from torch import nn

from biocnn.models import UNet
from biocnn.nn.blocks import ConvBlock
from biocnn.nn.fuse_batchnorm import fuse_batchnorm

BATCH_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def with_statistics(network: nn.Module) -> nn.Module:
    """Return the network with norms that have running statistics."""
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, BATCH_NORMS):
            for values, low in ((module.running_mean, -1), (module.running_var, 0.5), (module.weight, 0.5)):
                values.data.uniform_(low, 1.5, generator=generator)
            module.bias.data.uniform_(-1, 1, generator=generator)
    return network.eval()


@VARIANTS
def test_folding_changes_no_logit(name, spatial_dims, choice):
    network = with_statistics(build(name, spatial_dims, choice))
    x = torch.randn(2, IN, *[33, 20, 17][:spatial_dims], generator=torch.Generator().manual_seed(3))
    if name in {case.values[0] for case in BOXES}:  # the order of almost equal scores decides which boxes are found
        network, x = network.double(), x.double()
    before = copy.deepcopy(network.state_dict())
    with torch.inference_mode():
        for wanted, found in zip(outputs(network, x), outputs(fuse_batchnorm(network), x), strict=True):
            scale = wanted.abs().max().clamp(min=1)
            torch.testing.assert_close(found / scale, wanted / scale, rtol=0, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_every_batch_norm_of_a_unet_is_folded(spatial_dims):
    network = UNet(spatial_dims, IN, 1, **SMALL["UNet"], residual=True)
    assert any(isinstance(module, BATCH_NORMS) for module in network.modules())
    assert not any(isinstance(module, BATCH_NORMS) for module in fuse_batchnorm(network).modules())
    assert network.training, "the given network must not change"


def test_norms_that_cannot_be_folded_are_kept():
    alone = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    of_the_batch = ConvBlock(2, 1, 2, norm={"name": "batch", "track_running_stats": False})
    for network in (alone, of_the_batch):
        x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            torch.testing.assert_close(fuse_batchnorm(network)(x), network.eval()(x))
