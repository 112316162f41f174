"""Resampling of images and maps to another pixel size, window by window."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from biocnn.io.stored_image import Slices

CHUNK = 4_000_000  # source pixels per channel that are read at once
Read = Callable[[Slices], np.ndarray]


def resample(read: Read, source: Sequence[int], target: Sequence[int], window: Slices) -> np.ndarray:
    """Resample an image, and return a window of it.

    Values are interpolated linearly between pixel centres, and are weighted means where pixels become larger. Both
    grids cover the same field of view. The values do not depend on the window.

    Parameters
    ----------
    read
        Maps a window of the source to pixels (C, *window).
    source, target
        Sizes of both grids, (*spatial).
    window
        Window of the target.

    Returns
    -------
    pixels
        Shape (C, *window), float32.
    """
    along = [_taps(n, m, part) for n, m, part in zip(source, target, window, strict=True)]
    rest = prod(int(index.max() - index.min()) + 1 for index, _ in along[1:])
    rows = max(1, int(CHUNK / max(rest, 1) * target[0] / source[0]))
    parts = []
    for start in range(0, len(along[0][0]), rows):
        taps = [(along[0][0][start : start + rows], along[0][1][start : start + rows]), *along[1:]]
        origin = [int(index.min()) for index, _ in taps]
        pixels = read(tuple(slice(o, int(index.max()) + 1) for o, (index, _) in zip(origin, taps, strict=True)))
        pixels = pixels.astype(np.float32, copy=False)
        for axis in sorted(range(len(taps)), key=lambda axis: target[axis] / source[axis]):  # largest reduction first
            index, weight = taps[axis]
            pixels = _weighted(pixels, index - origin[axis], weight, axis + 1)
        parts.append(pixels)
    return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def _weighted(pixels: np.ndarray, index: np.ndarray, weight: np.ndarray, axis: int) -> np.ndarray:
    total = None
    shape = [-1 if i == axis else 1 for i in range(pixels.ndim)]
    for tap in range(index.shape[1]):
        part = np.take(pixels, index[:, tap], axis=axis) * weight[:, tap].reshape(shape)
        total = part if total is None else total + part
    return total


def _taps(n: int, m: int, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each target pixel in a part of an axis, the indices and weights of its source pixels.

    The axis has ``n`` source and ``m`` target pixels.
    """
    step = n / m
    reach = max(step, 1.0)
    centre = (np.arange(part.start, part.stop) + 0.5) * step - 0.5
    first = np.ceil(centre - reach).astype(int)
    index = first[:, None] + np.arange(int(2 * reach) + 1)
    weight = np.maximum(0, 1 - np.abs(index - centre[:, None]) / reach) * ((index >= 0) & (index < n))
    weight /= weight.sum(axis=1, keepdims=True)
    return np.clip(index, 0, n - 1), weight.astype(np.float32)


def sizes(shape: Sequence[int], zoom: Sequence[float]) -> tuple[int, ...]:
    """Return the numbers of pixels after enlargement by ``zoom`` along each axis."""
    return tuple(max(1, round(n * z)) for n, z in zip(shape, zoom, strict=True))
