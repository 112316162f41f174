"""Measure objects into a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from biocnn.apply.measure.images import with_neighbours
from biocnn.apply.measure.outlines import convex_areas, perimeters, surfaces
from biocnn.apply.measure.pixels import Pixels
from biocnn.core.errors import InputError

AXES = "zyx"
SAMPLE = 1_000_000  # number of pixels sampled for the background


def measure(
    labels: np.ndarray,
    image: np.ndarray,
    spacing: float | Sequence[float] | None = None,
    score: np.ndarray | None = None,
    *,
    channels: Sequence[str] | None = None,
    unit: str = "um",
    uncertainty: np.ndarray | None = None,
    background: Sequence[float] | None = None,
    offset: Sequence[int] | None = None,
    whole: Sequence[int] | None = None,
    owned: np.ndarray | None = None,
) -> pd.DataFrame:
    """Measure each object.

    Parameters
    ----------
    labels
        Integers, shape (*spatial), 2D or 3D: 0 = background, each other value an object.
    image
        Shape (C, *spatial), in the units of the image.
    spacing
        Pixel size along each axis, row-major; None if unknown.
    score
        Shape (*spatial), map whose mean over an object is the network's confidence in it.
    channels
        Names of the channels; by default channel0, channel1, ...
    unit
        Unit of the spacing, used in column names.
    uncertainty
        Shape (*spatial), map whose mean over each object is reported.
    background
        Background level of each channel, shape (C,); measured by default.
    offset
        Start of a block in a larger image along each axis; positions refer to the larger image.
    whole
        Shape of the larger image, whose edges count for touches_edge.
    owned
        Labels to measure in a block that also contains parts of others; these objects must lie fully in it.

    Returns
    -------
    objects
        One row per object, ordered by label; without objects, no rows but the same columns. Columns: label; area
        (pixels; in 3D, voxels); centroid_* (integers at pixel centres); *_min, *_max (bounding box, half-open);
        axis_major, axis_minor (of the ellipse of equal second moments); touches_edge; in 2D perimeter, eccentricity,
        solidity and orientation (radians from the row axis to the major axis, counter-clockwise), in 3D surface and
        sphericity (with voxels of the given spacing, else cubes); per channel *_mean, *_sd (population), *_min, *_max,
        *_integrated (sum) and *_corrected (mean minus background; empty if the entire image is object); score and
        uncertainty if given; neighbour_distance, from the centroid to the nearest other centroid in the table (empty if
        there is none; for blocks see `with_neighbours`). With a spacing, in the given unit: area_um2 (in 3D
        volume_um3), centroid_*_um, axis_*_um, surface_um2, neighbour_distance_um and, for square pixels, perimeter_um.

    Raises
    ------
    InputError
        If the shapes do not match.
    """
    labels, image = np.asarray(labels), np.asarray(image)
    channels = _check(labels, image, {"score": score, "uncertainty": uncertainty}, channels)
    background = background_levels(labels, image) if background is None else background
    if owned is not None:
        labels = np.where(np.isin(labels, owned), labels, 0)
    pixels = Pixels(labels)
    offset = np.zeros(labels.ndim, int) if offset is None else np.asarray(offset)
    sizes = None if spacing is None else np.broadcast_to(np.asarray(spacing, float), labels.ndim)
    table = _geometry(labels, pixels, sizes, unit, offset, labels.shape if whole is None else whole)
    for name, channel, level in zip(channels, image, background, strict=True):
        found = pixels.statistics(channel)
        table |= {f"{name}_{kind}": values for kind, values in found.items()}
        table[f"{name}_corrected"] = found["mean"] - level
    for name, values in (("score", score), ("uncertainty", uncertainty)):
        if values is not None:
            table[name] = pixels.statistics(np.asarray(values))["mean"]
    return with_neighbours(pd.DataFrame(table), unit)


def background_levels(labels: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the median of each channel outside objects; large images are sampled at about a million pixels.

    Parameters
    ----------
    labels
        Shape (*spatial): 0 = background.
    image
        Shape (C, *spatial).

    Returns
    -------
    levels
        Shape (C,), float; NaN if there is no background.
    """
    flat = np.asarray(labels).ravel()
    every = slice(None, None, max(1, flat.size // SAMPLE))
    outside = flat[every] == 0
    if not outside.any():
        return np.full(len(image), np.nan)
    return np.array([np.median(channel.ravel()[every][outside]) for channel in np.asarray(image)], float)


def _geometry(
    labels: np.ndarray, pixels: Pixels, spacing: np.ndarray | None, unit: str, offset: np.ndarray, whole: Sequence[int]
) -> dict[str, np.ndarray]:
    axes, flat = AXES[-labels.ndim :], labels.ndim == 2
    low, high = pixels.box()
    centroid, covariance = pixels.moments(low)
    low, high, centroid = (values + offset[:, None] for values in (low, high, centroid))
    table = {"label": pixels.ids, "area": pixels.area}
    table |= {f"centroid_{axis}": centroid[i] for i, axis in enumerate(axes)}
    table |= {f"{axis}_min": low[i] for i, axis in enumerate(axes)}
    table |= {f"{axis}_max": high[i] for i, axis in enumerate(axes)}
    major, minor = _axes(covariance)
    table |= {"axis_major": major, "axis_minor": minor}
    if flat:
        table["perimeter"] = perimeters(labels, pixels.ids)
        table["eccentricity"] = np.sqrt(1 - np.divide(minor, major, out=np.ones_like(major), where=major > 0) ** 2)
        table["solidity"] = pixels.area / convex_areas(pixels)
        table["orientation"] = _orientation(covariance)
    else:
        sizes = (1.0,) * 3 if spacing is None else tuple(spacing.tolist())
        surface = surfaces(labels, pixels.ids, sizes)
        table["surface"] = surfaces(labels, pixels.ids, (1.0,) * 3)
        table["sphericity"] = (36 * np.pi * (pixels.area * np.prod(sizes)) ** 2) ** (1 / 3) / surface
    table["touches_edge"] = (low == 0).any(axis=0) | (high == np.asarray(whole)[:, None]).any(axis=0)
    if spacing is None:
        return table
    table[f"area_{unit}2" if flat else f"volume_{unit}3"] = pixels.area * np.prod(spacing)
    table |= {f"centroid_{axis}_{unit}": centroid[i] * spacing[i] for i, axis in enumerate(axes)}
    major, minor = _axes(covariance * np.outer(spacing, spacing))
    table |= {f"axis_major_{unit}": major, f"axis_minor_{unit}": minor}
    if not flat:
        table[f"surface_{unit}2"] = surface
    elif np.ptp(spacing) == 0:
        table[f"perimeter_{unit}"] = table["perimeter"] * spacing[0]
    return table


def _axes(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the full lengths of the longest and shortest axis of ellipses (ellipsoids) with these moments."""
    spread = np.clip(np.linalg.eigvalsh(covariance), 0, None)
    scale = 16 if covariance.shape[-1] == 2 else 20
    return np.sqrt(scale * spread[:, -1]), np.sqrt(scale * spread[:, 0])


def _orientation(covariance: np.ndarray) -> np.ndarray:
    """Angle from the row axis to the major axis, -pi/2 to pi/2; +-pi/4 for isotropic and diagonal shapes."""
    rows, columns, both = covariance[:, 0, 0], covariance[:, 1, 1], covariance[:, 0, 1]
    diagonal = np.where(both > 0, np.pi / 4, -np.pi / 4)
    return np.where(rows == columns, diagonal, np.arctan2(2 * both, rows - columns) / 2)


def _check(
    labels: np.ndarray, image: np.ndarray, maps: dict[str, np.ndarray | None], channels: Sequence[str] | None
) -> Sequence[str]:
    """Check that all shapes match, and return the names of the channels."""
    if labels.ndim not in (2, 3):
        raise InputError(f"labels of shape {labels.shape} cannot be measured", "give (H, W) or (D, H, W)")
    if image.shape[1:] != labels.shape:
        raise InputError(
            f"image of shape {image.shape} does not match labels of shape {labels.shape}",
            f"give the image as (channels, {', '.join(map(str, labels.shape))})",
        )
    for name, values in maps.items():
        if values is not None and np.shape(values) != labels.shape:
            raise InputError(
                f"{name} of shape {np.shape(values)} for labels of {labels.shape}", "give one value per pixel"
            )
    names = [f"channel{i}" for i in range(len(image))] if channels is None else list(channels)
    if len(names) != len(image) or len(set(names)) < len(names):
        raise InputError(f"channel names {names} for {len(image)} channel(s)", "give each channel a unique name")
    return names
