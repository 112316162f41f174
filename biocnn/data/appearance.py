"""Appearance of each image in a few numbers, and detection of images that differ from the rest of a set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.data.duplicates import small_version
from biocnn.io.image_files import read_image

_SAMPLE = 65536  # pixels of an image from which percentiles are computed
_FAR = 6.0  # robust standard deviations from the median
_TIMES = 4.0  # factor from the usual contrast beyond which contrast is an outlier
_KINDS = 0.1  # share of images above which those that differ are a group of their own, not outliers
_EVEN = 0.8  # share of pixels equal to their neighbour from which an image may be a mask
_LESS_EVEN = 0.1  # difference of this share between a mask and its image
_CLEAR = 0.5  # standard deviations by which foreground is clearly brighter or darker than the rest
SATURATED = 0.02  # share of pixels at the brightest value
_FAINT = 0.05  # share of the contrast of the strongest channel up to which a channel may have no signal
_NOISE = 0.3  # correlation of neighbouring pixels below which a channel is noise


@dataclass(frozen=True)
class Appearance:
    """Appearance of one image with its mask.

    ``small`` is its thumbnail (see ``biocnn.data.duplicates``); ``middle`` its median brightness, ``contrast`` the
    99.8th minus the 1st percentile, ``brightest`` the share of pixels at the image's own maximum (0 if there are only
    two values), each for the channel where it is largest; ``agreement`` is the difference in mean between foreground
    and the rest, in standard deviations of the image; NaN without foreground or background; ``silent`` states for each
    channel whether it is constant, or only faint noise next to another channel.
    """

    small: np.ndarray
    middle: float
    contrast: float
    brightest: float
    agreement: float
    silent: tuple[bool, ...]


def measure_appearance(pixels: np.ndarray, foreground: np.ndarray | None = None) -> Appearance:
    """Measure the appearance of one image.

    Parameters
    ----------
    pixels
        Shape (C, *spatial).
    foreground
        Bool, shape (*spatial); None: there is no mask.
    """
    step = max(1, pixels[0].size // _SAMPLE)
    sample = pixels.reshape(len(pixels), -1)[:, ::step].astype(np.float32)
    low, middle, high = np.percentile(sample, [1, 50, 99.8], axis=1)
    tops = [plane.max() for plane in pixels]
    shares = [
        (plane == top).mean()
        for plane, top in zip(pixels, tops, strict=True)
        if ((plane > plane.min()) & (plane < top)).any()  # an image of two values is a drawing, not saturated
    ]
    return Appearance(
        small_version(pixels),
        float(middle.max()),
        float((high - low).max()),
        float(max(shares, default=0)),
        np.nan if foreground is None else _agreement(sample.mean(axis=0), foreground.ravel()[::step]),
        tuple(
            bool(one <= _FAINT * (high - low).max() and _is_noise(plane))
            for one, plane in zip(high - low, pixels, strict=True)
        ),
    )


def _is_noise(plane: np.ndarray) -> bool:
    """Check whether neighbouring pixels along the last axis are unrelated, or all equal; False without neighbours."""
    if plane.shape[-1] < 2:
        return False
    left, right = (part.ravel().astype(np.float32) for part in (plane[..., :-1], plane[..., 1:]))
    spread = left.std() * right.std()
    return bool(((left - left.mean()) * (right - right.mean())).mean() <= _NOISE * spread)


def _agreement(grey: np.ndarray, inside: np.ndarray) -> float:
    spread = float(grey.std())
    if spread == 0 or not inside.any() or inside.all():
        return np.nan
    return float(grey[inside].mean() - grey[~inside].mean()) / spread


def _few(found: np.ndarray) -> bool:
    return found.sum() <= max(1, _KINDS * len(found))


def outliers(values: np.ndarray, least: float) -> np.ndarray:
    """Find outliers among numbers.

    An outlier is more than ``_FAR`` robust standard deviations (from the median absolute deviation) and at least
    ``least`` away from the median: in a very uniform set, small differences are many deviations, but harmless.

    Returns
    -------
    outliers
        Bool, one per number; all False if more than ``_KINDS`` are far: these are another kind, not outliers.
    """
    away = np.abs(values - np.median(values))
    found = (away > _FAR * 1.4826 * np.median(away)) & (away >= least)
    return found if _few(found) else np.zeros(len(values), bool)


def unusual(appearances: list[Appearance]) -> dict[str, np.ndarray]:
    """Find images whose brightness or contrast is an outlier: by finding, bool, one per image."""
    middle, contrast = (np.array([getattr(a, name) for a in appearances]) for name in ("middle", "contrast"))
    usual = float(np.median(contrast))
    ratio = np.log2(np.maximum(contrast, 0) + max(1e-3 * usual, 1e-12))
    return {
        "contrast unlike that of the other images": outliers(ratio, np.log2(_TIMES)),
        "brightness unlike that of the other images": outliers(middle, usual),
    }


def contradicting(agreements: np.ndarray) -> np.ndarray:
    """Find masks that contradict their images: foreground is dark but bright in nearly all others, or vice versa.

    Parameters
    ----------
    agreements
        As in ``Appearance``; NaN if unknown.
    """
    known = agreements[np.isfinite(agreements)]
    if len(known) < 5:
        return np.zeros(len(agreements), bool)
    usual = float(np.median(known))
    clear = abs(usual) > 0.5 and _few(np.sign(known) != np.sign(usual))
    return (np.nan_to_num(agreements * np.sign(usual)) < -0.1) if clear else np.zeros(len(agreements), bool)


def minority_polarity(agreements: np.ndarray) -> np.ndarray:
    """Find the images of the minority polarity: foreground is dark but bright in the others, or vice versa.

    Returns none if nearly all agree; ``contradicting`` finds the few that do not.

    Parameters
    ----------
    agreements
        As in ``Appearance``; NaN if unknown.
    """
    bright, dark = agreements > _CLEAR, agreements < -_CLEAR
    fewer = dark if dark.sum() <= bright.sum() else bright
    clear = (bright | dark).sum() >= 0.8 * np.isfinite(agreements).sum()
    return fewer if clear and len(agreements) > 3 and not _few(fewer) else np.zeros(len(agreements), bool)


def looks_swapped(image: Path, mask: Path, axes: str | None = None) -> bool:
    """Check whether the first of two files is as uniform as a mask, and the second is not.

    In a mask most pixels equal their neighbour; the mask of an image has more such pixels than the image.
    """
    try:
        first, second = (read_image(path, axes).pixels for path in (image, mask))
    except InputError:  # errors are reported when all files are read
        return False
    even, other = (
        float((pixels[..., 1:] == pixels[..., :-1]).all(axis=0).mean()) if pixels.shape[-1] > 1 else 0.0
        for pixels in (first, second)
    )
    return bool(first.min() < first.max()) and even >= _EVEN and other < even - _LESS_EVEN
