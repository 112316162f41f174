"""What units look for: fields are those of gradients, patches show what a filter detects, made images excite."""

import numpy as np
import pandas as pd
import pytest
import torch
from every_model import SMALL
from tiny import boxed, images, labelled, stored, task_of
from torch import Tensor, nn

from biocnn.data.dataset import Dataset
from biocnn.data.frame import Frame
from biocnn.explain import units
from biocnn.explain.ascent import excite, palette
from biocnn.explain.filters import explain_filters, write_filters
from biocnn.explain.layers import Layer, receptive_fields, uses
from biocnn.explain.seen_images import SeenImages
from biocnn.explain.units import PATCHES, explain_units, write_units
from biocnn.models import FCN, CentreNet, ResNet, UNet
from biocnn.nn.summary import receptive_field

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "STEPS", 16)


class Edges(nn.Module):
    """Detects edges that are bright on the right, or below; the output uses the first kind twice as much."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 1)
        with torch.no_grad():
            right = torch.tensor([[-1.0, 0, 1]]).repeat(3, 1)
            self.conv.weight.copy_(torch.stack([right, right.T, torch.zeros(3, 3)])[:, None])
            self.conv.bias.zero_()
            self.head.weight.copy_(torch.tensor([2.0, 1, 0]).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.conv(x)))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> SeenImages:
    dataset = stored(images(16), tmp_path_factory.mktemp("discs"))
    return SeenImages(dataset, np.arange(16), CPU, None)


def test_the_patches_of_an_edge_detector_contain_that_edge(seen: SeenImages, tmp_path) -> None:
    found = explain_units(Edges().eval(), seen, task_of("mask"), 2, seed=1)
    write_units(tmp_path, found)
    listed, patches = (pd.read_csv(tmp_path / f"{name}.tsv", sep="\t") for name in ("units", "patches"))
    assert listed["unit"].tolist() == ["disc", "channel 0", "channel 1"], "channels by their use"
    assert (listed["field"] == "3 x 3").all()
    assert listed["use"].iloc[1] > listed["use"].iloc[2] > 0.1
    with np.load(tmp_path / "units.npz") as stored_:
        pictures = stored_["channel_patches"].astype(float)
        made = stored_["channel_made"].astype(float)
    centre = pictures.shape[-1] // 2
    before, after = slice(None, centre), slice(centre + 1, None)
    assert (pictures[0][..., after].mean((1, 2)) > pictures[0][..., before].mean((1, 2)) + 30).all()
    assert (pictures[1][:, after].mean((1, 2)) > pictures[1][:, before].mean((1, 2)) + 30).all()
    near = [slice(centre - 1, centre + 2)] * 2  # made images only matter in the field
    assert made[0][*near][:, 2].mean() > made[0][*near][:, 0].mean() + 30
    assert made[1][*near][2].mean() > made[1][*near][0].mean() + 30
    assert (listed["gain"] > 0).all()
    for _, rows in patches.groupby("unit"):
        assert rows["id"].is_unique
        assert (np.diff(rows["activation"]) <= 0).all()
        assert len(rows) == PATCHES
    # Positions are those of the activations in the images.
    row = patches[patches["unit"] == "channel 0"].iloc[0]
    x = seen.x(seen.ids.index(row["id"]))
    assert row["activation"] == pytest.approx(
        float(Edges().conv(x)[0, 0, row["axis_0"], row["axis_1"]].detach()), rel=1e-4
    )


def test_the_same_seed_makes_the_same_images(seen: SeenImages) -> None:
    one, again = (explain_units(Edges().eval(), seen, task_of("mask"), 1, seed=3).arrays for _ in range(2))
    for name in one:
        np.testing.assert_allclose(one[name].astype(float), again[name], atol=1e-3)


def test_fields_are_where_gradients_are() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, (3, 5), padding="same"), nn.GELU(), nn.AvgPool2d(2), nn.Conv2d(2, 2, 5, stride=2), nn.Softplus()
    )
    position = (6, 5)
    x = torch.randn(1, 1, 96, 96, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[(0, 0, *position)], x)
    for axis, field in enumerate(receptive_fields(Layer(network, "4"), 1, 2)):
        assert field is not None
        seen = np.flatnonzero(gradient[0, 0].abs().sum(1 - axis).numpy())
        assert field.size == seen[-1] + 1 - seen[0]
        assert field.middle(position[axis]) == (seen[-1] + seen[0]) / 2
        assert field.stride == 4


@pytest.mark.parametrize("network", [UNet(2, 1, 2, channels=[2, 3, 4]), FCN(2, 1, 2, channels=[2] * 5)])
def test_fields_are_those_measured_from_the_inputs(network: nn.Module) -> None:
    found = receptive_fields(Layer(network.eval(), ""), 1, 2)
    assert tuple(field.size for field in found) == receptive_field(network)


def test_a_network_with_global_pooling_has_no_field_but_its_layers_do() -> None:
    network = ResNet(2, 1, 2, **SMALL["ResNet"], stem="small").eval()
    assert receptive_fields(Layer(network, "features.4"), 1, 2)[0].stride == 8
    assert receptive_fields(Layer(network, ""), 1, 2) == [None, None]


def test_uses_of_a_linear_head_are_weights_times_activations() -> None:
    network, x = Edges(), torch.rand(1, 1, 8, 8)
    wanted = torch.tensor([2.0, 1, 0]) * network.act(network.conv(x)).mean((0, 2, 3))
    torch.testing.assert_close(uses(network, "act", [x], [0]), wanted / wanted.sum())


@pytest.mark.parametrize("size", [(12, 16), (6, 8, 8)])
def test_ascent_increases_a_value_within_the_limits_of_the_data(size: tuple[int, ...]) -> None:
    data = [0.2 + 0.5 * torch.rand(2, *size, generator=torch.Generator().manual_seed(0))]
    middle = (slice(None), 0, *(n // 2 for n in size))
    made, gain = excite(lambda x: x[middle] - x[:, 1].flatten(1).mean(1), 2, size, palette(data), 20, seed=0)
    assert made.shape == (2, 2, *size)
    assert (gain > 0.05).all()
    assert made.min() >= data[0].min()
    assert made.max() <= data[0].max()


def test_classes_are_excited_by_whole_images(tmp_path) -> None:
    dataset = stored(labelled(12, sizes=[(16, 16)], channels=3), tmp_path / "data")
    network = ResNet(2, 3, len(dataset.facts.outputs), **SMALL["ResNet"], stem="small").eval()
    whole = SeenImages(dataset, np.arange(12), CPU, Frame((16, 16)))
    found = explain_units(network, whole, dataset.task, 3, seed=0)
    outputs = found.units[found.units["kind"] == "output"]
    assert outputs["unit"].tolist() == dataset.facts.outputs[:3]
    assert (outputs["shown"] == "all").all()
    assert outputs["prediction"].between(0, 1).all()
    assert found.arrays["output_patches"].shape[:4] == (len(outputs), PATCHES, 16, 16)
    assert found.arrays["output_values"].shape == (len(outputs), 3, 16, 16)


def test_detectors_have_channels_but_no_outputs(tmp_path) -> None:
    dataset: Dataset = stored(boxed(10), tmp_path / "data")
    network = CentreNet(2, dataset.facts.in_channels, len(dataset.facts.outputs), **SMALL["CentreNet"]).eval()
    found = explain_units(network, SeenImages(dataset, np.arange(10), CPU, None), dataset.task, 2, seed=0)
    assert found.units["kind"].tolist() == ["channel"] * 2
    assert found.units["layer"].str.startswith("features.").all()


def test_kernels_and_feature_maps_are_those_of_the_network(tmp_path, seen: SeenImages) -> None:
    network, x = UNet(2, 1, 1, channels=[4, 6, 8]).eval(), seen.x(0)
    found = explain_filters(network, x)
    write_filters(tmp_path, found, "one", seen.patch(0, [], None))
    np.testing.assert_array_equal(found.kernels, network.stem[0].conv.conv.weight.detach().numpy())
    assert [size[0] for size in found.sizes] == [32, 16, 8, 32]
    wanted = network.stem(x)[0, found.channels[0, 0]].detach().numpy()
    np.testing.assert_allclose(found.maps[0][0], wanted, atol=1e-3)
    assert found.layers[-1].startswith("up.1")
