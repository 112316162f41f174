"""What the table of objects says of an image: who is whose neighbour, and all in a row."""

import re
from math import prod

import numpy as np
import pandas as pd


def with_neighbours(objects: pd.DataFrame, unit: str = "um") -> pd.DataFrame:
    """Measure from each centroid to the nearest other one.

    Parameters
    ----------
    objects
        Objects of one image and class, as `measure` tells them; of blocks, all of them, joined.
    unit
        Of the columns in physical units.

    Returns
    -------
    objects
        With the columns neighbour_distance, in pixels, and, where there are centroids in the unit,
        neighbour_distance_um; nan where there is no other object.
    """
    found = {}
    for suffix in ("", f"_{unit}"):
        columns = [name for name in objects if re.fullmatch(f"centroid_[zyx]{suffix}", name)]
        if columns:
            found[f"neighbour_distance{suffix}"] = _nearest(objects[columns].to_numpy(float))
    return objects.assign(**found)


def _nearest(points: np.ndarray) -> np.ndarray:
    from scipy.spatial import KDTree

    if len(points) < 2:
        return np.full(len(points), np.nan)
    return KDTree(points).query(points, k=2)[0][:, 1]


def summarise(objects: pd.DataFrame, shape: tuple[int, ...]) -> dict[str, float]:
    """One image in a row.

    Parameters
    ----------
    objects
        Its objects of one class, as `measure` tells them.
    shape
        Of the image, (*spatial).

    Returns
    -------
    row
        n_objects; n_touching_edge; area_fraction, the share of pixels in objects; mean and median of the objects' area,
        also in physical units where there are, of their shape, of each channel's mean and corrected mean, of score and
        uncertainty; nan where there is no object.
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
    sure = [name for name in ("score", "uncertainty") if name in objects]
    for name in (*sizes, *shapes, *bright, *sure):
        values = objects[name].to_numpy(float)
        row[f"{name}_mean"] = float(values.mean()) if len(values) else np.nan
        row[f"{name}_median"] = float(np.median(values)) if len(values) else np.nan
    return row
