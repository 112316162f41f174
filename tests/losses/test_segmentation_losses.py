"""Losses of masks and class maps, compared with MONAI, SciPy and their definitions; all handle extreme logits."""

import inspect

import numpy as np
import pytest
import torch
from scipy import ndimage
from test_losses import MAPS, example, monai
from tiny import task_of
from torch import Tensor
from torch.nn import functional as F

from biocnn import losses
from biocnn.config.registry import REGISTRY, find
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.losses.shapes import distances, soft_skeleton
from biocnn.losses.sums import one_hot, softmax_sums

CPU = torch.device("cpu")
VALUES = ("biocnn.losses.values", "biocnn.losses.similarity", "biocnn.losses.profiles")
DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
EVERY_SIZE = {"batch": True, "smooth_nr": 1.0, "smooth_dr": 1.0}


def blobs(dims: int, classes: int = 2, n: int = 1) -> Tensor:
    """Return class maps with regions of several pixels, shape (n, 1, *spatial)."""
    size = {1: (60,), 2: (24, 30), 3: (12, 14, 16)}[dims]
    rough = np.random.default_rng(dims).normal(size=(n, *size))
    smooth = ndimage.gaussian_filter(rough, (0, *(1.5,) * dims))
    levels = np.quantile(smooth, np.linspace(0, 1, classes + 1)[1:-1])
    return torch.from_numpy(np.digitize(smooth, levels).astype(np.uint8))[:, None]


@DIMS
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
def test_focal_of_classes_equals_monai(dims: int, gamma: float, weights: list[float] | None) -> None:
    """MONAI's mean is also over classes, most of them 0, and is not divided by the weights."""
    logits, target = example("focal", dims)
    theirs = monai("FocalLoss", use_softmax=True, to_onehot_y=True, gamma=gamma, weight=weights)
    wanted = 3 * theirs(logits, target.float())
    if weights is not None:
        weights = torch.tensor(weights)
        wanted = wanted / weights[target.long()].mean()
    torch.testing.assert_close(losses.focal(logits, target, weights, gamma=gamma), wanted)


@DIMS
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_of_a_mask_equals_monai(dims: int, gamma: float) -> None:
    logits, target = example("dice_bce", dims)
    wanted = monai("FocalLoss", gamma=gamma)(logits, target.float())
    torch.testing.assert_close(losses.focal(logits, target, gamma=gamma), wanted)
    # MONAI's alpha 0.8 weights positives 4 times as much as negatives, with a sum of 1.
    wanted = monai("FocalLoss", gamma=gamma, alpha=0.8)(logits, target.float())
    torch.testing.assert_close(losses.focal(logits, target, torch.tensor([4.0]), gamma=gamma) / 5, wanted)


@DIMS
def test_dice_focal_equals_monai(dims: int) -> None:
    logits, target = example("dice_bce", dims)
    wanted = monai("DiceFocalLoss", sigmoid=True, **EVERY_SIZE)(logits, target.float())
    torch.testing.assert_close(losses.dice_focal(logits, target), wanted)
    logits, target = example("dice_focal", dims)
    parts = (
        monai("DiceLoss", softmax=True, **EVERY_SIZE),
        monai("FocalLoss", use_softmax=True),
    )  # DiceFocalLoss: sigmoid
    truth = one_hot(target, 3).float()
    torch.testing.assert_close(losses.dice_focal(logits, target), parts[0](logits, truth) + 3 * parts[1](logits, truth))


@DIMS
@pytest.mark.parametrize(("fp", "fn"), [(0.5, 0.5), (0.3, 0.7), (1.0, 0.0)])
def test_tversky_equals_monai(dims: int, fp: float, fn: float) -> None:
    ours = {"false_positives": fp, "false_negatives": fn}
    logits, target = example("dice_bce", dims)
    theirs = monai("TverskyLoss", sigmoid=True, alpha=fp, beta=fn, **EVERY_SIZE)
    torch.testing.assert_close(losses.tversky(logits, target, **ours), theirs(logits, target.float()))
    logits, target = example("tversky", dims)
    theirs = monai("TverskyLoss", softmax=True, to_onehot_y=True, alpha=fp, beta=fn, **EVERY_SIZE)
    torch.testing.assert_close(losses.tversky(logits, target, **ours), theirs(logits, target.float()))


@DIMS
def test_tversky_of_equal_costs_is_dice(dims: int) -> None:
    logits, target = example("tversky", dims)
    found = losses.tversky(logits, target, false_positives=0.5, false_negatives=0.5, smooth=1.0)
    torch.testing.assert_close(found, losses.dice(logits, target, smooth=2.0))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("radius", [0, 2])
