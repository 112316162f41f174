"""Compare test images of other projects with Pillow, tifffile, pydicom or nibabel."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import tifffile
from PIL import Image, ImageOps
from pydicom.pixels import apply_color_lut, apply_modality_lut

from biocnn.core.errors import InputError
from biocnn.io.image_files import ImageFile, decode, read_image
from biocnn.io.kinds import open_stored
from biocnn.io.lazy import open_image

LOSSY = 6  # mean difference in grey levels between JPEG decoders with chroma subsampling
FLIPS = {2: [-1], 3: [-2, -1], 4: [-2], 5: [], 6: [-1], 7: [-2, -1], 8: [-2]}  # axes, after swapping rows and columns


def image(path: Path) -> tuple[str, str]:
    """Judge a file: "equal" or "read" as image, completely and by windows, and as mask; else refused with a reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = read_image(path)
        except InputError as error:
            wrongly = ": damaged" in error.message and "or unreadable" not in error.message
            if wrongly and (oracle := _expected(path)):
                return "differs", f"{error.message}; but {oracle[0]} reads it"
            raise
        if wrong := _windows(path, found) or _stored(path):
            return "differs", wrong
        oracle = _expected(path)
    if oracle is None:
        return "read", "no other library reads it in this way"
    name, expected, tolerance = oracle
    if expected.shape != found.pixels.shape:
        return "differs", f"shape {found.pixels.shape}, by {name} {expected.shape}"
    off = float(np.abs(found.pixels.astype(np.float64) - expected).mean()) if expected.size else 0.0
    if off > tolerance:
        return "differs", f"{off:.3g} on average from {name}"
    return "equal", f"to {name}"


def _windows(path: Path, found: ImageFile) -> str:
    window = tuple(slice(n // 3, max(n // 3 + 1, 2 * n // 3)) for n in found.pixels.shape[1:])
    with open_image(path) as opened:
        part = opened.read(window)
    return (
        "" if np.array_equal(part, found.pixels[(slice(None), *window)]) else "a window is not that part of the image"
    )


def _stored(path: Path) -> str:
    """Check that a mask has the stored values, whatever their display."""
    mask, stored = decode(path, indices=True), open_stored(path)
    try:
        shape = stored.shape
    finally:
        stored.close()
    return "" if mask.pixels.shape == shape else f"as mask {mask.pixels.shape}, stored {shape}"


def _expected(path: Path) -> tuple[str, np.ndarray, float] | None:
    """Return a library that reads a file, its displayed pixels (C, *spatial), and the tolerance."""
    for name, read in ORACLES.items():
        try:
            found = read(path)
        except Exception:  # a library that cannot read it is no oracle
            continue
        if found is not None:
            pixels, tolerance = found
            return name, pixels.astype(np.float64), tolerance
    return None


def _nibabel(path: Path) -> tuple[np.ndarray, float] | None:
    volume = nibabel.as_closest_canonical(nibabel.load(path))
    if not isinstance(volume, nibabel.Nifti1Pair) or volume.ndim > 3 or min(volume.shape) == 1:
        return None
    # 16-bit floats and wider types become 32-bit floats.
    return np.asanyarray(volume.dataobj)[::-1, ::-1].T.astype(np.float32)[None], 1e-3


def _pydicom(path: Path) -> tuple[np.ndarray, float] | None:
    data = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in data.file_meta:
        return None
    pixels, kind = data.pixel_array, data.PhotometricInterpretation
    if int(data.get("NumberOfFrames") or 1) > 1:
        return None
    if kind == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, data)
        pixels = pixels >> 8 if pixels.dtype == np.uint16 else pixels
    elif kind == "MONOCHROME1" and data.get("RescaleType", "US") == "US":
        low = -(2 ** (data.BitsStored - 1)) if data.PixelRepresentation else 0
        pixels = 2 * low + 2**data.BitsStored - 1 - pixels.astype(np.int64)
    if data.SamplesPerPixel > 1 or kind == "PALETTE COLOR":
        return np.moveaxis(pixels, -1, 0), 0.0
    return apply_modality_lut(pixels, data)[None].astype(np.float32), 1e-3


def _tifffile(path: Path) -> tuple[np.ndarray, float] | None:
    with tifffile.TiffFile(path) as tiff:
        series, page = tiff.series[0], tiff.series[0].keyframe
        if set(series.axes) - set("YXS") or tiff.is_ome or tiff.is_imagej:
            return None
        pixels = series.asarray()
        pixels = pixels if "S" in series.axes else pixels[None]
        pixels = np.moveaxis(pixels, series.axes.index("S"), 0) if "S" in series.axes else pixels
        pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
        extra = len(pixels) - len(page.extrasamples)
        if page.photometric == 0 and ("PhotometricInterpretation" in page.tags or page.compression in (2, 3, 4)):
            pixels[:extra] = (2**page.bitspersample - 1) - pixels[:extra].astype(np.int64)
        if page.photometric == 3:
            pixels = (page.colormap >> 8)[:, pixels[0]]
        turn = page.tags["Orientation"].value if "Orientation" in page.tags else 1
    return _opaque(_turned(pixels, turn), any(one in (1, 2) for one in page.extrasamples)), 0.0


def _turned(pixels: np.ndarray, turn: int) -> np.ndarray:
    pixels = pixels.swapaxes(-1, -2) if turn >= 5 else pixels
    return np.flip(pixels, FLIPS[turn]) if turn in FLIPS else pixels


def _pillow(path: Path) -> tuple[np.ndarray, float] | None:
    with Image.open(path) as picture:
        if getattr(picture, "n_frames", 1) > 1 or (picture.format == "TIFF" and picture.mode.startswith("I")):
            return None
        deep = picture.format == "PNG" and path.read_bytes()[24] == 16
        lossy = picture.format == "JPEG" or picture.info.get("compression") == "jpeg"
        if picture.mode == "P":
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        picture = ImageOps.exif_transpose(picture)
        if picture.mode not in ("1", "L", "LA", "RGB", "RGBA", "I;16", "I;16B", "F"):
            return None
        pixels = np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1)
        pixels = _opaque(pixels, picture.mode.endswith("A"))
        # Pillow reads 16-bit colours as 8 bits.
        return (pixels.astype(int) * 257, 257.0) if deep and picture.mode[0] != "I" else (pixels, LOSSY * lossy)


def _opaque(pixels: np.ndarray, transparency: bool) -> np.ndarray:
    return pixels[:-1] if transparency else pixels


ORACLES: dict[str, Callable[[Path], Any]] = {
    "nibabel": _nibabel,
    "pydicom": _pydicom,
    "tifffile": _tifffile,
    "Pillow": _pillow,
}
