"""Saturation mutagenesis: propagated edits compared with every mutant through the whole network."""

import logging
import re
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from biocnn.explain import mutagenesis, saturation_mutagenesis
from biocnn.explain.edited_network import EditedNetwork, GlobalPooled
from biocnn.explain.edits import Linear, MaxPool, Pointwise
from biocnn.explain.ranges import Span
from biocnn.explain.unedited import Unedited
from biocnn.models import Basset, DanQ, DeepBind, DilatedResNet
from biocnn.models.sequence_network import SequenceNetwork
from biocnn.nn.blocks import ConvBlock, GlobalPool, Skip, two_convs
from biocnn.nn.encode import one_hot
from biocnn.nn.layers import Conv

STRANDS = [{"strands": s, "combine": c} for s, c in (("single", "max"), ("both", "max"), ("both", "mean"))]
SMALL = {
    "DeepBind": lambda **strands: DeepBind(1, 4, 2, **strands),
    "DeepBind-both": lambda **strands: DeepBind(1, 4, 2, pool="both", channels=5, kernel_size=9, hidden=0, **strands),
    "Basset": lambda **strands: Basset(1, 4, 2, channels=[8, 12, 16], **strands),
    "Basset-max": lambda: Basset(1, 4, 2, channels=[8, 6], kernel_size=[7, 4], pool=[2, 5], over="max"),
    "Basset-average": lambda: Basset(1, 4, 2, channels=[8], kernel_size=[7], pool=[3], over="average"),
    "DilatedResNet": lambda **strands: DilatedResNet(1, 4, 2, channels=8, kernel_size=7, layers=3, **strands),
}
CASES = [*product(["DeepBind", "DeepBind-both", "Basset", "DilatedResNet"], STRANDS)]
CASES += [("Basset-max", {}), ("Basset-average", {})]


def trained(network: nn.Module) -> nn.Module:
    """Return a network as after training: norms have statistics and scales, and offsets would reveal padding."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
        if isinstance(module, nn.Conv1d) and module.bias is not None:
            nn.init.normal_(module.bias)
    return network


def stack(*features: nn.Module) -> SequenceNetwork:
    """Return a user's network with eight features."""
    torch.manual_seed(0)
    parts = nn.Sequential(*features), GlobalPool("both"), nn.Sequential(nn.Linear(16, 2))
    return trained(SequenceNetwork(1, 4, *parts, strands="both", combine="max"))


