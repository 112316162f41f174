"""What each kind of task is learned by: its losses, how logits become probabilities, how classes are weighed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from biocnn.config.registry import REGISTRY, find
from biocnn.core.errors import InputError
from biocnn.losses.supervision import Logits, supervised

Loss = Callable[[Logits, Tensor], Tensor]
UNWEIGHTED = ("dice", "tversky")  # weigh all classes alike by themselves


@dataclass(frozen=True)
class Task:
    """What follows from the kind of target: losses (the default first), and the metric that chooses the best epoch."""

    losses: tuple[str, ...]
    monitor: str


MAPS = ("dice", "focal", "dice_focal", "tversky", "boundary", "cldice")  # of masks and of class maps
TASKS = {
    "binary": Task(("bce",), "auprc"),
    "multilabel": Task(("bce",), "auprc"),
    "regression": Task(("mse",), "pearson"),
    "mask": Task(("dice_bce", "bce", *MAPS), "dice"),
    "classes": Task(("dice_cross_entropy", "cross_entropy", *MAPS), "dice"),
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


def check_output(logits: Logits, y: Tensor) -> None:
    """Refuse a network that answers another question than the targets do."""
    logits = logits if isinstance(logits, Tensor) else logits[0]
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
    if class_weights == "balanced":
        _check_weights(section["name"], task)
        function = partial(function, class_weights=balanced(facts).to(device))
    return supervised(function)


def _check_weights(loss: str, task: str) -> None:
    if task == "regression":
        raise InputError("train.class_weights: balanced, but regression has no classes", "set it to none")
    if loss in UNWEIGHTED:
        raise InputError(
            f"train.class_weights: balanced, but {loss} weighs all classes alike by itself",
            f"set it to none, or choose {TASKS[task].losses[0]}",
        )


def balanced(facts: dict[str, Any]) -> Tensor:
    """Weights that give every class the same total weight: negatives per positive, or 1 / share with mean 1."""
    if "positives" in facts:
        share = torch.tensor(facts["positives"]).clamp(1e-3, 1 - 1e-3)
        return (1 - share) / share
    shares = torch.tensor(facts["class_shares"]).clamp(min=1e-3)
    if facts["task"] == "mask":
        return shares[:1] / shares[1:2]
    return shares.reciprocal() / shares.reciprocal().mean()
