"""Pixels, axes, channel names and pixel size of a TIFF file: plain, OME or ImageJ."""

import logging
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile

from biocnn.errors import InputError

_MICROMETRES = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4}
_MICROMETRES |= {"\\u00b5m": 1.0, "m": 1e6, "pm": 1e-6, "å": 1e-4}
_ALPHA = (1, 2)  # of the ExtraSamples tag: associated and unassociated transparency
_REMEDY = "open it in Fiji and save it again as TIFF, or copy it again from where it came"

# tifffile reports what it dislikes through logging; without a handler Python would print that to the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class Decoded(NamedTuple):
    """One decoded file: ``pixels`` of shape (C, H, W), and what the file says about them.

    ``channels`` is None where the file names none; ``spacing`` is [row, column] in um, or None; ``alpha`` is the index
    of a transparency channel, or None; ``repairs`` says what was done to get here.
    """

    pixels: np.ndarray
    channels: list[str] | None = None
    spacing: list[float] | None = None
    alpha: int | None = None
    repairs: tuple[str, ...] = ()


def read_tiff(path: Path, *, axes: str | None = None, indices: bool = False) -> Decoded:
    """Read a TIFF of one plane with any number of channels.

    Parameters
    ----------
    path
        File to read.
    axes
        Order of the axes, "CYX" say, where the file does not tell or tells wrong; plain planes ignore it.
    indices
        Keep the indices of a palette instead of its colours.

    Raises
    ------
    InputError
        Where the file is damaged, has several images, a z or time axis, or axes that cannot be told.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            return _read(tiff, path, axes, indices)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # damaged files raise anything from struct.error to a codec's own error
        raise InputError(f"{path}: damaged or unreadable TIFF ({error})", _REMEDY) from error


def _read(tiff: tifffile.TiffFile, path: Path, axes: str | None, indices: bool) -> Decoded:
    series, page = tiff.series[0], tiff.series[0].keyframe
    _check_single(tiff, path)
    _check_whole(series, path)
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise InputError(f"{path}: CMYK colours", "convert it to RGB or grey, in Fiji say")
    array, repairs = series.asarray(), []
    array, order, guessed = _axes(array, series.axes, axes, path)
    if guessed:
        repairs.append(f"axes not given in the file: taken as {order}")
    pixels = _planes(array, order)
    colormap = page.colormap if page.photometric == tifffile.PHOTOMETRIC.PALETTE else None
    # In OME and ImageJ files a palette only says how to display the intensities.
    if colormap is not None and not (indices or tiff.is_ome or tiff.is_imagej) and len(pixels) == 1:
        pixels = (colormap[:, pixels[0]] >> 8).astype(np.uint8)
    names, spacing = _ome(tiff) if tiff.is_ome else (None, _imagej_spacing(tiff) if tiff.is_imagej else None)
    alpha = len(pixels) - 1 if any(extra in _ALPHA for extra in page.extrasamples) and "S" in series.axes else None
    colour = page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    if colour and len(pixels) - (alpha is not None) == 3:
        names = ["red", "green", "blue"]
    return Decoded(pixels, names, spacing, alpha, tuple(repairs))


def _check_single(tiff: tifffile.TiffFile, path: Path) -> None:
    """Refuse a file of several images; previews and pyramid levels do not count."""
    size = np.prod(tiff.series[0].shape)
    others = [s for s in tiff.series[1:] if not s.keyframe.is_reduced and np.prod(s.shape) >= size]
    if others:
        raise InputError(
            f"{path}: holds {1 + len(others)} images (shapes {', '.join(str(s.shape) for s in tiff.series[:3])} ...)",
            "save each image as a file of its own",
        )


def _check_whole(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse a file that ends before its pixels do, which some codecs would fill with zeros."""
    size = Path(path).stat().st_size
    pages = [page for page in series.pages if page is not None]
    end = max((o + n for page in pages for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)), default=0)
    if end > size:
        raise InputError(f"{path}: damaged TIFF: {size} bytes long, but its pixels reach byte {end}", _REMEDY)


def _axes(array: np.ndarray, found: str, given: str | None, path: Path) -> tuple[np.ndarray, str, bool]:
    """The array without axes of length one, the letters of its axes, and whether its shape had to tell them."""
    keep = [i for i, (letter, n) in enumerate(zip(found, array.shape, strict=True)) if n > 1 or letter in "YX"]
    shape = tuple(array.shape[i] for i in keep)
    array, found = array.reshape(shape), "".join(found[i] for i in keep)
    shown = f"axes {found} of lengths {' x '.join(map(str, shape))}"
    if given and array.ndim > 2:
        if array.ndim != len(given):
            raise InputError(f"{path}: {shown}, but data.axes is {given!r}", f"name all {array.ndim} axes of the file")
        return array, given, False
    refused = [f"{letter} ({n})" for letter, n in zip(found, shape, strict=True) if letter not in "YXSCQI"]
    if refused or array.ndim > 3:
        raise InputError(
            f"{path}: {shown}; planes with channels can be used, not the axis {', '.join(refused) or found[0]}",
            "save one plane or a projection (Fiji: Image > Stacks > Z Project), "
            "or, where that axis holds channels, set data.axes: CYX",
        )
    if array.ndim == 2 or not set(found) & set("QI"):
        return array, found, False
    first, last = shape[0] <= 4, shape[-1] in (3, 4)
    if first == last:
        raise InputError(
            f"{path}: three axes of lengths {' x '.join(map(str, shape))} and no word in the file of which is which",
            "set data.axes: CYX (channels first) or YXC (channels last); stacks of z or time cannot be used whole",
        )
    return array, "CYX" if first else "YXC", True


def _planes(array: np.ndarray, order: str) -> np.ndarray:
    """Bring (Y, X) or any order of it with one axis of channels to (C, Y, X)."""
    if array.ndim == 2:
        array, order = array[None], "C" + order
    channel = next(i for i, letter in enumerate(order) if letter not in "YX")
    return np.transpose(array, (channel, order.index("Y"), order.index("X")))


def _ome(tiff: tifffile.TiffFile) -> tuple[list[str] | None, list[float] | None]:
    """Channel names and pixel size of the first image of the OME metadata."""
    pixels = next((e for e in ElementTree.fromstring(tiff.ome_metadata).iter() if e.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None, None
    names = [e.get("Name") or "" for e in pixels if e.tag.endswith("}Channel")]
    usable = all(names) and len(set(names)) == len(names) and len(names) > 0
    column = _um(pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit", "µm"))
    row = _um(pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeYUnit", "µm")) or column
    return names if usable else None, [row, column] if row and column else None


def _imagej_spacing(tiff: tifffile.TiffFile) -> list[float] | None:
    unit, tags = str(tiff.imagej_metadata.get("unit", "")), tiff.pages[0].tags
    if not unit or "XResolution" not in tags or "YResolution" not in tags:
        return None
    (nx, dx), (ny, dy) = tags["XResolution"].value, tags["YResolution"].value  # pixels per unit, as a fraction
    if not (nx and ny):
        return None
    row, column = _um(dy / ny, unit), _um(dx / nx, unit)
    return [row, column] if row and column else None


def _um(value: object, unit: str) -> float | None:
    factor = _MICROMETRES.get(unit.strip().lower())
    try:
        size = float(value) * factor
    except (TypeError, ValueError):
        return None
    return round(size, 9) if 0 < size < 1e6 else None
