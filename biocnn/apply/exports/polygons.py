"""Outlines of objects along the borders of their pixels, as polygons with holes."""

import numpy as np

Polygon = list[np.ndarray]  # the outer ring, then a ring for each hole; each (n, 2), x and y

# Step of an edge to the right, down, left, up; the object lies to the right of each edge.
STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])


def polygons(labels: np.ndarray) -> dict[int, list[Polygon]]:
    """Trace the outlines of all objects of a plane.

    Parameters
    ----------
    labels
        Shape (H, W), integers: 0 = background, each other value an object.

    Returns
    -------
    outlines
        By label, one polygon for each part of the object that is connected along the sides of pixels. Rings are int64,
        not closed, clockwise (holes counter-clockwise) on an image whose rows go down, and never touch themselves.
        Coordinates are those of pixel corners: the pixel in row r and column c reaches from (c, r) to (c + 1, r + 1),
        so that the area of the polygons is the number of pixels.
    """
    from skimage.measure import label

    parts = np.pad(label(labels, background=0, connectivity=1), 1)
    owners = np.zeros(int(parts.max()) + 1, labels.dtype)
    owners[parts[1:-1, 1:-1]] = labels
    found: dict[int, list[Polygon]] = {}
    rings: dict[int, Polygon] = {}
    for part, ring in _rings(parts):  # the outer ring of a part starts at its first corner, so it comes first
        if part not in rings:
            found.setdefault(int(owners[part]), []).append(rings.setdefault(part, []))
        rings[part].append(ring)
    return found


def _rings(parts: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Return rings with the number of their part, by first corner; ``parts`` has a margin of one pixel."""
    width = parts.shape[1]
    inner = parts[1:-1, 1:-1]
    starts = ((0, 0), (0, 1), (1, 1), (1, 0))  # row and column of the corner where the edge of a pixel starts
    edges = []
    for direction, (row, column) in enumerate(starts):
        dx, dy = STEPS[direction - 1]  # to the pixel on the other side
        beside = parts[1 + dy : parts.shape[0] - 1 + dy, 1 + dx : width - 1 + dx]
        r, c = np.nonzero((inner != 0) & (inner != beside))
        edges.append(((r + row) * width + c + column) * 4 + direction)
    known = np.sort(np.concatenate(edges))
    if not len(known):
        return []
    corner, direction = np.divmod(known, 4)
    y, x = np.divmod(corner, width)
    end_x, end_y = x + STEPS[direction, 0], y + STEPS[direction, 1]
    part = parts[_right_of(x, y, direction)]
    left, right = (parts[_right_of(end_x, end_y, (direction + turn) % 4)] == part for turn in (-1, 0))
    turn = np.where(left, -1, np.where(right, 0, 1))  # left first, so that pixels touching at a corner stay apart
    following = np.searchsorted(known, (end_y * width + end_x) * 4 + (direction + turn) % 4)
    first, rank = _along(following)
    bent = np.empty(len(known), bool)
    bent[following] = turn != 0
    order = np.lexsort((rank, first))
    order = order[bent[order]]
    cuts = np.flatnonzero(np.diff(first[order])) + 1
    points = np.stack([x, y], axis=1)
    return [(int(part[ring[0]]), points[ring]) for ring in np.split(order, cuts)]


def _right_of(x: np.ndarray, y: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column, with the margin, of the pixel to the right of an edge that starts at a corner."""
    return y + np.array([1, 1, 0, 0])[direction], x + np.array([1, 0, 0, 1])[direction]


def _along(following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each edge the first edge of its ring, and its place from there; in log2(length of a ring) passes."""
    first, jump = np.arange(len(following)), following
    while True:
        earlier = np.minimum(first, first[jump])
        if np.array_equal(earlier, first):
            break
        first, jump = earlier, jump[jump]
    last = following == first
    jump = np.where(last, np.arange(len(following)), following)
    left = np.where(last, 0, 1)  # edges until the last one
    while (left[jump] != 0).any():
        left, jump = left + left[jump], jump[jump]
    return first, -left
