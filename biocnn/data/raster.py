"""Pictures: PNG, JPEG, BMP, GIF."""

import io
import warnings
from pathlib import Path

import numpy as np

from biocnn.data.stored import RGB, Axes, Stored, damaged
from biocnn.errors import InputError

_PNG_GREY = 0  # colour type in the header of a PNG


def open_raster(path: Path, kind: str, *, indices: bool = False) -> Stored:
    """Decode a picture whole; ``indices`` keeps the indices of a palette, and the values of 2- and 4-bit PNG.

    Raises
    ------
    InputError
        Where the file is damaged, animated, turned by a tag, or in colours other than RGB.
    """
    data = path.read_bytes()
    with damaged(path, kind), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of big images and odd metadata; neither concerns the pixels
        return _png16(data) if _depth(data, kind) == 16 else _pillow(data, path, kind, indices)


def _depth(data: bytes, kind: str) -> int:
    """Bits of a channel, as the header of a PNG says."""
    return data[24] if kind == "PNG" and len(data) > 25 else 8


def _png16(data: bytes) -> Stored:
    """Decode 16-bit PNG; Pillow would cut colours to 8 bit."""
    import imagecodecs

    array = imagecodecs.png_decode(data)
    return _channels_last(array, array.ndim == 3 and array.shape[-1] in (2, 4))


def _pillow(data: bytes, path: Path, kind: str, indices: bool) -> Stored:
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


def _channels_last(array: np.ndarray, alpha: bool) -> Stored:
    if array.ndim == 2:
        return Stored(array, Axes("YX"))
    colours = array.shape[-1] - alpha
    return Stored(array, Axes("YXC"), RGB if colours == 3 else None, alpha=colours if alpha else None)
