"""Optimizer: L1 and L2 penalties, gradient clipping, learning rate schedule, and moments as tensors to store."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softshrink

from biocnn.config.settings import Train

CLIP = 5.0  # maximum norm of the gradient
MOMENTUM = 0.9  # of SGD, unless given


class AdamW:
    """The steps, moments and defaults of ``torch.optim.AdamW(groups, fused=True)``, which loads a compiler (2 seconds).

    Parameters
    ----------
    groups
        Parameters with the same settings: ``params``, ``weight_decay`` and ``lr``.
    l1
        Strength of the L1 penalty of every second group, from the first.
    """

    def __init__(self, groups: list[dict[str, Any]], l1: float) -> None:
        self.param_groups, self.l1 = groups, l1
        self.state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    @torch.no_grad()
    def step(self) -> None:
        """Update all weights that have a gradient."""
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            for weight in weights:
                if not self.state[weight]:
                    step = torch.zeros((), device=weight.device)
                    moments = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
                    self.state[weight] = {"step": step, **moments}
            if weights:
                states = [self.state[weight] for weight in weights]
                first, second, steps = ([s[name] for s in states] for name in ("exp_avg", "exp_avg_sq", "step"))
                torch._foreach_add_(steps, 1)
                torch._fused_adamw_(
                    weights, [p.grad for p in weights], first, second, [], steps, lr=group["lr"], beta1=0.9,
                    beta2=0.999, weight_decay=group["weight_decay"], eps=1e-8, amsgrad=False, maximize=False,
                )  # fmt: skip
        if self.l1:
            _shrink(self.param_groups[::2], self.l1)


class SGD:
    """The steps of ``torch.optim.SGD(groups, momentum=momentum)``, which loads a compiler; L1 penalty as for AdamW."""

    def __init__(self, groups: list[dict[str, Any]], l1: float, momentum: float) -> None:
        self.param_groups, self.l1, self.momentum = groups, l1, momentum
        self.state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    @torch.no_grad()
    def step(self) -> None:
        """Update all weights that have a gradient; one that was frozen at first has no momentum yet."""
        for group in self.param_groups:
            for weight in (p for p in group["params"] if p.grad is not None):
                step, decay = weight.grad, group["weight_decay"]
                if decay:
                    step = step.add(weight, alpha=decay)
                if self.momentum:
                    state = self.state[weight]
                    if state:
                        step = state["momentum_buffer"].mul_(self.momentum).add_(step)
                    else:
                        step = state["momentum_buffer"] = step.clone()
                weight.add_(step, alpha=-group["lr"])
        if self.l1:
            _shrink(self.param_groups[::2], self.l1)


Optimizer = AdamW | SGD


def make_optimizer(parameters: Sequence[Tensor], section: Train, body: Sequence[Tensor] = ()) -> Optimizer:
    """Make the optimizer of the section train, whose penalties are for weights, not for biases and norm scales.

    Each step sets the learning rate of each group: a fraction of ``highest``, which is ``train.body_lr`` for the
    weights of ``body``.
    """
    slow = {id(weight) for weight in body}
    parts = [(section.lr, [p for p in parameters if id(p) not in slow])]
    parts += [(section.body_lr or 0.0, [p for p in parameters if id(p) in slow])] if slow else []
    groups = [
        {"params": [p for p in part if (p.ndim > 1) == wide], "weight_decay": decay, "highest": highest, "lr": highest}
        for highest, part in parts
        for wide, decay in ((True, section.weight_decay), (False, 0.0))
    ]
    if section.optimizer != "sgd":
        return AdamW(groups, section.l1)
    return SGD(groups, section.l1, MOMENTUM if section.momentum is None else section.momentum)


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


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return moments and step counts of every parameter, by ``number.name``."""
    return {f"{i}.{key}": v for i, p in enumerate(_parameters(optimizer)) for key, v in optimizer.state[p].items()}


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the tensors of ``optimizer_tensors``; moments get the memory layout of their parameter."""
    parameters = _parameters(optimizer)
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        same = value.shape == parameter.shape
        target = torch.empty_like(parameter, requires_grad=False) if same else torch.empty_like(value)
        optimizer.state[parameter][name] = target.copy_(value)


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
