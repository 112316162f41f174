"""Outlines in the formats that an experiment requests."""

from collections.abc import Sequence
from pathlib import Path

from biocnn.apply.exports.geojson import write_geojson
from biocnn.apply.exports.rois import write_rois
from biocnn.apply.exports.shapes import Shape


def write_shapes(
    folder: Path, name: str, shapes: Sequence[Shape], outputs: Sequence[str], exports: Sequence[str], kind: str
) -> None:
    """Write the outlines of an image: rois/NAME.zip and geojson/NAME.geojson, if chosen.

    Parameters
    ----------
    folder, name
        Output folder, and name of the image.
    shapes
        Outlines, in the order of the table.
    outputs
        Names of the classes.
    exports
        Formats, see ``biocnn.config.settings.Apply``.
    kind
        Type of object of QuPath: see ``write_geojson``.
    """
    if "rois" in exports:
        (folder / "rois").mkdir(exist_ok=True)
        write_rois(folder / "rois" / f"{name}.zip", shapes, outputs)
    if "geojson" in exports:
        (folder / "geojson").mkdir(exist_ok=True)
        write_geojson(folder / "geojson" / f"{name}.geojson", shapes, outputs, kind)
