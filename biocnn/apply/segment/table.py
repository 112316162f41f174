"""The table of objects of an image, measured in groups, so that only the pixels around a group are in memory."""

import logging
from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
import pandas as pd

from biocnn.apply.measure import measure
from biocnn.apply.measure.table import AXES, SAMPLE
from biocnn.apply.segment.pieces import Pieces
from biocnn.apply.segment.scratch import Scratch
from biocnn.io.stored_image import Slices
from biocnn.prediction.compatibility import Pixels

CELL = {2: 1024, 3: 128}  # side of a grid cell; objects whose boxes start in the same cell are measured together
BAND = 4_000_000  # pixels read at once to measure the background
BYTES = 200  # memory per pixel and channel during measurement

log = logging.getLogger("biocnn")


def measure_pieces(
    pieces: Pieces,
    row: np.ndarray,
    numbers: Scratch,
    image: Pixels,
    spacing: Sequence[float] | None,
    unit: str,
    channels: Sequence[str],
    memory_gb: float,
) -> pd.DataFrame:
    """Measure objects with the result of the whole image.

    Parameters
    ----------
    pieces
        Objects.
    row
        Row of the object of each number in ``numbers``.
    numbers
        Number of the object of each pixel.
    image
        Image to measure intensities in.
    spacing, unit
        Pixel size along each axis.
    channels
        Names of the channels.
    memory_gb
        Memory bound in 10^9 bytes. An object whose box exceeds it gets only area, position, score and uncertainty; the
        log gives the number of such objects.

    Returns
    -------
    objects
        Table of ``biocnn.apply.measure``, one row per piece, in the same order; ``label`` is the row + 1. It has no
        distances to neighbours yet.
    """
    most, means = memory_gb * 1e9 / BYTES / len(channels), pieces.sums / np.maximum(pieces.area, 1)[:, None]
    shape = image.shape[1:]
    common = {"channels": channels, "unit": unit, "background": _background(numbers, image), "whole": shape}
    empty = np.zeros((3,) * len(shape), np.int32)
    blank = np.zeros((len(channels), *empty.shape), image.dtype)
    tables = [measure(empty, blank, spacing, empty, uncertainty=empty, **common)]
    large = 0
    for rows, window, local in in_groups(pieces, row, numbers, most):
        if local is None:
            large += 1
            table = _known(pieces, rows, shape, spacing, unit)
            table = table.assign(score=means[rows, 0], uncertainty=means[rows, 1])
        else:
            score, uncertainty = (np.append(0.0, values[rows])[local] for values in means.T[:2])
            start = [part.start for part in window]
            table = measure(local, image.read(window), spacing, score, uncertainty=uncertainty, offset=start, **common)
        tables.append(table.assign(label=rows + 1))
    if large:
        log.warning("objects whose shape is not measured, because they do not fit in memory_gb: %d", large)
    found = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
    return found.reindex(columns=tables[0].columns).sort_values("label", ignore_index=True)


def in_groups(
    pieces: Pieces, row: np.ndarray, numbers: Scratch, most: float
) -> Iterator[tuple[np.ndarray, Slices, np.ndarray | None]]:
    """Yield rows of objects that lie close together, their window, and their labels in it, 1 for the first row etc.

    The labels are None for an object whose window has more than ``most`` pixels; ``row`` is as for `measure_pieces`.
    """
    for rows in _groups(pieces, most):
        start, stop = _box(pieces, rows)
        window = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        yield rows, window, _local(row[numbers.read(window)], rows) if prod(stop - start) <= most else None


def _background(numbers: Scratch, image: Pixels) -> np.ndarray:
    """Compute ``background_levels`` band by band."""
    length, *others = numbers.shape
    rest, rows = tuple(slice(0, n) for n in others), max(1, BAND // prod(others))
    bands = [(slice(a, min(a + rows, length)), *rest) for a in range(0, length, rows)]
    step = max(1, -(-sum(int(np.count_nonzero(numbers.read(band) == 0)) for band in bands) // SAMPLE))
    passed, values = 0, []
    for band in bands:
        where = np.flatnonzero(numbers.read(band) == 0)
        chosen = where[-passed % step :: step]
        values.append(image.read(band).reshape(image.shape[0], -1)[:, chosen])
        passed += len(where)
    if not passed:
        return np.full(image.shape[0], np.nan)
    return np.median(np.concatenate(values, axis=1), axis=1).astype(float)


def _box(pieces: Pieces, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return start and stop of the box around some objects."""
    return pieces.start[rows].min(axis=0), pieces.stop[rows].max(axis=0)


def _groups(pieces: Pieces, most: float) -> Iterator[np.ndarray]:
    """Yield rows of objects to measure together: those whose boxes start in one cell; larger ones separately."""
    side = CELL[pieces.start.shape[1]]
    small = ((pieces.stop - pieces.start) <= side).all(axis=1)
    yield from np.flatnonzero(~small)[:, None]
    rows = np.flatnonzero(small)
    if not len(rows):
        return
    cells = pieces.start[rows] // side
    order = np.lexsort(cells.T[::-1])
    ends = np.flatnonzero((np.diff(cells[order], axis=0) != 0).any(axis=1)) + 1
    for part in np.split(rows[order], ends):
        start, stop = _box(pieces, part)
        yield from [np.sort(part)] if prod(stop - start) <= most else part[:, None]


def _local(found: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Label the objects of the given rows from 1 on; other objects in the window become background."""
    place = np.minimum(np.searchsorted(rows, found), len(rows) - 1)
    return np.where(rows[place] == found, place + 1, 0).astype(np.int32)


def _known(
    pieces: Pieces, rows: np.ndarray, shape: tuple[int, ...], spacing: Sequence[float] | None, unit: str
) -> pd.DataFrame:
    """Return the measurements that need no pixels."""
    table = {"area": pieces.area[rows]}
    ends = (pieces.start[rows] == 0) | (pieces.stop[rows] == shape)
    for i, axis in enumerate(AXES[-len(shape) :]):
        centroid = pieces.places[rows, i] / pieces.area[rows]
        table |= {
            f"centroid_{axis}": centroid,
            f"{axis}_min": pieces.start[rows, i],
            f"{axis}_max": pieces.stop[rows, i],
        }
        table |= {f"centroid_{axis}_{unit}": centroid * spacing[i]} if spacing else {}
    return pd.DataFrame(table | {"touches_edge": ends.any(axis=1)})
