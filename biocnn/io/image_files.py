"""One image file in, channels first out."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.kinds import SUFFIXES, open_stored
from biocnn.io.lazy import open_image
from biocnn.io.stored import Grid, check_size, damaged, whole

__all__ = ["SUFFIXES", "Decoded", "ImageFile", "decode", "read_image"]


class ImageFile(NamedTuple):
    """What one image file holds.

    ``pixels`` has the shape (C, *spatial) and the data type of the file (native byte order; 16- and 64-bit floats
    become 32-bit, 64-bit integers too); ``channels`` names them; ``spacing`` is one number a spatial axis, row-major,
    in ``unit`` ("um" or "mm") per pixel, or None; ``repairs`` lists what was changed; ``turn`` is the orientation tag,
    1 to 8, that the pixels were turned by; ``grid`` says where they lie.
    """

    pixels: np.ndarray
    channels: list[str]
    spacing: list[float] | None
    repairs: tuple[str, ...]
    unit: str = "um"
    turn: int = 1
    grid: Grid | None = None


class Decoded(NamedTuple):
    """Pixels of shape (C, *spatial), the index of a transparency channel, or None, and how they are shown.

    ``palette`` and ``inverted`` are those of ``biocnn.io.stored.Stored`` where the values are as stored, else None;
    ``grid`` says where the pixels lie.
    """

    pixels: np.ndarray
    alpha: int | None = None
    repairs: tuple[str, ...] = ()
    turn: int = 1
    palette: np.ndarray | None = None
    inverted: float | None = None
    grid: Grid | None = None


def read_image(path: str | Path, axes: str | None = None) -> ImageFile:
    """Read one image of two or three spatial axes and any number of channels.

    Pixels are as they are shown: turned by the orientation tag, larger is brighter, a palette becomes its colours. A
    constant alpha channel is dropped. Values are never rescaled.

    Parameters
    ----------
    path
        File of a format in docs/formats.md, told by its first bytes and not by its name.
    axes
        Order of the axes where the file does not tell: letters of C, Z, Y, X.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another kind, holds NaN or infinity, an alpha channel that varies,
        several images or time points, or axes that cannot be told.
    """
    with open_image(path, axes) as image:
        pixels = image.read(whole(image.shape))
        repairs = image.repairs
        return ImageFile(pixels, image.channels, image.spacing, repairs, image.unit, image.turn, image.grid)


def decode(path: Path, *, axes: str | None = None, indices: bool = False) -> Decoded:
    """Decode a file into (C, *spatial) in native byte order; 1-bit pixels become uint8 0 and 1.

    With ``indices`` values are as stored: those of a palette instead of its colours, 0 also where that is white; whole
    numbers come in the smallest type that holds them, because the type of a mask says nothing of its use.
    """
    stored = open_stored(path, axes=axes)
    try:
        with damaged(path, stored.kind):
            check_size(path, stored.shape, stored.array.dtype)
            pixels = stored.read(whole(stored.shape), shown=not indices)
            pixels = narrowed(pixels) if indices else pixels
            if pixels.dtype.kind not in "uif":
                raise InputError(f"{path}: pixels of type {pixels.dtype}", "allowed: integers, floats")
            pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    finally:
        stored.close()
    grid = stored.grid(path)
    if not indices:
        return Decoded(pixels, stored.alpha, stored.repairs + stored.shown, stored.turn, grid=grid)
    alpha = None if stored.palette is not None else stored.alpha
    return Decoded(pixels, alpha, stored.repairs, stored.turn, stored.palette, stored.inverted, grid)


def narrowed(values: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest unsigned type that holds them (signed where some are negative), else unchanged."""
    if values.dtype.kind not in "iuf" or not values.size:
        return values
    low, high = values.min(), values.max()
    if not (np.isfinite([low, high]).all() and (values.dtype.kind != "f" or (values == np.round(values)).all())):
        return values
    types = (np.uint8, np.uint16, np.uint32) if low >= 0 else (np.int8, np.int16, np.int32)
    fits = (t for t in types if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return values.astype(next(fits, values.dtype), copy=False)
