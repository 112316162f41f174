"""A network's answer for images of any size, tile by tile where they are larger than the memory allows."""

import logging
from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.data.intensity import range_of
from biocnn.encode import normalise, to_tensor
from biocnn.errors import InputError
from biocnn.memory import HELD, bytes_per, room
from biocnn.tiles import NARROW, Field, Tile, find_field, plan, predict_tiles, whole

log = logging.getLogger("biocnn")


class ImagePredictor:
    """What a model says of images.

    Parameters
    ----------
    network
        In evaluation mode; how its images can be cut into tiles is measured.
    answer
        What is made of the network's output: x (N, C, *spatial), scaled, to (N, K, *spatial).
    facts
        Of the data set that the model was trained on.
    device
        Where the network lies.
    """

    def __init__(
        self, network: nn.Module, answer: Callable[[Tensor], Tensor], facts: dict[str, Any], device: torch.device
    ) -> None:
        self.network, self.answer, self.facts, self.device = network, answer, facts, device

    @torch.inference_mode()
    def predict(self, image: np.ndarray, name: str, memory_gb: float) -> np.ndarray:
        """Shape (K, *spatial), float32, for an image (C, *spatial) or, of one channel, (*spatial)."""
        image = self._checked(image, name)
        low, high = map(torch.from_numpy, range_of(image, self.facts))

        def predicted(read: tuple[slice, ...]) -> Tensor:
            return self.answer(normalise(to_tensor(image[:, *read])[None].to(self.device), low, high))

        out = np.empty((self.facts["out_channels"], *image.shape[1:]), np.float32)
        return predict_tiles(predicted, self._tiles(image.shape[1:], name, memory_gb), out)

    def _checked(self, image: np.ndarray, name: str) -> np.ndarray:
        dims, channels = self.facts["spatial_dims"], self.facts["in_channels"]
        image = image[None] if image.ndim == dims else image
        if image.ndim != dims + 1 or image.shape[0] != channels:
            raise InputError(
                f"{name}: shape {tuple(image.shape)}, but the model was trained on {channels} channels",
                f"give an array of shape (C, *spatial) with C = {channels} ({', '.join(self.facts['channels'])})",
            )
        if not np.isfinite(image).all():
            raise InputError(f"{name}: holds NaN or infinite pixels", "replace them by the image's median, say")
        return image

    def _tiles(self, shape: tuple[int, ...], name: str, memory_gb: float) -> list[Tile]:
        """The image in one piece where it fits, else the fewest tiles that fit."""
        pixels = room(memory_gb) / self._bytes_per_pixel
        if prod(shape) <= pixels:
            return whole(shape)
        tiles = plan(shape, self._field, pixels) if self._field else whole(shape)
        largest = prod(s.stop - s.start for s in tiles[0].read)
        if largest > pixels:
            why = "tiles would be nearly all margin" if self._field else "it sees all of an image at once"
            needed = largest * self._bytes_per_pixel * HELD / 1e9
            text = "%s: the network takes %.1f GB, not %.1f, because otherwise %s"
            log.warning(text, name, needed, memory_gb, why)
        return tiles

    @cached_property
    def _bytes_per_pixel(self) -> float:
        """What x and the layers take; measured along the last axis."""
        size = [1, self.facts["in_channels"], *[NARROW] * (self.facts["spatial_dims"] - 1)]
        strip = bytes_per(lambda n: self.answer(torch.zeros(*size, n, device=self.device)), NARROW)
        return strip / prod(size[2:])

    @cached_property
    def _field(self) -> Field | None:
        return find_field(self.network, self.facts["in_channels"], self.facts["spatial_dims"])
