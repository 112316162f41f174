"""Read axes, channel names and pixel size of plain, OME and ImageJ TIFF files."""

import logging
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from biocnn.core.errors import InputError
from biocnn.io.stored_image import RGB, TURNED_BY_TAG, StoredImage, damaged, orientation, settle_axes, swapped
from biocnn.io.tiff_segments import JPEG, series_pixels

_MICROMETRES = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4}
_MICROMETRES |= {"\\u00b5m": 1.0, "m": 1e6, "pm": 1e-6, "å": 1e-4}
_ALPHA = (1, 2)  # values of the ExtraSamples tag: associated and unassociated alpha
_COLOURS = {  # names of the photometric interpretations that are not supported
    "SEPARATED": "CMYK colours",
    "CIELAB": "L*a*b* colours",
    "ICCLAB": "L*a*b* colours",
    "ITULAB": "L*a*b* colours",
    "CFA": "raw camera pixels with a colour filter array",
    "LOGL": "logarithmic brightness (LogL)",
    "LOGLUV": "logarithmic colours (LogLuv)",
}
_FAX = (2, 3, 4)
_REMEDY = "open it in Fiji and save it again as TIFF, or copy it again from its source"

# tifffile logs warnings; without a handler Python would print them to the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def open_tiff(path: Path, *, axes: str | None = None) -> StoredImage:
    """Open a TIFF file with one plane or volume and any number of channels, at full resolution.

    Parameters
    ----------
    path
        TIFF file.
    axes
        Order of the axes, e.g. "CYX" or "ZYX", if the file does not state it or is wrong; ignored for plain planes.

    Raises
    ------
    InputError
        If the file is damaged, or has several images, a time axis, or axes of unknown order.
    """
    with damaged(path, "TIFF", _REMEDY):
        tiff = tifffile.TiffFile(path)
        try:
            return _open(tiff, path, axes)
        except BaseException:
            tiff.close()
            raise


def _open(tiff: tifffile.TiffFile, path: Path, axes: str | None) -> StoredImage:
    series, page = tiff.series[0], tiff.series[0].keyframe
    previews = _check_single(tiff, path)
    _check_whole(series, path)
    # If the tag is missing, as in libtiff: fax compressions are 0 = white, all others 0 = black.
    colours = getattr(page.photometric, "name", "MINISWHITE" if page.compression in _FAX else "MINISBLACK")
    if colours in _COLOURS:
        raise InputError(f"{path}: {_COLOURS[colours]}", "convert it to RGB or greyscale, e.g. in Fiji")
    if colours == "YCBCR" and page.compression not in JPEG:
        raise InputError(f"{path}: YCbCr colours without JPEG compression", "convert it to RGB, e.g. in Fiji")
    settled = settle_axes(series.axes, series.shape, axes, path)
    repairs = [f"axes not stated in the file: assumed {settled.letters.replace('-', '')}"] if settled.guessed else []
    if previews:
        repairs.append("smaller images in the same file (previews) ignored")
    lengths = dict(zip(settled.letters, series.shape, strict=True))
    channels = lengths.get("C", 1)
    # In OME and ImageJ files a palette, and in ImageJ an inversion, only affects the display of intensities.
    palette = page.colormap if colours == "PALETTE" and not (tiff.is_ome or tiff.is_imagej) else None
    inverted = None
    if colours == "MINISWHITE" and tiff.is_imagej:
        repairs.append("MINISWHITE of ImageJ, an inverted lookup table for display: stored values used")
    elif colours == "MINISWHITE" and page.bitspersample == 1 and page.software.startswith("tifffile"):
        repairs.append("MINISWHITE of tifffile, which sets it for all boolean images: stored values used")
    elif colours == "MINISWHITE":
        inverted = _inverted(page, path)
    if palette is not None and channels > 1:
        raise InputError(f"{path}: palette colours in {channels} channels", "convert it to RGB, e.g. in Fiji")
    names, step = _ome(tiff) if tiff.is_ome else (None, _imagej_spacing(tiff) if tiff.is_imagej else None)
    spacing = step and [*([step[0]] if "Z" in lengths else []), *step[1:]]
    if spacing and spacing[0] is None:
        spacing = None
        repairs.append("pixel size without the z step: not used")
    alpha = channels - 1 if any(extra in _ALPHA for extra in page.extrasamples) and "S" in series.axes else None
    if colours in ("RGB", "YCBCR") and channels - (alpha is not None) == 3:
        names = RGB
    tag = page.tags.get("Orientation")
    turn = orientation(int(tag.value)) if tag else 1
    if turn > 1:
        repairs.append(TURNED_BY_TAG)
    return StoredImage(
        series_pixels(tiff),
        settled,
        names,
        [*spacing[:-2], *spacing[:-3:-1]] if spacing and swapped(turn) else spacing,
        alpha=alpha,
        palette=None if palette is None else (palette >> 8).astype(np.uint8),
        inverted=inverted,
        turn=turn,
        repairs=tuple(repairs),
        kind="TIFF",
        close=tiff.close,
    )


