"""Intensity ranges of single images and of sets of images."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np

from biocnn.io.scales import Intensity, Values, common_step, step_of

LOW, HIGH = 1.0, 99.8  # percentiles: a dark floor, and a top that is robust to a few hot pixels
_PER_IMAGE, _IN_ALL = (
    65536,
    4_000_000,
)  # sample size per channel for types other than 8- and 16-bit


_BAND = 4_000_000  # pixels per channel read at once
_DIFFERENT = 2.0  # ratio of the 90th to the 10th percentile of range widths above which images are scaled one by one


def range_of(image: Any, intensity: Intensity | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the intensities that map to 0 and 1: those of the training images, or the image's own.

    Parameters
    ----------
    image
        Object with ``shape`` (C, *spatial), ``dtype``, and ``read``, which takes a window of spatial slices. It is read
        in bands; the result is the same as for an array in memory.
    intensity
        Intensity of the training images; None: use the image's own range.

    Returns
    -------
    low, high
        Shape (C,), float32, in the units of the image.
    """
    if intensity:
        low, high = intensity.low, intensity.high
    else:
        low, high = zip(*(channel.low_high() for channel in _in_bands(image)), strict=True)
    return np.asarray(low, np.float32), np.asarray(high, np.float32)


def values_in_bands(image: Any) -> Values:
    """Measure the values of an image, read in bands; ``image`` as in ``range_of``."""
    channels = _in_bands(image)
    low, high = (np.array(ends) for ends in zip(*(channel.low_high() for channel in channels), strict=True))
    least, most = zip(*(channel.percentiles([0, 100]) for channel in channels), strict=True)
    step = common_step(step_of(channel.some()) for channel in channels)
    return Values(np.dtype(image.dtype).name, min(least), max(most), low, high, step)


