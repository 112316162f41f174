"""One image file in, channels first out."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from biocnn.data.kinds import SUFFIXES, open_stored
from biocnn.data.lazy import open_image
from biocnn.data.stored import damaged, whole
from biocnn.errors import InputError

__all__ = ["SUFFIXES", "Decoded", "ImageFile", "decode", "read_image"]


class ImageFile(NamedTuple):
    """What one image file holds.

    ``pixels`` has the shape (C, *spatial) and the data type of the file (native byte order; 16- and 64-bit floats
    become 32-bit, 64-bit integers too); ``channels`` names them; ``spacing`` is one number a spatial axis, row-major,
    in ``unit`` ("um" or "mm") per pixel, or None; ``repairs`` lists what was changed.
    """

    pixels: np.ndarray
    channels: list[str]
    spacing: list[float] | None
    repairs: tuple[str, ...]
    unit: str = "um"


class Decoded(NamedTuple):
    """Pixels of shape (C, *spatial) as they are stored, and the index of a transparency channel, or None."""

    pixels: np.ndarray
    alpha: int | None = None


def read_image(path: str | Path, axes: str | None = None) -> ImageFile:
    """Read one image of two or three spatial axes and any number of channels.

    A palette becomes its colours. A constant alpha channel is dropped. Values are never rescaled.

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
        return ImageFile(pixels, image.channels, image.spacing, image.repairs, image.unit)


def decode(path: Path, *, axes: str | None = None, indices: bool = False) -> Decoded:
    """Decode a file into (C, *spatial) in native byte order; 1-bit pixels become uint8 0 and 1.

    ``indices`` keeps the indices of a palette instead of its colours, and the values of 2- and 4-bit PNG.
    """
    stored = open_stored(path, axes=axes, indices=indices)
    try:
        with damaged(path, stored.kind):
            pixels = stored.read(whole(stored.shape))
    finally:
        stored.close()
    if stored.palette is not None:
        pixels = stored.palette[:, pixels[0]]
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    elif pixels.dtype.kind not in "uif":
        raise InputError(f"{path}: pixels of type {pixels.dtype}", "allowed: integers, floats")
    return Decoded(pixels.astype(pixels.dtype.newbyteorder("="), copy=False), stored.alpha)
