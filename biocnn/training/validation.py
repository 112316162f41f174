"""How good a network is on the validation part: what chooses the best epoch, and the numbers it computes in."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from biocnn.losses import Loss
from biocnn.tasks import Task
from biocnn.training.batches import ImageBatches, SequenceBatches

TOLERANCE = 0.005  # of the metric; of a loss above 1, of its value


@torch.no_grad()
def validate(
    model: nn.Module,
    val: SequenceBatches | ImageBatches,
    loss: Loss,
    task: Task,
    autocast: Callable[[], torch.autocast],
    between: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Loss on the validation part, weighted by known targets, and the score of the task.

    ``between`` is called after each batch.
    """
    model.eval()
    total, number, score = 0.0, 0, task.score()
    for x, y in val.plain():
        with autocast():
            logits = model(x).float()
        weight = (~y.isnan()).float().mean().item() * len(x) if y.is_floating_point() else len(x)
        total, number = total + loss(logits, y).item() * weight, number + weight
        score.add(task.probability(logits), y)
        between()
    return {"val_loss": total / number} | {f"val_{name}": value for name, value in score.value().items()}


def goodness(row: dict[str, Any], task: Task) -> tuple[float, float]:
    """What the best epoch has most of: the task's metric, and of equal ones minus the validation loss.

    Few examples give few values of a metric: as soon as they part it is 1, long before the network is sure of them.
    """
    name, cost = task.monitored, -row["val_loss"]
    metric = cost if name == "val_loss" else row[name]
    return tuple(value if math.isfinite(value) else -math.inf for value in (metric, cost))


def compare(exact: dict[str, float], quick: dict[str, float], task: Task) -> dict[str, Any]:
    """The same weights in float32 and in bfloat16: what chooses the best epoch, and whether both agree on it."""
    name = task.monitored
    a, b = exact[name], quick[name]
    alike = abs(a - b) <= TOLERANCE * max(1.0, abs(a)) or (math.isnan(a) and math.isnan(b))
    return {"metric": name, "float32": a, "bfloat16": b, "tolerance": TOLERANCE, "holds": alike}


def describe(row: dict[str, Any], epochs: int, best: bool) -> str:
    """One line about an epoch."""
    extra = "".join(f"  {k} {v:.4f}" for k, v in row.items() if k.startswith("val_") and k != "val_loss")
    line = (
        f"epoch {row['epoch']:>3}/{epochs}  train_loss {row['train_loss']:.4f}  val_loss {row['val_loss']:.4f}{extra}"
    )
    return f"{line}  lr {row['lr']:.1e}  {row['seconds']:.1f} s{'  *best' if best else ''}"
