import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from biocnn.core.errors import InputError
from biocnn.nn.layers import ACTS, BatchNorm1d, Conv, Conv1d, act_layer, dropout_layer, layer, norm_layer, per_axis


def test_layers_are_torch_classes():
    assert layer("Conv", 1) is nn.Conv1d
    assert layer("MaxPool", 2) is nn.MaxPool2d
    assert layer("ConvTranspose", 3) is nn.ConvTranspose3d


@pytest.mark.parametrize("spatial_dims", [0, 4, -1, "2", None])
def test_other_dimensions_are_refused(spatial_dims):
    with pytest.raises(InputError, match="allowed: 1"):
        layer("Conv", spatial_dims)


def test_unknown_words_are_refused_with_the_nearest_one():
    with pytest.raises(InputError, match="did you mean 'Conv'"):
        layer("Convv", 2)
    with pytest.raises(InputError, match=r"norm is 'bacth'\n  did you mean 'batch'"):
        norm_layer("bacth", 2, 4)
    with pytest.raises(InputError, match="did you mean 'leaky_relu'"):
        act_layer({"name": "leakyrelu"})
    with pytest.raises(InputError, match="did you mean 'same'"):
        Conv(1, 4, 4, padding="sam")
    with pytest.raises(InputError, match="did you mean 'spatial'"):
        dropout_layer("spatal", 2, 0.5)


def test_settings_that_a_layer_lacks_are_refused():
    with pytest.raises(InputError, match="'group' cannot be made"):
        norm_layer({"name": "group", "num_groups": 3}, 2, 4)
    with pytest.raises(InputError, match=r"torch\.nn\.LeakyReLU"):
        act_layer({"name": "leaky_relu", "slope": 0.1})
    with pytest.raises(InputError, match="between 0 and 1"):
        dropout_layer("element", 1, 1.5)


@pytest.mark.parametrize("name", ["kernel_size", "stride", "dilation"])
@pytest.mark.parametrize("value", [0, -2, (3, 3, 3)])
def test_sizes_are_at_least_one_and_one_per_axis(name, value):
    with pytest.raises(InputError, match=name):
        Conv(2, 1, 1, **{name: value})


def test_layers_by_name_with_settings():
    assert norm_layer(None, 1, 4) is None
    assert act_layer(None) is None
    assert isinstance(norm_layer("batch", 1, 4), BatchNorm1d)
    assert norm_layer("instance", 3, 4).weight is not None
    assert norm_layer("group", 2, 12).num_groups == 4
    assert norm_layer({"name": "group", "num_groups": 6}, 2, 12).num_groups == 6
    assert act_layer({"name": "leaky_relu", "negative_slope": 0.2})(torch.tensor(-1.0)).item() == pytest.approx(-0.2)
    assert all(isinstance(act_layer(name), nn.Module) for name in ACTS)


def test_one_size_per_axis():
    assert per_axis("size", 3, 2) == (3, 3)
    assert per_axis("size", [3, 4], 2) == (3, 4)


@settings(max_examples=150)
@given(
    spatial_dims=st.integers(1, 3),
    kernel_size=st.integers(1, 25),
    padding=st.sampled_from(["valid", "same", "full"]),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    extra=st.integers(0, 7),
)
def test_the_padding_determines_the_output_size(spatial_dims, kernel_size, padding, stride, dilation, extra):
    reach = dilation * (kernel_size - 1)
    length = (reach + 1 if padding == "valid" else 1) + extra
    rest = [1] * (spatial_dims - 1)  # axes are independent: one long axis is enough, and fast
    conv = Conv(
        spatial_dims,
        1,
        2,
        [kernel_size, *rest],
        stride=[stride, *rest],
        dilation=[dilation, *rest],
        padding=padding,
    )
    expected = length + {"valid": -reach, "same": 0, "full": reach}[padding]
    assert conv(torch.zeros(1, 1, length, *rest)).shape == (1, 2, -(-expected // stride), *rest)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 24, 25])
@pytest.mark.parametrize("padding", ["valid", "same", "full"])
def test_every_output_is_the_product_of_its_window_and_the_weights(kernel_size, padding):
    conv, x = Conv(1, 1, 1, kernel_size, padding=padding, bias=False), torch.randn(30)
    before = {"valid": 0, "same": (kernel_size - 1) // 2, "full": kernel_size - 1}[padding]
    padded = torch.cat([torch.zeros(before), x, torch.zeros(kernel_size)])
    output = conv(x.view(1, 1, -1)).flatten()
    expected = torch.stack([padded[i : i + kernel_size] @ conv.conv.weight.flatten() for i in range(len(output))])
    torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_size_one_with_stride_equals_torch_for_few_channels(spatial_dims):
    """Values and gradients are those of torch's strided convolution, which is not called."""
    conv = Conv(spatial_dims, 3, 5, 1, stride=2)
    x, other = (torch.rand(2, 3, *[7] * spatial_dims).requires_grad_() for _ in range(2))
    other.data.copy_(x.data)
    plain = getattr(nn, f"Conv{spatial_dims}d")(3, 5, 1, stride=2)
    plain.load_state_dict(conv.conv.state_dict())
    found, wanted = conv(x), plain(other)
    torch.testing.assert_close(found, wanted)
    for one in (found, wanted):
        one.square().sum().backward()
    torch.testing.assert_close(x.grad, other.grad)
    torch.testing.assert_close(conv.conv.weight.grad, plain.weight.grad)


def test_an_input_smaller_than_an_unpadded_kernel_is_refused():
    with pytest.raises(InputError, match=r"\(9,\) is smaller than the kernel, \(10,\)"):
        Conv(1, 1, 1, 10, padding="valid")(torch.zeros(1, 1, 9))
    assert Conv(1, 1, 1, 10, padding="full")(torch.zeros(1, 1, 1)).shape == (1, 1, 10)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize(("kernel_size", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (5, 1, 2), (7, 2, 1)])
def test_padding_equals_that_of_monai(spatial_dims, kernel_size, stride, dilation):
    from monai.networks.blocks import Convolution

    theirs = Convolution(spatial_dims, 3, 4, strides=stride, kernel_size=kernel_size, dilation=dilation, conv_only=True)
    ours = Conv(spatial_dims, 3, 4, kernel_size, stride=stride, dilation=dilation)
    ours.conv.load_state_dict(theirs.conv.state_dict())
    x = torch.randn(2, 3, *[9] * spatial_dims)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (2, 1, 2), (1, 3, 4)])
def test_one_dimension_computed_as_images_equals_torch(stride, dilation, groups):
    settings = {"stride": stride, "padding": 3, "dilation": dilation, "groups": groups}
    ours, theirs = Conv1d(4, 8, 5, **settings), nn.Conv1d(4, 8, 5, **settings)
    norms = BatchNorm1d(8), nn.BatchNorm1d(8)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 4, 31, requires_grad=True)
    found, wanted = (norm(conv(x)) for conv, norm in zip((ours, theirs), norms, strict=True))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad((y**3).sum(), [x, c.weight]) for y, c in ((found, ours), (wanted, theirs))]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(norms[0].running_var, norms[1].running_var)
