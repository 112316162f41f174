"""The table of objects."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from biocnn.apply.measure.images import with_neighbours
from biocnn.apply.measure.outlines import convex_areas, perimeters, surfaces
from biocnn.apply.measure.pixels import Pixels
from biocnn.core.errors import InputError

AXES = "zyx"
SAMPLE = 1_000_000  # pixels that are looked at for the background


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
        Integers, shape (*spatial), 2D or 3D: 0 = background, each other number one object.
    image
        Shape (C, *spatial), the pixels in their own units.
    spacing
        Size of a pixel along each axis, row-major; None where it is unknown.
    score
        Shape (*spatial), a map whose mean over an object says how sure the network is of it.
    channels
        Names of the image's channels; channel0, channel1, ... where not given.
    unit
        Of the spacing, as the names of columns have it.
    uncertainty
        Shape (*spatial), a map whose mean over an object is told, too.
    background
        Brightness of each channel where there is no object, shape (C,); measured where not given.
    offset
        Where a block of a larger image starts in it, along each axis; positions are told in the larger image.
    whole
        Shape of the larger image, whose ends objects touch, or not.
    owned
        Labels to measure, of a block that holds parts of others, too; objects must lie in the block as a whole.

    Returns
    -------
    objects
        One row for each object, in the order of label; no rows, but the same columns, where there is none.
        label; area (pixels; in 3D, voxels); centroid_* (pixel centres are whole numbers); *_min, *_max (bounding box,
        half-open); axis_major, axis_minor (of the ellipse of equal second moments); touches_edge; in 2D perimeter,
        eccentricity, solidity and orientation (radians from the row axis to the major axis, counter-clockwise), in 3D
        surface and sphericity (of voxels as they are spaced, else of cubes); for each channel *_mean, *_sd (of the
        population), *_min, *_max, *_integrated (the sum) and *_corrected (the mean less the background; empty where all
        of the image is object); score and uncertainty where they were given; neighbour_distance, from centroid to the
        nearest other centroid in the table (empty where there is none; of blocks, see `with_neighbours`).
        With a spacing: area_um2 (in 3D volume_um3), centroid_*_um, axis_*_um, surface_um2, neighbour_distance_um and,
        where pixels are square, perimeter_um, in the unit that was given.

    Raises
    ------
    InputError
        Where the shapes do not belong together.
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
    """The median of each channel where there is no object; of a large image, only some million pixels are looked at.

    Parameters
    ----------
    labels
        Shape (*spatial): 0 = background.
    image
        Shape (C, *spatial).

    Returns
    -------
    levels
        Shape (C,), float; nan where there is no background.
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
    """The longest and the shortest axis of the ellipses (ellipsoids) of these second moments, end to end."""
    spread = np.clip(np.linalg.eigvalsh(covariance), 0, None)
    scale = 16 if covariance.shape[-1] == 2 else 20
    return np.sqrt(scale * spread[:, -1]), np.sqrt(scale * spread[:, 0])


def _orientation(covariance: np.ndarray) -> np.ndarray:
    """From the row axis to the major axis, -pi/2 to pi/2; of shapes without one, and of diagonal ones, +-pi/4."""
    rows, columns, both = covariance[:, 0, 0], covariance[:, 1, 1], covariance[:, 0, 1]
    diagonal = np.where(both > 0, np.pi / 4, -np.pi / 4)
    return np.where(rows == columns, diagonal, np.arctan2(2 * both, rows - columns) / 2)


def _check(
    labels: np.ndarray, image: np.ndarray, maps: dict[str, np.ndarray | None], channels: Sequence[str] | None
) -> Sequence[str]:
    """The names of the channels, once all shapes were found to fit."""
    if labels.ndim not in (2, 3):
        raise InputError(f"labels of shape {labels.shape} cannot be measured", "give (H, W) or (D, H, W)")
    if image.shape[1:] != labels.shape:
        raise InputError(
            f"an image of shape {image.shape} does not belong to labels of shape {labels.shape}",
            f"give the image as (channels, {', '.join(map(str, labels.shape))})",
        )
    for name, values in maps.items():
        if values is not None and np.shape(values) != labels.shape:
            raise InputError(f"{name} of shape {np.shape(values)} for labels of {labels.shape}", "give one per pixel")
    names = [f"channel{i}" for i in range(len(image))] if channels is None else list(channels)
    if len(names) != len(image) or len(set(names)) < len(names):
        raise InputError(f"channel names {names} for {len(image)} channel(s)", "give a different name for each channel")
    return names
