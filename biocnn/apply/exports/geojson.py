"""Objects as GeoJSON, in the convention of QuPath."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from biocnn.apply.exports.shapes import Shape
from biocnn.core.palette import object_colours


def write_geojson(path: Path, shapes: Sequence[Shape], outputs: Sequence[str], kind: str) -> None:
    """Write a FeatureCollection, one feature per outline, with coordinates in pixels.

    As in QuPath, the pixel in row r and column c reaches from (c, r) to (c + 1, r + 1), and planes are numbered from 0.

    Parameters
    ----------
    path
        File, one line per feature.
    shapes
        Outlines.
    outputs
        Names of the classes, by number.
    kind
        Type of object of QuPath: ``detection`` or ``annotation``.
    """
    colours, lines = object_colours(len(outputs)), []
    for shape in shapes:
        parts = [[_closed(ring) for ring in polygon] for polygon in shape.polygons]
        geometry: dict[str, Any] = {"type": "MultiPolygon", "coordinates": parts}
        if len(parts) == 1:
            geometry = {"type": "Polygon", "coordinates": parts[0]}
        if shape.plane is not None:
            geometry["plane"] = {"c": -1, "z": shape.plane, "t": 0}
        colour = [int(colours[shape.kind][i : i + 2], 16) for i in (1, 3, 5)]
        properties = {
            "objectType": kind,
            "name": str(shape.label),
            "classification": {"name": outputs[shape.kind], "color": colour},
            "measurements": {"score": round(shape.score, 6)},
        }
        name = f"{path.stem} {outputs[shape.kind]} {shape.label} {shape.plane}"
        feature = {"type": "Feature", "id": str(uuid5(NAMESPACE_OID, name)), "geometry": geometry}
        lines.append(json.dumps({**feature, "properties": properties}))
    body = ",\n".join(lines)
    path.write_text(f'{{"type": "FeatureCollection", "features": [\n{body}\n]}}\n', encoding="utf-8")


def _closed(ring: np.ndarray) -> list[list[float]]:
    """Return a ring whose last point is its first one; outer rings have the orientation that RFC 7946 requires."""
    return [*ring.tolist(), ring[0].tolist()]
