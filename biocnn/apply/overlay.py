"""Pictures of new images: with boxes, with the density of objects, or restored."""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from biocnn.core.palette import OF_CLASSES
from biocnn.io.display import display
from biocnn.io.lazy import LazyImage
from biocnn.io.resampling import resample
from biocnn.io.stored_image import Slices

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST = 1600  # pixels of the longer side
ROW = 16  # height of a line of the legend, in pixels
_OPAQUE = 0.7  # most that a colour covers of the image
PREVIEW = 256  # pixels of a side of the part of an image that is shown beside what a network made of it


def draw(image: LazyImage, boxes: np.ndarray, outputs: Sequence[str], path: Path) -> None:
    """Draw boxes, in the colours of their classes, over a plane of at most 1600 x 1600 pixels, above a legend.

    Parameters
    ----------
    image
        Open image; larger ones are reduced.
    boxes
        Shape (M, 6): class, score, corners in pixels of the image.
    outputs
        Names of the classes.
    path
        PNG file; its folder is created.
    """
    from PIL import ImageDraw

    size, factor = _size(image)
    numbers = np.bincount(boxes[:, 0].astype(int), minlength=len(outputs))
    named = {k: f"{name} ({numbers[k]})" for k, name in enumerate(outputs) if numbers[k]}
    picture = _with_legend(_pixels(image, size), named)
    pen, width = ImageDraw.Draw(picture), max(1, ceil(max(size) / 500))
    for label, _, *corners in boxes:
        y0, x0, y1, x1 = (side / factor for side in corners)
        edges = [round(x0), round(y0), max(round(x0), round(x1) - 1), max(round(y0), round(y1) - 1)]
        pen.rectangle(edges, outline=_colour(int(label)), width=width)
    path.parent.mkdir(exist_ok=True)
    picture.save(path)


def draw_density(
    image: LazyImage, density: Callable[[Slices], np.ndarray], full: float, named: Sequence[str], path: Path
) -> None:
    """Colour an image by the density of objects of each class, above a legend.

    Parameters
    ----------
    image, path
        As for ``draw``.
    density
        Returns a window of the densities, shape (K, *window).
    full
        Density from which on colours are strongest.
    named
        Text of the legend for each class.
    """
    from PIL import ImageColor

    size, _ = _size(image)
    maps = resample(density, image.shape[1:], size, tuple(slice(0, n) for n in size))
    shown = _pixels(image, size).astype(np.float32)
    for k, one in enumerate(maps):
        share = _OPAQUE * np.clip(one / full, 0, 1)[..., None]
        shown = shown * (1 - share) + np.array(ImageColor.getrgb(_colour(k)), np.float32) * share
    path.parent.mkdir(exist_ok=True)
    _with_legend(shown.round().astype(np.uint8), dict(enumerate(named))).save(path)


def draw_restored(image: LazyImage, restored: np.ndarray, sd: np.ndarray | None, path: Path) -> None:
    """Draw the middle of an image beside the same part of the restored image, and of its standard deviation.

    Of volumes, the middle plane is shown. Parts are not reduced, because that would hide noise.

    Parameters
    ----------
    image, path
        As for ``draw``.
    restored, sd
        The restored image, with a whole number of times as many pixels along each axis; and the standard deviation of
        several networks, if any: dark is 0, white the largest value of the part. Each (C, *spatial).
    """
    from PIL import Image

    upscale = restored.shape[1] // image.shape[1]
    middle = [slice((n - m) // 2, (n + m) // 2) for n in image.shape[1:] if (m := min(n, PREVIEW))]
    if len(middle) == 3:
        middle[0] = slice(image.shape[1] // 2, image.shape[1] // 2 + 1)
    finer = tuple(slice(upscale * part.start, upscale * part.stop) for part in middle)
    parts = [display(_flat(one)) for one in (image.read(tuple(middle)), restored[:, *finer])]
    parts[0] = parts[0].repeat(upscale, 0).repeat(upscale, 1)
    if sd is not None:
        spread = _flat(sd[:, *finer]).mean(axis=0)
        parts.append(np.repeat((spread / max(spread.max(), 1e-9))[..., None], 3, axis=2))
    path.parent.mkdir(exist_ok=True)
    Image.fromarray((255 * np.concatenate(parts, axis=1)).round().astype(np.uint8)).save(path)


def _flat(part: np.ndarray) -> np.ndarray:
    """Return a plane (C, H, W) as it is, and the middle one of several planes (C, D, H, W)."""
    return part if part.ndim == 3 else part[:, part.shape[1] // 2]


def _size(image: LazyImage) -> tuple[tuple[int, ...], float]:
    """Return height and width of the picture, and the pixels of the image per pixel of it."""
    factor = max(1, max(image.shape[1:]) / LARGEST)
    return tuple(max(1, round(n / factor)) for n in image.shape[1:]), factor


def _pixels(image: LazyImage, size: tuple[int, ...]) -> np.ndarray:
    """Return an image reduced to a size, as shown to people: (*size, 3), uint8."""
    shape, window = image.shape[1:], tuple(slice(0, n) for n in size)
    pixels = image.read(window) if size == shape else resample(image.read, shape, size, window).astype(image.dtype)
    return (255 * display(pixels)).round().astype(np.uint8)


def _with_legend(shown: np.ndarray, named: dict[int, str]) -> "Image":
    """Return a picture with a line below it for each class, by number."""
    from PIL import Image, ImageDraw

    height, width = shown.shape[:2]
    picture = Image.new("RGB", (width, height + ROW * len(named)), "white")
    picture.paste(Image.fromarray(shown))
    pen = ImageDraw.Draw(picture)
    for line, (k, text) in enumerate(named.items()):
        top = height + ROW * line
        pen.rectangle([4, top + 4, 12, top + 12], fill=_colour(k))
        pen.text((18, top + 2), text, fill="black")
    return picture


def _colour(k: int) -> str:
    return OF_CLASSES[k % len(OF_CLASSES)]