def _inverted(page: tifffile.TiffPage, path: Path) -> int:
    """Return the sum of the lowest and highest value that a page with 0 = white can hold."""
    if page.dtype.kind not in "bu" or page.bitspersample > 32:
        raise InputError(
            f"{path}: its lowest value is white (MINISWHITE), and {page.dtype} values cannot be inverted",
            "invert it and save it with black as lowest value, e.g. in Fiji",
        )
    return 2**page.bitspersample - 1


def _check_single(tiff: tifffile.TiffFile, path: Path) -> int:
    """Refuse a file with several images, pyramid levels aside; return the number of previews ignored."""
    first = tiff.series[0].keyframe
    found = [s.keyframe for s in tiff.series[1:]]
    if tiff.is_ome:  # its metadata may omit pages
        listed = {page.offset for s in tiff.series for level in s.levels for page in level.pages if page is not None}
        found += [page.aspage() for page in tiff.pages if page.offset not in listed]
    others = [page for page in found if not _is_preview(page, first)]
    if others:
        shapes = ", ".join(" x ".join(map(str, page.shape)) for page in (first, *others[:2]))
        raise InputError(
            f"{path}: holds {1 + len(others)} images ({shapes}{', ...' if len(others) > 2 else ''} pixels)",
            "save each image as a separate file",
        )
    return len(found)


def _is_preview(page: tifffile.TiffPage, first: tifffile.TiffPage) -> bool:
    """Return whether a page is a preview or label: marked as reduced and no larger, or at most half as large."""
    times = 1 if page.is_reduced else 2
    return times * page.imagelength <= first.imagelength and times * page.imagewidth <= first.imagewidth


def _check_whole(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse a truncated file, whose missing pixels some codecs would fill with zeros."""
    size = Path(path).stat().st_size
    pages = [page for page in series.pages if page is not None]
    for page in pages:
        if len(page.dataoffsets) != len(page.databytecounts):
            raise InputError(
                f"{path}: damaged TIFF: {len(page.dataoffsets)} segment offsets, {len(page.databytecounts)} sizes",
                _REMEDY,
            )
    # The stated sizes of uncompressed segments may be larger than needed.
    most = pages[0].nbytes if pages and pages[0].compression == 1 else size
    end = max(
        (o + min(n, most) for page in pages for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)),
        default=0,
    )
    if end > size:
        raise InputError(f"{path}: damaged TIFF: {size} bytes long, but its pixels extend to byte {end}", _REMEDY)


def _ome(tiff: tifffile.TiffFile) -> tuple[list[str] | None, list[float | None] | None]:
    """Return channel names and z, y and x step of the first image in the OME metadata."""
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
    """Convert a length to um; None if the unit is unknown or the length invalid."""
    factor = _MICROMETRES.get(unit.strip().lower())
    try:
        size = float(value) * factor
    except (TypeError, ValueError):
        return None
    return round(size, 9) if 0 < size < 1e6 else None
