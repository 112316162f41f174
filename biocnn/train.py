"""The training loop: the same for every dimension, task and network."""

import copy
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from biocnn import metrics
from biocnn.batches import ImageBatches, SequenceBatches
from biocnn.errors import InputError
from biocnn.losses import TASKS, probability
from biocnn.registry import REGISTRY, find

Loss = Callable[[Tensor, Tensor], Tensor]


def fit(
    model: nn.Module,
    train: SequenceBatches | ImageBatches,
    val: SequenceBatches | ImageBatches,
    loss: Loss,
    task: str,
    settings: dict[str, Any],
    seed: int,
    log: Callable[[str], None],
) -> pd.DataFrame:
    """Train ``model`` in place and leave it with the weights of its best epoch.

    Parameters
    ----------
    model
        Its device is where the batches are.
    train, val
        Examples to learn from, and to choose the best epoch by.
    loss
        ``loss(logits, target) -> scalar``.
    task
        Kind of target: decides the validation metric.
    settings
        The experiment's section train.
    seed
        Order, augmentation and dropout follow from it.
    log
        Takes one line an epoch.

    Returns
    -------
    history
        One row an epoch: epoch, step, lr, train_loss, val_loss, the validation metric, seconds, best.

    Raises
    ------
    InputError
        Where the model's output does not suit the targets; where the loss becomes NaN or infinite: names the step, the
        learning rate and the remedy.
    """
    steps = sum(1 for _ in train.plan(seed, 0, settings["batch_size"], settings["steps_per_epoch"]))
    total = steps * settings["epochs"]
    optimizer = torch.optim.AdamW(_groups(model, settings["weight_decay"]), lr=settings["lr"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(lr_factor, settings["schedule"], total=total))
    autocast = precision(settings["precision"], next(model.parameters()).device)
    history: list[dict[str, Any]] = []
    best, best_state, began = -math.inf, copy.deepcopy(model.state_dict()), time.monotonic()
    for epoch in range(settings["epochs"]):
        started, losses = time.monotonic(), []
        model.train()
        plan = train.plan(seed, epoch, settings["batch_size"], settings["steps_per_epoch"])
        # A bar on terminals only (disable=None): the log of a job gets a line an epoch.
        for number, index in enumerate(tqdm(plan, f"epoch {epoch + 1}", steps, leave=False, disable=None)):
            step = epoch * steps + number
            torch.manual_seed(seed * 1_000_003 + step)  # dropout and noise depend on the step alone
            x, y = train.get(index)
            with autocast():
                logits = model(x).float()
                _check_output(logits, y)
                value = loss(logits, y)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            losses.append(value.item())
            if not math.isfinite(losses[-1]):
                lr = optimizer.param_groups[0]["lr"]
                raise InputError(
                    f"training diverged: the loss is {losses[-1]} at step {step} (lr {lr:.2e})",
                    f"lower train.lr (now {settings['lr']:g}) about tenfold, or set train.precision: float32",
                )
            optimizer.step()
            schedule.step()
        row = {"epoch": epoch + 1, "step": (epoch + 1) * steps, "lr": optimizer.param_groups[0]["lr"]}
        row |= {"train_loss": float(np.mean(losses)), **validate(model, val, loss, task, autocast)}
        row["seconds"] = time.monotonic() - started
        score = goodness(row, task)
        if score > best or not history:
            best, best_state, best_epoch = score, copy.deepcopy(model.state_dict()), epoch
        history.append(row)
        log(describe(row, settings["epochs"], best_epoch == epoch))
        if settings["patience"] and epoch - best_epoch >= settings["patience"]:
            log(f"no better epoch in {settings['patience']}: stopped")
            break
        if settings["max_minutes"] and (time.monotonic() - began) / 60 >= settings["max_minutes"]:
            log(f"train.max_minutes ({settings['max_minutes']:g}) are over: stopped")
            break
    model.load_state_dict(best_state)
    frame = pd.DataFrame(history)
    frame["best"] = (frame["epoch"] == best_epoch + 1).astype(int)
    return frame


def _check_output(logits: Tensor, y: Tensor) -> None:
    if logits.shape[0] != len(y) or logits.shape[2:] != y.shape[2:]:
        raise InputError(
            f"model: gives shape {tuple(logits.shape)} for targets of shape {tuple(y.shape)}",
            "for one answer an example choose DeepBind, for one a pixel UNet or FCN",
        )


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and the scales of norms do not."""
    decay = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def lr_factor(schedule: str, step: int, total: int) -> float:
    """Share of the full learning rate at a step.

    ``one_cycle`` rises over the first 20% of the steps and falls as a cosine, ``cosine`` falls from the start (after 2%
    of warm-up), ``constant`` stays.
    """
    if schedule == "constant":
        return 1.0
    warm = max(1.0, total * (0.2 if schedule == "one_cycle" else 0.02))
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1.0, total - warm)))) + 1e-4


def precision(name: str, device: torch.device) -> Callable[[], torch.autocast]:
    """A context in which the network runs in float32 or bfloat16."""
    return partial(torch.autocast, device.type, dtype=torch.bfloat16, enabled=name == "bfloat16")


@torch.no_grad()
def validate(
    model: nn.Module, val: SequenceBatches | ImageBatches, loss: Loss, task: str, autocast: Callable[[], torch.autocast]
) -> dict[str, float]:
    """Loss on the validation part, weighted by examples, and the metric that ``TASKS`` names for the task."""
    model.eval()
    total, number, scores, vectors = 0.0, 0, [], []
    for x, y in val.plain():
        with autocast():
            logits = model(x).float()
        total, number = total + loss(logits, y).item() * len(x), number + len(x)
        p = probability(logits, task)
        if task in ("mask", "classes"):
            scores.append(_dice(p, y))
        elif task != "instances":
            vectors.append((p.cpu().numpy(), y.cpu().numpy()))
    row = {"val_loss": total / number}
    if scores:
        row["val_dice"] = float(np.mean(scores))
    if vectors:
        p, y = (np.concatenate(parts) for parts in zip(*vectors, strict=True))
        metric = getattr(metrics, TASKS[task].monitor)
        values = [v for k in range(y.shape[1]) if not math.isnan(v := metric(p[:, k], y[:, k]))]
        row[f"val_{TASKS[task].monitor}"] = float(np.mean(values)) if values else math.nan
    return row


def _dice(p: Tensor, y: Tensor) -> float:
    """Mean Dice over classes (background left out) of one image."""
    mask = (p[:, 0] > 0.5 if p.shape[1] == 1 else p.argmax(1)).cpu().numpy()
    classes = range(1, max(2, p.shape[1]))
    return float(np.mean([metrics.dice(mask, y[:, 0].cpu().numpy(), label=k) for k in classes]))


def goodness(row: dict[str, Any], task: str) -> float:
    """What the best epoch has most of: the task's metric, or minus the validation loss."""
    monitor = TASKS[task].monitor
    value = -row["val_loss"] if monitor == "val_loss" else row[f"val_{monitor}"]
    return value if math.isfinite(value) else -math.inf


def describe(row: dict[str, Any], epochs: int, best: bool) -> str:
    """One line about an epoch."""
    extra = "".join(f"  {k} {v:.4f}" for k, v in row.items() if k.startswith("val_") and k != "val_loss")
    line = (
        f"epoch {row['epoch']:>3}/{epochs}  train_loss {row['train_loss']:.4f}  val_loss {row['val_loss']:.4f}{extra}"
    )
    return f"{line}  lr {row['lr']:.1e}  {row['seconds']:.1f} s{'  *best' if best else ''}"


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
