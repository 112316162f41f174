"""Prediction of images of any size, region by region, with the values of the whole image."""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.core.memory import HELD, bytes_per, room
from biocnn.io.intensity import range_of, values_in_bands
from biocnn.io.resampling import resample
from biocnn.io.scales import Values
from biocnn.io.stored_image import Slices
from biocnn.nn.encode import normalise, to_tensor
from biocnn.nn.pixel_shuffle import ToChannels, to_channels, to_pixels
from biocnn.nn.views import View, averaged, turn, undo
from biocnn.prediction.blending import Blend
from biocnn.prediction.compatibility import Adapted, Note, as_it_is
from biocnn.prediction.tiles import NARROW, Field, around, coarser, find_field, finer, inside, plan, whole
from biocnn.tasks import make_task
from biocnn.tasks.facts import Facts

log = logging.getLogger("biocnn")


class InMemory:
    """An array (C, *spatial) with the interface of an image file."""

    def __init__(self, array: np.ndarray, name: str = "array") -> None:
        if array.dtype.kind not in "buif":
            raise InputError(f"{name}: data type {array.dtype}", "give an array of booleans, integers or floats")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{name}: NaN or infinite pixels", "replace them, for example by the median of the image")
        self.array = array.astype(np.uint8) if array.dtype.kind == "b" else array
        self.shape, self.dtype = self.array.shape, self.array.dtype

    @cached_property
    def values(self) -> Values:
        """Summary of the pixel values."""
        return values_in_bands(self)

    def read(self, window: Slices) -> np.ndarray:
        """Return pixels of shape (C, *window)."""
        return self.array[:, *window]


class ImagePredictor:
    """Prediction of images with one model.

    Parameters
    ----------
    network
        Network in evaluation mode, on which the margins that tiles need are measured.
    predict_probability
        Maps scaled images x (N, C, *spatial) to predictions (N, K, *spatial).
    facts
        Facts of the data set that the model was trained on.
    device
        Device of the network.
    every
        Views of an image whose predictions are averaged.
    blend
        Patches to blend; None for regions with the values of the whole image.
    """

    def __init__(
        self,
        network: nn.Module,
        predict_probability: Callable[[Tensor], Tensor],
        facts: Facts,
        device: torch.device,
        every: Sequence[View],
        blend: Blend | None = None,
    ) -> None:
        self.network, self.predict_probability, self.facts, self.device = network, predict_probability, facts, device
        self.every, self.blend, task = list(every), blend, make_task(facts)
        self.like_input, self.summed, self.upscale = task.like_input, task.target.summed, facts.upscale

    def predict(self, image: np.ndarray, name: str, memory_gb: float) -> np.ndarray:
        """Predict an image (C, *spatial) as in training: shape (K, *spatial), float32."""
        return all_of(self.open(as_it_is(InMemory(image, name)), name, memory_gb))

    def open(self, image: Adapted, name: str, memory_gb: float) -> "Maps | MapsOnGrid":
        """Return the maps of an image, at its own pixel size; nothing is predicted until it is read."""
        shape, own = image.shape[1:], image.source.shape[1:]
        ways = 2 * 4 * (image.shape[0] + self.maps) if shape != own else 0  # bytes, there and back
        regions = self._regions(shape, name, memory_gb, ways * prod(own) / prod(shape))
        own_range = image.own_range or self.facts.normalise == "image"
        low, high = range_of(image, None if own_range else self.facts.intensity)
        maps = Maps(self, image, (torch.from_numpy(low), torch.from_numpy(high)), regions, image.notes)
        share = prod(shape) / prod(own) if self.summed else 1.0
        return MapsOnGrid(maps, own, share) if shape != own else maps

    def _regions(self, shape: tuple[int, ...], name: str, memory_gb: float, more: float) -> list[Slices]:
        """Return the whole image if it fits, else the fewest tiles that fit; ``more``: additional bytes per pixel."""
        if self.blend:
            return self.blend.regions(shape, room(memory_gb), self.maps)
        pixels = room(memory_gb) / (self._bytes_per_pixel + more)
        if prod(shape) <= pixels:
            return [whole(shape)[0].write]
        tiles = plan(shape, self.field, pixels) if self.field else whole(shape)
        largest = prod(s.stop - s.start for s in tiles[0].read)
        if largest > pixels:
            why = "smaller tiles would be nearly all margin" if self.field else "it sees the whole image at once"
            needed = largest * self._bytes_per_pixel * HELD / 1e9
            text = "%s: the network needs %.1f GB, more than memory_gb = %.1f, because %s"
            log.warning(text, name, needed, memory_gb, why)
        return [tile.write for tile in tiles]

    @cached_property
    def _bytes_per_pixel(self) -> float:
        """Memory of x and the layers in bytes per pixel, measured along the last axis."""
        size = [1, self.facts.in_channels, *[NARROW] * (self.facts.spatial_dims - 1)]
        strip = bytes_per(lambda n: self.predict_probability(torch.zeros(*size, n, device=self.device)), NARROW)
        return strip / prod(size[2:])

    @cached_property
    def field(self) -> Field | None:
        """Stride and margin of exact tiles; None if images cannot be cut."""
        return find_field(ToChannels(self.network, self.upscale), self.facts.in_channels, self.facts.spatial_dims)

    @property
    def maps(self) -> int:
        """Number of predicted values per pixel of an image."""
        return self.facts.out_channels * self.upscale**self.facts.spatial_dims


