"""Forward passes: logits and predictions of a batch or of all examples of a split, and losses that networks own."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.models.image_network import ImageNetwork
from biocnn.nn.precision import autocast, full_float32, in_float32
from biocnn.tasks import Task
from biocnn.training.batches import ImageBatches, SequenceBatches


def default_device() -> torch.device:
    """Return the first GPU, or the CPU if there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def owns_loss(network: nn.Module) -> bool:
    """Return whether a network has a method ``loss(x, y)``, which replaces the loss of the task."""
    return callable(getattr(type(network), "loss", None))


def give_vectors(network: nn.Module, loss: str) -> None:
    """Let a network return in training, besides logits, the vectors before its last layer, which a loss compares."""
    if not isinstance(network, ImageNetwork):
        raise InputError(f"loss: {loss}, but {type(network).__name__} is not derived from ImageNetwork", "use ResNet")
    network.gives_vectors = True


class OwnLoss(nn.Module):
    """A network that owns its loss, as a function of images or sequences and their targets."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.network.loss(x, y).float()


def logits_of(network: nn.Module, x: Tensor, precision: str = "float32") -> Any:
    """Return the logits for x (N, C, *spatial), or boxes: a list of tensors; float32."""
    with autocast(precision, x.device)(), full_float32():
        return in_float32(network(x))


def predict_probability(network: nn.Module, x: Tensor, task: Task, precision: str = "float32") -> Any:
    """Return probabilities for x (N, C, *spatial), or values for regression, or boxes; float32."""
    return task.probability(logits_of(network, x, precision))


def arrays(predictions: Tensor | list[Tensor]) -> Sequence[np.ndarray]:
    """Return the prediction for each example."""
    return [one.cpu().numpy() for one in predictions] if isinstance(predictions, list) else predictions.cpu().numpy()


@torch.inference_mode()
def predict_batches(
    model: nn.Module, batches: SequenceBatches | ImageBatches, task: Task, precision: str = "float32"
) -> Iterator[np.ndarray]:
    """Yield the prediction for each example in order: (K,), (K, *spatial) or boxes, float32."""
    model.eval()
    for x, _ in batches.plain():
        yield from arrays(predict_probability(model, x, task, precision))
