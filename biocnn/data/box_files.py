"""Files of boxes, read to one table: corners as rows and columns, and where each box is from."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from biocnn.core.errors import Collector, InputError, nearest
from biocnn.data.image_pairs import check_columns, check_rows, read_rows
from biocnn.data.labels import shown
from biocnn.io.tables import MISSING

CORNERS = ["r0", "c0", "r1", "c1"]
_NAMES = (["y0", "x0", "y1", "x1"], ["ymin", "xmin", "ymax", "xmax"])  # of columns with corners, as in CORNERS
_POINT = ["y", "x"]
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no", *MISSING)


class BoxFile(NamedTuple):
    """Images with boxes, as their files give them.

    ``images`` has the column image (paths that start at ``base``), and any others. ``boxes`` has the columns image,
    label (text), ignored (bool), the corners r0, c0, r1, c1 (float64), and where (text for messages). Corners are edges
    of pixels, or with ``origin`` 1 pixels counted from 1 that are part of the box; or with ``relative`` shares of the
    image's height and width.
    """

    images: pd.DataFrame
    boxes: pd.DataFrame
    base: Path
    origin: int = 0
    relative: bool = False


def from_table(
    table: Path, images: Path | None, group: str | None, origin: int, radius: float | None, classes: list[str] | None
) -> BoxFile:
    """Read a table with one row per box, or per point and its radius; a row without coordinates is an image without.

    Parameters
    ----------
    table
        CSV or TSV.
    images
        Folder that paths start at; None: that of the table.
    group
        Column of the groups; None: ``group`` if it exists.
    origin
        0: corners are edges of pixels; 1: they are pixels, counted from 1 and part of the box.
    radius
        Of points, in pixels; None: there is a column radius.
    classes
        If there is no column label, the one class of all boxes.

    Raises
    ------
    InputError
        If a column, cell or image is missing or invalid, or an image is in several splits or groups.
    """
    rows, base, collector = read_rows(table), images or table.parent, Collector()
    columns = ["image", *(name for name in ("split", "id", group or "group") if name in rows)]
    check_columns(rows, table, ["image"])
    given = _coordinates(rows, table, radius)
    if "label" not in rows:
        if len(classes or []) != 1:
            remedy = f"{nearest('label', rows)}; or if all boxes are of one class, name it, e.g. data.classes: [cell]"
            raise InputError(f"{table}: no column 'label' in its first line", remedy)
        rows["label"] = classes[0]
    empty = rows[given].apply(lambda column: column.str.lower().isin(MISSING))
    if "radius" in given and not empty.all(axis=1).all():
        empty["radius"] = empty["radius"] & empty[_POINT].all(axis=1)
    with collector:
        numbers = _numbers(rows[given], empty, table)
    with collector:
        _refuse_several(rows, columns[1:], table)
    with collector:
        kept = check_rows(rows.drop_duplicates("image")[columns], table, base, ["image"], group)
    with collector:
        ignored = _flags(rows, table)
    collector.finish()
    boxes = rows[["image", "label"]].assign(ignored=ignored, where=f"{table.name} line " + rows.index.astype(str))
    points = given[0] == _POINT[0]
    boxes[CORNERS] = _around(numbers.to_numpy(), origin, radius) if points else numbers.to_numpy()
    boxes = boxes[~empty.all(axis=1)]
    return BoxFile(kept.reset_index(drop=True), boxes, base, 0 if points else origin)


def _coordinates(rows: pd.DataFrame, table: Path, radius: float | None) -> list[str]:
    """Return the names of the columns with corners, or with points and their radius."""
    for names in _NAMES:
        if set(names) <= set(rows):
            if radius is not None:
                raise InputError("data.radius: is for points, but the table has corners", "leave it out")
            return names
    if not set(_POINT) <= set(rows):
        raise InputError(
            f"{table}: no columns with the corners of boxes in its first line ({', '.join(rows)})",
            "call them x0, y0, x1, y1 (or xmin, ymin, xmax, ymax); for points x, y and radius",
        )
    if (radius is None) == ("radius" not in rows):
        raise InputError(
            f"{table}: {'no radius' if radius is None else 'a column radius, and data.radius'}",
            "points need either a column radius or data.radius, in pixels, e.g. data.radius: 10",
        )
    return [*_POINT, *["radius"] * (radius is None)]


def _numbers(cells: pd.DataFrame, empty: pd.DataFrame, table: Path) -> pd.DataFrame:
    """Return cells as float64; in a row without coordinates NaN."""
    numbers = cells.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    wrong = ~np.isfinite(numbers) & ~empty.all(axis=1).to_numpy()[:, None]
    if wrong.to_numpy().any():
        row, column = np.argwhere(wrong.to_numpy())[0]
        raise InputError(
            f"{table} line {cells.index[row]}: {cells.columns[column]} is {cells.iat[row, column]!r} "
            f"({wrong.any(axis=1).sum()} such rows)",
            "give pixels as numbers, or leave all coordinates empty for an image without boxes",
        )
    return numbers


def _refuse_several(rows: pd.DataFrame, columns: list[str], table: Path) -> None:
    """Refuse different values in rows of one image."""
    for column in columns:
        values = rows.groupby("image", sort=False)[column].unique()
        several = values[values.str.len() > 1]
        if len(several):
            leak = ": what is learned from one would be tested with the same" if column == "split" else ""
            raise InputError(
                f"{table}: {len(several)} images are in more than one {column}{leak}: "
                + shown(f"{name} ({', '.join(found)})" for name, found in several.items()),
                f"give all rows of an image the same {column}",
            )


def _flags(rows: pd.DataFrame, table: Path) -> pd.Series:
    """Return which boxes are marked as difficult."""
    given = rows["difficult"].str.lower() if "difficult" in rows else pd.Series("", index=rows.index)
    wrong = given[~given.isin([*_YES, *_NO])]
    if len(wrong):
        raise InputError(f"{table} line {wrong.index[0]}: difficult is {wrong.iloc[0]!r}", "allowed: 0, 1, or empty")
    return given.isin(_YES)


def _around(points: np.ndarray, origin: int, radius: float | None) -> np.ndarray:
    """Return boxes (M, 4) around points (M, 2), or points with their radius (M, 3); edges of pixels counted from 0."""
    radii = points[:, 2:] if radius is None else np.full((len(points), 1), radius)
    middle = points[:, :2] - origin / 2  # the middle of pixel 1 is half a pixel from the edge
    return np.concatenate([middle - radii, middle + radii], axis=1)
