"""Every registered network, small, in every dimension and with every named setting."""

import inspect
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import torch
from torch import nn

from biocnn import models
from biocnn.config.registry import REGISTRY, find
from biocnn.core.errors import InputError

SMALL = {
    "AlexNet": {"channels": [3, 4, 5, 6, 7], "hidden": 8},
    "BagNetwork": {"network": {"name": "ResNet", "channels": [4, 5, 6, 7]}, "hidden": 8},
    "BPNet": {"channels": 5, "kernel_size": 5, "layers": 2, "last_kernel": 3},
    "Basset": {"channels": [4, 5, 6], "kernel_size": [5, 4, 3], "hidden": 7},
    "CentreNet": {"channels": [4, 5, 6, 7]},
    "DanQ": {"channels": 5, "kernel_size": 6, "recurrent": 3},
    "DeepBind": {"kernel_size": 5},
    "DilatedResNet": {"channels": 5, "kernel_size": 4, "layers": 2},
    "FCN": {"channels": [3, 4, 5, 6, 7]},
    "FasterRCNN": {"channels": [4, 5, 6, 7], "pyramid": 6, "dense": 8},
    "GoogLeNet": {"width": 0.08},
    "ResNet": {"channels": [4, 5, 6, 7]},
    "SlideNet": {"channels": [3, 4], "hidden": 8},
    "UNet": {"channels": [4, 6, 8]},
    "VGG": {"depth": 11, "channels": [3, 4, 5, 6, 7], "hidden": 8},
}
IN, OUT = 4, 3
ONLY = {"FasterRCNN": (2,)}  # networks that do not support all dimensions of their input


def words(annotation: Any) -> list:
    """Return the words allowed by a Literal, or by a union with one, except numbers (depths, which take long).

    Instance norm is left out, because it needs more positions than small inputs have.
    """
    if get_origin(annotation) in (Union, UnionType):
        return [word for part in get_args(annotation) for word in words(part)]
    allowed = get_args(annotation) if get_origin(annotation) is Literal else ()
    return [word for word in allowed if isinstance(word, str) and word != "instance"]


def dimensions(name: str) -> tuple[int, ...]:
    """Return the numbers of spatial dimensions that a model supports."""
    own = REGISTRY["models"][name].input
    inputs = [find("inputs", given) for given in REGISTRY["inputs"] if own in ("", given)]
    return ONLY.get(name) or tuple(sorted({dims for given in inputs for dims in given.dimensions}))


def variants() -> list:
    """Return every model with its defaults in every dimension, and in its lowest one with each word of a setting.

    A model may be refused in dimensions other than those of its input, and with words incompatible with its defaults.
    Blocks are tested with all words in every dimension.
    """
    found = []
    for name in models.__all__:
        settings = inspect.signature(getattr(models, name)).parameters.values()
        choices = [{s.name: word} for s in settings for word in words(s.annotation) if word != s.default]
        choices += [{s.name: True} for s in settings if s.annotation is bool]
        for spatial_dims in (1, 2, 3):
            for choice in [{}, *(choices if spatial_dims == min(dimensions(name)) else [])]:
                try:
                    build(name, spatial_dims, choice)
                except InputError:
                    if not choice and spatial_dims in dimensions(name):
                        raise
                    continue
                label = "-".join([name, str(spatial_dims), *(f"{k}={v}" for k, v in choice.items())])
                found.append(pytest.param(name, spatial_dims, choice, id=label))
    return found


def build(name: str, spatial_dims: int, choice: dict, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return getattr(models, name)(spatial_dims, IN, OUT, **{**SMALL.get(name, {}), **choice})


def truth(number: int, *size: int) -> torch.Tensor:
    """Return boxes of every label in images of a size, as a detector learns them; label -1: neither object nor not."""
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(-1.0, OUT).repeat(number)[:, None]
    images = torch.arange(float(number)).repeat_interleave(OUT + 1)[:, None]
    corners = (torch.rand(len(labels), 2, len(size), generator=generator) * torch.tensor(size)).sort(1).values
    return torch.cat([images, labels, corners.flatten(1)], 1)


def outputs(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Return a model's outputs: logits, in training perhaps those of coarser levels, or boxes of each image."""
    found = model(x)
    return found if isinstance(found, list) else [found]


CASES = variants()
BOXES = [case for case in CASES if REGISTRY["models"][case.values[0]].target == "boxes"]
VARIANTS = pytest.mark.parametrize(("name", "spatial_dims", "choice"), CASES)
DETECTORS = pytest.mark.parametrize(("name", "spatial_dims", "choice"), BOXES)
OTHERS = pytest.mark.parametrize(("name", "spatial_dims", "choice"), [case for case in CASES if case not in BOXES])
