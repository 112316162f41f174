"""The kernels of the first layer of an image network, and feature maps of an example."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from biocnn.core.files import atomic
from biocnn.explain.attributions import evaluating
from biocnn.explain.cam import CONVOLUTIONS, leaves_of, watched

LAYERS, MAPS = 4, 6  # of the figure
LARGEST = 128  # pixels of maps along each axis; larger ones are averaged


@dataclass
class Filters:
    """Content of ``write_filters``.

    Parameters
    ----------
    layer
        Name of the first convolution.
    kernels
        Its weights, shape (kernels, C, *sizes), float32.
    layers
        Names of some layers, the first one first.
    channels
        The channels of each layer that vary most within the image, shape (layers, maps); -1: none.
    sizes
        Size of the maps of each layer.
    maps
        Their values, one array of shape (maps, H, W), float16, for each layer, averaged to at most 128 pixels along
        each axis; of volumes the middle plane.
    """

    layer: str
    kernels: np.ndarray
    layers: list[str]
    channels: np.ndarray
    sizes: list[tuple[int, ...]]
    maps: list[np.ndarray]


@torch.no_grad()
def explain_filters(network: nn.Module, x: Tensor) -> Filters:
    """Return the first kernels of a network, and its feature maps of an image of shape (1, C, *spatial).

    The maps are outputs of up to four layers, the last ones before the size of the maps changes.
    """
    leaves, seen = leaves_of(network), []
    with evaluating(network), watched(leaves, lambda name, values: seen.append((name, values.detach().clone()))):
        logits = network(x)
    seen = [(name, values) for name, values in seen if values.ndim == x.ndim]
    first = next(name for name, _ in seen if isinstance(leaves[name], CONVOLUTIONS))
    outputs = logits.shape[1] if isinstance(logits, Tensor) else 0
    ends = []
    for size, run in groupby(seen, key=lambda entry: entry[1].shape[2:]):
        hidden = [(name, values) for name, values in run if values.shape[1] != outputs]
        if max(size) > 2 and any(isinstance(leaves[name], CONVOLUTIONS) for name, _ in hidden):
            ends.append(hidden[-1])
    chosen = [ends[i] for i in np.unique(np.linspace(0, len(ends) - 1, min(LAYERS, len(ends))).astype(int))]
    channels, maps, sizes = np.full((len(chosen), MAPS), -1), [], []
    for row, (_, values) in enumerate(chosen):
        spread = values[0].flatten(1).std(1).cpu().numpy()
        order = np.argsort(-spread, kind="stable")[:MAPS]
        channels[row, : len(order)] = order
        planes = values[0, order.tolist()]
        planes = planes[:, planes.shape[1] // 2] if planes.ndim == 4 else planes
        size = [min(n, LARGEST) for n in planes.shape[1:]]
        maps.append(interpolate(planes[None].float(), size=size, mode="area")[0].cpu().numpy().astype(np.float16))
        sizes.append(tuple(values.shape[2:]))
    kernels = network.get_submodule(first).weight.detach().float().cpu().numpy()
    return Filters(first, kernels, [name for name, _ in chosen], channels, sizes, maps)


def write_filters(folder: str | Path, found: Filters, id: str, image: np.ndarray) -> None:
    """Write kernels.npz and feature_maps.npz (with the id and picture of the image), each whole or not at all."""
    with atomic(Path(folder) / "kernels.npz") as temporary:
        np.savez_compressed(temporary, kernels=found.kernels, layer=np.array(found.layer))
    maps = {f"maps_{row}": values for row, values in enumerate(found.maps)}
    about = {"id": np.array(id), "image": image, "layers": np.array(found.layers, str), "channels": found.channels}
    about["sizes"] = np.array(found.sizes)
    with atomic(Path(folder) / "feature_maps.npz") as temporary:
        np.savez_compressed(temporary, **about, **maps)
