"""Read PNG, JPEG, BMP and GIF images."""

import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.stored_image import RGB, TURNED_BY_TAG, Axes, StoredImage, check_size, damaged, orientation

_PNG_GREY = 0  # colour type in the header of a PNG
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # supported modes of Pillow
_ORIENTATION = 0x0112  # EXIF tag


def open_raster(path: Path, kind: str) -> StoredImage:
    """Decode an image to its stored values.

    Raises
    ------
    InputError
        If the file is damaged, animated, or in a colour space other than RGB.
    """
    with damaged(path, kind), warnings.catch_warnings(), open(path, "rb") as handle:
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata, which does not affect the pixels
        head = handle.read(30)
        depth = head[24] if kind == "PNG" and len(head) > 25 else 8
        image = _open(handle, kind)
        _check_frames(image, path)
        if kind == "BMP" and image.mode == "1" and head[24 if head[14] == 12 else 28] > 1:  # Pillow treats it as 1-bit
            raise InputError(f"{path}: multi-bit BMP with a black-and-white palette", "save it as PNG")
        check_size(path, (*image.size[::-1], len(image.getbands())), np.dtype(np.uint16 if depth == 16 else np.uint8))
        image.verify()  # checks the CRCs of PNG, which decoding ignores; the image cannot be decoded afterwards
        if depth == 16:
            handle.seek(0)
            return _png16(handle.read(), _open(handle, kind))
        return _pillow(_open(handle, kind), path, depth if kind == "PNG" and head[25] == _PNG_GREY else 8)


def _open(handle: IO[bytes], kind: str) -> Any:
    """Read the header; unlike ``Image.open``, accept large images and try only the given format."""
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin

    handle.seek(0)
    openers = {
        "PNG": PngImagePlugin.PngImageFile,
        "JPEG": JpegImagePlugin.jpeg_factory,
        "BMP": BmpImagePlugin.BmpImageFile,
        "GIF": GifImagePlugin.GifImageFile,
    }
    return openers[kind](handle)


def _check_frames(image: Any, path: Path) -> None:
    """Refuse animations and multiple images, except the small previews that cameras add to JPEG."""
    frames = getattr(image, "n_frames", 1)
    if frames == 1:
        return
    if image.format in ("GIF", "PNG"):
        raise InputError(f"{path}: an animation with {frames} frames", "save one image per file")
    size = image.size
    for number in range(1, frames):
        image.seek(number)
        if 2 * image.width > size[0] or 2 * image.height > size[1]:
            raise InputError(f"{path}: JPEG file with {frames} images (MPO)", "save one image per file")
    image.seek(0)


def _turn(image: Any) -> int:
    return orientation(image.getexif().get(_ORIENTATION))


def _png16(data: bytes, image: Any) -> StoredImage:
    """Decode 16-bit PNG; Pillow would truncate colours to 8 bits."""
    import imagecodecs

    turn = (
        _turn(image) if b"eXIf" in data or b"Raw profile" in data else 1
    )  # checked first, since Pillow decodes all pixels to find it
    return _channels_last(imagecodecs.png_decode(data), turn)


def _pillow(image: Any, path: Path, depth: int) -> StoredImage:
    image.load()
    turn = _turn(image)
    if image.mode not in _MODES:
        raise InputError(f"{path}: colour mode {image.mode}", "convert it to RGB or greyscale")
    palette = None
    array = np.asarray(image)
    if image.mode == "P":
        palette = _palette(image)
    elif depth in (2, 4):
        step = 255 // (2**depth - 1)  # Pillow stretches 2 and 4 bits to 0-255
        array, palette = array // step, (np.arange(2**depth, dtype=np.uint8) * step)[None]
    key = image.info.get("transparency")  # the transparent colour; for palettes see _palette
    if key is not None and image.mode in ("1", "L"):
        palette = np.arange(256, dtype=np.uint8)[None] if palette is None else palette
        clear = np.arange(palette.shape[1]) == (min(key, 1) if image.mode == "1" else key)
        palette = np.concatenate([palette, np.where(clear, 0, 255).astype(np.uint8)[None]])
    elif key is not None and image.mode == "RGB":
        array = np.dstack([array, np.where((array == key).all(axis=-1), 0, 255).astype(np.uint8)])
    return _channels_last(array, turn, palette)


def _palette(image: Any) -> np.ndarray:
    """Return red, green, blue and, if the palette has transparency, alpha: shape (3 or 4, 256), uint8."""
    ramp = image.crop((0, 0, 256, 1))
    ramp.putdata(range(256))
    return np.asarray(ramp.convert("RGBA" if "transparency" in image.info else "RGB"))[0].T


def _channels_last(array: np.ndarray, turn: int, palette: np.ndarray | None = None) -> StoredImage:
    """Wrap an array (H, W) or (H, W, C), where a second or fourth channel is alpha."""
    repairs = (TURNED_BY_TAG,) if turn > 1 else ()
    if array.ndim == 2:
        alpha = None if palette is None or len(palette) in (1, 3) else len(palette) - 1
        return StoredImage(array, Axes("YX"), alpha=alpha, palette=palette, turn=turn, repairs=repairs)
    alpha = array.shape[-1] in (2, 4)
    colours = array.shape[-1] - alpha
    names = RGB if colours == 3 else None
    return StoredImage(array, Axes("YXC"), names, alpha=colours if alpha else None, turn=turn, repairs=repairs)