def sequences(length: int, n: int = 3, *, padding: bool = True) -> np.ndarray:
    """Return codes with unknown bases and an ambiguous one, and with padding in two sequences."""
    codes = np.random.default_rng(length).integers(0, 4, (n, length)).astype(np.uint8)
    codes[0, [0, length // 2, length - 1]], codes[0, 3] = 4, 9
    codes[0, length // 3] = 8  # R: half A, half G
    if padding:
        codes[1, length - 1 - length // 3 :] = 5
        codes[2] = 5
        codes[2, length // 2 : length // 2 + 3] = 1
    return codes


@torch.no_grad()
def every_mutant(model: nn.Module, codes: np.ndarray, output: int) -> Tensor:
    """Return the truth, computed in the simplest way."""
    rows, model = torch.from_numpy(codes), model.eval()
    n, length = rows.shape
    mutants, differs = rows.expand(4, length, n, length).clone(), torch.zeros(4, length, n, dtype=torch.bool)
    for base, place in product(range(4), range(length)):
        mutants[base, place, :, place] = base
        differs[base, place] = (rows[:, place] != base) & (rows[:, place] != 5)
    logits = model(one_hot(mutants.flatten(0, 2)))[:, output].view(4, length, n)
    return ((logits - model(one_hot(rows))[:, output]) * differs).permute(2, 0, 1)


@pytest.fixture
def require_fast(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """Fail if a call takes the slow way."""

    def refuse(*_: object) -> None:
        pytest.fail(f"every mutant ran through the whole network: {caplog.text}")

    caplog.set_level(logging.INFO, "biocnn")
    monkeypatch.setattr(mutagenesis, "_one_by_one", refuse)


@pytest.mark.usefixtures("require_fast")
@pytest.mark.parametrize(("name", "strands"), CASES)
def test_equal_to_every_mutant_through_the_network(name, strands):
    model = trained(SMALL[name](**strands))
    for length, output in [(30, 0), (71, 1)]:
        codes = sequences(length)
        torch.testing.assert_close(
            saturation_mutagenesis(model, codes, output), every_mutant(model, codes, output), atol=1e-5, rtol=1e-5
        )


def first(channels: int = 8, **settings: object) -> ConvBlock:
    return ConvBlock(1, 4, channels, 5, **settings)


OWN = {
    "strides": [first(stride=2), ConvBlock(1, 8, 8, 4, stride=3, padding="full", act="gelu"), nn.MaxPool1d(2)],
    "dilations": [first(dilation=2), ConvBlock(1, 8, 8, 2, dilation=5, act={"name": "elu", "alpha": 0.5})],
    "no padding": [first(padding="valid", norm=None), nn.MaxPool1d(3), Conv(1, 8, 8, 3, padding="valid")],
    "overlapping pools": [first(act="leaky_relu"), nn.MaxPool1d(5, 2, 1), nn.MaxPool1d(2, 1, dilation=3), nn.Tanh()],
    "averages": [first(), nn.AvgPool1d(3), ConvBlock(1, 8, 8, 5, groups=4, act="softplus"), nn.AvgPool1d(4, 2)],
    "residual": [
        two_convs(1, 4, 8, residual=True, kernel_size=4),
        nn.MaxPool1d(2),
        two_convs(1, 8, 8, residual=True, kernel_size=3, act="silu"),
    ],
    "skip in skip": [
        first(),
        Skip(nn.Sequential(ConvBlock(1, 8, 8, 2), Skip(ConvBlock(1, 8, 8, 3, dilation=3, dropout=0.5)))),
    ],
    "plain layers": [nn.Conv1d(4, 8, 6, padding=2), nn.Sigmoid(), nn.Dropout(0.5), nn.Identity(), nn.PReLU()],
    "one position": [ConvBlock(1, 4, 8, 61, padding="full")],
}


@pytest.mark.usefixtures("require_fast")
@pytest.mark.parametrize("name", OWN)
def test_equal_for_any_stack_of_blocks(name):
    model, codes = stack(*OWN[name]), sequences(63, padding=False)
    torch.testing.assert_close(
        saturation_mutagenesis(model, codes, 1), every_mutant(model, codes, 1), atol=1e-5, rtol=1e-5
    )


def layers(rng: np.random.Generator) -> list[nn.Module]:
    """Draw one to four layers with random settings."""
    found: list[nn.Module] = []
    for number in range(rng.integers(1, 5)):
        size, dilation, stride = (int(rng.integers(low, high)) for low, high in [(2, 8), (1, 4), (1, 3)])
        kind = rng.choice(["pool", "skip", "conv"]) if number else "conv"
        if kind == "pool":
            found.append(nn.MaxPool1d(size, stride, int(rng.integers(size // 2 + 1)), ceil_mode=bool(rng.integers(2))))
        elif kind == "skip":
            found.append(Skip(ConvBlock(1, 8, 8, size, dilation=dilation)))
        else:
            padding = ["same", "full"][rng.integers(2)]
            found.append(ConvBlock(1, 8 if number else 4, 8, size, dilation=dilation, stride=stride, padding=padding))
    return found


@pytest.mark.usefixtures("require_fast")
@pytest.mark.parametrize("seed", range(12))
def test_equal_for_random_stacks(seed, monkeypatch):
    monkeypatch.setattr("biocnn.explain.edited_network.WORTHWHILE", float("inf"))
    rng = np.random.default_rng(seed)
    model, codes = stack(*layers(rng)), sequences(int(rng.integers(20, 50)), padding=False)
    torch.testing.assert_close(
        saturation_mutagenesis(model, codes), every_mutant(model, codes, 0), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (DanQ(1, 4, 2, channels=8), r"LSTM \(recurrent\)"),
        (stack(ConvBlock(1, 4, 8, 5, norm="instance")), "InstanceNorm1d"),
        (stack(ConvBlock(1, 4, 8, 5), nn.Upsample(scale_factor=2)), "Upsample"),
        (stack(ConvBlock(1, 4, 8, 5), ConvBlock(1, 8, 8, 2, stride=3)), "Conv with stride 3"),
        (stack(nn.Conv1d(4, 8, 5, padding=2, padding_mode="circular")), "circular"),
        (nn.Sequential(nn.Conv1d(4, 8, 5), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 2)), "Sequential"),
        (stack(ConvBlock(1, 4, 8, 41), ConvBlock(1, 8, 8, 41, dilation=2)), "most of 40 bp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_networks_take_the_slow_way_and_the_log_states_the_reason(model, named, caplog):
    caplog.set_level(logging.INFO, "biocnn")
    codes = sequences(40, padding=False)
    torch.testing.assert_close(saturation_mutagenesis(model, codes, 1), every_mutant(model, codes, 1))
    assert len(caplog.records) == 1
    assert re.search(named, caplog.text)


def one_beside(pasted: Callable) -> Callable:
    return lambda kept, x, span, wider: pasted(
        kept, x, Span(span.start - (span.start > wider.start), span.width), wider
    )


FAULTS = {
    "the ends are ignored": (Unedited, "restored", lambda _: lambda kept, x, span: x),
    "a segment is off by one": (Unedited, "pasted", one_beside),
    "the wrong bases are inserted": (
        EditedNetwork,
        "_edit",
        lambda edit: lambda network, codes, *more: edit(network, 3 - codes, *more),
    ),
    "numbers are a little off": (
        GlobalPooled,
        "edited",
        lambda edited: lambda pool, x, span: edited(pool, x * 1.0001, span),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_call_detects_its_errors_and_takes_the_slow_way(fault, monkeypatch, caplog):
    model, codes = trained(SMALL["Basset-max"]()), np.random.default_rng(0).integers(0, 4, (2, 60)).astype(np.uint8)
    where, name, faulty = FAULTS[fault]
    monkeypatch.setattr(where, name, faulty(getattr(where, name)))
    torch.testing.assert_close(saturation_mutagenesis(model, codes), every_mutant(model, codes, 0))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "differ" in caplog.text


@pytest.mark.usefixtures("require_fast")
@pytest.mark.parametrize("name", ["DeepBind", "Basset"])
def test_blocks_of_any_size_give_the_same(name, monkeypatch):
    model, codes = trained(SMALL[name](strands="both")), sequences(30)
    whole = saturation_mutagenesis(model, codes)
    for values in (1, 3000, 20_000):
        monkeypatch.setattr("biocnn.explain.edited_network.VALUES", values)
        torch.testing.assert_close(saturation_mutagenesis(model, codes), whole, atol=1e-6, rtol=1e-5)


def test_no_layer_exceeds_the_memory_limit(monkeypatch):
    limit, seen = 30_000, []
    monkeypatch.setattr("biocnn.explain.edited_network.VALUES", limit)
    for kind in (Linear, MaxPool, Pointwise):
        monkeypatch.setattr(kind, "edited", watched(kind.edited, seen))
    saturation_mutagenesis(trained(SMALL["Basset"]()), sequences(300, 6))
    assert limit / 4 < max(seen) <= limit


def watched(edited: Callable, seen: list[int]) -> Callable:
    def watching(*arguments: object) -> tuple[Tensor, Span]:
        found = edited(*arguments)
        seen.append(found[0].numel())
        return found

    return watching


@pytest.mark.parametrize("name", ["DeepBind", "Basset", "DilatedResNet"])
def test_padding_cannot_be_mutated(name):
    model = SMALL[name]()
    assert saturation_mutagenesis(model, np.full((2, 30), 5, np.uint8)).eq(0).all()
    assert saturation_mutagenesis(model, np.zeros((0, 30), np.uint8)).shape == (0, 4, 30)


@pytest.mark.parametrize("name", ["Basset", "DilatedResNet"])
def test_the_network_is_not_changed(name):
    model = trained(SMALL[name]())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    once = saturation_mutagenesis(model, sequences(50))
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(once, saturation_mutagenesis(model.eval(), sequences(50)))


class Weights(nn.Module):
    """One logit, a weighted sum of the one-hot sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 20, generator=torch.Generator().manual_seed(1)))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum((1, 2))[:, None]


def test_effects_in_a_linear_model_are_differences_of_its_weights():
    codes = np.random.default_rng(0).integers(0, 5, (7, 20)).astype(np.uint8)
    model, x = Weights(), one_hot(torch.from_numpy(codes))
    expected = model.weight.detach() - (x * model.weight).sum(1, keepdim=True).detach()
    torch.testing.assert_close(saturation_mutagenesis(model, codes), expected, atol=1e-5, rtol=1e-5)


def test_the_largest_change_of_a_motif_scan_known_by_hand(caplog):
    """One kernel counts matches with ACGT, so a mutation in the only complete match removes one."""
    model = DeepBind(1, 4, 1, channels=1, kernel_size=4, hidden=0)
    with torch.no_grad():
        model.features[0].conv.conv.weight.copy_(torch.eye(4)[None])
        model.features[0].conv.conv.bias.zero_()
        model.head[-1].weight.fill_(2.0)
        model.head[-1].bias.zero_()
    codes = np.full((1, 30), 3, np.uint8)
    codes[0, 11:15] = [0, 1, 2, 3]
    expected = torch.zeros(1, 4, 30)
    expected[0, :, 11:15] = -2.0
    expected[0, [0, 1, 2, 3], [11, 12, 13, 14]] = 0.0
    assert torch.equal(saturation_mutagenesis(model, codes), expected)
    assert not caplog.records
