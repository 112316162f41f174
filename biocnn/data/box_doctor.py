"""The doctor of boxes: it repairs, drops or refuses them, and lists images to inspect."""

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.box_files import CORNERS, BoxFile
from biocnn.data.labels import shown
from biocnn.metrics.boxes import box_iou

SAME = 0.95  # IoU above which two boxes are around the same object, drawn twice
_LEAST = 1.0  # pixels up to which a box is an accidental click


def clean(file: BoxFile, boxes: pd.DataFrame, examples: pd.DataFrame, checks: Checks, source: str) -> pd.DataFrame:
    """Repair boxes, or refuse them with all faults at once.

    Parameters
    ----------
    file
        Defines the meaning of corners.
    boxes
        As in ``BoxFile``.
    examples
        Images with the columns image, id, height and width.
    checks
        Receives counts of what was repaired and dropped, and the images with it.
    source
        Name of the data, for the counts.

    Returns
    -------
    boxes
        Those that are kept; corners are edges of pixels inside the image, the first before the second.

    Raises
    ------
    InputError
        If coordinates are fractions, rows and columns are swapped, or a box is outside its image.
    """
    of = examples.set_index("image").loc[boxes["image"]]
    sizes = of[["height", "width"]].to_numpy(np.float64)
    boxes, corners = boxes.assign(id=of["id"].to_numpy()), boxes[CORNERS].to_numpy()

    def record(outcome: str, reason: str, which: np.ndarray, severity: str = "repaired") -> None:
        checks.add(source, outcome, reason, which.sum(), "".join(boxes["where"][which][:1]))
        for name, number in boxes["id"][which].value_counts(sort=False).items():
            checks.find(reason, severity, name, plural(number, "box"))

    if file.relative:
        corners = corners * np.tile(sizes, 2)
    elif len(corners) and corners.max() <= 1:
        raise InputError(
            f"{source}: all {len(corners)} boxes have coordinates up to 1: shares of the image's width and height?",
            "give pixels: multiply x by the width and y by the height; for files of YOLO give data.yolo",
        )
    turned = np.concatenate([np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1)
    record("repaired", "boxes with swapped corners", (turned != corners).any(axis=1))
    if not file.relative:
        _note_origin(turned, sizes, file.origin, checks, source)
    corners = turned - [file.origin, file.origin, 0, 0]
    refuse_outside(boxes, corners, sizes, "boxes")
    inside = np.clip(corners, 0, np.tile(sizes, 2))
    record("repaired", "boxes that reach beyond the image: cut", (inside != corners).any(axis=1))
    small = (inside[:, 2:] - inside[:, :2]).prod(axis=1) <= _LEAST
    record("dropped", f"boxes of {_LEAST:g} pixel or less", small)
    boxes[CORNERS] = inside
    again, differ = _twice(boxes[~small], np.flatnonzero(~small), len(boxes))
    record("dropped", "boxes around the same object as another of the same class", again)
    record("note", "boxes around the same object as another of a different class", differ & ~again, "look")
    return boxes[~small & ~again]


def refuse_sizes(file: BoxFile, shapes: dict[str, tuple[int, ...]], source: str) -> None:
    """Refuse boxes that were drawn on images of another size, as stated in their file."""
    wrong = [
        f"{name} ({' x '.join(map(str, file.sizes[name]))}, but it has {' x '.join(map(str, shape))})"
        for name, shape in shapes.items()
        if file.sizes.get(name, shape) != shape
    ]
    if wrong:
        raise InputError(
            f"{source}: states another height x width for {len(wrong)} of {len(shapes)} images: {shown(wrong)}",
            "give the images that the boxes were drawn on, or correct the sizes if only these are wrong",
        )


def _note_origin(corners: np.ndarray, sizes: np.ndarray, origin: int, checks: Checks, source: str) -> None:
    """Note corners that seem to be counted from 1 instead of 0, or from 0 instead of 1."""
    starts, ends = corners[:, :2], corners[:, 2:]
    if origin == 0 and (starts >= 1).all() and (corners % 1 == 0).all() and (ends >= sizes).any():
        remedy = "then set data.origin: 1, or correct the COCO file"
        reason = f"boxes that start at 1, none at 0: are pixels counted from 1? {remedy}"
        checks.add(source, "note", reason, (starts == 1).any(axis=1).sum())
    if origin == 1:
        reason = "boxes that start at 0, although pixels are counted from 1: from 0? then set data.origin: 0"
        checks.add(source, "note", reason, (starts == 0).any(axis=1).sum())


def refuse_outside(boxes: pd.DataFrame, corners: np.ndarray, sizes: np.ndarray, what: str) -> None:
    """Refuse boxes (or other objects, in the plural) outside their images, or if x and y are swapped."""
    outside = (corners[:, :2] >= sizes).any(axis=1) | (corners[:, 2:] <= 0).any(axis=1)
    middle = (corners[:, :2] + corners[:, 2:]) / 2
    away = ((middle < 0) | (middle > sizes)).any(axis=1)
    if away.any() and (corners[:, 2:] <= sizes[:, ::-1]).all():
        raise InputError(
            f"{boxes['where'][away].iloc[0]}: {away.sum()} of {len(boxes)} {what} are outside their images, but all "
            "would be inside if x and y were swapped",
            "swap x and y: x counts columns from the left, y rows from the top",
        )
    if outside.any():
        places = (
            f"{where} (x {c0:g} to {c1:g}, y {r0:g} to {r1:g} in {width:.0f} x {height:.0f} pixels)"
            for where, (r0, c0, r1, c1), (height, width) in zip(
                boxes["where"][outside], corners[outside], sizes[outside], strict=True
            )
        )
        raise InputError(
            f"{outside.sum()} of {len(boxes)} {what} are outside their images: {shown(places)}",
            "do they belong to other images, or to images of another size? correct or remove them",
        )


def _twice(boxes: pd.DataFrame, rows: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which of ``number`` boxes, of those in ``rows``, are around the same object as an earlier one: (number,).

    The first array is for boxes of the same class, the second for boxes of different classes.
    """
    again, differ = np.zeros(number, bool), np.zeros(number, bool)
    for _, part in boxes.assign(row=rows).groupby("image", sort=False):
        same = np.tril(box_iou(corners := part[CORNERS].to_numpy(), corners) > SAME, -1)
        alike = part["label"].to_numpy()[:, None] == part["label"].to_numpy()
        again[part["row"]], differ[part["row"]] = (same & alike).any(axis=1), (same & ~alike).any(axis=1)
    return again, differ
