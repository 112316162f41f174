"""Perimeter, convex area and surface of all objects at once; identical to scikit-image's for each."""

from functools import lru_cache
from itertools import product

import numpy as np

from biocnn.apply.measure.pixels import Pixels

# By code: 1 for a border pixel, plus 2 per adjacent and 10 per diagonal border pixel; Benkrid & Crookes.
LENGTHS = np.zeros(50)
LENGTHS[[5, 7, 15, 17, 25, 27]] = 1
LENGTHS[[21, 33]] = np.sqrt(2)
LENGTHS[[13, 23]] = (1 + np.sqrt(2)) / 2
CORNERS = tuple(product((0, 1), repeat=3))  # of a cube; the n-th corner is the n-th bit of its code
ROOM = 4_000_000  # maximum number of points of hulls computed together


def perimeters(labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Compute the length of each object's outline, through the centres of its border pixels.

    Parameters
    ----------
    labels
        Shape (H, W), integers.
    ids
        Labels present, ascending, shape (n,).

    Returns
    -------
    perimeter
        Shape (n,), in pixels.
    """
    edge = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2), bool)  # border pixels, with an empty margin
    border = edge[1:-1, 1:-1]
    border[[0, -1]] = border[:, [0, -1]] = True
    for axis in (0, 1):
        one, other = (tuple(cut if axis == i else slice(None) for i in (0, 1)) for cut in (slice(1, None), slice(-1)))
        change = labels[one] != labels[other]
        border[one] |= change
        border[other] |= change
    border &= labels != 0
    flat, is_border = np.ascontiguousarray(labels).ravel(), edge.ravel()
    where = np.flatnonzero(is_border)
    rows, columns = np.divmod(where, edge.shape[1])
    place = (rows - 1) * labels.shape[1] + columns - 1
    own, code = flat[place], np.ones(len(where), int)
    for row, column in product((-1, 0, 1), repeat=2):
        if row or column:
            near = np.take(flat, place + row * labels.shape[1] + column, mode="clip")
            found = is_border[where + row * edge.shape[1] + column] & (near == own)
            code += (10 if row and column else 2) * found
    return np.bincount(np.searchsorted(ids, own), LENGTHS[code], minlength=len(ids))


def convex_areas(pixels: Pixels) -> np.ndarray:
    """Count the pixel centres in each object's convex hull, the hull of the midpoints of its pixel edges.

    Parameters
    ----------
    pixels
        Pixels of objects in 2D.

    Returns
    -------
    area
        Shape (n,), whole numbers.
    """
    owner, row, first, last = pixels.spans()
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    top = row[starts]
    heights = np.maximum.reduceat(row, starts) - top + 1 if len(starts) else starts
    area = np.zeros(len(pixels.ids), int)
    order = np.argsort(heights, kind="stable")
    while len(order):  # smallest first, as many as fit
        fits = max(1, np.searchsorted((2 * heights[order] + 1) * np.arange(1, len(order) + 1), ROOM, side="right"))
        chosen, order = order[:fits], order[fits:]
        number = np.full(len(pixels.ids), -1)
        number[chosen] = np.arange(fits)
        mine = number[owner] >= 0
        spans = number[owner[mine]], row[mine] - top[owner[mine]], first[mine], last[mine]
        area[chosen] = _convex_areas(*spans, heights[chosen])
    return area


def _convex_areas(
    owner: np.ndarray, row: np.ndarray, first: np.ndarray, last: np.ndarray, heights: np.ndarray
) -> np.ndarray:
    """Compute areas of objects with rows 0 to heights - 1, in half-pixel units, so that integers are exact."""
    n, height = len(heights), int(heights[-1])
    left, right = (_hull_side(*_edge_middles(owner, row, column, n, height), heights) for column in (first, -last))
    columns = -right - left + 1  # per row, from the first to the last centre in the hull
    return np.bincount(np.repeat(np.arange(n), heights), columns, minlength=n).astype(int)


def _edge_middles(owner: np.ndarray, row: np.ndarray, column: np.ndarray, n: int, height: int) -> tuple:
    """Return candidate points of the left hull side by half-pixel line and object, and where they exist."""
    none = np.iinfo(np.int64).max
    places = np.full((2 * height + 1, n), none)
    places[2 * row + 1, owner] = 2 * column - 1
    for line in (2 * row, 2 * row + 2):
        places[line, owner] = np.minimum(places[line, owner], 2 * column)
    return places, places != none


def _hull_side(places: np.ndarray, there: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Return the first pixel centre right of the left side of each hull, per row of each object, concatenated.

    Andrew's monotone chain for all objects at once: points are added line by line, and the last point is removed while
    it does not bend the right way.
    """
    lines, n = places.shape
    line, place = np.zeros((2, lines, n), np.int64)
    top = np.full(n, -1)
    for y in range(lines):
        new = np.flatnonzero(there[y])
        check = new[top[new] >= 1]
        while len(check):
            a, b = (top[check] - 1, check), (top[check], check)
            bend = (line[b] - line[a]) * (places[y, check] - place[a]) - (place[b] - place[a]) * (y - line[a])
            check = check[bend <= 0]
            top[check] -= 1
            check = check[top[check] >= 1]
        top[new] += 1
        line[top[new], new], place[top[new], new] = y, places[y, new]
    rows = np.repeat(np.arange(n), heights)
    y = 2 * (np.arange(len(rows)) - np.repeat(np.cumsum(heights) - heights, heights)) + 1
    kept = np.arange(lines) <= top[:, None]
    line, place = line.T[kept], place.T[kept]  # grouped by object
    keys = np.repeat(np.arange(n) * lines, top + 1) + line
    below = np.searchsorted(keys, rows * lines + y, side="right") - 1  # the point at or above; another one follows
    (y0, y1), (x0, x1) = ((values[below], values[below + 1]) for values in (line, place))
    return -(-(x0 * (y1 - y0) + (x1 - x0) * (y - y0)) // (2 * (y1 - y0)))


def surfaces(labels: np.ndarray, ids: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Compute the surface area of each object by marching cubes, halfway between its voxels and others.

    Parameters
    ----------
    labels
        Shape (D, H, W), integers.
    ids
        Labels present, ascending, shape (n,).
    spacing
        Voxel size along each axis.

    Returns
    -------
    surface
        Shape (n,), in squared units of the spacing. About 10% too large for smooth shapes, like all surfaces drawn
        between voxels.
    """
    padded = np.pad(labels, 1)
    windows = [
        padded[tuple(slice(c, n - 1 + c) for c, n in zip(corner, padded.shape, strict=True))] for corner in CORNERS
    ]
    mixed = np.zeros(windows[0].shape, bool)  # cubes of eight voxels crossed by a surface
    for window in windows[1:]:
        mixed |= window != windows[0]
    corners = np.stack([window[mixed] for window in windows])
    areas, total = _cube_areas(spacing), np.zeros(len(ids))
    for place, own in enumerate(corners):
        new = np.flatnonzero((own != 0) & (corners[:place] != own).all(axis=0))  # each object once per cube
        code = ((corners[:, new] == own[new]) << np.arange(8)[:, None]).sum(axis=0)
        total += np.bincount(np.searchsorted(ids, own[new]), areas[code], minlength=len(ids))
    return total


@lru_cache(maxsize=8)
def _cube_areas(spacing: tuple[float, ...]) -> np.ndarray:
    """Return the surface area within a cube of eight voxel centres, for all 256 subsets that belong to an object."""
    from skimage.measure import marching_cubes, mesh_surface_area

    areas = np.zeros(256)
    for code in range(1, 255):
        cube = (code >> np.arange(8) & 1).reshape(2, 2, 2).astype(float)
        vertices, faces, *_ = marching_cubes(cube, 0.5, spacing=spacing)
        areas[code] = mesh_surface_area(vertices, faces)
    return areas
