"""Regions of interest of ImageJ and Fiji: a ZIP file with one for each object."""

import struct
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from biocnn.apply.exports.shapes import Shape
from biocnn.core.palette import object_colours

VERSION = 228
RECTANGLE, TRACED = 1, 8  # types; a list of path segments has the type of a rectangle
SUBPIXEL = 128  # option: the position of a rectangle is given as floats
LIMIT = 2**15  # coordinates and corners from which on 16 bits do not suffice
MOVE, LINE, CLOSE = 0.0, 1.0, 4.0  # path segments
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal content makes equal files


def write_rois(path: Path, shapes: Sequence[Shape], outputs: Sequence[str]) -> None:
    """Write the outlines of objects for the ROI Manager of ImageJ.

    Boxes are rectangles. An object without holes, in one piece, is a traced polygon, whose integer coordinates are the
    corners of pixels; others are composites. A name consists of the class, unless there is only one, the label and, for
    volumes, the slice, from 1.

    Parameters
    ----------
    path
        ZIP file.
    shapes
        Outlines.
    outputs
        Names of the classes, by number.
    """
    colours = object_colours(len(outputs))
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for shape in shapes:
            words = [outputs[shape.kind]] * (len(outputs) > 1) + [f"{shape.label:04}"]
            words += [] if shape.plane is None else [f"z{shape.plane + 1:03}"]
            name = "-".join(words).replace("/", "_")
            archive.writestr(ZipInfo(f"{name}.roi", EPOCH), roi(shape, name, colours[shape.kind]), ZIP_DEFLATED)


def roi(shape: Shape, name: str, colour: str) -> bytes:
    """Encode an outline as described in ``ij.io.RoiDecoder``."""
    rings = [ring for polygon in shape.polygons for ring in polygon]
    corners = np.concatenate(rings)
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    count, size, options, body, floats = 0, 0, 0, b"", (0.0,) * 4
    if len(corners) == 4:
        kind, options = RECTANGLE, SUBPIXEL
        floats = (*corners.min(axis=0), *np.ptp(corners, axis=0))
    elif len(rings) == 1 and max(high.max(), len(corners)) < LIMIT:
        kind, count, body = TRACED, len(corners), (corners - low).T.astype(">i2").tobytes()
    else:
        path = np.concatenate([_segments(ring) for ring in rings])
        kind, size, body = RECTANGLE, len(path), path.astype(">f4").tobytes()
    bounds = np.minimum([low[1], low[0], high[1], high[0]], 2**16 - 1)
    position = 0 if shape.plane is None else shape.plane + 1
    second = 64 + len(body)  # offset of the second header
    stroke = 0xFF000000 | int(colour[1:], 16)
    header = struct.pack(">4sHBx5H4fHiI6xH4xii", b"Iout", VERSION, kind, *bounds, count, *floats, 1, size, stroke,
                         options, position, second)  # fmt: skip
    details = struct.pack(">8xiiii40x", position, 0, second + 64, len(name))
    return header + body + details + name.encode("utf-16-be")


def _segments(ring: np.ndarray) -> np.ndarray:
    """Return a ring as a list of path segments: their type, then x and y."""
    kinds = np.full((len(ring), 1), LINE)
    kinds[0] = MOVE
    return np.append(np.hstack([kinds, ring]).ravel(), CLOSE)
