"""Numbered pieces of an image, with their position, size and sums over their pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from biocnn.io.stored_image import Slices


@dataclass
class Pieces:
    """Pieces of an image, one per row: first pixel in reading order, box, area, class, and sums over the pixels.

    ``places`` (n, axes) are sums of coordinates, ``sums`` (n, m) sums of score, uncertainty and any other maps.
    """

    first: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    area: np.ndarray
    places: np.ndarray
    kind: np.ndarray
    sums: np.ndarray

    def take(self, rows: np.ndarray) -> "Pieces":
        """Select pieces by row."""
        return Pieces(*(values[rows] for values in vars(self).values()))


def pieces_of(
    labels: np.ndarray,
    window: Slices,
    shape: tuple[int, ...],
    kind: np.ndarray,
    maps: Sequence[np.ndarray],
) -> Pieces:
    """Return the pieces 1..n of a window of an image.

    Parameters
    ----------
    labels
        Labels of the window, shape (*window), integers; each of 1..n occurs.
    window, shape
        Position of the window in the image, and the shape of the image.
    kind
        Class of each pixel, shape (*window); that of a piece is taken from its first pixel.
    maps
        m maps to sum, each of shape (*window): score, uncertainty and any others.
    """
    flat = labels.ravel()
    where = np.flatnonzero(flat)
    ids = flat[where]
    count = int(ids.max(initial=0))
    first = np.empty(count + 1, np.int64)
    first[ids[::-1]] = where[::-1]  # the first pixel is written last and stays
    first = first[1:]
    boxes = ndimage.find_objects(labels)
    origin = np.array([part.start for part in window])
    start = np.array([[part.start for part in box] for box in boxes], np.int64).reshape(count, len(window)) + origin
    stop = np.array([[part.stop for part in box] for box in boxes], np.int64).reshape(count, len(window)) + origin
    inside = np.unravel_index(first, labels.shape)
    place = np.ravel_multi_index(tuple(i + o for i, o in zip(inside, origin, strict=True)), shape)
    area = np.bincount(ids, minlength=count + 1)[1:]
    sums = [np.bincount(ids, one.ravel()[where], minlength=count + 1)[1:] for one in maps]
    along = np.unravel_index(where, labels.shape)
    places = np.stack([np.bincount(ids, axis, count + 1)[1:] for axis in along], axis=1) + area[:, None] * origin
    return Pieces(place, start, stop, area, places, kind.ravel()[first], np.stack(sums, axis=1))


def together(parts: list[Pieces]) -> Pieces:
    """Concatenate the pieces of several windows."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Pieces(*(np.concatenate(column) for column in columns))


def merged(pieces: Pieces, root: np.ndarray) -> Pieces:
    """Merge pieces that belong together; ``root``, 0..n-1, is the number of the merged piece of each."""
    n = int(root.max(initial=-1)) + 1
    start, stop = (
        np.full((n, pieces.start.shape[1]), np.iinfo(np.int64).max),
        np.zeros((n, pieces.start.shape[1]), np.int64),
    )
    first = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first, root, pieces.first)
    np.minimum.at(start, root, pieces.start)
    np.maximum.at(stop, root, pieces.stop)
    kind = np.zeros(n, pieces.kind.dtype)
    kind[root] = pieces.kind
    area = np.bincount(root, pieces.area, minlength=n).astype(np.int64)
    places, sums = (
        np.stack([np.bincount(root, one, minlength=n) for one in columns.T], axis=1)
        for columns in (pieces.places, pieces.sums)
    )
    return Pieces(first, start, stop, area, places, kind, sums)
