"""Losses, compared with MONAI and torch; ignored pixels have no influence; perfect predictions have zero loss."""

import inspect
import warnings

import pytest
import torch
from tiny import task_of
from torch.nn import functional as F

from biocnn import losses
from biocnn.config.registry import REGISTRY, find
from biocnn.losses import IGNORE

SIZES = {1: (17,), 2: (8, 9), 3: (4, 5, 6)}
BINARY = ("bce", "dice_bce")
SHAPES = ("boundary", "cldice")
REGIONS = ("dice", "dice_cross_entropy", "focal", "dice_focal", "tversky")
MAPS = (*BINARY, *REGIONS, *SHAPES, "cross_entropy", "instances")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def example(name: str, spatial_dims: int, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and a target that suit the loss."""
    size, generator = SIZES[spatial_dims], torch.Generator().manual_seed(1)
    binary = name in BINARY
    k = 1 if binary else 4 if name == "instances" else classes
    target = torch.randint(0, 2 if binary else 3, (2, 1, *size), generator=generator).to(torch.uint8)
    if name == "instances":
        others = torch.randint(0, 256, (2, 2, *size), generator=generator).to(torch.uint8)
        target = torch.cat([target, others], dim=1)
    return random(2, k, *size), target


def monai(name: str, **settings):
    with warnings.catch_warnings():  # MONAI imports deprecated modules
        warnings.simplefilter("ignore")
        from monai import losses as others
    return getattr(others, name)(**settings)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("smooth", [1.0, 1e-5])
def test_dice_is_that_of_monai(dims: int, smooth: float) -> None:
    settings = {"batch": True, "smooth_nr": smooth, "smooth_dr": smooth}
    logits, target = example("dice_bce", dims)
    theirs = monai("DiceLoss", sigmoid=True, **settings)(logits, target.float())
    torch.testing.assert_close(losses.dice(logits, target, smooth=smooth), theirs)
    logits, target = example("dice", dims)
    theirs = monai("DiceLoss", softmax=True, to_onehot_y=True, **settings)(logits, target.float())
    torch.testing.assert_close(losses.dice(logits, target, smooth=smooth), theirs)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
def test_dice_cross_entropy_equals_monai(dims: int, weights: list[float] | None) -> None:
    logits, target = example("dice", dims)
    weights = None if weights is None else torch.tensor(weights)
    theirs = monai("DiceLoss", softmax=True, to_onehot_y=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
    wanted = theirs(logits, target.float()) + F.cross_entropy(logits, target[:, 0].long(), weight=weights)
    torch.testing.assert_close(losses.dice_cross_entropy(logits, target, weights), wanted)
    if weights is None:
        both = monai("DiceCELoss", softmax=True, to_onehot_y=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
        torch.testing.assert_close(losses.dice_cross_entropy(logits, target), both(logits, target.float()))


def test_dice_bce_is_the_sum_of_its_parts() -> None:
    logits, target = example("dice_bce", 2)
    weights = torch.tensor([3.0])
    wanted = losses.dice(logits, target) + losses.bce(logits, target, weights)
    torch.testing.assert_close(losses.dice_bce(logits, target, weights), wanted)


@pytest.mark.parametrize("weights", [None, [0.5, 3.0]])
def test_bce_of_vectors_equals_torch(weights: list[float] | None) -> None:
    logits, target = random(6, 2), (random(6, 2, seed=2) > 0).float()
    weights = None if weights is None else torch.tensor(weights)
    wanted = F.binary_cross_entropy_with_logits(logits, target, pos_weight=weights)
    torch.testing.assert_close(losses.bce(logits, target, weights), wanted)


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
def test_cross_entropy_equals_torch_with_ignored_pixels_too(weights: list[float] | None) -> None:
    logits, target = example("cross_entropy", 2)
    target[0, 0, :3] = IGNORE
    weights = None if weights is None else torch.tensor(weights)
    wanted = F.cross_entropy(logits, target[:, 0].long(), weight=weights, ignore_index=IGNORE)
    torch.testing.assert_close(losses.cross_entropy(logits, target, weights), wanted)


def test_mse_is_that_of_torch() -> None:
    logits, target = random(6, 2), random(6, 2, seed=2)
    torch.testing.assert_close(losses.mse(logits, target), F.mse_loss(logits, target))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", MAPS)
def test_ignored_pixels_have_no_influence(name: str, dims: int) -> None:
    """Neither predictions nor the size of the ignored region change the value, or the gradient elsewhere."""
    loss = find("losses", name)
    logits, target = example(name, dims)
    ignored = torch.rand(target.shape[2:], generator=torch.Generator().manual_seed(5)) < 0.3
    target[:, :1].masked_fill_(ignored, IGNORE)
    found = []
    for shift in (0.0, 3.0):
        changed = (logits + shift * ignored * random(*logits.shape, seed=9)).requires_grad_()
        changed_target = target.clone()
        changed_target[:, 1:] += (ignored * int(shift)).to(torch.uint8)
        value = loss(changed, changed_target)
        value.backward()
        assert (changed.grad[..., ignored] == 0).all()
        found.append((value.detach(), changed.grad[..., ~ignored]))
    assert found[0][0].equal(found[1][0])
    assert found[0][1].equal(found[1][1])
    if name in SHAPES:
        return
    # Only the known pixels, arranged in a row, have the same loss.
    alone = loss(logits[..., ~ignored], target[..., ~ignored])
    torch.testing.assert_close(found[0][0], alone)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_zero_if_all_pixels_are_ignored(name: str, weighted: bool) -> None:
    logits, target = example(name, 2)
    target[:, :1] = IGNORE
    weights = torch.ones(min(logits.shape[1], 3)) if weighted else None
    logits.requires_grad_()
    value = find("losses", name)(logits, target, weights)
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", MAPS)
def test_the_loss_is_zero_only_for_a_perfect_prediction(name: str, dims: int) -> None:
    logits, target = example(name, dims)
    classes = target[:, 0].long()
    if logits.shape[1] == 1:
        perfect = (target.float() * 2 - 1) * 50
    else:
        k = 3 if name == "instances" else logits.shape[1]
        perfect = F.one_hot(classes, k).movedim(-1, 1).float() * 100
    if name == "instances":
        perfect = torch.cat([perfect, torch.logit(target[:, 1:2] / 255.0, eps=1e-7)], dim=1)
    loss = find("losses", name)
    assert loss(perfect, target).item() == pytest.approx(0, abs=1e-5)
    assert loss(logits, target).item() > 0.1
    assert loss(-perfect, target) > loss(logits, target)


def test_smooth_dice_of_an_absent_class_is_perfect_only_if_nothing_is_found() -> None:
    nothing = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    assert losses.dice(torch.full((1, 1, 4, 4), -50.0), nothing).item() == pytest.approx(0, abs=1e-6)
    assert losses.dice(torch.full((1, 1, 4, 4), 50.0), nothing).item() > 0.9


def test_instances_weight_the_boundary_and_the_distance() -> None:
    logits, target = example("instances", 2)
    wrong = losses.instances(logits, target, boundary=5.0)
    classes = losses.dice_cross_entropy(logits[:, :3], target[:, :1], torch.tensor([1.0, 1.0, 5.0]))
    distance = (logits[:, 3:].sigmoid() - target[:, 1:2] / 255).abs().mean()
    torch.testing.assert_close(wrong, classes + distance)
    torch.testing.assert_close(losses.instances(logits, target, boundary=5.0, distance=0.0), classes)


OF_CHANNELS = [name for name in REGISTRY["tasks"] if find("tasks", name).losses and name not in ("ordinal", "several")]


@pytest.mark.parametrize("task", OF_CHANNELS)
def test_probability(task: str) -> None:
    logits = 5 * random(2, 4, 6, 7)
    p = task_of(task).probability(logits)
    assert p.shape == logits.shape
    if task_of(task).predicted != "probability":
        assert p.equal(logits)
        return
    assert ((p >= 0) & (p <= 1)).all()
    if task in ("classes", "instances"):
        k = 4 if task == "classes" else 3
        torch.testing.assert_close(p[:, :k].sum(1), torch.ones(2, 6, 7))
    if task == "instances":
        assert p[:, 3].equal(logits[:, 3].sigmoid())


def test_every_loss_belongs_to_a_task_and_has_the_same_signature() -> None:
    assert {name for task in REGISTRY["tasks"] for name in find("tasks", task).losses} == set(REGISTRY["losses"])
    for name in REGISTRY["losses"]:
        parameters = inspect.signature(find("losses", name)).parameters
        assert list(parameters)[:3] == ["logits", "target", "class_weights"]
