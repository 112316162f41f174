import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from biocnn.core.errors import InputError
from biocnn.models import FCN, DanQ, DeepBind, UNet
from biocnn.nn.blocks import Conv, ConvBlock, pool
from biocnn.nn.summary import output_size, receptive_field, summary
from biocnn.nn.unet_blocks import Down


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([Conv(1, 4, 8, 24)], (24,)),
        ([Conv(1, 4, 8, 24, padding="valid")], (24,)),
        ([Conv(1, 4, 8, 5, dilation=3, padding="full")], (13,)),
        ([Conv(1, 1, 1, 3), Conv(1, 1, 1, 3), Conv(1, 1, 1, 3)], (7,)),
        ([Conv(2, 1, 2, (3, 5)), pool("max", 2), Conv(2, 2, 2, 3, dilation=2)], (12, 14)),
        ([Conv(2, 1, 2, 7, stride=2), pool("average", 2), Conv(2, 2, 1, 3)], (17, 17)),
        ([ConvBlock(3, 1, 2, 3, norm="instance"), ConvBlock(3, 2, 2, 1, norm="group")], (3, 3, 3)),
    ],
)
def test_receptive_fields_computed_by_hand(layers, expected):
    assert receptive_field(nn.Sequential(*layers)) == expected


@pytest.mark.parametrize(
    "net", [UNet(1, 1, 1, channels=[2, 3, 4]), FCN(1, 1, 1, channels=[2] * 5)], ids=["UNet", "FCN"]
)
def test_the_receptive_field_is_where_the_gradient_is_not_zero(net):
    field = receptive_field(net)[0]
    # With averages instead of maxima and positive weights, no gradient is lost or cancelled.
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool1d):
                setattr(module, name, nn.AvgPool1d(2))
    for weight in net.parameters():
        nn.init.constant_(weight, 0.1)
    x = torch.ones(1, 1, 1024, dtype=torch.float64, requires_grad=True)
    output = net.double().eval()(x)
    spans = []
    for o in range(512, 544):
        (gradient,) = torch.autograd.grad(output[0, 0, o], x, retain_graph=True)
        seen = gradient.flatten().nonzero().flatten()
        spans.append(int(seen[-1] - seen[0]) + 1)
    assert max(spans) == field


def test_after_a_global_pool_the_receptive_field_is_the_whole_input():
    assert receptive_field(DeepBind(1, 4, 1)) == (None,)
    assert receptive_field(nn.Sequential(Conv(2, 1, 1, 3), nn.AdaptiveAvgPool2d(4))) == (None, None)


def test_the_network_is_not_changed():
    net = UNet(2, 1, 1, channels=[2, 3], norm="instance")
    before = {key: value.clone() for key, value in net.state_dict().items()}
    receptive_field(net), output_size(net, 9), summary(net, 9)
    assert net.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
    assert isinstance(net.stem[0].norm, nn.InstanceNorm2d)


def test_output_sizes():
    assert output_size(Conv(1, 4, 8, 24, padding="valid"), 101) == (78,)
    assert output_size(Down(2, 1, 2), (9, 12)) == (4, 6)
    assert output_size(UNet(2, 1, 2, channels=[2, 3, 4]), (9, 13)) == (9, 13)
    assert output_size(DeepBind(1, 4, 1), 50) == ()
    with pytest.raises(InputError, match="size is"):
        output_size(Down(2, 1, 2), (9, 12, 3))


def test_a_convolution_counted_by_hand():
    told = summary(ConvBlock(2, 3, 8, 5, stride=2), (20, 31))
    assert [row.shape for row in told.rows] == [(1, 8, 10, 16)] * 3
    assert told.rows[0].multiply_adds == told.multiply_adds == 8 * 10 * 16 * 3 * 5 * 5
    assert told.weights == 8 * 3 * 25 + 8 + 8
    assert [row.weights for row in told.rows] == [600, 16, 0]


def test_a_transposed_and_a_linear_layer_counted_by_hand():
    up = nn.Sequential(Conv(1, 2, 3, 1), nn.ConvTranspose1d(3, 5, 4, stride=2), nn.Flatten(), nn.Linear(5 * 12, 7))
    assert [row.multiply_adds for row in summary(up, 5).rows] == [2 * 3 * 5, 5 * 3 * 5 * 4, 0, 5 * 12 * 7]


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (UNet(2, 1, 2, channels=[4, 6, 8], residual=True), 17),
        (FCN(2, 3, 2), 40),
        (DeepBind(1, 4, 1, pool="both", strands="both"), 101),
    ],
    ids=["UNet", "FCN", "DeepBind"],
)
def test_counts_equal_those_of_torch(net, size):
    told, first = summary(net, size), next(m for m in net.modules() if isinstance(m, nn.Conv1d | nn.Conv2d))
    x = torch.zeros(1, first.in_channels, *[size] * len(first.kernel_size))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(x)
    assert 2 * told.multiply_adds == counter.get_total_flops()
    assert sum(row.weights for row in told.rows) == told.weights == sum(p.numel() for p in net.parameters())


def test_the_table():
    lines = str(summary(nn.Sequential(Conv(1, 4, 16, 24), nn.ReLU()), 101)).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "weights", "multiply-adds"]
    assert lines[1].split() == ["0.conv", "Conv1d", "16", "x", "101", "1,552", "155,136"]
    assert lines[-1].split() == ["total", "16", "x", "101", "1,552", "155,136"]


def test_a_network_without_convolution_has_no_input_shape():
    with pytest.raises(InputError, match="Linear has no convolution"):
        summary(nn.Linear(3, 2), 3)


def test_recurrent_layers_have_values_and_cost() -> None:
    found = summary(DanQ(1, 4, 1, channels=4, kernel_size=5, recurrent=3, strands="single"), 60)
    (row,) = [row for row in found.rows if row.kind == "LSTM"]
    assert row.shape == (1, 6, 15)
    assert row.multiply_adds == 15 * 2 * 4 * 3 * (4 + 3)  # two directions, four gates
