"""Truths about every registered network, including new ones, in every dimension, with every named setting."""

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
    "Basset": {"channels": [4, 5, 6], "kernel_size": [5, 4, 3], "hidden": 7},
    "DanQ": {"channels": 5, "kernel_size": 6, "recurrent": 3},
    "DeepBind": {"kernel_size": 5},
    "DilatedResNet": {"channels": 5, "kernel_size": 4, "layers": 2},
    "FCN": {"channels": [3, 4, 5, 6, 7]},
    "GoogLeNet": {"width": 0.08},
    "ResNet": {"channels": [4, 5, 6, 7]},
    "SlideNet": {"channels": [3, 4], "hidden": 8},
    "UNet": {"channels": [4, 6, 8]},
    "VGG": {"depth": 11, "channels": [3, 4, 5, 6, 7], "hidden": 8},
}
IN, OUT = 4, 3


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
    return find("inputs", REGISTRY["models"][name].input).dimensions


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
                    with torch.device("meta"):  # without weights
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


def outputs(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Return a model's outputs: logits, and in training perhaps those of coarser levels."""
    found = model(x)
    return found if isinstance(found, list) else [found]


def batch(n: int, *size: int) -> torch.Tensor:
    return torch.randn(n, IN, *size, generator=torch.Generator().manual_seed(1))


CASES = variants()
VARIANTS = pytest.mark.parametrize(("name", "spatial_dims", "choice"), CASES)


@VARIANTS
def test_logits_have_the_shape_of_the_targets(name, spatial_dims, choice):
    model = build(name, spatial_dims, choice).eval()
    for size in [(16, 16, 16), (13, 17, 9), (40, 7, 5)]:
        x = batch(2, *size[:spatial_dims])
        with torch.no_grad():
            logits = model(x)
        assert logits.shape == {"vector": (2, OUT), "map": (2, OUT, *x.shape[2:])}[REGISTRY["models"][name].target]
        assert logits.isfinite().all()


@VARIANTS
def test_an_example_has_the_same_logits_alone_and_in_a_batch(name, spatial_dims, choice):
    model, x = build(name, spatial_dims, choice).eval(), batch(8, *[12] * spatial_dims)
    with torch.no_grad():
        alone = torch.cat([model(one) for one in x.split(1)])
        torch.testing.assert_close(model(x), alone, rtol=1e-4, atol=1e-5)


@VARIANTS
def test_the_gradient_reaches_every_weight(name, spatial_dims, choice):
    model = build(name, spatial_dims, choice)
    found = outputs(model, batch(4, *[33, 20, 20][:spatial_dims]))
    sum(logits.square().sum() for logits in found).backward()
    idle = [key for key, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


@VARIANTS
def test_the_seed_determines_the_model(name, spatial_dims, choice):
    first, again, other = (build(name, spatial_dims, choice, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@VARIANTS
def test_weights_determine_a_model(name, spatial_dims, choice):
    model, copy = build(name, spatial_dims, choice).eval(), build(name, spatial_dims, choice, seed=1).eval()
    copy.load_state_dict(model.state_dict())
    x = batch(1, *[9] * spatial_dims)
    with torch.no_grad():
        assert torch.equal(copy(x), model(x))


@pytest.mark.parametrize(
    ("name", "setting"), [("UNet", "channels"), ("FCN", "channels"), ("Basset", "channels"), ("Basset", "pool")]
)
def test_one_number_instead_of_one_per_level_is_refused(name, setting):
    with pytest.raises(InputError, match=f"model.{setting} is 16") as caught:
        getattr(models, name)(2, 1, 1, **{setting: 16})
    assert "e.g. [" in caught.value.remedy


def test_every_model_and_every_word_is_tried() -> None:
    tried = {(case.values[0], *case.values[2].items()) for case in CASES}
    for name in REGISTRY["models"]:
        settings = inspect.signature(getattr(models, name)).parameters.values()
        wanted = {(name, (s.name, word)) for s in settings for word in words(s.annotation) if word != s.default}
        assert {(name,), *wanted} <= tried
