"""Pictures of new images with boxes."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np

from biocnn.core.palette import OF_CLASSES
from biocnn.io.display import display
from biocnn.io.lazy import LazyImage
from biocnn.io.resampling import resample

LARGEST = 1600  # pixels of the longer side
ROW = 16  # height of a line of the legend, in pixels


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
    from PIL import Image, ImageDraw

    shape = image.shape[1:]
    factor = max(1, max(shape) / LARGEST)
    size = tuple(max(1, round(n / factor)) for n in shape)
    window = tuple(slice(0, n) for n in size)
    pixels = image.read(window) if size == shape else resample(image.read, shape, size, window).astype(image.dtype)
    shown = (255 * display(pixels)).round().astype(np.uint8)
    numbers = np.bincount(boxes[:, 0].astype(int), minlength=len(outputs))
    named = [(k, f"{name} ({numbers[k]})") for k, name in enumerate(outputs) if numbers[k]]
    picture = Image.new("RGB", (size[1], size[0] + ROW * len(named)), "white")
    picture.paste(Image.fromarray(shown))
    pen, width = ImageDraw.Draw(picture), max(1, ceil(max(size) / 500))
    for label, _, *corners in boxes:
        y0, x0, y1, x1 = (side / factor for side in corners)
        edges = [round(x0), round(y0), max(round(x0), round(x1) - 1), max(round(y0), round(y1) - 1)]
        pen.rectangle(edges, outline=OF_CLASSES[int(label) % len(OF_CLASSES)], width=width)
    for line, (k, text) in enumerate(named):
        top = size[0] + ROW * line
        pen.rectangle([4, top + 4, 12, top + 12], fill=OF_CLASSES[k % len(OF_CLASSES)])
        pen.text((18, top + 2), text, fill="black")
    path.parent.mkdir(exist_ok=True)
    picture.save(path)
