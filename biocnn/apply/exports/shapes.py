"""Outlines of objects and their properties, independent of file formats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biocnn.apply.exports.polygons import Polygon, polygons


@dataclass(frozen=True)
class Shape:
    """The outline of an object in a plane.

    Parameters
    ----------
    label
        Its number in the image, as in the tables.
    kind
        Number of its class, from 0.
    score
        Confidence in it, 0 to 1.
    polygons
        Its parts: see ``biocnn.apply.exports.polygons.polygons``.
    plane
        Plane of a volume, from 0; None in images.
    """

    label: int
    kind: int
    score: float
    polygons: list[Polygon]
    plane: int | None = None


def object_shapes(
    labels: np.ndarray,
    offset: Sequence[int],
    number: np.ndarray,
    kind: np.ndarray,
    score: np.ndarray,
    scale: Sequence[float] = (),
) -> list[Shape]:
    """Outline the objects of a window, each plane of a volume separately.

    Parameters
    ----------
    labels
        Shape (*window), integers, 0 = background, 1..n.
    offset
        Start of the window in the image along each axis.
    number, kind, score
        Label, class and score of each object, shape (n,).
    scale
        Width and height of a pixel in pixels of the image; outlines are then floats.
    """
    planes = [labels] if labels.ndim == 2 else list(labels)
    found = []
    for z, plane in enumerate(planes):
        for i, parts in sorted(polygons(plane).items()):
            moved = [[ring + offset[:-3:-1] for ring in polygon] for polygon in parts]
            if len(scale):
                moved = [[ring * scale for ring in polygon] for polygon in moved]
            place = offset[0] + z if labels.ndim == 3 else None
            found.append(Shape(int(number[i - 1]), int(kind[i - 1]), float(score[i - 1]), moved, place))
    return found


def box_shapes(boxes: np.ndarray) -> list[Shape]:
    """Return the outlines of boxes, numbered from 1; (M, 6): class, score, corners in pixels."""
    found = []
    for number, (kind, score, y0, x0, y1, x1) in enumerate(boxes.astype(float), 1):
        ring = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        found.append(Shape(number, int(kind), score, [[ring]]))
    return found
