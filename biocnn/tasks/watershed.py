"""Conversion of predicted maps to labelled objects."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from scipy import ndimage

from biocnn.metrics import average_precision_iou

# Values tried for each setting of `label_instances`, in the order of their importance, repeatedly while it helps.
CHOICES = {
    "mask_threshold": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
    "peak_threshold": (0.4, 0.8, 1.0, 1.2, 1.4, 1.6),
    "seed_threshold": (0.2, 0.5, 0.8, 1.0, 1.2, 1.4),
    "min_size": (0, 8, 16, 32, 64, 128),
    "smoothing": (0.5, 1.0, 1.5, 2.0, 3.0),
}
ROUNDS = 2
TUNING_PIXELS = 8_000_000  # a core labels about this many 60 times per minute


def label_instances(
    probability: np.ndarray,
    *,
    mask_threshold: float = 0.5,
    seed_threshold: float = 0.8,
    peak_threshold: float = 1.2,
    smoothing: float | Sequence[float] = 0.5,
    min_size: int = 8,
) -> np.ndarray:
    """Convert a network's maps to labelled objects.

    Seeds and watershed share one landscape: distance + P(inside) - P(boundary), between -1 and 2, high in the middle
    of objects and low between touching ones. A seed is a connected region above a threshold that contains a peak, so
    that a bay or spur of an object, which is high enough but has no peak, does not become an object.

    Parameters
    ----------
    probability
        Shape (4, *spatial): P(background), P(inside), P(boundary), and the distance to the object's edge divided by the
        object's largest (predictions of the maps from `instance_targets`).
    mask_threshold
        A pixel can belong to an object if 1 - P(background) is larger, whether inside or boundary.
    seed_threshold
        Height above which neighbouring pixels belong to one seed.
    peak_threshold
        Height that a seed must reach somewhere; regions without a seed remain background.
    smoothing
        Standard deviation of the Gaussian blur of the landscape, in pixels; one number, or one per axis.
    min_size
        Objects of fewer pixels are removed.

    Returns
    -------
    labels
        Shape (*spatial), int32: 0 = background, 1..n = objects, each without holes.
    """
    from skimage.segmentation import watershed

    mask = probability[0] < 1 - mask_threshold
    height = landscape(probability, smoothing)
    seeds = _seeds(height, mask, seed_threshold, peak_threshold)
    labels = watershed(-height, seeds, mask=mask)
    return _drop_small(fill_holes(labels), min_size).astype(np.int32)


def settings_at(settings: dict[str, Any], zoom: Sequence[float]) -> dict[str, Any]:
    """Adapt settings of ``label_instances`` to a different pixel size.

    Parameters
    ----------
    settings
        Some of its keyword arguments.
    zoom
        Number of pixels per pixel that the settings were tuned for, along each axis; empty: the same size.
    """
    if all(z == 1 for z in zoom):
        return settings
    known = (label_instances.__kwdefaults__ or {}) | settings
    blur, size = (known["smoothing"] * z for z in zoom), known["min_size"] * prod(zoom)
    return known | {"smoothing": tuple(blur), "min_size": round(size)}


def landscape(probability: np.ndarray, smoothing: float | Sequence[float]) -> np.ndarray:
    """Return distance + P(inside) - P(boundary), blurred: high in the middle of objects, low between them."""
    height = probability[3].astype(np.float32) + probability[1] - probability[2]
    return ndimage.gaussian_filter(height, smoothing) if smoothing else height


def _seeds(height: np.ndarray, mask: np.ndarray, threshold: float, peak: float) -> np.ndarray:
    """Label the connected regions above the threshold, including diagonals, that reach the peak."""
    everywhere = np.ones((3,) * mask.ndim, bool)
    seeds, count = ndimage.label(mask & (height > threshold), structure=everywhere)
    reached = np.zeros(count + 1, bool)
    reached[seeds[mask & (height >= max(peak, threshold))]] = True
    reached[0] = False
    return np.where(reached, np.cumsum(reached), 0)[seeds]


def _drop_small(labels: np.ndarray, min_size: int) -> np.ndarray:
    """Remove objects of fewer than ``min_size`` pixels and renumber the others 1..n."""
    keep = np.bincount(labels.ravel()) >= min_size
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0)[labels]


def tune_instances(probabilities: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> dict[str, float | int]:
    """Choose the settings of `label_instances` on validation images.

    Settings are changed one at a time, and a change is kept if it increases the mean over images of the mean average
    precision at IoU .5, .6, .7, .8 and .9; two rounds over all settings.

    Parameters
    ----------
    probabilities
        One array per image, shape (4, *spatial), as for `label_instances`.
    labels
        The true objects of each image, shape (*spatial). At most 8 million pixels are used: of more, every second
        (third, ...) image.

    Returns
    -------
    settings
        Keyword arguments of `label_instances`; its defaults if there are no images, or nothing is better.
    """
    step = max(1, -(-sum(truth.size for truth in labels) // TUNING_PIXELS))
    pairs = list(zip(probabilities, labels, strict=True))[::step]
    best: dict[str, Any] = dict(label_instances.__kwdefaults__ or {})
    if not pairs:
        return best
    tried = {tuple(best.values()): _mean_precision(pairs, best)}
    for _ in range(ROUNDS):
        for name, values in CHOICES.items():
            for settings in ({**best, name: value} for value in values):
                if tuple(settings.values()) not in tried and settings["peak_threshold"] >= settings["seed_threshold"]:
                    tried[tuple(settings.values())] = _mean_precision(pairs, settings)
            chosen = max(tried, key=lambda values: tried[values])
            best = dict(zip(best, chosen, strict=True))
    return best


def _mean_precision(pairs: Sequence[tuple[np.ndarray, np.ndarray]], settings: dict[str, Any]) -> float:
    """Return the mean average precision over images and thresholds for some settings."""
    return float(np.mean([average_precision_iou(label_instances(maps, **settings), truth) for maps, truth in pairs]))


def fill_holes(labels: np.ndarray) -> np.ndarray:
    """Fill background enclosed by a single object; gaps between objects and at the border of the image are kept.

    Parameters
    ----------
    labels
        Shape (*spatial), integers.

    Returns
    -------
    labels
        A copy with holes filled.
    """
    holes, count = ndimage.label(labels == 0)
    if count <= 1:
        return labels.copy()
    window = 3
    highest = ndimage.maximum_filter(labels, window)
    lowest = ndimage.minimum_filter(np.where(labels == 0, labels.max() + 1, labels), window)
    numbers = np.arange(count + 1)
    top = ndimage.maximum(highest, holes, numbers)
    bottom = ndimage.minimum(lowest, holes, numbers)
    owner = np.where(top == bottom, top, 0).astype(labels.dtype)
    owner[0] = 0
    owner[_numbers_at_ends(holes)] = 0
    return np.where(labels == 0, owner[holes], labels)


def _numbers_at_ends(values: np.ndarray) -> np.ndarray:
    """Return the numbers on the outermost pixels of an array."""
    faces = [values.take(end, axis) for axis in range(values.ndim) for end in (0, -1)]
    return np.unique(np.concatenate([face.ravel() for face in faces]))
