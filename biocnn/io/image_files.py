"""Read an image file of any format, channels first."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.kinds import SUFFIXES, open_stored
from biocnn.io.lazy import LazyImage, open_image
from biocnn.io.stored_image import Grid, check_size, damaged, whole

__all__ = ["SUFFIXES", "Decoded", "ImageFile", "decode", "read_image"]


class ImageFile(NamedTuple):
    """Contents of an image file.

    ``pixels`` has the shape (C, *spatial) and the data type of the file (native byte order; 16- and 64-bit floats and
    64-bit integers become 32-bit); ``channels`` are their names; ``spacing`` is the pixel size along each spatial axis,
    row-major, in ``unit`` ("um" or "mm"), or None; ``repairs`` lists what was changed; ``turn`` is the orientation tag,
    1 to 8, that was applied; ``grid`` describes where the pixels lie.
    """

    pixels: np.ndarray
    channels: list[str]
    spacing: list[float] | None
    repairs: tuple[str, ...]
    unit: str = "um"
    turn: int = 1
    grid: Grid | None = None


class Decoded(NamedTuple):
    """Pixels of shape (C, *spatial), the index of the alpha channel or None, and how to display them.

    ``palette`` and ``inverted`` are those of ``StoredImage`` if the values are as stored, else None;
    ``grid`` describes where the pixels lie.
    """

    pixels: np.ndarray
    alpha: int | None = None
    repairs: tuple[str, ...] = ()
    turn: int = 1
    palette: np.ndarray | None = None
    inverted: float | None = None
    grid: Grid | None = None


def read_image(path: str | Path, axes: str | None = None) -> ImageFile:
    """Read an image with two or three spatial axes and any number of channels.

    Pixels are as displayed: the orientation tag is applied, larger is brighter, a palette is replaced by its colours. A
    constant alpha channel is dropped. Values are never rescaled.

    Parameters
    ----------
    path
        File of a format listed in docs/formats.md, recognised by its first bytes, not by its name.
    axes
        Order of the axes if the file does not state it: letters of C, Z, Y, X.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another format, or holds NaN or infinity, a varying alpha channel, several
        images or time points, or axes of unknown order.
    """
    with open_image(path, axes) as image:
        return whole_image(image)


def whole_image(image: LazyImage) -> ImageFile:
    """Read all of an open image."""
    pixels = image.read(whole(image.shape))
    return ImageFile(pixels, image.channels, image.spacing, image.repairs, image.unit, image.turn, image.grid)


def decode(path: Path, *, axes: str | None = None, indices: bool = False) -> Decoded:
    """Decode a file to (C, *spatial) in native byte order; 1-bit pixels become uint8 0 and 1.

    With ``indices`` values are as stored: palette indices instead of colours, 0 even if it means white. Whole numbers
    then come in the smallest type that holds them, because the type of a mask has no meaning.
    """
    stored = open_stored(path, axes=axes)
    try:
        with damaged(path, stored.kind):
            check_size(path, stored.shape, stored.array.dtype)
            pixels = stored.read(whole(stored.shape), shown=not indices)
            pixels = narrowed(pixels) if indices else pixels
            if pixels.dtype.kind not in "uif":
                raise InputError(f"{path}: pixels of type {pixels.dtype}", "allowed: integers and floats")
            pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    finally:
        stored.close()
    grid = stored.grid(path)
    if not indices:
        return Decoded(pixels, stored.alpha, stored.repairs + stored.shown, stored.turn, grid=grid)
    alpha = None if stored.palette is not None else stored.alpha
    return Decoded(pixels, alpha, stored.repairs, stored.turn, stored.palette, stored.inverted, grid)


def narrowed(values: np.ndarray) -> np.ndarray:
    """Cast whole numbers to the smallest unsigned type that holds them (signed if any is negative)."""
    if values.dtype.kind not in "iuf" or not values.size:
        return values
    low, high = values.min(), values.max()
    if not (np.isfinite([low, high]).all() and (values.dtype.kind != "f" or (values == np.round(values)).all())):
        return values
    types = (np.uint8, np.uint16, np.uint32) if low >= 0 else (np.int8, np.int16, np.int32)
    fits = (t for t in types if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return values.astype(next(fits, values.dtype), copy=False)