class Maps:
    """Predicted maps of one image, shape (K, *(upscale * spatial)), computed on demand."""

    def __init__(
        self,
        predictor: ImagePredictor,
        image: Adapted,
        range_: tuple[Tensor, Tensor],
        regions: list[Slices],
        notes: Sequence[Note],
    ) -> None:
        self._predictor, self._image, self._range = predictor, image, range_
        self._upscale = predictor.upscale
        self.shape = (predictor.facts.out_channels, *(self._upscale * n for n in image.shape[1:]))
        # Cover the maps, and are the cheapest to read.
        self.regions = [finer(region, self._upscale) for region in regions]
        self.zoom, self.notes = (1.0,) * (len(self.shape) - 1), list(notes)
        self._even: tuple[Any, Tensor] | None = None

    @torch.inference_mode()
    def region(self, region: Slices) -> np.ndarray:
        """Predict a region: shape (K, *region), float32."""
        within = coarser(region, self._upscale)
        found = self._blended(within) if self._predictor.blend else self._mean(within)
        return self._unscaled(found[:, *inside(region, finer(within, self._upscale))])

    def _mean(self, region: Slices) -> np.ndarray:
        """Predict the maps of a region of the image: the mean over views."""
        every = self._predictor.every
        total = self._seen(region, every[0])
        for view in every[1:]:
            total = total + self._seen(region, view)
        return (total / len(every)).cpu().numpy()

    def _blended(self, region: Slices) -> np.ndarray:
        """Predict the maps of a region of the image, blended from patches."""
        predictor, read = self._predictor, self._image.read
        predict = averaged(predictor.predict_probability, predictor.every)
        shape = (predictor.maps, *self._image.shape[1:])
        found = predictor.blend.region(
            region, shape, lambda window: to_channels(predict(self._scaled(read(window))), self._upscale)
        )
        return to_pixels(torch.from_numpy(found)[None], self._upscale)[0].numpy()

    def _seen(self, region: Slices, view: View) -> Tensor:
        """Predict the maps of a region of the image in one view, and turn them back.

        A network pads the far end of an image, so each view is cut into its own tiles.
        """
        shape = self._image.shape[1:]
        place, turned = _turned(region, view, shape), tuple(shape[axis] for axis in _axes(view))
        everything = region == whole(shape)[0].write
        tile = around(place, turned, None if everything else self._predictor.field)
        pixels = turn(self._image.read(_turned_back(tile.read, view, shape)), view)
        return undo(self._predict(pixels)[:, *finer(tile.keep, self._upscale)], view)

    def _predict(self, pixels: np.ndarray) -> Tensor:
        """Predict pixels; the prediction of a constant piece is kept for the next equal piece."""
        flat = pixels.reshape(len(pixels), -1)
        if not (flat == flat[:, :1]).all():
            return self._predictor.predict_probability(self._scaled(pixels))[0]
        key = (pixels.shape, tuple(flat[:, 0].tolist()))
        if self._even is None or self._even[0] != key:
            self._even = key, self._predictor.predict_probability(self._scaled(pixels))[0]
        return self._even[1]

    def _scaled(self, pixels: np.ndarray) -> Tensor:
        return normalise(to_tensor(pixels)[None].to(self._predictor.device), *self._range)

    def _unscaled(self, maps: np.ndarray) -> np.ndarray:
        """Convert predicted channels of the image, (C, *spatial), to its intensities; other maps are returned as is."""
        if not self._predictor.like_input:
            return maps
        low, high = (limit.numpy().reshape(-1, *[1] * (maps.ndim - 1)) for limit in self._range)
        return (maps * np.maximum(high - low, 0) + low) / np.float32(self._image.factor)


class MapsOnGrid:
    """Maps predicted at the pixel size of training and resampled to that of the image: shape (K, *spatial).

    ``zoom`` is the number of image pixels per training pixel, along each axis; values are multiplied by ``factor``.
    """

    def __init__(self, maps: Maps, size: tuple[int, ...], factor: float = 1.0) -> None:
        self._maps, self.shape, self.notes, self._factor = maps, (maps.shape[0], *size), maps.notes, factor
        self.zoom = tuple(n / m for n, m in zip(size, maps.shape[1:], strict=True))
        along = []
        for axis, (n, m) in enumerate(zip(size, maps.shape[1:], strict=True)):
            ends = sorted({round(region[axis].stop * n / m) for region in maps.regions} - {0})
            along.append([slice(a, b) for a, b in pairwise([0, *ends])])
        self.regions = list(product(*along))

    def region(self, region: Slices) -> np.ndarray:
        """Predict a region: shape (K, *region), float32."""
        found = resample(self._maps.region, self._maps.shape[1:], self.shape[1:], region)
        return found if self._factor == 1 else found * np.float32(self._factor)


def all_of(maps: Maps | MapsOnGrid) -> np.ndarray:
    """Predict the whole image: shape (K, *spatial), float32."""
    out = np.empty(maps.shape, np.float32)
    for region in maps.regions:
        out[:, *region] = maps.region(region)
    return out


def _axes(view: View) -> list[int]:
    """Return the axis of the image that each axis of the view corresponds to."""
    axes = list(range(len(view.flips)))
    return [*axes[:-2], axes[-1], axes[-2]] if view.swap else axes


def _turned(region: Slices, view: View, shape: Sequence[int]) -> Slices:
    """Return where a region of an image lies in a view of it."""
    mirrored = _mirrored(region, view, shape)
    return tuple(mirrored[axis] for axis in _axes(view))


def _turned_back(region: Slices, view: View, shape: Sequence[int]) -> Slices:
    """Return where a region of a view lies in the image, which has shape ``shape``."""
    return _mirrored(tuple(region[axis] for axis in _axes(view)), view, shape)


def _mirrored(region: Slices, view: View, shape: Sequence[int]) -> Slices:
    parts = zip(region, view.flips, shape, strict=True)
    return tuple(slice(n - part.stop, n - part.start) if flip else part for part, flip, n in parts)
