"""Weights named as in torchvision give the outputs of its networks, which are written down here as an oracle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny import experiment, image_facts, labelled, stored
from torch import Tensor, nn

from biocnn.config.schema import choose
from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.io.scales import Intensity
from biocnn.models import VGG, AlexNet, CentreNet, ResNet
from biocnn.training.pretrained import MEAN, SD, read_source
from biocnn.training.runs import train_run
from biocnn.training.transfer import like_source, standardised, transfer_weights


class Block(nn.Module):
    """BasicBlock, or Bottleneck with ``wider`` 4."""

    def __init__(self, before: int, width: int, stride: int, wider: int) -> None:
        super().__init__()
        shapes = [(3, stride), (3, 1)] if wider == 1 else [(1, 1), (3, stride), (1, 1)]
        for number, (size, step) in enumerate(shapes, 1):
            after = width * (wider if number == len(shapes) else 1)
            inner = before if number == 1 else width
            setattr(self, f"conv{number}", nn.Conv2d(inner, after, size, step, size // 2, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(after))
        self.number, self.downsample = len(shapes), None
        if stride > 1 or before != width * wider:
            conv = nn.Conv2d(before, width * wider, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(width * wider))

    def forward(self, x: Tensor) -> Tensor:
        inner = x
        for number in range(1, self.number + 1):
            inner = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(inner))
            inner = inner.relu() if number < self.number else inner
        return (inner + (self.downsample(x) if self.downsample else x)).relu()


class TheirResNet(nn.Module):
    def __init__(self, blocks: tuple[int, ...], first: int, wider: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, first, 7, 2, 3, bias=False), nn.BatchNorm2d(first)
        before = first
        for stage, number in enumerate(blocks):
            layers, width = [], first * 2**stage
            for place in range(number):
                layers.append(Block(before, width, 2 if stage and not place else 1, wider))
                before = width * wider
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(before, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


class Stacked(nn.Module):
    def __init__(self, features: list[nn.Module], side: int, classifier: list[nn.Module]) -> None:
        super().__init__()
        self.features, self.classifier = nn.Sequential(*features), nn.Sequential(*classifier)
        self.pool = nn.AdaptiveAvgPool2d(side)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(x)).flatten(1))


def their_vgg(per_stage: tuple[int, ...], widths: tuple[int, ...], hidden: int, outputs: int, norm: bool) -> Stacked:
    features: list[nn.Module] = []
    before = 3
    for number, width in zip(per_stage, widths, strict=True):
        for _ in range(number):
            features += [nn.Conv2d(before, width, 3, 1, 1), *([nn.BatchNorm2d(width)] if norm else []), nn.ReLU()]
            before = width
        features.append(nn.MaxPool2d(2))
    ends = [nn.Linear(before * 49, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)]
    return Stacked(features, 7, [ends[0], nn.ReLU(), nn.Dropout(), ends[1], nn.ReLU(), nn.Dropout(), ends[2]])


def their_alexnet(widths: tuple[int, ...], hidden: int, outputs: int) -> Stacked:
    one, two, three, four, five = widths
    features = [
        nn.Conv2d(3, one, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(one, two, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(two, three, 3, 1, 1), nn.ReLU(), nn.Conv2d(three, four, 3, 1, 1), nn.ReLU(),
        nn.Conv2d(four, five, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]  # fmt: skip
    ends = [nn.Linear(five * 36, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)]
    return Stacked(features, 6, [nn.Dropout(), ends[0], nn.ReLU(), nn.Dropout(), ends[1], nn.ReLU(), ends[2]])


SMALL, TINY = (4, 8, 16, 32), (4, 5, 6, 7, 8)
PAIRS: dict[str, tuple[Callable[[], nn.Module], Callable[[int, int], nn.Module]]] = {
    "resnet18": (lambda: TheirResNet((2, 2, 2, 2), 4, 1, 5), lambda c, k: ResNet(2, c, k, depth=18, channels=SMALL)),
    "resnet50": (lambda: TheirResNet((3, 4, 6, 3), 4, 4, 5), lambda c, k: ResNet(2, c, k, depth=50, channels=SMALL)),
    "vgg16": (
        lambda: their_vgg((2, 2, 3, 3, 3), TINY, 9, 5, False),
        lambda c, k: VGG(2, c, k, depth=16, channels=TINY, hidden=9),
    ),
    "vgg11_bn": (
        lambda: their_vgg((1, 1, 2, 2, 2), TINY, 9, 5, True),
        lambda c, k: VGG(2, c, k, depth=11, channels=TINY, hidden=9, norm="batch"),
    ),
    "alexnet": (
        lambda: their_alexnet(TINY, 9, 5),
        lambda c, k: AlexNet(2, c, k, channels=TINY, hidden=9, norm=None),
    ),
}


def theirs(name: str) -> nn.Module:
    """Return a network with random weights, in which norms change what they receive."""
    torch.manual_seed(4)
    network = PAIRS[name][0]()
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
    return network.eval()


def started(path: Path, network: nn.Module, **train: Any) -> tuple[dict[str, Any], list[str]]:
    lines: list[str] = []
    return transfer_weights(network, Train(start_from=path, **train), lines.append).record, lines


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_outputs_are_those_of_torchvision(tmp_path: Path, name: str, suffix: str) -> None:
    network, path = theirs(name), tmp_path / f"weights.{suffix}"
    (torch.save if suffix == "pth" else save_file)(network.state_dict(), path)
    ours = PAIRS[name][1](3, 5)
    record, _ = started(path, ours)
    assert (record["share"], record["fresh"], record["adapted"]) == (1.0, [], [])
    x = torch.randn(2, 3, 96, 64)  # multiples of 32: with others, poolings round down there, and up here
    # The first convolution of torchvision's AlexNet pads its images with two zeros, that of the paper does not.
    seen = nn.functional.pad(x, [2] * 4) if name == "alexnet" else x
    torch.testing.assert_close(ours.eval()(seen), network(x), rtol=1e-4, atol=1e-5)


# Number of weights, and some of the names, in the files of torchvision.
KNOWN = {
    "resnet18": (122, "conv1.weight bn1.running_mean layer1.0.conv1.weight layer2.0.downsample.1.num_batches_tracked"),
    "resnet50": (320, "layer1.0.downsample.0.weight layer3.5.bn3.running_var layer4.2.conv3.weight fc.bias"),
    "vgg16": (32, "features.0.weight features.28.bias classifier.0.weight classifier.3.bias classifier.6.bias"),
    "vgg11_bn": (62, "features.0.bias features.1.num_batches_tracked features.25.weight classifier.6.weight"),
    "alexnet": (16, "features.0.weight features.3.bias features.10.weight classifier.1.weight classifier.6.bias"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_oracle_has_the_names_of_torchvision(name: str) -> None:
    number, some = KNOWN[name]
    assert len(theirs(name).state_dict()) == number
    assert set(some.split()) <= theirs(name).state_dict().keys()


@pytest.mark.parametrize("name", PAIRS)
def test_other_outputs_replace_the_last_layer_only(tmp_path: Path, name: str) -> None:
    network, path, ours = theirs(name), tmp_path / "weights.pth", PAIRS[name][1](1, 3)
    torch.save(network.state_dict(), path)
    record, lines = started(path, ours, body_lr=0)
    last = "head.1" if "resnet" in name else "head.6"
    assert record["fresh"] == [last]
    assert set(record["held"]) == set(record["taken"])
    number = len(read_source(path).weights)
    assert f"2 of {number} weights of the file do not fit: {last}.bias, {last}.weight" in lines
    first = next(v for k, v in network.state_dict().items() if k in ("conv1.weight", "features.0.weight"))
    assert torch.equal(next(v for v in ours.state_dict().values() if v.ndim == 4), first.sum(1, keepdim=True))
    assert any(line.startswith("3 to 1 channels: weights are summed") for line in lines)


def test_another_depth_or_width_is_refused_with_the_settings_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(theirs("resnet18").state_dict(), path)
    with pytest.raises(InputError, match=r"has no weights for 16 layers: features\.1\.2\.body\.0") as error:
        started(path, ResNet(2, 3, 5, depth=34, channels=SMALL))
    assert error.value.remedy == "set model: {name: ResNet, depth: 18, channels: [4, 8, 16, 32], stem: large}"
    with pytest.raises(InputError, match=r"6 of 122 weights of .* do not fit: conv1.weight, bn1.weight"):
        started(path, ResNet(2, 3, 5, depth=18, channels=SMALL, stem="small"))
    with pytest.raises(InputError, match="no layer of"):
        started(path, VGG(2, 3, 5, depth=11, channels=TINY, hidden=9))


def test_files_without_counters_of_batches_are_read(tmp_path: Path) -> None:
    """Files from before torch 0.4.1 lack them, and torchvision still has such."""
    weights = {k: v for k, v in theirs("resnet18").state_dict().items() if "num_batches" not in k}
    torch.save(weights, tmp_path / "old.pth")
    record, _ = started(tmp_path / "old.pth", PAIRS["resnet18"][1](3, 5))
    assert (len(weights), record["share"]) == (102, 1.0)


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, ("harm",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a.weight": torch.ones(2)}, r"its weights \(a.weight, ...\) are not named as in torchvision"),
        ({"state": Harmful()}, "not a file of weights"),
        ([torch.ones(2)], "does not hold weights by name"),
        ({"epoch": 3, "model": {}}, "does not hold weights by name, but epoch, model"),
        (dict.fromkeys(theirs("resnet18").state_dict(), torch.tensor(1.0)), "but have other shapes"),
        (dict.fromkeys(theirs("vgg16").state_dict(), torch.ones(2)), "but have other shapes"),
        ({**theirs("resnet18").state_dict(), "layer1.0.se.weight": torch.ones(2)}, "1 of 123 weights are not known"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, "weights.pth")
    with pytest.raises(InputError, match=message):
        read_source(Path("weights.pth"))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


def test_damaged_weights_are_refused_by_name(tmp_path: Path) -> None:
    path, weights = tmp_path / "weights.pth", dict(theirs("resnet18").state_dict())
    torch.save(weights | {"bn1.bias": weights["bn1.bias"] * torch.nan}, path)
    with pytest.raises(InputError, match=r"1 of 122 weights are not finite: bn1\.bias"):
        read_source(path)
    torch.save({key: value for key, value in weights.items() if key != "layer2.0.conv1.weight"}, path)
    with pytest.raises(InputError, match=r"a ResNet without layer2\.0\.conv1\.weight"):
        read_source(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"not a file of weights \(\w"):
        read_source(path)


def test_pixels_get_the_scale_of_torchvision_exactly() -> None:
    """Whatever range of the data maps to 0-1 first, 0 and 255 count as 0 and 1 before the mean is subtracted."""
    raw = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    low, high = [10.0, 20.0, 30.0], [200.0, 210.0, 250.0]
    facts = image_facts(channels=["r", "g", "b"], dtype="uint8", intensity=Intensity(low=low, high=high))
    scale = {key: item.value for key, item in standardised(facts).items()}
    network = ResNet(2, 3, 5, channels=SMALL, **scale).eval()
    ends = torch.tensor([low, high])[..., None, None]
    seen = (raw / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(SD)[:, None, None]
    plain = ResNet(2, 3, 5, channels=SMALL).eval()
    plain.load_state_dict(network.state_dict())
    torch.testing.assert_close(network((raw - ends[0]) / (ends[1] - ends[0])), plain(seen), rtol=1e-4, atol=1e-5)


def test_means_of_colours_serve_other_channels_and_ranges_of_each_image() -> None:
    found = standardised(image_facts(channels=["a", "b"], dtype="uint16", normalise="image"))
    assert found["mean"].value == pytest.approx([0.449, 0.449], abs=1e-3)
    assert found["sd"].value == pytest.approx([0.226, 0.226], abs=1e-3)
    assert "averaged over its colours" in found["sd"].reason


def test_detectors_do_not_change_the_scale_which_is_logged(tmp_path: Path) -> None:
    path, lines = tmp_path / "weights.pth", []
    torch.save(theirs("resnet18").state_dict(), path)
    network = CentreNet(2, 3, 2, channels=SMALL)
    record, _ = started(path, network)
    assert {name.split(".")[0] for name in record["taken"]} == {"features"}
    section = choose("models", {"name": "CentreNet"}, "model")
    filled, _ = like_source(section, Train(start_from=path), image_facts(channels=list("rgb")), lines.append)
    assert list(filled.channels) == list(SMALL)
    assert any(line.startswith("warning: CentreNet gets pixels of 0 to 1") for line in lines)


def test_a_training_takes_everything_left_out_from_the_file(tmp_path: Path) -> None:
    torch.save(theirs("resnet18").state_dict(), tmp_path / "weights.pth")
    train = Train(start_from=tmp_path / "weights.pth", body_lr=0, epochs=2, batch_size=8, threads=1, size=[32, 32])
    data, lines = stored(labelled(16, channels=3), tmp_path), []
    network, _, meta = train_run(experiment("ResNet", data="LabelledImages", train=train), data, 1, log=lines.append)
    model = meta.experiment.model.model_dump()
    assert (model["depth"], model["channels"], model["stem"]) == (18, list(SMALL), "large")
    assert model["mean"] == pytest.approx(MEAN), "16 bits: the range of the data counts as 0 to 1"
    assert torch.equal(network.features[0][0].conv.conv.weight, theirs("resnet18").conv1.weight)
    assert any(line.startswith("model.mean = ") for line in lines)