def _in_bands(image: Any) -> list["_Channel"]:
    count, length, *others = image.shape
    channels: list[_Channel] = [_counted(image.dtype) or _Sample(math.prod(image.shape[1:])) for _ in range(count)]
    rest, rows = tuple(slice(0, n) for n in others), max(1, _BAND // math.prod(others))
    for start in range(0, length, rows):
        band = image.read((slice(start, min(start + rows, length)), *rest))
        for channel, plane in zip(channels, band, strict=True):
            channel.add(np.ravel(plane))
    return channels


def image_ranges(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return the 1st and the 99.8th percentile of each image: shape (N, 2, C), float32."""
    found = [intensity_percentiles([image]) for image in images]
    return np.array([[one.low, one.high] for one in found], np.float32)


def decide_normalise(wanted: str, ranges: np.ndarray) -> tuple[str, str]:
    """Decide whether to scale images by their own percentiles ("image") or by common ones ("dataset"), and why.

    Parameters
    ----------
    wanted
        "auto", "image" or "dataset".
    ranges
        Ranges of the training images, from ``image_ranges``.
    """
    if wanted != "auto":
        return wanted, f"data.normalise is {wanted}"
    widths = np.maximum(ranges[:, 1] - ranges[:, 0], 1e-12).mean(axis=1)
    low, high = np.percentile(widths, [10, 90])
    ratio = high / low
    reason = f"most training images have an intensity range (1st to 99.8th percentile) of {low:.4g} to {high:.4g}"
    if ratio > _DIFFERENT:
        return (
            "image",
            f"{reason}, {ratio:.1f} times wider in some than in others: each image is scaled by its own range",
        )
    return "dataset", f"{reason}: similar, so a common scale keeps differences in brightness between images"


def intensity_percentiles(images: Iterable[np.ndarray]) -> Intensity:
    """Measure each channel over all images; pass the images of the training split only.

    Percentiles of 8- and 16-bit images are exact, from counts; those of 32-bit and float images come from an even
    sample of the pixels. Mean and standard deviation are exact.

    Parameters
    ----------
    images
        Arrays of shape (C, H, W) of one data type and any sizes; iterated once, one in memory at a time.

    Returns
    -------
    intensity
        In the units of the images; the extremes replace percentiles that are equal.

    Raises
    ------
    ValueError
        If there is no image.
    """
    channels: list[_Channel] = []
    for image in images:
        if not channels:
            channels: list[_Channel] = [_counted(image.dtype) or _Sample() for _ in image]
        for channel, plane in zip(channels, image, strict=True):
            channel.add(np.ravel(plane))
    if not channels:
        raise ValueError("no image to measure")
    return Intensity(
        low=[c.low_high()[0] for c in channels],
        high=[c.low_high()[1] for c in channels],
        mean=[c.mean() for c in channels],
        std=[c.std() for c in channels],
        step=common_step(step_of(c.some()) for c in channels),
    )


class _Channel(ABC):
    """Exact sums of one channel; subclasses add what percentiles need."""

    def __init__(self) -> None:
        self.n, self.total, self.squares, self.origin = 0, 0.0, 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        # Sums are centred on the first mean to keep precision when the spread is small relative to the level.
        values = values.astype(np.float64)
        if not self.n:
            self.origin = float(values.mean())
        values -= self.origin
        self.n += values.size
        self.total += float(values.sum())
        self.squares += float(np.square(values).sum())

    def mean(self) -> float:
        return self.origin + self.total / self.n

    def std(self) -> float:
        return max(self.squares / self.n - (self.total / self.n) ** 2, 0.0) ** 0.5

    @abstractmethod
    def percentiles(self, ranks: list[float]) -> list[float]: ...

    @abstractmethod
    def some(self) -> np.ndarray:
        """Return the distinct values, or a sample of the values."""

    def low_high(self) -> tuple[float, float]:
        low, high, smallest, largest = self.percentiles([LOW, HIGH, 0, 100])
        return (low, high) if high > low else (smallest, largest)


class _Counts(_Channel):
    """Counts of every value of an unsigned type of 8 or 16 bits."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.counts = np.zeros(size, dtype=np.int64)

    def add(self, values: np.ndarray) -> None:
        super().add(values)
        self.counts += np.bincount(values, minlength=len(self.counts))

    def percentiles(self, ranks: list[float]) -> list[float]:
        """Return the value at each rank, rounding down between values (numpy's method "lower")."""
        up_to = np.cumsum(self.counts)
        places = np.floor(np.asarray(ranks) / 100 * (self.n - 1))
        return [float(v) for v in np.searchsorted(up_to, places, side="right")]

    def some(self) -> np.ndarray:
        return np.flatnonzero(self.counts)


class _Sample(_Channel):
    """An even sample of the values, thinned when it grows too large; the extremes are exact.

    ``size`` is the size of an image added in pieces, which makes its sample the same as for the whole image.
    """

    def __init__(self, size: int = 0) -> None:
        super().__init__()
        self.whole = size
        self.kept: list[np.ndarray] = []
        self.stride, self.size = 1, 0
        self.smallest, self.largest = np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        super().add(values)
        self.smallest, self.largest = min(self.smallest, values.min()), max(self.largest, values.max())
        step = self.stride * max(1, (self.whole or values.size) // _PER_IMAGE)
        kept = values[-(self.n - values.size) % step if self.whole else 0 :: step].copy()
        self.kept.append(kept)
        self.size += kept.size
        if self.size > _IN_ALL:
            self.kept, self.stride = [k[::2].copy() for k in self.kept], self.stride * 2
            self.size = sum(k.size for k in self.kept)

    def percentiles(self, ranks: list[float]) -> list[float]:
        found = np.percentile(np.concatenate(self.kept), ranks).tolist()
        ends = {0.0: float(self.smallest), 100.0: float(self.largest)}
        return [ends.get(rank, value) for rank, value in zip(ranks, found, strict=True)]

    def some(self) -> np.ndarray:
        return np.concatenate(self.kept)


def _counted(dtype: np.dtype) -> _Counts | None:
    return _Counts(256 ** np.dtype(dtype).itemsize) if np.dtype(dtype).name in ("uint8", "uint16") else None
