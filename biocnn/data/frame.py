"""Whole images of any size brought to the one size that a network sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from biocnn.io.resampling import resample, sizes
from biocnn.tasks import make_task
from biocnn.tasks.facts import Facts
from biocnn.tasks.inputs import make_input


class Framed(Protocol):
    """The section train of an experiment, or of a model file."""

    size: list[int] | None
    fit: Literal["crop", "stretch"] | None


@dataclass(frozen=True)
class Frame:
    """The size that images are brought to, and how.

    Parameters
    ----------
    size
        Pixels along each axis.
    fit
        ``crop``: all images are scaled by the same factor, then cropped to their centre, or continued by mirroring;
        ``stretch``: each image is resized to ``size``, whatever its shape.
    scale
        The factor, for ``crop``: new pixels per pixel.
    """

    size: tuple[int, ...]
    fit: Literal["crop", "stretch"] = "crop"
    scale: float = 1.0

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Bring an image (C, *spatial) to shape (C, *size), of the same data type; integers are rounded."""
        return self._centre(_resized(image, self.scaled(image.shape[1:])))

    def scaled(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the size of an image of a shape before it is cropped or mirrored, in pixels along each axis."""
        return self.size if self.fit == "stretch" else tuple(sizes(shape, [self.scale] * len(shape)))

    def _centre(self, image: np.ndarray) -> np.ndarray:
        """Crop to the centre; mirror what is missing."""
        margins = [n - m for n, m in zip(self.size, image.shape[1:], strict=True)]
        if any(margin > 0 for margin in margins):
            missing = [(margin // 2, margin - margin // 2) if margin > 0 else (0, 0) for margin in margins]
            image = np.pad(image, [(0, 0), *missing], mode="symmetric")
        starts = [max(0, -margin) // 2 for margin in margins]
        return image[:, *(slice(start, start + n) for start, n in zip(starts, self.size, strict=True))]


def has_frame(facts: Facts) -> bool:
    """Return whether networks for these data see whole images, all of one size."""
    return bool(make_input(facts).whole) and not make_task(facts).target.spatial


def frame_of(settings: Framed, facts: Facts) -> Frame | None:
    """Return the frame for whole images, which those of median size fill; None for sequences and for maps.

    Parameters
    ----------
    settings
        Resolved settings: what was left to the data is decided.
    facts
        Facts of the data set.
    """
    if not has_frame(facts):
        return None
    assert settings.size
    assert settings.fit
    assert facts.sizes
    scale = max(n / m for n, m in zip(settings.size, facts.sizes.median, strict=True))
    return Frame(tuple(settings.size), settings.fit, scale)


def _resized(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    shape = image.shape[1:]
    if tuple(size) == shape:
        return image
    pixels = resample(lambda window: image[:, *window], shape, size, tuple(slice(0, n) for n in size))
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        pixels = np.clip(np.rint(pixels), limits.min, limits.max)
    return pixels.astype(image.dtype)
