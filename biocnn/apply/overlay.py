"""Pictures of new images: with objects, boxes or the density of objects drawn over them, or restored."""

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from biocnn.apply.exports.shapes import Shape
from biocnn.core.palette import class_colour
from biocnn.io.display import channel_key, display, scale_bar, unit_name
from biocnn.io.lazy import LazyImage
from biocnn.io.resampling import resample
from biocnn.io.stored_image import Slices

LARGEST, ON_PAGE = 1600, 800  # pixels of the longer side of a PNG, and of a picture for the report
SMALLEST = 800  # small images are enlarged, by a whole number, while the longer side stays below this
LOSSLESS = 150_000  # bytes up to which the picture for the report is a PNG; larger ones are JPEG
ROW = 16  # height of a line of the legend, in pixels
_OPAQUE = 0.7  # most that a colour covers of the image
_EDGE = "#1F2328"  # dark line below each coloured one, so that it is visible on bright images too
THUMBNAIL, MOST_THUMBNAILS = 256, 1000  # pixels of the longer side; number of these pictures
PREVIEW = 256  # pixels of a side of the part of an image that is shown beside what a network made of it


@dataclass
class Picture:
    """A plane of an image as shown to people, of at most 1600 x 1600 pixels.

    Parameters
    ----------
    image
        Open image; larger ones are reduced.
    spacing, unit
        Pixel size along each axis, if known.
    channels
        Names of the channels.
    plane
        Plane of a volume.
    """

    image: LazyImage
    spacing: Sequence[float] | None = None
    unit: str = "um"
    channels: Sequence[str] = ()
    plane: int | None = None
    pixels: np.ndarray = field(init=False)  # (height, width, 3), uint8

    def __post_init__(self) -> None:
        self.shape = tuple(self.image.shape[-2:])
        size = reduced(self.shape, LARGEST)
        window = tuple(slice(0, n) for n in size)
        found = self._read(window) if size == self.shape else resample(self._read, self.shape, size, window)
        shown = display(found.astype(self.image.dtype, copy=False))
        self.pixels = (255 * shown).round().astype(np.uint8)

    def _read(self, window: Slices) -> np.ndarray:
        if self.plane is None:
            return self.image.read(window)
        return self.image.read((slice(self.plane, self.plane + 1), *window))[:, 0]

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of the picture."""
        return self.pixels.shape[:2]

    def about(self) -> dict[str, Any]:
        """Return the facts that a reader of the picture needs."""
        found: dict[str, Any] = dict(zip(("height", "width"), self.shape, strict=True))
        found["key"] = channel_key(self.channels, self.image.dtype)
        if self.spacing:
            found |= {"spacing": list(map(float, self.spacing[-2:])), "unit": self.unit}
        if self.plane is not None:
            found["plane"] = f"slice {self.plane + 1} of {self.image.shape[1]}"
        return found


def reduced(shape: Sequence[int], most: int) -> tuple[int, ...]:
    """Return height and width reduced to at most ``most`` pixels."""
    factor = max(1, max(shape) / most)
    return tuple(max(1, round(n / factor)) for n in shape)


def draw_shapes(
    picture: Picture, shapes: Sequence[Shape], colours: Sequence[str], named: dict[int, str], path: Path
) -> None:
    """Draw outlines over a picture, above a legend.

    Parameters
    ----------
    picture
        Picture, which is enlarged if it is small.
    shapes
        Outlines, in pixels of the image.
    colours
        Colour of each class.
    named
        Text of the legend for some classes.
    path
        PNG file; its folder is created.
    """
    height, width = picture.size
    times = max(1, SMALLEST // max(height, width))
    drawn = Image.fromarray(picture.pixels).resize((times * width, times * height), Image.Resampling.NEAREST)
    pen, line = ImageDraw.Draw(drawn), max(1, ceil(max(drawn.size) / 600))
    scale = np.array(drawn.size) / picture.shape[::-1]
    rings = [(s.kind, ring) for s in shapes for polygon in s.polygons for ring in polygon]
    for edge in (True, False):
        for kind, ring in rings:
            points = np.round(ring * scale).astype(int)
            closed = [*map(tuple, points), *map(tuple, points[:2])]  # the first corner is drawn whole
            pen.line(closed, fill=_EDGE if edge else colours[kind], width=line + 2 * edge)
    path.parent.mkdir(exist_ok=True)
    _with_legend(np.asarray(drawn), {colours[k]: text for k, text in named.items()}, picture).save(path)


def draw_density(
    picture: Picture, density: Callable[[Slices], np.ndarray], full: float, named: Sequence[str], path: Path
) -> np.ndarray:
    """Colour a picture by the density of objects of each class, above a legend.

    Parameters
    ----------
    picture, path
        As for ``draw_shapes``.
    density
        Returns a window of the densities, shape (K, *window).
    full
        Density from which on colours are strongest.
    named
        Text of the legend for each class.

    Returns
    -------
    shown
        The coloured picture, without legend: (height, width, 3), uint8.
    """
    size = picture.size
    maps = resample(density, picture.shape, size, tuple(slice(0, n) for n in size))
    mixed = picture.pixels.astype(np.float32)
    for k, one in enumerate(maps):
        share = _OPAQUE * np.clip(one / full, 0, 1)[..., None]
        mixed = mixed * (1 - share) + np.array(ImageColor.getrgb(class_colour(k)), np.float32) * share
    shown = mixed.round().astype(np.uint8)
    path.parent.mkdir(exist_ok=True)
    _with_legend(shown, {class_colour(k): text for k, text in enumerate(named)}, picture).save(path)
    return shown


def write_svg(
    picture: Picture,
    path: Path,
    legend: Sequence[tuple[str, str]],
    *,
    shapes: Iterable[Shape] = (),
    colours: Sequence[str] = (),
    outputs: Sequence[str] = (),
    over: np.ndarray | None = None,
) -> None:
    """Write a picture with its outlines as an SVG of at most 800 x 800 pixels, which the report shows.

    Parameters
    ----------
    picture, shapes, colours
        As for ``draw_shapes``.
    path
        SVG file; its folder is created.
    legend
        Text and colour of each class.
    outputs
        Names of the classes.
    over
        Picture to show instead of outlines.
    """
    size = reduced(picture.shape, ON_PAGE)
    height, width = size
    scale = np.array([width, height]) / picture.shape[::-1]
    frame = f'width="{width}" height="{height}" preserveAspectRatio="none"'
    lines = [f'<image href="{_uri(picture.pixels, size)}" {frame}/>']
    if over is not None:
        lines.append(f'<g class="marks"><image href="{_uri(over, size)}" {frame}/></g>')
    else:
        lines.append('<g class="marks" fill="none" fill-rule="evenodd" stroke-width="1.5">')
        for one in shapes:
            drawn = "".join(_path(ring * scale) for polygon in one.polygons for ring in polygon)
            title = escape(f"{outputs[one.kind]} {one.label}")
            lines.append(
                f'<path vector-effect="non-scaling-stroke" '
                f'stroke="{colours[one.kind]}" d="{drawn}"><title>{title}</title></path>'
            )
        lines.append("</g>")
    words = json.dumps({**picture.about(), "classes": legend})
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" data-about="{escape(words)}">\n'
        + "\n".join(lines)
        + "\n</svg>\n",
        encoding="utf-8",
    )


def _uri(pixels: np.ndarray, size: tuple[int, ...]) -> str:
    """Encode a picture, reduced to a size: as PNG, with one channel if it is grey, or as JPEG where this is large."""
    picture = Image.fromarray(pixels)
    if picture.size != size[::-1]:
        picture = picture.resize(size[::-1], Image.Resampling.BOX)
    if all(np.array_equal(pixels[..., 0], pixels[..., k]) for k in (1, 2)):
        picture = picture.convert("L")
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 88})):
        picture.save(buffer := BytesIO(), kind, **options)
        if buffer.tell() <= LOSSLESS:
            break
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _path(ring: np.ndarray) -> str:
    """Return a ring with horizontal and vertical sides as an SVG path."""
    points = np.round(ring, 1)
    (x, y), found = points[0], []
    found.append(f"M{x:g} {y:g}")
    for dx, dy in np.round(np.diff(points, axis=0), 1):
        found.append(f"h{dx:g}" if dx else f"v{dy:g}")
    return "".join(found) + "z"


def thumbnail_path(folder: Path, name: str) -> Path:
    """Return the small picture of a new image, or bag of images, in the output folder."""
    safe = re.sub(r"[^\w.-]+", "_", name)
    return folder / "thumbnails" / f"{safe}.jpg"


def write_thumbnail(image: LazyImage, folder: Path, name: str) -> None:
    """Write a small picture of an image, of volumes of the middle plane, unless there are many already."""
    path = thumbnail_path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(os.listdir(path.parent)) >= MOST_THUMBNAILS:
        return
    picture = Picture(image, plane=image.shape[1] // 2 if len(image.shape) > 3 else None)
    size = reduced(picture.shape, THUMBNAIL)
    Image.fromarray(picture.pixels).resize(size[::-1], Image.Resampling.BOX).save(path, quality=90)


def draw_restored(image: LazyImage, restored: np.ndarray, sd: np.ndarray | None, path: Path) -> None:
    """Draw the middle of an image beside the same part of the restored image, and of its standard deviation.

    Of volumes, the middle plane is shown. Parts are not reduced, because that would hide noise.

    Parameters
    ----------
    image
        Open image.
    restored, sd
        The restored image, with a whole number of times as many pixels along each axis; and the standard deviation of
        several networks, if any: dark is 0, white the largest value of the part. Each (C, *spatial).
    path
        PNG file; its folder is created.
    """
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


def _with_legend(shown: np.ndarray, named: dict[str, str], of: Picture) -> Image.Image:
    """Return a picture above a line for each class, by colour, and one with a scale bar if the pixel size is known."""
    height, width = shown.shape[:2]
    lines = len(named) + bool(of.spacing)
    picture = Image.new("RGB", (width, height + ROW * lines), "white")
    picture.paste(Image.fromarray(shown))
    pen, top = ImageDraw.Draw(picture), height
    for colour, text in named.items():
        pen.rectangle([4, top + 4, 12, top + 12], fill=colour)
        pen.text((18, top + 2), text, fill="black")
        top += ROW
    if of.spacing:
        field_of_view = of.spacing[-1] * of.shape[1]
        length = scale_bar(field_of_view)
        right = 4 + round(width * length / field_of_view)
        pen.rectangle([4, top + 7, right, top + 9], fill="black")
        pen.text((right + 6, top + 2), f"{length:g} {unit_name(of.unit)}", fill="black")
    return picture
