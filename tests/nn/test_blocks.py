import pytest
import torch
from torch import nn

from biocnn.core.errors import InputError
from biocnn.nn.best_match import scan_max
from biocnn.nn.blocks import ConvBlock, GlobalPool, kaiming, pool, two_convs
from biocnn.nn.layers import Conv

DIMS = pytest.mark.parametrize("spatial_dims", [1, 2, 3])


def tensor(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("norm", ["batch", "instance", "group", None])
@pytest.mark.parametrize("act", ["relu", {"name": "leaky_relu", "negative_slope": 0.1}, None])
def test_one_dimension_equals_two_with_an_axis_of_length_one(norm, act):
    one, two = ConvBlock(1, 4, 8, 6, norm=norm, act=act), ConvBlock(2, 4, 8, (6, 1), norm=norm, act=act)
    two.load_state_dict({k: v.unsqueeze(-1) if v.ndim == 3 else v for k, v in one.state_dict().items()})
    x = tensor(2, 4, 31)
    torch.testing.assert_close(two(x.unsqueeze(-1)).squeeze(-1), one(x))


@DIMS
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("act", ["relu", "gelu", "prelu"])
def test_monai_agrees(spatial_dims, norm, act):
    from monai.networks.blocks import Convolution

    theirs = Convolution(spatial_dims, 3, 4, act=act, norm=(norm, {"affine": True}), bias=False, adn_ordering="NA")
    ours = ConvBlock(spatial_dims, 3, 4, norm=norm, act=act)
    assert sorted(p.shape for p in ours.parameters()) == sorted(p.shape for p in theirs.parameters())
    with torch.no_grad():
        ours.conv.conv.weight.copy_(theirs.conv.weight)
    x = tensor(2, 3, *[8] * spatial_dims)
    torch.testing.assert_close(ours(x), theirs(x))


def test_the_order_is_convolution_norm_activation_dropout():
    block = ConvBlock(2, 1, 2, dropout=0.5)
    assert [name for name, _ in block.named_children()] == ["conv", "norm", "act", "dropout"]
    assert block.conv.conv.bias is None
    assert [name for name, _ in ConvBlock(2, 1, 2, norm=None, act=None).named_children()] == ["conv"]


def test_spatial_dropout_drops_whole_channels_but_element_dropout_does_not():
    torch.manual_seed(0)
    for kind, whole in [("spatial", True), ("element", False)]:
        block = ConvBlock(2, 1, 64, 1, norm=None, act=None, dropout=0.5, dropout_kind=kind)
        dropped = (block(torch.ones(1, 1, 8, 8)) == 0).flatten(2)
        assert bool((dropped.all(-1) == dropped.any(-1)).all()) is whole
        assert 0.3 < dropped.float().mean() < 0.7
        assert not (block.eval()(torch.ones(1, 1, 8, 8)) == 0).any()


def test_pooling_of_known_values():
    x = torch.tensor([[1.0, 5, 2], [3, 3, 9], [7, 7, 7]])[None, None]
    assert pool("max", 2)(x).item() == 5
    assert pool("average", 2)(x).item() == 3
    assert pool("max", 2, (3, 1))(x).flatten().tolist() == [7, 7, 9]
    with pytest.raises(InputError, match="did you mean 'average'"):
        pool("averag", 2)


def test_pooling_examples_from_textbooks_and_their_gradients():
    table = [[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]
    for kind, values, gradient in (
        ("max", [[6, 8], [3, 4]], [[0, 0, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]),
        ("average", [[3.25, 5.25], [2, 2]], [[0.25] * 4] * 4),
    ):
        x = torch.tensor(table, requires_grad=True)
        pooled = pool(kind, 2)(x[None, None])
        assert pooled[0, 0].tolist() == values
        pooled.sum().backward()
        assert x.grad.tolist() == gradient
    assert pool("max", 2, 3, stride=1)(torch.tensor([[table]])).flatten().tolist() == [7, 8, 7, 8]
    assert pool("average", 1, 3, stride=1, padding="same")(torch.tensor([[[3.0, 6, 9, 0]]])).tolist() == [
        [[4.5, 6, 5, 4.5]]  # positions beyond the ends do not count
    ]


@DIMS
@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2), (3, 4), (11, 4)])
def test_sizes_of_same_and_valid_follow_the_formulas(spatial_dims, size, stride):
    for length in (11, 12, 13, 28):
        x = torch.zeros(1, 1, *[length] * spatial_dims)
        for padding, wanted in (("same", -(-length // stride)), ("valid", (length - size) // stride + 1)):
            layers = (
                Conv(spatial_dims, 1, 1, size, stride=stride, padding=padding),
                pool("max", spatial_dims, size, stride=stride, padding=padding),
            )
            for layer in layers:
                assert layer(x).shape[2:] == (wanted,) * spatial_dims
    assert pool("max", 2, 3, stride=2)(torch.zeros(1, 1, 55, 55)).shape[2:] == (27, 27)


def test_paddings_of_pooling_are_known_and_centred():
    with pytest.raises(InputError, match="did you mean 'same'"):
        pool("max", 2, 3, padding="sane")
    with pytest.raises(InputError, match="pool size is 2"):
        pool("max", 2, 2, padding="same")


def test_global_pool_of_known_values():
    x = torch.tensor([[[-1.0, -2, -9, 5], [1, 2, 3, 4]]])
    mask = torch.tensor([[[True, True, False, False]]])
    assert GlobalPool("both")(x).tolist() == [[5, 4, -1.75, 2.5]]
    assert GlobalPool("max")(x, mask).tolist() == [[-1, 2]]
    assert GlobalPool("average")(x, mask).tolist() == [[-1.5, 1.5]]
    assert GlobalPool("both")(x, ~mask & False).tolist() == [[0, 0, 0, 0]]
    with pytest.raises(InputError, match="did you mean 'both'"):
        GlobalPool("bot")


@DIMS
@pytest.mark.parametrize("kind", ["max", "average", "both"])
def test_masked_positions_have_no_influence(spatial_dims, kind):
    x = tensor(2, 3, *[5] * spatial_dims)
    mask = torch.zeros(2, 1, *x.shape[2:], dtype=torch.bool)
    mask[:, :, :3] = True
    wild = torch.where(mask, x, 1e30)
    torch.testing.assert_close(GlobalPool(kind)(wild, mask), GlobalPool(kind)(x[:, :, :3]))


@DIMS
@pytest.mark.parametrize("padding", ["valid", "same", "full"])
@pytest.mark.parametrize("masked", [False, True])
def test_scan_max_equals_convolution_and_global_max_including_gradients(spatial_dims, padding, masked):
    conv = Conv(spatial_dims, 3, 5, 4, padding=padding)
    x = tensor(6, 3, *[7] * spatial_dims).requires_grad_()
    scores = conv(x)
    mask = tensor(6, 1, *scores.shape[2:]) > 0.2 if masked else None
    if masked:
        mask[0] = False
    values, gradients = [], []
    for largest in (GlobalPool("max")(scores, mask), scan_max(conv, x, mask)):
        values.append(largest)
        gradients.append(torch.autograd.grad(largest.sigmoid().sum(), [x, *conv.parameters()]))
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(gradients[1], gradients[0])


@DIMS
def test_residual_adds_the_input(spatial_dims):
    block = two_convs(spatial_dims, 3, 3, residual=True, act=None)
    x = tensor(2, 3, *[6] * spatial_dims)
    torch.testing.assert_close(block(x), block.body(x) + x)
    nn.init.zeros_(block.body[1].norm.weight)
    torch.testing.assert_close(block(x), x)
    assert two_convs(spatial_dims, 3, 5, residual=True)(x).shape == (2, 5, *x.shape[2:])


@pytest.mark.parametrize("residual", [False, True])
def test_channels_last_is_preserved(residual):
    block = two_convs(2, 4, 8, residual=residual, kernel_size=4)
    block = block.to(memory_format=torch.channels_last)
    x = tensor(2, 4, 9, 9).to(memory_format=torch.channels_last)
    assert block(x).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(block(x), block(x.contiguous()), rtol=1e-4, atol=1e-4)


def test_kaiming_keeps_the_variance_through_twenty_layers():
    torch.manual_seed(0)
    model = nn.Sequential(*[ConvBlock(2, 32, 32, norm=None) for _ in range(20)])
    kaiming(model)
    assert 0.1 < model(torch.randn(1, 32, 32, 32)).square().mean() < 10
    assert not model[0].conv.conv.bias.any()


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("residual", [False, True])
def test_an_in_place_relu_changes_no_bit_of_training(spatial_dims, residual):
    torch.manual_seed(0)
    block, x = two_convs(spatial_dims, 3, 4, residual=residual), tensor(2, 3, *[6] * spatial_dims)
    found = {}
    for mode in (True, False):
        block.train()
        for act in (m for m in block.modules() if isinstance(m, nn.ReLU)):
            assert act.inplace, "in training"
            act.inplace = mode
        block.zero_grad()
        out = block(x.requires_grad_())
        out.square().sum().backward()
        found[mode] = [out, x.grad, *[p.grad for p in block.parameters()]]
        x.grad = None
    assert all(torch.equal(a, b) for a, b in zip(found[True], found[False], strict=True))
    assert not any(m.inplace for m in block.eval().modules() if isinstance(m, nn.ReLU))


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("norm", ["batch", "instance", "group", None])
@pytest.mark.parametrize("dropout_kind", ["element", "spatial"])
def test_a_sum_in_place_changes_no_bit_of_training(spatial_dims, norm, dropout_kind):
    torch.manual_seed(0)
    block = two_convs(spatial_dims, 3, 4, residual=True, norm=norm, dropout=0.5, dropout_kind=dropout_kind).train()
    x, found = tensor(2, 3, *[6] * spatial_dims), []
    for forward in (block, lambda x: block.act(block.body(x) + block.shortcut(x))):
        torch.manual_seed(1)  # dropout
        out = forward(x)
        found.append([out, *torch.autograd.grad(out.square().sum(), list(block.parameters()))])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
