"""Truths about every registered network, including new ones, in every dimension, with every named setting."""

import inspect

import pytest
import torch
from every_model import CASES, IN, OUT, VARIANTS, build, words
from torch import nn

from biocnn import models
from biocnn.config.registry import REGISTRY
from biocnn.core.errors import InputError
from biocnn.models.detector import Detector


def outputs(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Return a model's outputs: logits, and in training perhaps those of coarser levels; or the boxes in each image."""
    found = model(x)
    return found if isinstance(found, list) else [found]


def some_loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return a loss that depends on all outputs; networks that find boxes have their own."""
    if not isinstance(model, Detector):
        return sum(logits.square().sum() for logits in outputs(model, x))
    first, opposite = range(1, x.ndim - 1), range(6, x.ndim + 4)
    rows = [[float(number), number % OUT, *first, *opposite] for number in range(len(x))]
    return model.loss(x, torch.tensor(rows))


def batch(n: int, *size: int) -> torch.Tensor:
    return torch.randn(n, IN, *size, generator=torch.Generator().manual_seed(1))


@VARIANTS
def test_logits_have_the_shape_of_the_targets(name, spatial_dims, choice):
    model = build(name, spatial_dims, choice).eval()
    for size in [(16, 16, 16), (13, 17, 9), (40, 7, 5)]:
        x = batch(2, *size[:spatial_dims])
        with torch.no_grad():
            found = model(x)
        if isinstance(model, Detector):
            assert len(found) == 2
            for boxes in found:
                check_boxes(boxes, x.shape[2:])
        else:
            assert found.shape == {"vector": (2, OUT), "map": (2, OUT, *x.shape[2:])}[REGISTRY["models"][name].target]
            assert found.isfinite().all()


def check_boxes(boxes: torch.Tensor, sizes: torch.Size) -> None:
    """Check rows of label, score and corners: highest score first, inside the image and not empty."""
    label, score = boxes[:, :2].T
    first, opposite = boxes[:, 2:].chunk(2, 1)
    assert set(label.tolist()) <= set(range(OUT))
    assert (score.diff() <= 0).all()
    assert ((score >= 0) & (score <= 1)).all()
    assert ((first >= 0) & (first < opposite) & (opposite <= torch.tensor(sizes))).all()


@VARIANTS
def test_an_example_has_the_same_logits_alone_and_in_a_batch(name, spatial_dims, choice):
    model, x = build(name, spatial_dims, choice).eval(), batch(8, *[12] * spatial_dims)
    with torch.no_grad():
        together, alone = outputs(model, x), [outputs(model, one)[0] for one in x.split(1)]
        if not isinstance(model, Detector):
            alone = [torch.cat(alone)]
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@VARIANTS
def test_the_gradient_reaches_every_weight(name, spatial_dims, choice):
    model = build(name, spatial_dims, choice)
    some_loss(model, batch(4, *[33, 20, 20][:spatial_dims])).backward()
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
        torch.testing.assert_close(outputs(copy, x), outputs(model, x), rtol=0, atol=0)


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
