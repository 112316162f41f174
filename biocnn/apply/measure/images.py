"""Per-image measurements from the table of objects: nearest neighbours and a summary row."""

import re
from math import prod

import numpy as np
import pandas as pd


def with_neighbours(objects: pd.DataFrame, unit: str = "um") -> pd.DataFrame:
    """Measure the distance from each centroid to the nearest other one.

    Parameters
    ----------
    objects
        Objects of one image and class from `measure`; for blocks, of all blocks joined.
    unit
        Unit of the columns in physical units.

    Returns
    -------
    objects
        Objects with the columns neighbour_distance, in pixels, and, if there are centroids in the unit,
        neighbour_distance_um; NaN if there is no other object.
    """
    distances = {}
    for suffix in ("", f"_{unit}"):
        columns = [name for name in objects if re.fullmatch(f"centroid_[zyx]{suffix}", name)]
        if columns:
            distances[f"neighbour_distance{suffix}"] = _nearest(objects[columns].to_numpy(float))
    return objects.assign(**distances)


def _nearest(points: np.ndarray) -> np.ndarray:
    from scipy.spatial import KDTree

    if len(points) < 2:
        return np.full(len(points), np.nan)
    return KDTree(points).query(points, k=2)[0][:, 1]


def summarise(objects: pd.DataFrame, shape: tuple[int, ...]) -> dict[str, float]:
    """Summarise an image in one row.

    Parameters
    ----------
    objects
        Objects of one class from `measure`.
    shape
        Shape of the image, (*spatial).

    Returns
    -------
    row
        n_objects; n_touching_edge; area_fraction, the fraction of pixels in objects; mean and median of area (also in
        physical units if available), shape, mean and corrected mean of each channel, score and uncertainty; NaN if
        there is no object.
    """
    area = objects["area"].to_numpy()
    row = {
        "n_objects": len(objects),
        "n_touching_edge": int(objects["touches_edge"].sum()),
        "area_fraction": float(area.sum()) / max(prod(shape), 1),
    }
    sizes = [name for name in objects if re.fullmatch(r"area|area_[a-z]+2|volume_[a-z]+3", name)]
    shapes = [name for name in ("eccentricity", "solidity", "sphericity") if name in objects]
    bright = [name for name in objects if name.endswith(("_mean", "_corrected"))]
    confidence = [name for name in ("score", "uncertainty") if name in objects]
    for name in (*sizes, *shapes, *bright, *confidence):
        values = objects[name].to_numpy(float)
        row[f"{name}_mean"] = float(values.mean()) if len(values) else np.nan
        row[f"{name}_median"] = float(np.median(values)) if len(values) else np.nan
    return row
