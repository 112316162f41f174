"""Losses, ``loss(logits, target, class_weights=None, *, settings) -> scalar``, and what each kind of task defaults to.

Targets: (N, K) float for sequences; (N, 1, *spatial) uint8 for masks, where 255 is ignored; (N, 2, *spatial) uint8 for
instances: class map (background, inside, boundary; 255 ignored) and 255 times the normalised distance to the edge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from biocnn.errors import InputError
from biocnn.metrics.masks import IGNORE
from biocnn.registry import REGISTRY, find

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Task:
    """What follows from the kind of target: losses (the default first), and the metric that chooses the best epoch."""

    losses: tuple[str, ...]
    monitor: str


TASKS = {
    "binary": Task(("bce",), "auprc"),
    "multilabel": Task(("bce",), "auprc"),
    "regression": Task(("mse",), "pearson"),
    "mask": Task(("dice_bce", "bce", "dice"), "dice"),
    "classes": Task(("dice_cross_entropy", "cross_entropy", "dice"), "dice"),
    "instances": Task(("instances",), "val_loss"),
}


def probability(logits: Tensor, task: str) -> Tensor:
    """Logits of shape (N, K, ...) to what is reported: probabilities, or the values themselves for regression.

    For instances, channels 0-2 (background, inside, boundary) are a softmax and channel 3 (distance) a sigmoid.
    """
    if task == "regression":
        return logits
    if task == "classes":
        return logits.softmax(1)
    if task == "instances":
        return torch.cat([logits[:, :3].softmax(1), logits[:, 3:].sigmoid()], dim=1)
    return logits.sigmoid()


def bce(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, mean over all that is not ignored; ``class_weights`` (K,) weigh the positives."""
    known = target != IGNORE
    weights = None if class_weights is None else class_weights.view(1, -1, *[1] * (logits.ndim - 2))
    loss = F.binary_cross_entropy_with_logits(logits, target.float().clamp(max=1), pos_weight=weights, reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def mse(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean squared error; class weights have no meaning here."""
    return F.mse_loss(logits, target)


def cross_entropy(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of class maps of shape (N, 1, *spatial), mean over all that is not ignored, weighted by class."""
    classes, known = target[:, 0].long(), target[:, 0] != IGNORE
    total = F.cross_entropy(logits, classes, weight=class_weights, ignore_index=IGNORE, reduction="sum")
    if class_weights is None:
        return total / known.sum().clamp(min=1)  # a batch in which all is ignored has loss 0
    return total / (class_weights[classes * known] * known).sum().clamp(min=1e-6)


def soft_dice(p: Tensor, target: Tensor, known: Tensor, smooth: float) -> Tensor:
    """1 - Dice of probabilities against 0/1 targets, both (N, K, *spatial), sums over the batch, mean over K.

    Sums over the whole batch, not per image, so that images without a class do not swing the gradient.
    """
    axes = (0, *range(2, p.ndim))
    overlap = (p * target * known).sum(axes)
    total = (p * known).sum(axes) + (target * known).sum(axes)
    return 1 - ((2 * overlap + smooth) / (total + smooth)).mean()


def dice(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: float = 1.0) -> Tensor:
    """Soft Dice loss of a binary mask (K = 1) or of all classes of a class map."""
    known = (target != IGNORE).float()
    if logits.shape[1] == 1:
        return soft_dice(logits.sigmoid(), target.float().clamp(max=1), known, smooth)
    wanted = F.one_hot(target[:, 0].long() * (target[:, 0] != IGNORE), logits.shape[1]).movedim(-1, 1).float()
    return soft_dice(logits.softmax(1), wanted, known, smooth)


def dice_bce(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: float = 1.0) -> Tensor:
    """Sum of soft Dice and binary cross-entropy."""
    return dice(logits, target, smooth=smooth) + bce(logits, target, class_weights)


def dice_cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, smooth: float = 1.0
) -> Tensor:
    """Sum of soft Dice and cross-entropy."""
    return dice(logits, target, smooth=smooth) + cross_entropy(logits, target, class_weights)


def instances(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, boundary: float = 1.0, distance: float = 1.0
) -> Tensor:
    """Cross-entropy and Dice of background / inside / boundary, plus the error of the distance to the edge.

    Parameters
    ----------
    boundary
        Weight of the boundary class, which separates touching objects, in the cross-entropy.
    distance
        Weight of the mean absolute error of the distance map.
    """
    classes, wanted = logits[:, :3], target[:, :1]
    weights = class_weights
    if weights is None:
        weights = logits.new_ones(3)
        weights[2] = boundary
    error = (logits[:, 3:].sigmoid() - target[:, 1:] / 255.0).abs()
    known = wanted != IGNORE
    far = (error * known).sum() / known.sum().clamp(min=1)
    return dice_cross_entropy(classes, wanted, weights) + distance * far


def check_output(logits: Tensor, y: Tensor) -> None:
    """Refuse a network that answers another question than the targets do."""
    if logits.shape[0] != len(y) or logits.shape[2:] != y.shape[2:]:
        raise InputError(
            f"model: gives shape {tuple(logits.shape)} for targets of shape {tuple(y.shape)}",
            "for one answer an example choose DeepBind, for one a pixel UNet or FCN",
        )


def make_loss(section: dict[str, Any] | None, facts: dict[str, Any], class_weights: str, device: torch.device) -> Loss:
    """The experiment's loss, or the task's default, with class weights from the training part where asked.

    Raises
    ------
    InputError
        Where loss or class weights do not suit the kind of target.
    """
    task = facts["task"]
    section = section or {"name": TASKS[task].losses[0]}
    if section["name"] in REGISTRY["losses"] and section["name"] not in TASKS[task].losses:
        raise InputError(
            f"loss: {section['name']} does not suit targets of kind {task}", "allowed: " + ", ".join(TASKS[task].losses)
        )
    settings = {key: value for key, value in section.items() if key != "name"}
    function = partial(find("losses", section["name"]), **settings)
    if class_weights == "none":
        return function
    if task == "regression":
        raise InputError("train.class_weights: balanced, but regression has no classes", "set it to none")
    return partial(function, class_weights=balanced(facts).to(device))


def balanced(facts: dict[str, Any]) -> Tensor:
    """Weights that give every class the same total weight: negatives per positive, or 1 / share with mean 1."""
    if "positives" in facts:
        share = torch.tensor(facts["positives"]).clamp(1e-3, 1 - 1e-3)
        return (1 - share) / share
    shares = torch.tensor(facts["class_shares"]).clamp(min=1e-3)
    if facts["task"] == "mask":
        return shares[:1] / shares[1:2]
    return shares.reciprocal() / shares.reciprocal().mean()
