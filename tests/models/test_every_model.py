"""Truths about every registered network, including new ones, in every dimension, with every named setting."""

import inspect

import pytest
import torch
from every_model import CASES, DETECTORS, IN, OTHERS, OUT, VARIANTS, build, outputs, truth, words

from biocnn import models
from biocnn.config.registry import REGISTRY
from biocnn.core.errors import InputError


def batch(n: int, *size: int) -> torch.Tensor:
    return torch.randn(n, IN, *size, generator=torch.Generator().manual_seed(1))


@OTHERS
def test_logits_have_the_shape_of_the_targets(name, spatial_dims, choice):
    model = build(name, spatial_dims, choice).eval()
    for size in [(16, 16, 16), (13, 17, 9), (40, 7, 5)]:
        x = batch(2, *size[:spatial_dims])
        with torch.no_grad():
            logits = model(x)
        assert logits.shape == {"vector": (2, OUT), "map": (2, OUT, *x.shape[2:])}[REGISTRY["models"][name].target]
        assert logits.isfinite().all()


@DETECTORS
def test_boxes_are_in_the_image_and_the_best_come_first(name, spatial_dims, choice):
    model = build(name, spatial_dims, choice).eval()
    for size in [(16, 16, 16), (13, 17, 9), (40, 7, 5), (1, 1, 1)]:
        x = batch(2, *size[:spatial_dims])
        with torch.no_grad():
            found = model(x)
        assert len(found) == 2
        for boxes in found:
            assert boxes.dtype == torch.float32
            assert boxes.shape == (len(boxes), 2 + 2 * spatial_dims)
            assert len(boxes) <= 300
            label, score, first, opposite = boxes.split([1, 1, spatial_dims, spatial_dims], 1)
            assert torch.isin(label, torch.arange(float(OUT))).all()
            assert ((score >= 0) & (score <= 1)).all()
            assert (score.diff(dim=0) <= 0).all()
            assert ((first >= 0) & (first < opposite) & (opposite <= torch.tensor(x.shape[2:]))).all()


@DETECTORS
def test_the_loss_is_determined_by_the_seed(name, spatial_dims, choice):
    torch.set_deterministic_debug_mode("error")
    model, x = build(name, spatial_dims, choice), batch(2, *[20, 33, 20][:spatial_dims])
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        model.zero_grad()
        loss = model.loss(x, truth(2, *x.shape[2:]))
        loss.backward()
        results.append([loss, *(weight.grad for weight in model.parameters())])
    assert all(map(torch.equal, *results))


@DETECTORS
def test_images_may_have_no_boxes_or_only_those_to_be_ignored(name, spatial_dims, choice):
    model, x = build(name, spatial_dims, choice), batch(2, *[20, 33, 20][:spatial_dims])
    y = truth(2, *x.shape[2:])
    for boxes in (y, y[y[:, 0] == 1], y[y[:, 1] < 0], y[:0]):
        loss = model.loss(x, boxes)
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        loss.backward()


@DETECTORS
def test_detectors_run_in_bfloat16(name, spatial_dims, choice):
    model, x = build(name, spatial_dims, choice), batch(2, *[33, 20, 20][:spatial_dims])
    with torch.autocast("cpu", torch.bfloat16):
        loss, found = model.loss(x, truth(2, *x.shape[2:])), model(x)
    loss.backward()
    assert loss.dtype == found[0].dtype == torch.float32
    assert loss.isfinite()


@OTHERS
def test_an_example_has_the_same_logits_alone_and_in_a_batch(name, spatial_dims, choice):
    model, x = build(name, spatial_dims, choice).eval(), batch(8, *[12] * spatial_dims)
    with torch.no_grad():
        alone = torch.cat([model(one) for one in x.split(1)])
        torch.testing.assert_close(model(x), alone, rtol=1e-4, atol=1e-5)


@DETECTORS
def test_an_image_has_the_same_boxes_alone_and_in_a_batch(name, spatial_dims, choice):
    """In float64, because the order of almost equal scores decides which boxes are suppressed."""
    model, x = build(name, spatial_dims, choice).double().eval(), batch(4, *[24] * spatial_dims).double()
    with torch.no_grad():
        alone = [model(one)[0] for one in x.split(1)]
        torch.testing.assert_close(model(x), alone, rtol=1e-4, atol=1e-4)


@VARIANTS
def test_the_gradient_reaches_every_weight(name, spatial_dims, choice):
    model, x = build(name, spatial_dims, choice), batch(4, *[33, 20, 20][:spatial_dims])
    if REGISTRY["models"][name].input == "bag":
        x = x.unflatten(0, (2, 2))  # of bags of one image, attention is constant
    if REGISTRY["models"][name].target == "boxes":
        model.loss(x, truth(4, *x.shape[2:])).backward()
    else:
        sum(logits.square().sum() for logits in outputs(model, x)).backward()
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
        assert all(map(torch.equal, outputs(copy, x), outputs(model, x)))


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
