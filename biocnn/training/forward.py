"""Forward passes: logits and probabilities of a batch or of all examples of a split."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.nn.precision import autocast
from biocnn.tasks import Task
from biocnn.training.batches import ImageBatches, SequenceBatches


def default_device() -> torch.device:
    """Return the first GPU, or the CPU if there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def logits_of(network: nn.Module, x: Tensor, precision: str = "float32") -> Tensor:
    """Return the logits for x (N, C, *spatial), float32."""
    with autocast(precision, x.device)():
        return network(x).float()


def predict_probability(network: nn.Module, x: Tensor, task: Task, precision: str = "float32") -> Tensor:
    """Return probabilities for x (N, C, *spatial), or values for regression; float32."""
    return task.probability(logits_of(network, x, precision))


@torch.inference_mode()
def predict_batches(
    model: nn.Module, batches: SequenceBatches | ImageBatches, task: Task, precision: str = "float32"
) -> Iterator[np.ndarray]:
    """Yield the prediction for each example in order: (K,) or (K, *spatial), float32."""
    model.eval()
    for x, _ in batches.plain():
        yield from predict_probability(model, x, task, precision).cpu().numpy()