def test_cldice_adds_the_term_of_monai(dims: int, radius: int) -> None:
    settings = {"iter_": radius, "smooth": 1e-12}  # the last one, in the harmonic mean, is not needed here
    for classes in (2, 3):
        target = blobs(dims, classes)
        logits = torch.randn(1, 1 if classes == 2 else 3, *target.shape[2:], generator=torch.Generator().manual_seed(1))
        logits = logits.requires_grad_()
        if classes == 2:
            usual, theirs = losses.dice_bce, monai("SoftclDiceLoss", sigmoid=True, **settings)
            wanted = theirs(logits, target.float())
        else:
            usual, theirs = losses.dice_cross_entropy, monai("SoftclDiceLoss", include_background=False, **settings)
            wanted = theirs(logits.softmax(1), one_hot(target, 3).float())
        found = losses.cldice(logits, target, weight=2.0, radius=radius) - usual(logits, target)
        torch.testing.assert_close(found, 2 * wanted)
        gradients = [torch.autograd.grad(value, logits)[0] for value in (found, 2 * wanted)]
        torch.testing.assert_close(*gradients)


def test_skeleton_of_a_bar_is_its_middle_line() -> None:
    bar = torch.zeros(1, 1, 9, 30)
    bar[..., 2:7, 4:26] = 1
    for dtype in (torch.float32, torch.int8):
        line = soft_skeleton(bar.to(dtype), 3)
        assert line[0, 0, :, 8:22].nonzero()[:, 0].unique().tolist() == [4]
        assert (line[0, 0, 4, 8:22] == 1).all()


@DIMS
@pytest.mark.parametrize("reach", [1, 4, 90])
def test_distances_equal_scipy_within_their_range(dims: int, reach: int) -> None:
    marked = torch.rand(2, 3, *{1: (70,), 2: (40, 50), 3: (12, 20, 15)}[dims]) > 0.995
    marked[0, 0] = False
    marked[0, 0, 3] = True
    wanted = np.stack([[ndimage.distance_transform_edt(~one) for one in image] for image in marked.numpy()])
    none = ~marked.flatten(2).any(2).numpy()
    wanted[none] = reach
    torch.testing.assert_close(distances(marked, reach), torch.from_numpy(wanted.clip(max=reach)).float())


@DIMS
def test_boundary_adds_errors_weighted_by_their_distance(dims: int) -> None:
    target = blobs(dims)
    logits = torch.randn(1, 1, *target.shape[2:], generator=torch.Generator().manual_seed(1))
    truth = target[0, 0].numpy() == 1
    away = ndimage.distance_transform_edt(truth) + ndimage.distance_transform_edt(~truth)
    signed = torch.from_numpy(np.where(truth, -1, 1) * (away.clip(max=5) - 0.5) / 5)
    p = logits[0, 0].sigmoid()
    wanted = (signed * p).mean() - (signed * target[0, 0]).mean()  # the first is Kervadec's, the second the constant
    found = losses.boundary(logits, target, weight=3.0, reach=5) - losses.dice_bce(logits, target)
    torch.testing.assert_close(found, 3 * wanted.float())


