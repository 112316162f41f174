"""Predictions of bags of images, a few images at a time, and the attention of each image."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.io.intensity import intensity_percentiles
from biocnn.io.stored_image import whole
from biocnn.models.bag_network import AT_ONCE
from biocnn.nn.precision import autocast, in_float32
from biocnn.prediction.compatibility import Adapted, same_data
from biocnn.prediction.inputs import coded, framed, listed
from biocnn.training.bags import BagBatches
from biocnn.training.batches import Recipe

if TYPE_CHECKING:
    from biocnn.prediction.model import Model

BAGS = "give a folder of images or a list of images (paths or arrays) for one bag, and a list of these for several"
Pixels = str | Path | np.ndarray


def predict_bags(model: "Model", inputs: Any, covariates: Any = None) -> np.ndarray:
    """Predict bags, for ``Model.predict``: (K,) for a folder or a list of images, a bag; (N, K) for a list of bags."""
    coded(model, covariates, 0)
    if isinstance(inputs, str | Path):
        return predict_bag(model, inputs)[0]
    bags = listed(inputs, str | Path | np.ndarray | list | tuple, "bag", BAGS)
    if not bags:
        raise InputError("no bag given", BAGS)
    several = [not isinstance(bag, Pixels) or (not isinstance(bag, np.ndarray) and Path(bag).is_dir()) for bag in bags]
    if not any(several):
        return predict_bag(model, bags)[0]
    if not all(several):
        raise InputError("the list holds bags and images", BAGS)
    return np.stack([predict_bag(model, bag)[0] for bag in bags])


def predict_bag(model: "Model", images: Any) -> tuple[np.ndarray, np.ndarray]:
    """Predict one bag: a folder, or a list of images; return its vector as ``settled``, and the attention, (n,).

    Attention is the weight of each image in the mean of their vectors; NaN if the network has none.
    """
    if isinstance(images, list | tuple) and not images:
        raise InputError("a bag without images", BAGS)
    common = None
    if model.fit.intensity == "image" or model.facts.normalise == "image":  # one range for the bag
        common = intensity_percentiles(model._each(images, lambda image, name: _pixels(model.adapt(image, name))))
    frames = model._each(images, lambda image, name: framed(model, model.adapt(image, name), common))
    return _predicted(model, _joined(frames))


def _pixels(image: Adapted) -> np.ndarray:
    return image.read(whole(image.shape))


@torch.inference_mode()
def _predicted(model: "Model", parts: Iterable[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Predict a bag from its images, in batches of (m, C, *size)."""
    network = model.fused
    with autocast(model.precision, model.device)():
        vectors = torch.cat([network.vectors(part) for part in parts])
        logits = in_float32(network.logits(vectors))
        attend = getattr(network.pool, "attention", None)
        present = torch.ones(1, len(vectors), dtype=torch.bool, device=vectors.device)
        weights = attend(vectors[None], present)[0] if attend else torch.full((len(vectors),), torch.nan)
    p = model.settled(model.task.probability(logits).cpu().numpy()[0])
    return p, weights.float().cpu().numpy()


def _joined(frames: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield images (1, C, *size) in batches."""
    batch: list[Tensor] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == AT_ONCE:
            yield torch.cat(batch)
            batch = []
    if batch:
        yield torch.cat(batch)


def predict_stored_bags(model: "Model", dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Predict stored bags, for ``Model.predict_stored``."""
    yield from (p for p, _ in attend_stored(model, dataset, rows))


def attend_stored(
    model: "Model", dataset: Dataset, rows: Sequence[int] | np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Predict stored bags; yield vector and attention of each, as ``predict_bag``."""
    same_data(model, dataset)
    assert model.frame
    batches = BagBatches(dataset, np.asarray(rows), model.device, Recipe(frame=model.frame))
    yield from (_predicted(model, batches.parts(number, AT_ONCE)) for number in range(len(batches)))
