"""Validation: the metrics that choose the best epoch and the precision."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from biocnn.losses import Loss
from biocnn.nn.precision import in_float32
from biocnn.tasks import Task
from biocnn.training.batches import ImageBatches, SequenceBatches
from biocnn.training.forward import OwnLoss

TOLERANCE = 0.005  # absolute difference of the metric; relative above 1


@torch.no_grad()
def validate(
    model: nn.Module,
    val: SequenceBatches | ImageBatches,
    loss: Loss | None,
    task: Task,
    autocast: Callable[[], torch.autocast],
    between: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Return the loss on the validation split, weighted by known targets, and the metrics of the task.

    ``between`` is called after each batch.
    """
    model.eval()
    total, number, score = 0.0, 0, task.score()
    for x, y in val.plain():
        with autocast():
            logits = in_float32(model(x))
        if loss:
            value = loss(logits, y)
        else:
            with autocast():
                value = OwnLoss(model)(x, y)
        weight = (~y.isnan()).float().mean().item() * len(x) if loss and y.is_floating_point() else len(x)
        total, number = total + value.item() * weight, number + weight
        score.add(task.probability(logits), y)
        between()
    return {"val_loss": total / number} | {f"val_{name}": value for name, value in score.value().items()}


def validation_score(row: dict[str, Any], task: Task) -> tuple[float, float]:
    """Return the key that the best epoch maximizes: the task's metric, then minus the validation loss.

    The loss breaks ties: with few examples the metric has few values, and is 1 long before the network is confident.
    """
    name, cost = task.monitored, -row["val_loss"]
    metric = cost if name == "val_loss" else row[name]
    return tuple(value if math.isfinite(value) else -math.inf for value in (metric, cost))


def compare(exact: dict[str, float], quick: dict[str, float], task: Task) -> dict[str, Any]:
    """Compare the monitored metric of the same weights in float32 and bfloat16; ``holds`` if they agree."""
    name = task.monitored
    a, b = exact[name], quick[name]
    agree = abs(a - b) <= TOLERANCE * max(1.0, abs(a)) or (math.isnan(a) and math.isnan(b))
    return {"metric": name, "float32": a, "bfloat16": b, "tolerance": TOLERANCE, "holds": agree}


def describe(row: dict[str, Any], epochs: int, best: bool) -> str:
    """Describe an epoch in one log line."""
    extra = "".join(f"  {k} {v:.4f}" for k, v in row.items() if k.startswith("val_") and k != "val_loss")
    line = (
        f"epoch {row['epoch']:>3}/{epochs}  train_loss {row['train_loss']:.4f}  val_loss {row['val_loss']:.4f}{extra}"
    )
    return f"{line}  lr {row['lr']:.1e}  {row['seconds']:.1f} s{'  *best' if best else ''}"
