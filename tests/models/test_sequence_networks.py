"""Truths about every network of whole sequences, in one dimension: padding, strands and architecture."""

import pytest
import torch
from torch import nn
from torch.nn.functional import pad

from biocnn.core.errors import InputError
from biocnn.models import Basset, DanQ, DeepBind, DilatedResNet
from biocnn.nn.fuse_batchnorm import fuse_batchnorm

SMALL = {
    DeepBind: {"channels": 6, "kernel_size": 9},
    Basset: {"channels": [6, 7, 8], "kernel_size": [9, 4, 3], "pool": [3, 2, 2], "hidden": 5},
    DilatedResNet: {"channels": 6, "kernel_size": 8, "layers": 3},
    DanQ: {"channels": 6, "kernel_size": 9, "pool": 3, "recurrent": 4},
}
STRANDS = [("single", "max"), ("both", "max"), ("both", "mean")]
EVERY = pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)


def made(kind: type[nn.Module], **settings: object) -> nn.Module:
    """Return a network whose norms have seen data, and whose offsets would reveal any effect of padding."""
    torch.manual_seed(0)
    network = kind(1, 4, 3, **{**SMALL[kind], **settings})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias)
        elif isinstance(module, nn.Conv1d) and module.bias is not None:
            nn.init.constant_(module.bias, 1.0)
    return network.eval()


def sequence(length: int, seed: int = 0) -> torch.Tensor:
    codes = torch.randint(4, (length,), generator=torch.Generator().manual_seed(seed))
    x = torch.eye(4)[codes].T[None].clone()
    x[..., length // 2] = 0.25
    return x


@EVERY
@pytest.mark.parametrize(("strands", "combine"), STRANDS)
@torch.no_grad()
def test_a_sequence_has_the_same_logits_alone_and_padded_in_a_batch(kind, strands, combine):
    network = made(kind, strands=strands, combine=combine)
    alone = [sequence(length, length) for length in (1, 2, 5, 11, 30, 47, 48, 64)]
    stacked = torch.cat([pad(x, (0, 64 - x.shape[-1])) for x in alone])
    torch.testing.assert_close(network(stacked), torch.cat([network(x) for x in alone]))
    torch.testing.assert_close(fuse_batchnorm(network)(stacked), network(stacked), rtol=1e-4, atol=1e-5)


@EVERY
@pytest.mark.parametrize("combine", ["max", "mean"])
@torch.no_grad()
def test_either_strand_gives_the_same_logits(kind, combine):
    x = torch.cat([sequence(50), sequence(50, 1)])
    network = made(kind, strands="both", combine=combine)
    torch.testing.assert_close(network(x), network(x.flip(1, 2)))
    one = made(kind)
    each = torch.stack([one(x), one(x.flip(1, 2))])
    torch.testing.assert_close(network(x), each.amax(0) if combine == "max" else each.mean(0))
    assert not torch.allclose(one(x), one(x.flip(1, 2)))


@EVERY
@torch.no_grad()
def test_a_distant_base_counts_and_an_empty_sequence_is_allowed(kind):
    network, x = made(kind, **({"pool": "both"} if kind is DeepBind else {})), sequence(60)
    changed = x.clone()
    changed[..., -1] = torch.tensor([1.0, 0, 0, 0]) - changed[..., -1]
    assert not torch.equal(network(x), network(changed))
    assert network(torch.zeros(1, 4, 60)).isfinite().all()


def test_basset_shortens_the_sequence_by_its_poolings():
    network = made(Basset, pool=[3, 4, 4])
    features, mask = network._positions(sequence(101), None)
    assert features.shape == (1, 8, 3)  # 101 -> 34 -> 9 -> 3
    assert mask is None


def test_dilation_doubles_and_widens_the_receptive_field():
    network = made(DilatedResNet, layers=4)
    assert [layer.block.conv.conv.dilation for layer in network.features[1:]] == [(2,), (4,), (8,), (16,)]
    x = sequence(200).requires_grad_()
    network.features(x)[0, :, 100].sum().backward()
    seen = x.grad.abs().sum((0, 1)).nonzero()
    assert seen.max() - seen.min() <= 7 + 2 * (2 + 4 + 8 + 16)
    assert seen.max() - seen.min() > 2 * (2 + 4 + 8)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="entries"):
        Basset(1, 4, 1, channels=[8, 8])
    with pytest.raises(InputError, match="2D"):
        DanQ(2, 1, 1)
    for kind in SMALL:
        with pytest.raises(InputError, match="strands"):
            kind(1, 3, 1, strands="both")
