"""Pictures and outlines of the objects of an image, while their numbers are available."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biocnn.apply.exports import Shape, write_shapes
from biocnn.apply.exports.coco import run_lengths
from biocnn.apply.exports.shapes import object_shapes
from biocnn.apply.overlay import ON_PAGE, Picture, draw_shapes, reduced, write_svg
from biocnn.apply.segment.pieces import Pieces
from biocnn.apply.segment.scratch import Scratch
from biocnn.apply.segment.table import in_groups
from biocnn.core.palette import object_colours

BYTES = 100  # memory per pixel while outlines are traced

log = logging.getLogger("biocnn")


@dataclass(frozen=True)
class Found:
    """The objects of an image.

    Parameters
    ----------
    pieces, row, numbers
        As for ``biocnn.apply.segment.table.measure_pieces``.
    order
        Rows in the order of the tables.
    labels, kind
        Label and class, from 0, of each row.
    outputs
        Names of the classes.
    separate
        Whether these are objects, or connected pieces of classes, whose labels start at 1 in each class.
    """

    pieces: Pieces
    row: np.ndarray
    numbers: Scratch
    order: np.ndarray
    labels: np.ndarray
    kind: np.ndarray
    outputs: Sequence[str]
    separate: bool

    @property
    def score(self) -> np.ndarray:
        """Mean score of each row."""
        return self.pieces.sums[:, 0] / np.maximum(self.pieces.area, 1)

    def in_order(self, shapes: list[Shape]) -> list[Shape]:
        """Return outlines in the order of the tables."""
        return sorted(shapes, key=lambda one: (not self.separate and one.kind, one.label))


def draw_found(found: Found, picture: Picture, name: str, folder: Path) -> None:
    """Draw the objects over a picture: overlays/NAME.png, and .svg for the report."""
    colours, path = object_colours(len(found.outputs)), folder / "overlays" / name
    numbers = np.bincount(found.kind, minlength=len(found.outputs))
    named = {k: f"{kind} ({numbers[k]:,})" for k, kind in enumerate(found.outputs) if numbers[k]}
    draw_shapes(picture, _seen(found, picture, picture.size), colours, named, path.with_name(f"{name}.png"))
    write_svg(
        picture,
        path.with_name(f"{name}.svg"),
        [(text, colours[k]) for k, text in named.items()],
        shapes=_seen(found, picture, reduced(picture.shape, ON_PAGE)),
        colours=colours,
        outputs=found.outputs,
    )


def _seen(found: Found, picture: Picture, size: tuple[int, ...]) -> list[Shape]:
    """Outline objects as seen in a picture of (height, width) pixels."""
    rows = found.row[found.numbers.reduced(picture.plane, size)]
    there, labels = np.unique(rows, return_inverse=True)
    labels = labels.reshape(rows.shape) + (there[0] >= 0)  # row -1 is the background
    there = there[there >= 0]
    scale = np.array(picture.shape[::-1]) / size[::-1]
    return found.in_order(
        object_shapes(labels, (0, 0), found.labels[there], found.kind[there], found.score[there], scale)
    )


def export_found(
    found: Found, name: str, folder: Path, exports: Sequence[str], memory_gb: float
) -> list[list[int]] | None:
    """Write the outlines of the objects of an image for other programs; return their masks for COCO, if chosen.

    Parameters
    ----------
    found, name, folder, exports
        Objects; name of the image; output folder; formats, see ``biocnn.config.settings.Apply``.
    memory_gb
        Memory bound in 10^9 bytes; objects whose box exceeds it are left out, and the log gives their number.

    Returns
    -------
    masks
        Run lengths of each object, in the order of the tables.
    """
    shapes: list[Shape] = []
    masks: list[list[int]] = [[] for _ in found.labels]
    shape, most, large = found.numbers.shape, memory_gb * 1e9 / BYTES, 0
    for rows, window, local in in_groups(found.pieces, found.row, found.numbers, most):
        if local is None:
            large += 1
            continue
        start = [part.start for part in window]
        shapes += object_shapes(local, start, found.labels[rows], found.kind[rows], found.score[rows])
        if "coco" in exports:
            for row, counts in zip(rows, run_lengths(local, start, shape), strict=True):
                masks[row] = counts
    if large:
        log.warning("objects without outlines, because these do not fit in memory_gb: %d", large)
    write_shapes(
        folder, name, found.in_order(shapes), found.outputs, exports, "detection" if found.separate else "annotation"
    )
    return [masks[row] for row in found.order] if "coco" in exports else None
