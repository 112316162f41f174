"""Images that are read from disk window by window, on demand."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.channels import fallback_names, match_any, wrong_channels
from biocnn.io.intensity import values_in_bands
from biocnn.io.kinds import open_stored
from biocnn.io.scales import Values
from biocnn.io.stored_image import RGB, Slices, StoredImage, check_size, damaged


class LazyImage:
    """An open image; a context manager. Not thread-safe.

    Parameters
    ----------
    path
        Image file.
    stored
        The opened file.
    """

    def __init__(self, path: Path, stored: StoredImage) -> None:
        self.path, self._stored = path, stored
        self._transparency: float | None = None
        self._chosen: list[int] | None = None
        self._grey = False
        self.spacing, self.unit, self.turn = stored.spacing, stored.unit, stored.turn
        self.affine, self.kind, self.grid = stored.affine, stored.kind, stored.grid(path)
        self.dtype = _dtype(stored, path)
        count, *spatial = stored.shape
        count = (count if stored.palette is None else len(stored.palette)) - (stored.alpha is not None)
        self.shape = (count, *spatial)
        names = RGB if stored.palette is not None and count == 3 else stored.channels or []
        self.channels = list(names) if len(names) == count else fallback_names(count)
        self.repairs = stored.repairs + stored.shown
        if stored.alpha is not None:
            self.repairs += ("constant alpha channel dropped",)
        stored_dtype = np.dtype(stored.array.dtype)
        if stored_dtype.kind in "iuf" and self.dtype != stored_dtype.newbyteorder("=") and stored.palette is None:
            self.repairs += (f"{stored_dtype.name} converted to {self.dtype.name}",)

    def read(self, window: Slices) -> np.ndarray:
        """Read a window.

        Parameters
        ----------
        window
            A slice with start and stop for each spatial axis, in pixels, inside the image.

        Returns
        -------
        pixels
            Shape (C, *window), with data type ``dtype``.

        Raises
        ------
        InputError
            If the file is damaged, the window holds NaN or infinity, its alpha channel varies, or greyscale was chosen
            and its colours differ.
        """
        with damaged(self.path, self._stored.kind):
            check_size(self.path, [self._stored.shape[0], *(one.stop - one.start for one in window)], self.dtype)
            pixels = self._opaque(self._stored.read(window))
            if self._grey and not all(np.array_equal(pixels[0], plane) for plane in pixels[1:]):
                raise wrong_channels(self.path, RGB, self.channels)
            pixels = pixels if self._chosen is None else pixels[self._chosen]
            return np.ascontiguousarray(self._checked(pixels).astype(self.dtype, copy=False))

    def choose(self, channels: list[str], known_as: Sequence[list[str]] = ()) -> None:
        """Select the channels to read, as in ``match_any``; grey may also come from equal red, green and blue.

        Parameters
        ----------
        channels
            Names of the channels.
        known_as
            Alternative names that they may have in the file; by default ``channels``.

        Raises
        ------
        InputError
            If the image has other channels.
        """
        known_as = known_as or [channels]
        match = match_any(self.channels, known_as)
        if match is not None:
            self._chosen = match.index
            self.repairs += (match.repair,) if match.repair else ()
        elif len(channels) == 1 and self.channels == RGB:
            self._chosen, self._grey = [0], True
            self.repairs += ("grey image stored as RGB: one channel kept",)
        else:
            raise wrong_channels(self.path, self.channels, known_as[0])
        self.channels, self.shape = list(channels), (len(channels), *self.shape[1:])

    @cached_property
    def values(self) -> Values:
        """Statistics of the values of the selected channels; read once, in bands."""
        return values_in_bands(self)

    def close(self) -> None:
        self._stored.close()

    def __enter__(self) -> "LazyImage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opaque(self, pixels: np.ndarray) -> np.ndarray:
        """Drop a constant alpha channel; refuse a varying one."""
        alpha = self._stored.alpha
        if alpha is None:
            return pixels
        low, high = pixels[alpha].min(), pixels[alpha].max()
        first = self._transparency if self._transparency is not None else low
        if low != high or low != first:
            raise InputError(
                f"{self.path}: its alpha channel varies ({min(low, first)} to {max(high, first)})",
                "flatten the image onto a background; only a constant alpha channel can be dropped",
            )
        self._transparency = first
        return np.delete(pixels, alpha, axis=0)

    def _checked(self, pixels: np.ndarray) -> np.ndarray:
        """Refuse values that ``dtype`` cannot hold."""
        if pixels.dtype.kind == "f":
            bad = int(pixels.size - np.isfinite(pixels).sum())
            if bad:
                raise InputError(
                    f"{self.path}: {bad} of {pixels.size} pixel values are NaN or infinite",
                    "all pixels must be finite: fill or crop these pixels, or leave the image out",
                )
            if pixels.dtype.itemsize > 4 and np.abs(pixels).max(initial=0) > np.finfo(np.float32).max:
                raise InputError(f"{self.path}: values beyond the range of 32-bit floats", "rescale the image")
        elif pixels.dtype.itemsize == 8 and pixels.size:
            limits = np.iinfo(self.dtype)
            if pixels.min() < limits.min or pixels.max() > limits.max:
                raise InputError(
                    f"{self.path}: 64-bit integers up to {pixels.max()}",
                    "convert the image to 8-, 16- or 32-bit integers, or to 32-bit floats",
                )
        return pixels


def open_image(path: str | Path, axes: str | None = None) -> LazyImage:
    """Open an image of any format to read windows of it.

    For TIFF (strips or tiles, compressed or not), .npy and OME-Zarr only the requested window is read; other formats
    are decoded in full when opened. Pyramids are read at full resolution.

    Parameters
    ----------
    path
        File, recognised by its first bytes, not by its name.
    axes
        Order of the axes if the file does not state it: letters of C, Z, Y, X.

    Raises
    ------
    InputError
        If the file is missing, damaged or of an unknown format, or holds several images, time points or axes of unknown
        order.
    """
    path = Path(path)
    stored = open_stored(path, axes=axes)
    try:
        return LazyImage(path, stored)
    except InputError:
        stored.close()
        raise


def _dtype(stored: StoredImage, path: Path) -> np.dtype:
    """Return the data type that pixels are converted to."""
    dtype = np.dtype(stored.array.dtype if stored.palette is None else stored.palette.dtype)
    if dtype.kind not in "buif":
        raise InputError(f"{path}: pixels of type {dtype}", "allowed: integers and floats")
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f":
        return np.dtype(np.float32)
    return np.dtype(np.int32) if dtype.itemsize == 8 else dtype.newbyteorder("=")
