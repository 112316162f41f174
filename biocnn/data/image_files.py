"""One image file in, channels first out: PNG, JPEG, BMP, GIF, TIFF, OME-TIFF."""

import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from biocnn.data.tiff import Decoded, read_tiff
from biocnn.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff")
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_RGB = ["red", "green", "blue"]
_PNG_GREY = 0  # colour type in the header of a PNG


class ImageFile(NamedTuple):
    """What one image file holds.

    ``pixels`` has the shape (C, H, W) and the data type of the file (native byte order; 16- and 64-bit floats become
    32-bit); ``channels`` names them; ``spacing`` is [row, column] in um per pixel, or None; ``repairs`` lists what was
    changed.
    """

    pixels: np.ndarray
    channels: list[str]
    spacing: list[float] | None
    repairs: tuple[str, ...]


def read_image(path: str | Path, axes: str | None = None) -> ImageFile:
    """Read one image of any number of channels.

    A palette becomes its colours. A constant alpha channel is dropped. Values are never rescaled.

    Parameters
    ----------
    path
        PNG, JPEG, BMP, GIF, TIFF or OME-TIFF, told by its first bytes and not by its name.
    axes
        Order of the axes of a TIFF that does not tell: letters of C, Y, X.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another kind, holds NaN or infinity, an alpha channel that varies,
        several images, z planes or time points, or axes that cannot be told.
    """
    path = Path(path)
    decoded = decode(path, axes=axes)
    pixels, kept = _drop_alpha(decoded, path)
    repairs = [*decoded.repairs, *kept]
    if pixels.dtype.kind == "f":
        bad = int(pixels.size - np.isfinite(pixels).sum())
        if bad:
            raise InputError(
                f"{path}: {bad} of {pixels.size} pixel values are NaN or infinite",
                "every pixel must be a finite number: fill or crop these pixels, or leave the image out",
            )
        if pixels.dtype != np.float32:
            repairs.append(f"{pixels.dtype.name} stored as float32")
            pixels = _as_float32(pixels, path)
    elif pixels.dtype.itemsize == 8:
        raise InputError(f"{path}: 64-bit integers", "convert the image to 8, 16 or 32 bit, or to 32-bit floats")
    names = decoded.channels or []
    if len(names) != len(pixels):
        names = ["grey"] if len(pixels) == 1 else [f"channel{i + 1}" for i in range(len(pixels))]
    return ImageFile(np.ascontiguousarray(pixels), names, decoded.spacing, tuple(repairs))


def decode(path: Path, *, axes: str | None = None, indices: bool = False) -> Decoded:
    """Decode a file into (C, H, W) in native byte order; 1-bit pixels become uint8 0 and 1.

    ``indices`` keeps the indices of a palette instead of its colours, and the values of 2- and 4-bit PNG.
    """
    kind = _kind(path)
    decoded = read_tiff(path, axes=axes, indices=indices) if kind == "TIFF" else _read_raster(path, kind, indices)
    pixels = decoded.pixels
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    elif pixels.dtype.kind not in "uif":
        raise InputError(f"{path}: pixels of type {pixels.dtype}", "allowed: integers of 8 to 32 bit, floats")
    return decoded._replace(pixels=pixels.astype(pixels.dtype.newbyteorder("="), copy=False))


def _kind(path: Path) -> str:
    if path.is_dir() or not path.exists():
        raise InputError(f"{path}: " + ("a folder, not a file" if path.is_dir() else "no such file"), "check the path")
    try:
        with open(path, "rb") as handle:
            head = handle.read(8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", "check its permissions") from error
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    found = "an empty file" if not head else f"not an image file that can be read (it starts with {head!r})"
    raise InputError(f"{path}: {found}", "allowed: PNG, JPEG, BMP, GIF, TIFF, OME-TIFF; convert it, or copy it again")


def _read_raster(path: Path, kind: str, indices: bool) -> Decoded:
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of big images and odd metadata; neither concerns the pixels
            return _png16(data) if _depth(data, kind) == 16 else _pillow(data, path, kind, indices)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, zlib.error and errors of their own
        raise InputError(f"{path}: damaged or unreadable {kind} ({error})", "copy it again, or leave it out") from error


def _depth(data: bytes, kind: str) -> int:
    """Bits of a channel, as the header of a PNG says."""
    return data[24] if kind == "PNG" and len(data) > 25 else 8


def _png16(data: bytes) -> Decoded:
    """Decode 16-bit PNG; Pillow would cut colours to 8 bit."""
    import imagecodecs

    array = imagecodecs.png_decode(data)
    return _channels_last(array, array.ndim == 3 and array.shape[-1] in (2, 4))


def _pillow(data: bytes, path: Path, kind: str, indices: bool) -> Decoded:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        image.verify()  # the checksums of PNG, which decoding alone passes over; a verified image cannot be decoded
    with Image.open(io.BytesIO(data)) as image:
        _check_frame(image, path)
        image.load()
        transparent = "transparency" in image.info
        if image.mode == "P" and not indices:
            image = image.convert("RGBA" if transparent else "RGB")
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            raise InputError(f"{path}: colours of kind {image.mode}", "convert it to RGB or grey")
        array = np.asarray(image)
        depth = _depth(data, kind)
        if indices and depth in (2, 4) and data[25] == _PNG_GREY:
            array = array // (255 // (2**depth - 1))  # Pillow spreads 2 and 4 bits over 0-255
        return _channels_last(array, image.mode in ("LA", "RGBA"))


def _check_frame(image, path: Path) -> None:
    """Refuse animations, and pixels that a viewer would turn but a reader of pixels would not."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format in ("GIF", "PNG"):
        raise InputError(f"{path}: an animation of {frames} images", "save one image a file")
    turned = image.getexif().get(0x0112, 1)
    if turned not in (0, 1):
        raise InputError(
            f"{path}: has an EXIF orientation tag ({turned}): viewers show it turned, its pixels are not",
            "turn the pixels and drop the tag (ImageMagick: mogrify -auto-orient FILE), and check that the mask fits",
        )


def _channels_last(array: np.ndarray, alpha: bool) -> Decoded:
    if array.ndim == 2:
        return Decoded(array[None])
    pixels = np.moveaxis(array, -1, 0)
    colours = len(pixels) - alpha
    return Decoded(pixels, _RGB if colours == 3 else None, None, colours if alpha else None)


def _drop_alpha(decoded: Decoded, path: Path) -> tuple[np.ndarray, list[str]]:
    pixels, alpha = decoded.pixels, decoded.alpha
    if alpha is None:
        return pixels, []
    if pixels[alpha].min() != pixels[alpha].max():
        raise InputError(
            f"{path}: its alpha channel varies ({pixels[alpha].min()} to {pixels[alpha].max()})",
            "flatten the image onto a background; only a constant alpha channel can be dropped",
        )
    return np.delete(pixels, alpha, axis=0), ["constant alpha channel dropped"]


def _as_float32(pixels: np.ndarray, path: Path) -> np.ndarray:
    if np.abs(pixels).max(initial=0) > np.finfo(np.float32).max:
        raise InputError(f"{path}: values beyond the range of 32-bit floats", "rescale the image")
    return pixels.astype(np.float32)
