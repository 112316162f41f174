"""How good a network is on the validation part: what chooses the best epoch, and the numbers it computes in."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biocnn import metrics
from biocnn.losses import TASKS, Loss, probability
from biocnn.training.batches import ImageBatches, SequenceBatches

TOLERANCE = 0.005  # of the metric; of a loss above 1, of its value


@torch.no_grad()
def validate(
    model: nn.Module,
    val: SequenceBatches | ImageBatches,
    loss: Loss,
    task: str,
    autocast: Callable[[], torch.autocast],
    between: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Loss on the validation part, weighted by known targets, and the metric that ``TASKS`` names for the task.

    Of several outputs the metric is the mean of those of which it is defined: that have both classes, say.

    ``between`` is called after each batch.
    """
    model.eval()
    total, number, scores, vectors = 0.0, 0, [], []
    for x, y in val.plain():
        with autocast():
            logits = model(x).float()
        weight = (~y.isnan()).float().mean().item() * len(x) if y.is_floating_point() else len(x)
        total, number = total + loss(logits, y).item() * weight, number + weight
        p = probability(logits, task)
        if task in ("mask", "classes"):
            scores.append(_dice(p, y))
        elif task != "instances":
            vectors.append((p.cpu().numpy(), y.cpu().numpy()))
        between()
    row = {"val_loss": total / number}
    if scores:
        row["val_dice"] = float(np.mean(scores))
    if vectors:
        p, y = (np.concatenate(parts) for parts in zip(*vectors, strict=True))
        metric = getattr(metrics, TASKS[task].monitor)
        pairs = [metrics.labelled(y[:, k], p[:, k]) for k in range(y.shape[1])]
        values = [v for target, found in pairs if not math.isnan(v := metric(found, target))]
        row[monitored(task)] = float(np.mean(values)) if values else math.nan
    return row


def left_out(val: SequenceBatches | ImageBatches, facts: dict[str, Any]) -> list[str]:
    """Outputs of sequences without a metric in the validation part, where less than two values of them are known."""
    if facts["kind"] != "sequence":
        return []
    columns = zip(facts["outputs"], val.y.cpu().numpy().T, strict=True)
    return [name for name, column in columns if len(np.unique(column[~np.isnan(column)])) < 2]


def _dice(p: Tensor, y: Tensor) -> float:
    """Mean Dice over classes (background left out) of one image."""
    mask = (p[:, 0] > 0.5 if p.shape[1] == 1 else p.argmax(1)).cpu().numpy()
    classes = range(1, max(2, p.shape[1]))
    return float(np.mean([metrics.dice(mask, y[:, 0].cpu().numpy(), label=k) for k in classes]))


def monitored(task: str) -> str:
    """The column of the history that chooses the best epoch."""
    monitor = TASKS[task].monitor
    return monitor if monitor == "val_loss" else f"val_{monitor}"


def goodness(row: dict[str, Any], task: str) -> tuple[float, float]:
    """What the best epoch has most of: the task's metric, and of equal ones minus the validation loss.

    Few examples give few values of a metric: as soon as they part it is 1, long before the network is sure of them.
    """
    name, cost = monitored(task), -row["val_loss"]
    metric = cost if name == "val_loss" else row[name]
    return tuple(value if math.isfinite(value) else -math.inf for value in (metric, cost))


def compare(exact: dict[str, float], quick: dict[str, float], task: str) -> dict[str, Any]:
    """The same weights in float32 and in bfloat16: what chooses the best epoch, and whether both agree on it."""
    name = monitored(task)
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