def test_boundary_of_classes_is_the_mean_of_its_classes() -> None:
    target = blobs(2, 3)
    logits = torch.randn(1, 3, *target.shape[2:], generator=torch.Generator().manual_seed(1))
    term = losses.boundary(logits, target) - losses.dice_cross_entropy(logits, target)
    p, each = logits.softmax(1), []
    for k in (1, 2):
        one, mask = p[:, k : k + 1].logit(), (target == k).to(torch.uint8)
        each.append(losses.boundary(one, mask) - losses.dice_bce(one, mask))
    torch.testing.assert_close(term, sum(each) / 2, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_have_the_gradient_of_their_values(weighted: bool) -> None:
    logits, target = (x[..., :4, :5] for x in example("dice", 2))
    target[0, 0, 1:3] = losses.IGNORE
    logits = logits.double().requires_grad_()
    weights = torch.rand(target.shape, dtype=torch.float64) if weighted else None

    def values(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sums = softmax_sums(x, target, weights)
        return sums.overlap, sums.predicted, sums.log_likelihood

    assert torch.autograd.gradcheck(values, logits)


@pytest.mark.parametrize("name", [*MAPS, "instances with borders"])
@pytest.mark.parametrize("scale", [1e2, 1e4, 3e38])
def test_extreme_logits_give_finite_values_and_gradients(name: str, scale: float) -> None:
    """Logits in bfloat16 have the same range as in float32."""
    name, _, settings = name.partition(" ")
    settings = {"border_weight": 10.0} if settings else {}
    logits, target = example(name, 2)
    logits = (logits.sign() * scale / 2).bfloat16().float().requires_grad_()
    if scale > 1e30:  # only certain and correct values have a finite loss there
        right = target == 1 if logits.shape[1] == 1 else one_hot(target[:, :1], logits.shape[1])
        logits = ((2.0 * right - 1) * scale / 2).requires_grad_()
    value = find("losses", name)(logits, target, **settings)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


def test_channels_last_gives_the_same_loss() -> None:
    for name in MAPS:
        logits, target = example(name, 2)
        loss = find("losses", name)
        other = logits.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(loss(other, target), loss(logits, target))


def crop_to_fours(x: Tensor) -> Tensor:
    """Crop to sizes divisible by 4."""
    return x[(..., *(slice(along // 4 * 4) for along in x.shape[2:]))]


def pyramid(logits: Tensor, levels: int = 3) -> list[Tensor]:
    """Return random logits of halved sizes, rounded up, like a network with deep supervision."""
    found = [logits]
    for _ in range(levels - 1):
        size = [-(-along // 2) for along in found[-1].shape[2:]]
        found.append(torch.randn(*logits.shape[:2], *size))
    return found


@DIMS
@pytest.mark.parametrize("name", MAPS)
def test_coarser_logits_are_compared_with_all_pixels_of_their_blocks(name: str, dims: int) -> None:
    logits, target = example(name, dims)
    loss, levels = find("losses", name), pyramid(logits)
    resized = [F.interpolate(x, scale_factor=2**n, mode="nearest") for n, x in enumerate(levels)]
    parts = [loss(x[(..., *map(slice, target.shape[2:]))], target) for x in resized]
    whole = losses.supervised(loss)
    torch.testing.assert_close(whole(levels, target), (4 * parts[0] + 2 * parts[1] + parts[2]) / 7)
    assert whole(logits, target) == parts[0]


@DIMS
def test_all_sides_of_a_block_count_equally(dims: int) -> None:
    """The loss of mirror images is the same along every axis: coarse pixels are centred on their blocks."""
    target = crop_to_fours(blobs(dims))
    levels, loss = pyramid(torch.randn(1, 1, *target.shape[2:])), losses.supervised(losses.dice_bce)
    for axis in range(2, 2 + dims):
        mirrored = loss([level.flip(axis) for level in levels], target.flip(axis))
        torch.testing.assert_close(mirrored, loss(levels, target))


@DIMS
def test_the_best_coarse_probability_is_the_share_of_its_block(dims: int) -> None:
    target = crop_to_fours(blobs(dims))
    share = getattr(F, f"avg_pool{dims}d")(target.float(), 4)
    levels = pyramid(torch.zeros_like(target, dtype=torch.float32), 2)
    levels.append(torch.logit(share, 1e-4).requires_grad_())
    losses.supervised(losses.bce)(levels, target).backward()
    assert levels[2].grad.abs().max() < 1e-4
    assert ((share > 0) & (share < 1)).any()


def test_blocks_have_the_size_given_by_the_network() -> None:
    """Halving 9 pixels gives 5, then 3, each of which covers 4 pixels, not a third of the 9."""
    target = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 0], dtype=torch.uint8).view(1, 1, 9)
    levels = [torch.zeros(1, 1, 9), torch.zeros(1, 1, 5), torch.tensor([[[-50.0, 50.0, -50.0]]])]
    wanted = (4 + 2) / 7 * np.log(2)
    assert losses.supervised(losses.bce)(levels, target).item() == pytest.approx(wanted)


def test_a_finest_map_of_another_size_is_refused() -> None:
    target = blobs(2, 3, n=2)
    levels = pyramid(torch.randn(2, 3, 24, 30))
    task = task_of("classes", outputs=["background", "cell", "border"])
    task.check_output(levels, target)
    with pytest.raises(InputError, match="model: the output has shape"):
        task.check_output(levels[1:], target)


def test_levels_may_be_coarser_along_only_some_axes() -> None:
    target = blobs(3)
    logits = [torch.randn(1, 1, *size) for size in [(12, 14, 16), (12, 7, 8), (6, 4, 4)]]
    found = losses.supervised(losses.bce)(logits, target)
    parts = [F.binary_cross_entropy_with_logits(logits[0], target.float())]
    for level, factor in ((logits[1], (1, 2, 2)), (logits[2], (2, 4, 4))):
        resized = F.interpolate(level, scale_factor=factor, mode="nearest")[..., :14, :]
        parts.append(F.binary_cross_entropy_with_logits(resized, target.float()))
    torch.testing.assert_close(found, (4 * parts[0] + 2 * parts[1] + parts[2]) / 7)


@pytest.mark.parametrize("name", ["dice", "tversky"])
def test_losses_that_weight_classes_equally_refuse_weights(name: str) -> None:
    task = task_of("mask", class_shares=[0.9, 0.1])
    with pytest.raises(InputError, match=f"balanced, but {name} already weights all classes equally") as caught:
        task.make_loss(choose("losses", name, "loss"), "balanced", CPU)
    assert "dice_bce" in caught.value.remedy


OF_NUMBERS = {name for name, entry in REGISTRY["losses"].items() if entry.path.split(":")[0] in VALUES}


@pytest.mark.parametrize("name", sorted(set(REGISTRY["losses"]) - {"dice", "tversky"} - OF_NUMBERS))
def test_class_weights_change_every_other_loss(name: str) -> None:
    logits, target = example(name, 2)
    loss = find("losses", name)
    assert "class_weights" in inspect.signature(loss).parameters
    weights = torch.tensor([5.0]) if logits.shape[1] == 1 else torch.tensor([1.0, 2.0, 5.0])
    assert loss(logits, target, weights) != loss(logits, target)
