"""Pictures: PNG, JPEG, BMP, GIF."""

import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.stored import RGB, TURNED_BY_TAG, Axes, Stored, check_size, damaged, orientation

_PNG_GREY = 0  # colour type in the header of a PNG
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # of Pillow
_ORIENTATION = 0x0112  # of EXIF


def open_raster(path: Path, kind: str) -> Stored:
    """Decode a picture whole, into values as they are stored.

    Raises
    ------
    InputError
        Where the file is damaged, animated, or in colours other than RGB.
    """
    with damaged(path, kind), warnings.catch_warnings(), open(path, "rb") as handle:
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which do not concern the pixels
        head = handle.read(30)
        depth = head[24] if kind == "PNG" and len(head) > 25 else 8
        image = _open(handle, kind)
        _check_frames(image, path)
        if kind == "BMP" and image.mode == "1" and head[24 if head[14] == 12 else 28] > 1:  # Pillow takes it for 1 bit
            raise InputError(f"{path}: BMP of several bits with a palette of black and white", "save it as PNG")
        check_size(path, (*image.size[::-1], len(image.getbands())), np.dtype(np.uint16 if depth == 16 else np.uint8))
        image.verify()  # the checksums of PNG, which decoding alone passes over; a verified image cannot be decoded
        if depth == 16:
            handle.seek(0)
            return _png16(handle.read(), _open(handle, kind))
        return _pillow(_open(handle, kind), path, depth if kind == "PNG" and head[25] == _PNG_GREY else 8)


def _open(handle: IO[bytes], kind: str) -> Any:
    """The picture with its header read; not by ``Image.open``, which refuses large pictures and tries other formats."""
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
    """Refuse animations and further pictures; smaller ones that cameras add to JPEG are previews."""
    frames = getattr(image, "n_frames", 1)
    if frames == 1:
        return
    if image.format in ("GIF", "PNG"):
        raise InputError(f"{path}: an animation of {frames} images", "save one image a file")
    size = image.size
    for number in range(1, frames):
        image.seek(number)
        if 2 * image.width > size[0] or 2 * image.height > size[1]:
            raise InputError(f"{path}: JPEG that holds {frames} pictures (MPO)", "save one picture a file")
    image.seek(0)


def _turn(image: Any) -> int:
    return orientation(image.getexif().get(_ORIENTATION))


def _png16(data: bytes, image: Any) -> Stored:
    """Decode 16-bit PNG; Pillow would cut colours to 8 bit."""
    import imagecodecs

    turn = _turn(image) if b"eXIf" in data or b"Raw profile" in data else 1  # Pillow decodes the pixels to look for it
    return _channels_last(imagecodecs.png_decode(data), turn)


def _pillow(image: Any, path: Path, depth: int) -> Stored:
    image.load()
    turn = _turn(image)
    if image.mode not in _MODES:
        raise InputError(f"{path}: colours of kind {image.mode}", "convert it to RGB or grey")
    palette = None
    array = np.asarray(image)
    if image.mode == "P":
        palette = _palette(image)
    elif depth in (2, 4):
        step = 255 // (2**depth - 1)  # Pillow spreads 2 and 4 bits over 0-255
        array, palette = array // step, (np.arange(2**depth, dtype=np.uint8) * step)[None]
    key = image.info.get("transparency")  # of a palette, see there; else one colour that is transparent
    if key is not None and image.mode in ("1", "L"):
        palette = np.arange(256, dtype=np.uint8)[None] if palette is None else palette
        clear = np.arange(palette.shape[1]) == (min(key, 1) if image.mode == "1" else key)
        palette = np.concatenate([palette, np.where(clear, 0, 255).astype(np.uint8)[None]])
    elif key is not None and image.mode == "RGB":
        array = np.dstack([array, np.where((array == key).all(axis=-1), 0, 255).astype(np.uint8)])
    return _channels_last(array, turn, palette)


def _palette(image: Any) -> np.ndarray:
    """Red, green, blue, and where the palette has transparency alpha, of each index: shape (3 or 4, 256), uint8."""
    ramp = image.crop((0, 0, 256, 1))
    ramp.putdata(range(256))
    return np.asarray(ramp.convert("RGBA" if "transparency" in image.info else "RGB"))[0].T


def _channels_last(array: np.ndarray, turn: int, palette: np.ndarray | None = None) -> Stored:
    """Grey or colours, (H, W) or (H, W, C), of which a second or fourth channel is transparency."""
    repairs = (TURNED_BY_TAG,) if turn > 1 else ()
    if array.ndim == 2:
        alpha = None if palette is None or len(palette) in (1, 3) else len(palette) - 1
        return Stored(array, Axes("YX"), alpha=alpha, palette=palette, turn=turn, repairs=repairs)
    alpha = array.shape[-1] in (2, 4)
    colours = array.shape[-1] - alpha
    names = RGB if colours == 3 else None
    return Stored(array, Axes("YXC"), names, alpha=colours if alpha else None, turn=turn, repairs=repairs)
