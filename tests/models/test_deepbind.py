import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from biocnn.core.errors import InputError
from biocnn.models import DeepBind

SETTINGS = pytest.mark.parametrize(
    "settings",
    [
        {"strands": strands, "combine": combine, "pool": pool}
        for pool in ("max", "both")
        for strands, combine in [("single", "max"), ("both", "max"), ("both", "mean")]
    ],
    ids=lambda settings: "-".join(settings.values()),
)


def sequence(length: int, seed: int = 0) -> torch.Tensor:
    """Return a random one-hot sequence, shape (1, 4, length), with an unknown base in the middle."""
    codes = torch.randint(4, (length,), generator=torch.Generator().manual_seed(seed))
    x = torch.eye(4)[codes].T[None].clone()
    x[..., length // 2] = 0.25
    return x


def padded(x: torch.Tensor, before: int, after: int) -> torch.Tensor:
    return nn.functional.pad(x, (before, after))


def model(**settings: str) -> DeepBind:
    torch.manual_seed(0)
    made = DeepBind(1, 4, 2, **settings).eval()
    # A large offset makes a window of only padding win, unless it is excluded.
    nn.init.constant_(made.features[0].conv.conv.bias, 5.0)
    return made


@SETTINGS
@pytest.mark.parametrize("grad", [False, True])
def test_a_sequence_has_the_same_logits_alone_and_padded_in_a_batch(settings, grad):
    net, alone = model(**settings), [sequence(length, length) for length in (10, 57, 101, 130)]
    stacked = torch.cat([padded(x, 0, 130 - x.shape[-1]) for x in alone])
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(net(stacked), torch.cat([net(x) for x in alone]))
        torch.testing.assert_close(net(padded(alone[1], 31, 2)), net(alone[1]))


@pytest.mark.parametrize("combine", ["max", "mean"])
@pytest.mark.parametrize("pool", ["max", "both"])
def test_either_strand_gives_the_same_logits(combine, pool):
    net, x = model(strands="both", combine=combine, pool=pool), padded(sequence(80), 0, 21)
    torch.testing.assert_close(net(x), net(x.flip(1, 2)), rtol=0, atol=1e-6)
    assert not torch.allclose(model(pool=pool)(x), model(pool=pool)(x.flip(1, 2)))


def test_two_strands_are_the_maximum_or_the_mean_of_the_single_strands():
    x = sequence(101)
    one = torch.stack([model()(x), model()(x.flip(1, 2))])
    torch.testing.assert_close(model(strands="both")(x), one.amax(0))
    torch.testing.assert_close(model(strands="both", combine="mean")(x), one.mean(0))


@pytest.mark.parametrize("strands", ["single", "both"])
def test_training_and_prediction_compute_the_same_logits_in_different_ways(strands):
    net, x = model(strands=strands), torch.cat([sequence(60), padded(sequence(40), 0, 20), torch.zeros(1, 4, 60)])
    with torch.no_grad():
        logits = net(x)
    torch.testing.assert_close(net(x).detach(), logits)


def test_the_head_is_one_layer_or_two():
    assert [type(m) for m in DeepBind(1, 4, 1, hidden=0).head] == [nn.Dropout, nn.Linear]
    assert DeepBind(1, 4, 1, hidden=0, pool="both").head[-1].in_features == 32
    assert DeepBind(1, 4, 1).head[-1].in_features == 32
    assert DeepBind(1, 4, 1).features[0].conv.conv.weight.shape == (16, 4, 24)


@pytest.mark.parametrize(("spatial_dims", "in_channels"), [(1, 1), (2, 4), (3, 4)])
def test_only_sequences_of_bases_have_two_strands(spatial_dims, in_channels):
    with pytest.raises(InputError, match=r"model\.strands: single"):
        DeepBind(spatial_dims, in_channels, 1, strands="both", kernel_size=3)


@pytest.mark.parametrize("pool", ["max", "both"])
def test_a_planted_motif_is_learned_in_a_hundred_steps(pool):
    torch.manual_seed(0)
    codes = torch.randint(4, (512, 101))
    motif = torch.tensor([2, 3, 0, 1, 1, 1, 0, 3, 2, 2])
    for row in range(256):
        start = int(torch.randint(91, ()))
        codes[row, start : start + 10] = motif if row % 2 else 3 - motif.flip(0)
    x, y = torch.eye(4)[codes].transpose(1, 2), (torch.arange(512) < 256).float()[:, None]
    net = DeepBind(1, 4, 1, strands="both", pool=pool)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for step in range(100):
        rows = torch.randint(512, (64,), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(net(x[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        assert ((net(x) > 0) == (y > 0)).float().mean() > 0.95
