"""Shared code of the sides; runs in every environment, so it imports nothing from biocnn.

A side is called with its task as JSON, measures its own work after imports and warm-up, and prints its results as one
line of JSON, the last.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read_task() -> dict[str, Any]:
    """Return the task of this side, and set the number of threads."""
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    return task


def report(seconds: dict[str, float], **found: Any) -> None:
    """Print the line that the caller reads: seconds by case, and other results."""
    print(json.dumps({"seconds": seconds, "torch": torch.__version__, "device": str(DEVICE), **found}), flush=True)


def clock() -> float:
    """Return the time in seconds after the device has finished all work."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def after_first(epochs: list[float]) -> dict[str, float]:
    """Return the median time of the epochs after the first, which includes set-up of workers, caches and checks."""
    return {"epoch": statistics.median(epochs[1:])}


def one_hot(codes: np.ndarray) -> np.ndarray:
    """Encode codes 0-3 (N, L) as float32 (N, 4, L)."""
    return np.ascontiguousarray(np.eye(4, dtype=np.float32)[codes].transpose(0, 2, 1))


def auroc(score: np.ndarray, y: np.ndarray) -> float:
    """Area under the ROC curve, from ranks; assumes distinct scores."""
    rank = np.empty(len(score))
    rank[np.argsort(score.ravel())] = np.arange(1, len(score) + 1)
    positive = y.ravel() > 0.5
    number = positive.sum()
    return float((rank[positive].sum() - number * (number + 1) / 2) / (number * (~positive).sum()))


def dice(mask: np.ndarray, y: np.ndarray) -> float:
    """Twice the overlap over the sum of two masks."""
    return float(2 * (mask & (y > 0)).sum() / (mask.sum() + (y > 0).sum()))


@torch.no_grad()
def validate(network: nn.Module, arrays: dict[str, np.ndarray]) -> float:
    """Compute AUROC of sequences, accuracy of classes, or mean Dice of whole images, on the validation split."""
    network.eval()
    x, y = arrays["val_x"], arrays["val_y"]
    if x.dtype == np.uint8:
        batches = torch.from_numpy(one_hot(x)).split(512)
        return auroc(torch.cat([network(b.to(DEVICE)).float().cpu() for b in batches]).numpy(), y)
    if y.ndim == 1:
        scores = torch.cat([network(b.to(DEVICE)).float().cpu() for b in torch.from_numpy(x).split(64)])
        return float((scores.argmax(1).numpy() == y).mean())
    masks = [(network(image.to(DEVICE)) > 0).cpu().numpy() for image in torch.from_numpy(x).split(1)]
    return float(np.mean([dice(mask[0], truth) for mask, truth in zip(masks, y, strict=True)]))


def fit(
    network: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    arrays: dict[str, np.ndarray],
    task: dict[str, Any],
) -> None:
    """Train in a plain loop with validation after each epoch, and report the metric of the best epoch."""
    started, epochs, metrics = clock(), [], []
    network.to(DEVICE)
    optimizer = torch.optim.AdamW(network.parameters(), lr=task["lr"])
    for _ in range(task["epochs"]):
        began = clock()
        network.train()
        for x, y in loader:
            value = loss(network(x.to(DEVICE, non_blocking=True)), y.to(DEVICE, non_blocking=True))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        metrics.append(validate(network, arrays))
        epochs.append(clock() - began)
    weights = sum(p.numel() for p in network.parameters())
    report(after_first(epochs), total_seconds=clock() - started, metric=max(metrics), weights=weights)
