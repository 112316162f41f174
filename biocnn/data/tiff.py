"""Axes, channel names and pixel size of a TIFF file: plain, OME or ImageJ."""

import logging
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from biocnn.data.stored import RGB, Stored, damaged, settle_axes
from biocnn.data.tiff_segments import series_pixels
from biocnn.errors import InputError

_MICROMETRES = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4}
_MICROMETRES |= {"\\u00b5m": 1.0, "m": 1e6, "pm": 1e-6, "å": 1e-4}
_ALPHA = (1, 2)  # of the ExtraSamples tag: associated and unassociated transparency
_REMEDY = "open it in Fiji and save it again as TIFF, or copy it again from where it came"

# tifffile reports what it dislikes through logging; without a handler Python would print that to the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def open_tiff(path: Path, *, axes: str | None = None, indices: bool = False) -> Stored:
    """Open the full resolution of a TIFF of one plane or one volume, with any number of channels.

    Parameters
    ----------
    path
        File to read.
    axes
        Order of the axes, "CYX" or "ZYX" say, where the file does not tell or tells wrong; plain planes ignore it.
    indices
        Keep the indices of a palette instead of its colours.

    Raises
    ------
    InputError
        Where the file is damaged, has several images, a time axis, or axes that cannot be told.
    """
    with damaged(path, "TIFF", _REMEDY):
        tiff = tifffile.TiffFile(path)
        try:
            return _open(tiff, path, axes, indices)
        except BaseException:
            tiff.close()
            raise


def _open(tiff: tifffile.TiffFile, path: Path, axes: str | None, indices: bool) -> Stored:
    series, page = tiff.series[0], tiff.series[0].keyframe
    _check_single(tiff, path)
    _check_whole(series, path)
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise InputError(f"{path}: CMYK colours", "convert it to RGB or grey, in Fiji say")
    settled = settle_axes(series.axes, series.shape, axes, path)
    repairs = [f"axes not given in the file: taken as {settled.letters.replace('-', '')}"] if settled.guessed else []
    lengths = dict(zip(settled.letters, series.shape, strict=True))
    channels = lengths.get("C", 1)
    # In OME and ImageJ files a palette only says how to display the intensities.
    display = indices or tiff.is_ome or tiff.is_imagej or channels > 1
    palette = page.colormap if page.photometric == tifffile.PHOTOMETRIC.PALETTE and not display else None
    names, step = _ome(tiff) if tiff.is_ome else (None, _imagej_spacing(tiff) if tiff.is_imagej else None)
    spacing = step and [*([step[0]] if "Z" in lengths else []), *step[1:]]
    if spacing and spacing[0] is None:
        spacing = None
        repairs.append("pixel size without the step between z planes: not used")
    alpha = channels - 1 if any(extra in _ALPHA for extra in page.extrasamples) and "S" in series.axes else None
    colour = page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    if colour and channels - (alpha is not None) == 3:
        names = RGB
    return Stored(
        series_pixels(tiff),
        settled,
        names,
        spacing,
        alpha=alpha,
        palette=None if palette is None else (palette >> 8).astype(np.uint8),
        repairs=tuple(repairs),
        kind="TIFF",
        close=tiff.close,
    )


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


def _ome(tiff: tifffile.TiffFile) -> tuple[list[str] | None, list[float | None] | None]:
    """Channel names and the step along z, y and x of the first image of the OME metadata."""
    pixels = next((e for e in ElementTree.fromstring(tiff.ome_metadata).iter() if e.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None, None
    names = [e.get("Name") or "" for e in pixels if e.tag.endswith("}Channel")]
    usable = all(names) and len(set(names)) == len(names) and len(names) > 0
    step, row, column = (
        micrometres(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX"
    )
    row = row or column
    return names if usable else None, [step, row, column] if row and column else None


def _imagej_spacing(tiff: tifffile.TiffFile) -> list[float | None] | None:
    metadata, tags = tiff.imagej_metadata or {}, tiff.pages[0].tags
    unit = str(metadata.get("unit", ""))
    if not unit or "XResolution" not in tags or "YResolution" not in tags:
        return None
    (nx, dx), (ny, dy) = tags["XResolution"].value, tags["YResolution"].value  # pixels per unit, as a fraction
    if not (nx and ny):
        return None
    row, column = micrometres(dy / ny, unit), micrometres(dx / nx, unit)
    return [micrometres(metadata.get("spacing"), unit), row, column] if row and column else None


def micrometres(value: object, unit: str) -> float | None:
    """A length in um; None where the unit is unknown, or the length is none."""
    factor = _MICROMETRES.get(unit.strip().lower())
    try:
        size = float(value) * factor
    except (TypeError, ValueError):
        return None
    return round(size, 9) if 0 < size < 1e6 else None
