"""Networks to start from: model files of biocnn, and files of weights with the names of torchvision."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from biocnn.core.errors import InputError
from biocnn.core.files import check_file
from biocnn.models.resnet import BLOCKS, BOTTLENECK
from biocnn.models.vgg import CONVOLUTIONS
from biocnn.training.metadata import read_metadata

MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green and blue in ImageNet, in 0-1
INNER = "network."  # in the names of weights of a network within another one, such as BagNetwork
KNOWN = "ResNet (conv1.weight, layer1.0.conv1.weight), VGG and AlexNet (features.0.weight, classifier.6.bias)"


@dataclass(frozen=True)
class Source:
    """A network to start from.

    Parameters
    ----------
    model
        Name of the network.
    in_channels
        Number of channels of its images; 4 for sequences.
    settings
        Settings of the network.
    weights
        Its weights, by their names in biocnn.
    origin
        For weights of torchvision, the name of each in the file; all of them must fit.
    outputs
        Names of its outputs; empty if unknown.
    """

    model: str
    in_channels: int
    settings: dict[str, Any]
    weights: dict[str, Tensor]
    origin: dict[str, str] = field(default_factory=dict)
    outputs: Sequence[str] = ()

    def named_for(self, own: Collection[str]) -> "Source":
        """Return it with the names of weights as in ``own``, if only one of the two networks is within another."""
        outer, inner = (any(name.startswith(INNER) for name in names) for names in (own, self.weights))
        if outer == inner:
            return self
        parts = [
            {INNER + name if outer else name.removeprefix(INNER): value for name, value in part.items()}
            for part in (self.weights, self.origin)
        ]
        return replace(self, weights=parts[0], origin=parts[1])


def read_source(path: Path) -> Source:
    """Read a network to start from.

    Parameters
    ----------
    path
        A model file of biocnn; or weights of a ResNet, VGG or AlexNet with the names of torchvision, in a
        ``.safetensors`` file or as written by ``torch.save``, of which nothing but tensors is unpickled.

    Raises
    ------
    InputError
        If the file is damaged or holds other weights.
    """
    check_file(path, "model file")
    if path.suffix in (".pth", ".pt"):
        return _foreign(path, _unpickled(path))
    try:
        with safe_open(path, "np") as handle:
            own = {"facts", "experiment"} & (handle.metadata() or {}).keys()
    except (SafetensorError, OSError):
        own = True  # its own error follows
    if not own:
        return _foreign(path, load_file(path))
    meta, found = read_metadata(path), load_file(path)
    if meta.words:
        found = {key.removeprefix("network."): value for key, value in found.items() if key.startswith("network.")}
    settings = meta.experiment.model.model_dump(exclude={"name"})
    return Source(meta.experiment.model.name, meta.facts.in_channels, settings, found, outputs=meta.facts.outputs)


def _unpickled(path: Path) -> dict[str, Tensor]:
    remedy = "give a file that torch.save(network.state_dict(), path) wrote"
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling damaged files raises errors of any type
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: not a file of weights ({reason})", remedy) from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        kinds = ", ".join(map(str, list(found)[:5])) if isinstance(found, dict) else type(found).__name__
        raise InputError(f"{path}: does not hold weights by name, but {kinds}", remedy)
    return found


def _foreign(path: Path, found: dict[str, Tensor]) -> Source:
    try:
        return _named_as_in_torchvision(path, found)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        message = f"{path}: weights are named as in torchvision, but have other shapes ({error})"
        raise InputError(message, f"allowed: weights of torchvision's {KNOWN}") from error


def _named_as_in_torchvision(path: Path, found: dict[str, Tensor]) -> Source:
    """Return a network of torchvision with the names that its weights have in biocnn."""
    if {"conv1.weight", "layer1.0.conv1.weight", "fc.weight"} <= found.keys():
        model, first, settings, names = "ResNet", "conv1.weight", *_resnet(path, found)
    elif {"features.0.weight", "classifier.6.weight"} <= found.keys():
        model, first, settings, names = _stacked(path, found)
    else:
        given = ", ".join([*found][:4])
        raise InputError(
            f"{path}: not a model file of biocnn, and its weights ({given}, ...) are not named as in torchvision",
            f"allowed: a model.safetensors of biocnn, or weights of torchvision's {KNOWN}",
        )
    if broken := [key for key, value in found.items() if not value.isfinite().all()]:
        raise InputError(
            f"{path}: {len(broken)} of {len(found)} weights are not finite: {', '.join(broken[:5])}",
            "take the file of another epoch, or copy it again",
        )
    if unknown := [key for key in found if key not in names]:
        raise InputError(
            f"{path}: {len(unknown)} of {len(found)} weights are not known in a {model}: {', '.join(unknown[:5])}",
            f"allowed: weights of torchvision's {KNOWN}",
        )
    weights = {names[key]: value for key, value in found.items()}
    for key in [name for name in weights if name.endswith("conv.bias") and model == "VGG" and settings["norm"]]:
        # In biocnn, a convolution before a norm has no bias: it is part of the mean that the norm subtracts.
        weights[f"{key.removesuffix('conv.conv.bias')}norm.running_mean"] -= weights.pop(key)
    for key in [name for name in weights if name.endswith("running_mean")]:
        # Files written before torch 0.4.1 do not count the batches.
        weights.setdefault(f"{key.removesuffix('running_mean')}num_batches_tracked", torch.tensor(0))
    origin = {name: key for key, name in names.items() if name in weights}
    return Source(model, found[first].shape[1], settings, weights, origin)


def _resnet(path: Path, found: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings of a ResNet, and the name of each weight in biocnn."""
    names = {"conv1.weight": "features.0.0.conv.conv.weight", "fc.weight": "head.1.weight", "fc.bias": "head.1.bias"}
    blocks = [0, 0, 0, 0]
    for key in found:
        if norm := re.fullmatch(r"bn1\.(\w+)", key):
            names[key] = f"features.0.0.norm.{norm[1]}"
        elif block := re.fullmatch(r"layer([1-4])\.(\d+)\.(conv|bn|downsample\.)(\d)\.(\w+)", key):
            stage, number, kind, place, name = block.groups()
            blocks[int(stage) - 1] = max(blocks[int(stage) - 1], int(number) + 1)
            norm_ = kind == "bn" or (kind == "downsample." and place == "1")
            where = "shortcut" if kind == "downsample." else f"body.{int(place) - 1}"
            names[key] = f"features.{stage}.{number}.{where}.{'norm' if norm_ else 'conv.conv'}.{name}"
    deep = "layer1.0.conv3.weight" in found
    depth = [d for d, per_stage in BLOCKS.items() if per_stage == tuple(blocks) and (d >= BOTTLENECK) == deep]
    firsts = [f"layer{stage}.0.conv1.weight" for stage in range(1, 5)]
    if lacking := [name for name in firsts if name not in found]:
        raise InputError(f"{path}: a ResNet without {', '.join(lacking)}", "copy the file again: weights are missing")
    widths = [len(found[name]) for name in firsts]
    if not depth:
        raise InputError(f"{path}: a ResNet of {blocks} blocks", f"allowed: depth {', '.join(map(str, BLOCKS))}")
    return {"depth": depth[0], "channels": widths, "stem": "large"}, names


