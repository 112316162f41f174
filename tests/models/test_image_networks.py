import pytest
import torch
from every_model import SMALL
from torch import nn
from torch.nn.functional import pad

from biocnn import models
from biocnn.core.errors import InputError
from biocnn.explain.cam import default_layer, grad_cam
from biocnn.models.lenet import CONNECTIONS, Codes, SparseConv
from biocnn.nn.blocks import ConvBlock, pool
from biocnn.nn.classifier_blocks import Inception, dense_head
from biocnn.nn.layers import Conv
from biocnn.nn.summary import summary

NAMES = ["AlexNet", "GoogLeNet", "LeNet5", "ResNet", "SlideNet", "VGG"]


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def build(name: str, spatial_dims: int = 2, in_channels: int = 3, out_channels: int = 9, **settings) -> nn.Module:
    torch.manual_seed(0)
    return getattr(models, name)(spatial_dims, in_channels, out_channels, **SMALL.get(name, {}) | settings).eval()


@pytest.mark.parametrize(
    ("name", "channels", "outputs", "settings", "wanted"),
    [
        ("LeNet5", 1, 10, {}, 61_706),
        ("LeNet5", 1, 10, {"original": True}, 60_000),
        ("SlideNet", 1, 10, {}, 3_274_634),
        ("AlexNet", 3, 1000, {}, 62_378_344),
        ("VGG", 3, 1000, {"depth": 11}, 132_863_336),
        ("VGG", 3, 1000, {"depth": 13}, 133_047_848),
        ("VGG", 3, 1000, {}, 138_357_544),
        ("VGG", 3, 1000, {"depth": 19}, 143_667_240),
        ("GoogLeNet", 3, 1000, {}, 6_998_552),
    ],
)
def test_weights_are_as_many_as_in_the_papers(name, channels, outputs, settings, wanted):
    with torch.device("meta"):
        assert weights(getattr(models, name)(2, channels, outputs, **settings)) == wanted


def test_weights_of_known_layers():
    with torch.device("meta"):
        alex, vgg, google = (getattr(models, name)(2, 3, 1000) for name in ("AlexNet", "VGG", "GoogLeNet"))
    assert [p.numel() for p in alex.features[0].parameters()] == [34_848, 96]
    assert [p.numel() for p in vgg.head[0].parameters()] == [102_760_448, 4_096]
    assert weights(google.features) == 5_973_552
    assert weights(next(block for block in google.features if isinstance(block, Inception))) == 163_696


def test_a_stack_of_two_small_convolutions_and_a_dense_layer():
    """28 pixels become 27, 13, 12 and 6."""
    stack = nn.Sequential(
        ConvBlock(2, 1, 32, 2, padding="valid", norm=None),
        pool("max", 2),
        ConvBlock(2, 32, 32, 2, padding="valid", norm=None),
        pool("max", 2),
        nn.Flatten(),
        dense_head([32 * 6 * 6, 256, 10], 0.5),
    )
    assert weights(stack) == 302_026
    assert stack(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


@pytest.mark.parametrize(
    ("name", "size", "wanted"),
    [
        ("LeNet5", 32, [28, 14, 10, 5, 1]),
        ("SlideNet", 28, [28, 14, 7]),
        ("AlexNet", 227, [55, 27, 13, 6]),
        ("VGG", 224, [224, 112, 56, 28, 14, 7]),
        ("GoogLeNet", 224, [112, 56, 28, 14, 7]),
        ("ResNet", 224, [112, 56, 28, 14, 7]),
    ],
)
def test_sizes_are_those_of_the_papers(name, size, wanted):
    shapes = [row.shape[2] for row in summary(build(name), size).rows if len(row.shape) == 4]
    assert list(dict.fromkeys(shapes)) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_tables_count_all_weights_and_maps_show_the_last_features(name):
    network = build(name)
    told, x = summary(network, 64), torch.randn(1, 3, 64, 64)
    assert told.shape == (1, 9)
    assert sum(row.weights for row in told.rows) == told.weights == weights(network)
    shapes = {row.name: row.shape for row in told.rows}
    last = [row.shape for row in told.rows if row.kind == "Conv2d" and max(row.shape[2:]) > 1][-1]
    assert shapes[default_layer(network, x)][2:] == last[2:]
    assert grad_cam(network, x, 1).shape == (1, 64, 64)


def test_a_map_is_made_of_all_branches_of_an_inception_block():
    network = build("GoogLeNet")
    assert default_layer(network, torch.randn(1, 3, 64, 64)) == "features.17.join"
    assert default_layer(build("LeNet5", original=True), torch.randn(1, 3, 32, 32)) == "features.5"


@pytest.mark.parametrize(("name", "least"), [("LeNet5", 32), ("AlexNet", 67), ("GoogLeNet", 32)])
def test_small_images_are_padded_by_their_last_values(name, least):
    network, x = build(name), torch.randn(2, 3, 28, least + 8)
    with torch.no_grad():
        torch.testing.assert_close(network(x), network(pad(x, [0, 0, 0, least - 28], mode="replicate")))


def test_the_sparse_layer_of_lenet_is_a_convolution_without_some_connections():
    torch.manual_seed(0)
    assert sum(map(len, CONNECTIONS)) == 60
    assert [len(set(sources)) for sources in CONNECTIONS] == [3] * 6 + [4] * 9 + [6]
    sparse, whole = SparseConv(2, CONNECTIONS, 5), Conv(2, 6, 16, 5, padding="valid")
    assert weights(sparse) == 1_516
    nn.init.normal_(sparse.offset)
    with torch.no_grad():
        whole.conv.weight.zero_()
        whole.conv.bias.copy_(sparse.offset.flatten())
        kernels = iter(sparse.kernels.conv.weight)
        for channel, sources in enumerate(CONNECTIONS):
            for source in sources:
                whole.conv.weight[channel, source] = next(kernels)[0]
        x = torch.randn(2, 6, 14, 14)
        torch.testing.assert_close(sparse(x), whole(x), rtol=1e-4, atol=1e-5)


def test_the_codes_of_lenet_give_the_softmax_of_squared_distances():
    torch.manual_seed(0)
    layer, x = Codes(84, 10), torch.randn(3, 84)
    assert set(layer.codes.flatten().tolist()) == {-1, 1}
    distances = (x[:, None] - layer.codes).square().sum(-1)
    torch.testing.assert_close(layer(x).softmax(1), (-distances / 2 / 84**0.5).softmax(1))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("VGG", {"depth": 12}, "model.depth is 12"),
        ("VGG", {"channels": [64]}, "give a list with 5 numbers"),
        ("AlexNet", {"channels": [96, 256]}, "give a list with 5 numbers"),
        ("SlideNet", {"channels": [1, 2, 3]}, "give a list with 2 numbers"),
    ],
)
def test_settings_that_make_no_such_network_are_refused(name, settings, message):
    with pytest.raises(InputError) as caught:
        getattr(models, name)(2, 1, 2, **settings)
    assert message in str(caught.value)
