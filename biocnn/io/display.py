"""Conversion of images of any kind to colours for people."""

from collections.abc import Sequence

import numpy as np

from biocnn.core.palette import SKY, YELLOW


def display(image: np.ndarray) -> np.ndarray:
    """Convert an image for display.

    Parameters
    ----------
    image
        Shape (C, H, W), any dtype.

    Returns
    -------
    shown
        Shape (H, W, 3), float in 0..1. Three uint8 channels are used unchanged; otherwise each channel is stretched
        from its 1st to its 99.8th percentile. One channel is shown in grey, two in blue and yellow; of more, the first
        three are shown.
    """
    if image.dtype == np.uint8 and len(image) == 3:
        return np.moveaxis(image, 0, -1) / 255
    low, high = np.percentile(image, [1, 99.8], axis=(1, 2), keepdims=True)
    scaled = np.clip((image - low) / np.maximum(high - low, 1e-9), 0, 1)
    if len(image) == 1:
        return np.repeat(np.moveaxis(scaled, 0, -1), 3, axis=2)
    if len(image) == 2:
        return np.clip(scaled[0, ..., None] * _rgb(SKY) + scaled[1, ..., None] * _rgb(YELLOW), 0, 1)
    return np.moveaxis(scaled[:3], 0, -1)


def _rgb(colour: str) -> np.ndarray:
    """Return red, green and blue, 0 to 1, of a colour like ``#0072B2``."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def channel_key(channels: Sequence[str], dtype: np.dtype) -> list[tuple[str, str]]:
    """Return name and colour of each channel that ``display`` shows in a colour other than grey or its own."""
    if len(channels) == 1 or (len(channels) == 3 and dtype == np.uint8):
        return []
    colours = [SKY, YELLOW] if len(channels) == 2 else ["#FF0000", "#00FF00", "#0000FF"]
    return list(zip(channels, colours, strict=False))


def scale_bar(width: float) -> float:
    """Return the length of a scale bar: 1, 2 or 5 times a power of ten, up to a quarter of a width."""
    power = 10 ** np.floor(np.log10(width / 4))
    return float(max(step * power for step in (1, 2, 5) if step * power <= width / 4))


def unit_name(unit: str) -> str:
    """Return a unit of length as people write it."""
    return {"um": "µm"}.get(unit, unit)
