import pytest
import torch
from torch.nn.functional import avg_pool2d

from biocnn.core.errors import InputError
from biocnn.explain.cam import default_layer
from biocnn.models import ResNet
from biocnn.nn.summary import summary


@pytest.mark.parametrize(
    ("depth", "weights"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)]
)
def test_weights_are_as_many_as_in_the_paper(depth, weights):
    with torch.device("meta"):
        network = ResNet(2, 3, 1000, depth=depth)
    assert sum(p.numel() for p in network.parameters()) == weights
    if depth == 50:
        assert sum(p.numel() for p in network.features.parameters()) == 23_508_032


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(("depth", "stem"), [(18, "large"), (18, "medium"), (18, "small"), (50, "large")])
def test_monai_agrees(spatial_dims, depth, stem):
    from monai.networks.nets import resnet

    torch.manual_seed(0)
    size, stride = {"small": (3, 1), "medium": (5, 2), "large": (7, 2)}[stem]
    channels = [8, 12, 16, 20]
    theirs = resnet.ResNet(
        "basic" if depth == 18 else "bottleneck",
        [2, 2, 2, 2] if depth == 18 else [3, 4, 6, 3],
        channels,
        spatial_dims=spatial_dims,
        n_input_channels=2,
        conv1_t_size=size,
        conv1_t_stride=stride,
        no_max_pool=stem != "large",
        num_classes=3,
    ).eval()
    ours = ResNet(spatial_dims, 2, 3, depth=depth, channels=channels, stem=stem).eval()
    weights = {}
    for key, value in theirs.state_dict().items():
        if key.endswith("downsample.0.bias"):
            value.zero_()  # ours are without, as in the paper
        else:
            weights[key] = value.uniform_(0.5, 1.5) if "running_var" in key else value.normal_(0, 0.1) if (
                value.dtype.is_floating_point and value.ndim == 1) else value  # fmt: skip
    assert len(weights) == len(ours.state_dict())
    # The shortcut is the last layer of a block on both sides, so that the order is the same.
    ours.load_state_dict(dict(zip(ours.state_dict(), weights.values(), strict=True)))
    x = torch.randn(2, 2, *[33, 28, 19][:spatial_dims])
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_stems_differ_in_the_size_of_the_features():
    x = torch.randn(1, 1, 64, 60)
    for stem, sizes in (("small", (8, 8)), ("medium", (4, 4)), ("large", (2, 2)), ("huge", (1, 1)), (None, (2, 2))):
        network = ResNet(2, 1, 2, channels=[4, 4, 4, 4], stem=stem).eval()
        assert network.features(x).shape == (1, 4, *sizes)


@pytest.mark.parametrize(("stem", "side"), [("small", 28), ("medium", 14), ("large", 7), ("huge", 4)])
def test_stems_halve_each_side_up_to_three_times(stem: str, side: int):
    network = ResNet(3, 1, 2, channels=[4, 4, 4, 4], stem=stem).eval()
    assert network.features[0](torch.randn(1, 1, 28, 28, 28)).shape == (1, 4, side, side, side)


def test_a_huge_stem_is_a_large_one_at_half_the_size():
    x = torch.randn(1, 1, 64, 48)
    networks = [ResNet(2, 1, 2, channels=[4] * 4, stem=stem).eval() for stem in ("large", "huge")]
    networks[1].load_state_dict(networks[0].state_dict())
    halved = avg_pool2d(x, 2)
    assert networks[1](x).equal(networks[0](halved))


def test_an_image_of_one_pixel_has_logits():
    for stem in ("small", "medium", "large"):
        assert ResNet(3, 1, 2, channels=[4] * 4, stem=stem).eval()(torch.randn(1, 1, 1, 1, 1)).shape == (1, 2)


def test_activation_maps_and_tables_find_the_layers():
    network = ResNet(2, 1, 3, channels=[4, 4, 4, 8], stem="small")
    assert default_layer(network, torch.randn(1, 1, 28, 28)) == "features.4.1.act"
    told = summary(network, 28)
    assert told.shape == (1, 3)
    assert sum(row.weights for row in told.rows) == told.weights == sum(p.numel() for p in network.parameters())
    assert sum(row.kind == "Conv2d" for row in told.rows) == 17 + 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 20}, "model.depth is 20"),
        ({"channels": [64, 128]}, "give a list with 4 numbers"),
        ({"channels": 64}, "model.channels is 64"),
        ({"stem": "tiny"}, "model.stem is 'tiny'"),
    ],
)
def test_what_is_no_resnet_is_refused(settings, message):
    with pytest.raises(InputError) as caught:
        ResNet(2, 1, 2, **settings)
    assert message in str(caught.value)
