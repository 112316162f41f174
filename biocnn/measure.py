"""Objects -> a table: where each is, how large, what shape, how bright."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from biocnn.errors import InputError

AXES = "zyx"
SHAPE = ("perimeter", "eccentricity", "solidity", "orientation")  # defined in 2D only
LENGTHS = {"axis_major_length": "axis_major", "axis_minor_length": "axis_minor"}


def measure(
    labels: np.ndarray,
    image: np.ndarray,
    spacing: float | Sequence[float] | None = None,
    score: np.ndarray | None = None,
    *,
    channels: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Measure each object.

    Parameters
    ----------
    labels
        Integers, shape (*spatial), 2D or 3D: 0 = background, each other number one object.
    image
        Shape (C, *spatial), the pixels in their own units.
    spacing
        Size of a pixel along each axis, row-major, in um; None where it is unknown.
    score
        Shape (*spatial), a map whose mean over an object says how sure the network is of it.
    channels
        Names of the image's channels; channel0, channel1, ... where not given.

    Returns
    -------
    objects
        One row for each object, in the order of label; no rows, but the same columns, where there is none.
        label; area (pixels; in 3D, voxels); centroid_* (pixel centres are whole numbers); *_min, *_max (bounding box,
        half-open); axis_major, axis_minor (of the ellipse of equal second moments); touches_edge; in 2D also
        perimeter, eccentricity, solidity and orientation (radians from the row axis to the major axis,
        counter-clockwise); for each channel *_mean, *_sd (of the population), *_min, *_max; score where one was given.
        With a spacing: area_um2 (in 3D volume_um3), centroid_*_um, axis_*_um, and, where pixels are square,
        perimeter_um.

    Raises
    ------
    InputError
        Where the shapes do not belong together.
    """
    labels, image = np.asarray(labels), np.asarray(image)
    channels = _check(labels, image, score, channels)
    table = _geometry(labels)
    if spacing is not None:
        table |= _physical(labels, np.broadcast_to(np.asarray(spacing, float), labels.ndim), table.get("perimeter"))
    pixels = _Pixels(labels)
    for name, channel in zip(channels, image, strict=True):
        table |= {f"{name}_{kind}": values for kind, values in pixels.statistics(channel).items()}
    if score is not None:
        table["score"] = pixels.statistics(np.asarray(score))["mean"]
    return pd.DataFrame(table)


def _geometry(labels: np.ndarray) -> dict[str, np.ndarray]:
    from skimage.measure import regionprops_table

    flat = labels.ndim == 2
    names = ("label", "area", "centroid", "bbox", *LENGTHS, *(SHAPE if flat else ()))
    found = regionprops_table(labels, properties=names)
    axes, n = AXES[-labels.ndim :], labels.ndim
    table = {"label": found["label"], "area": found["area"].astype(np.int64)}
    table |= {f"centroid_{axis}": found[f"centroid-{i}"] for i, axis in enumerate(axes)}
    table |= {f"{axis}_min": found[f"bbox-{i}"] for i, axis in enumerate(axes)}
    table |= {f"{axis}_max": found[f"bbox-{i + n}"] for i, axis in enumerate(axes)}
    table |= {name: found[key] for key, name in LENGTHS.items()}
    table |= {name: found[name] for name in SHAPE if flat}
    ends = [(found[f"bbox-{i}"] == 0) | (found[f"bbox-{i + n}"] == size) for i, size in enumerate(labels.shape)]
    return table | {"touches_edge": np.logical_or.reduce(ends)}


def _physical(labels: np.ndarray, spacing: np.ndarray, perimeter: np.ndarray | None) -> dict[str, np.ndarray]:
    from skimage.measure import regionprops_table

    found = regionprops_table(labels, properties=("area", "centroid", *LENGTHS), spacing=tuple(spacing.tolist()))
    table = {"area_um2" if labels.ndim == 2 else "volume_um3": found["area"]}
    table |= {f"centroid_{axis}_um": found[f"centroid-{i}"] for i, axis in enumerate(AXES[-labels.ndim :])}
    table |= {f"{name}_um": found[key] for key, name in LENGTHS.items()}
    if perimeter is not None and np.ptp(spacing) == 0:
        table["perimeter_um"] = perimeter * spacing[0]
    return table


class _Pixels:
    """The pixels of all objects, sorted by object once for all channels."""

    def __init__(self, labels: np.ndarray) -> None:
        where = np.flatnonzero(labels.ravel() > 0)
        ids = labels.ravel()[where]
        order = np.argsort(ids, kind="stable")
        self.where = where[order]
        self.starts = np.flatnonzero(np.diff(ids[order], prepend=0))
        self.counts = np.diff(self.starts, append=ids.size)

    def statistics(self, channel: np.ndarray) -> dict[str, np.ndarray]:
        """Mean, population standard deviation, smallest and largest value of each object."""
        values = channel.ravel()[self.where]
        if values.size == 0:
            return {kind: np.empty(0) for kind in ("mean", "sd", "min", "max")}
        mean = np.add.reduceat(values.astype(float), self.starts) / self.counts
        squares = np.add.reduceat((values - np.repeat(mean, self.counts)) ** 2, self.starts) / self.counts
        low, high = np.minimum.reduceat(values, self.starts), np.maximum.reduceat(values, self.starts)
        return {"mean": mean, "sd": np.sqrt(squares), "min": low, "max": high}


def _check(
    labels: np.ndarray, image: np.ndarray, score: np.ndarray | None, channels: Sequence[str] | None
) -> Sequence[str]:
    """The names of the channels, once all shapes were found to fit."""
    if labels.ndim not in (2, 3):
        raise InputError(f"labels of shape {labels.shape} cannot be measured", "give (H, W) or (D, H, W)")
    if image.shape[1:] != labels.shape:
        raise InputError(
            f"an image of shape {image.shape} does not belong to labels of shape {labels.shape}",
            f"give the image as (channels, {', '.join(map(str, labels.shape))})",
        )
    if score is not None and np.shape(score) != labels.shape:
        raise InputError(f"a score of shape {np.shape(score)} for labels of shape {labels.shape}", "give one per pixel")
    names = [f"channel{i}" for i in range(len(image))] if channels is None else list(channels)
    if len(names) != len(image) or len(set(names)) < len(names):
        raise InputError(f"channel names {names} for {len(image)} channel(s)", "give a different name for each channel")
    return names