def _stacked(path: Path, found: dict[str, Tensor]) -> tuple[str, str, dict[str, Any], dict[str, str]]:
    """Return name, first weight and settings of a VGG or an AlexNet, and the name of each weight in biocnn."""
    layers = {key.rpartition(".")[0] for key in found}
    convs, norms = (
        [n for n in _numbers("features", layers) if found[f"features.{n}.weight"].ndim == d] for d in (4, 1)
    )
    widths = [len(found[f"features.{n}.weight"]) for n in convs]
    common = {"hidden": len(found["classifier.6.weight"][0])}
    if found["features.0.weight"].shape[-1] == 11:
        model, places = "AlexNet", [f"features.{place}" for place in (0, 2, 4, 5, 6)]
        settings: dict[str, Any] = {"channels": widths, "norm": None}
    else:
        per_depth = {sum(numbers): (depth, numbers) for depth, numbers in CONVOLUTIONS.items()}
        if len(convs) not in per_depth:
            raise InputError(f"{path}: {len(convs)} convolutions", f"allowed: {', '.join(map(str, per_depth))} (VGG)")
        depth, numbers = per_depth[len(convs)]
        model, places = "VGG", [f"features.{s}.{i}" for s, number in enumerate(numbers) for i in range(number)]
        ends = [sum(numbers[: stage + 1]) - 1 for stage in range(len(numbers))]
        settings = {"depth": depth, "channels": [widths[end] for end in ends], "norm": "batch" if norms else None}
    names = {}
    for places_, numbers_, part in ((places, convs, "conv.conv"), (places, norms, "norm")):
        for place, number in zip(places_, numbers_, strict=False):
            names |= {
                key: f"{place}.{part}.{key.split('.')[-1]}" for key in found if key.startswith(f"features.{number}.")
            }
    for place, number in zip((0, 3, 6), _numbers("classifier", layers), strict=False):
        names |= {f"classifier.{number}.{name}": f"head.{place}.{name}" for name in ("weight", "bias")}
    return model, "features.0.weight", settings | common, names


def _numbers(part: str, layers: Iterable[str]) -> list[int]:
    """Return the numbers of the layers with weights in a part of the network."""
    return sorted(int(name.partition(".")[2]) for name in layers if re.fullmatch(rf"{part}\.\d+", name))
