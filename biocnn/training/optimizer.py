"""Optimizer: L1 and L2 penalties, gradient clipping, learning rate schedule, and moments as tensors to store."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softshrink

from biocnn.config.settings import Train

CLIP = 5.0  # maximum norm of the gradient
MOMENTUM = 0.9  # of SGD, unless given


def make_optimizer(parameters: Sequence[Tensor], section: Train, body: Sequence[Tensor] = ()) -> torch.optim.Optimizer:
    """Make the optimizer of the section train, whose penalties are for weights, not for biases and norm scales.

    Each step sets the learning rate of each group: a fraction of ``highest``, which is ``train.body_lr`` for the
    weights of ``body``.
    """
    slow = {id(weight) for weight in body}
    parts = [(section.lr, [p for p in parameters if id(p) not in slow])]
    parts += [(section.body_lr or 0.0, [p for p in parameters if id(p) in slow])] if slow else []
    groups = [
        {"params": [p for p in part if (p.ndim > 1) == wide], "weight_decay": decay, "highest": highest}
        for highest, part in parts
        for wide, decay in ((True, section.weight_decay), (False, 0.0))
    ]
    if section.optimizer == "sgd":
        # Not fused, because weights that were frozen at first have no momentum yet.
        momentum = MOMENTUM if section.momentum is None else section.momentum
        optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, momentum=momentum)
    else:
        optimizer = torch.optim.AdamW(groups, fused=True)
    if section.l1:
        optimizer.register_step_post_hook(lambda *_: _shrink(optimizer.param_groups[::2], section.l1))
    return optimizer


@torch.no_grad()
def _shrink(groups: list[dict[str, Any]], l1: float) -> None:
    """Move weights towards 0 by lr * l1, but not beyond: the proximal step of an L1 penalty."""
    for group in groups:
        for weight in group["params"]:
            if weight.grad is not None:  # else it is frozen
                weight.copy_(softshrink(weight, group["lr"] * l1))


def clip_gradients(parameters: list[Tensor]) -> Tensor:
    """Scale gradients in place to a norm of at most ``CLIP``; return the norm before clipping."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    if norm.device.type != "cpu" or norm > CLIP:  # comparing on a GPU would wait for it
        torch._foreach_mul_(gradients, (CLIP / (norm + 1e-6)).clamp(max=1.0))
    return norm


def lr_factor(schedule: str, step: int, total: int) -> float:
    """Return the fraction of the maximum learning rate at a step.

    ``one_cycle`` rises over the first 20% of the steps, then falls as a cosine; ``cosine`` falls after a warm-up of 2%;
    ``constant`` is always 1.
    """
    if schedule == "constant":
        return 1.0
    warm = max(1.0, total * (0.2 if schedule == "one_cycle" else 0.02))
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1.0, total - warm)))) + 1e-4


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return moments and step counts of every parameter, by ``number.name``."""
    return {f"{i}.{key}": v for i, p in enumerate(_parameters(optimizer)) for key, v in optimizer.state[p].items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the tensors of ``optimizer_tensors``; moments get the memory layout of their parameter."""
    parameters = _parameters(optimizer)
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        same = value.shape == parameter.shape
        target = torch.empty_like(parameter, requires_grad=False) if same else torch.empty_like(value)
        optimizer.state[parameter][name] = target.copy_(value)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
