"""Masks or labels of new images, and a table of objects, in memory independent of image size."""

import logging
from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.apply.exports.coco import RUNS, write_coco
from biocnn.apply.exports.coloured import write_coloured
from biocnn.apply.images import Applied
from biocnn.apply.measure import summarise, with_neighbours
from biocnn.apply.overlay import Picture
from biocnn.apply.segment.maps import MeanMaps
from biocnn.apply.segment.outlines import Found, draw_found, export_found
from biocnn.apply.segment.pieces import Pieces
from biocnn.apply.segment.pyramid import LARGE
from biocnn.apply.segment.scratch import Scratch
from biocnn.apply.segment.table import measure_pieces
from biocnn.apply.segment.writing import write_like
from biocnn.config.registry import resolve
from biocnn.io.lazy import LazyImage
from biocnn.io.stored_image import Slices
from biocnn.prediction.compatibility import Note
from biocnn.prediction.model import Model

log = logging.getLogger("biocnn")

OBJECTS = "objects.csv"
OF_ALL = 2  # maps that describe all pieces; objects with classes have a third one
NETWORK, OTHERS = 0.35, 0.5  # fractions of memory_gb for a pass through the network, and for work at other times


def segment_image(path: Path, name: str, models: Sequence[Model], folder: Path, exports: Sequence[str] = ()) -> Applied:
    """Segment an image with the mean probability of the models, for ``biocnn.apply.images``.

    The image is read, predicted and assembled piece by piece, and objects are measured in groups. The results do not
    depend on the pieces, nor on ``memory_gb`` of the models.

    Parameters
    ----------
    path, name
        Image file, and its unique name.
    models
        Models; the first one determines the settings that turn maps into objects, and the memory to use.
    folder
        Receives masks/ (0/1 or class numbers, uint8) or labels/ (0 = background, 1..n, int32), as NIfTI for images that
        are NIfTI or DICOM volumes, else as TIFF, above 16 million pixels as tiled OME-TIFF with a pyramid; overlays/,
        a picture of each image with its outlines, of volumes of the slice with most of them, as PNG and SVG; and what
        is exported.
    exports
        Further formats: see ``biocnn.config.settings.Apply``.

    Returns
    -------
    applied
        Rows of images.csv, one for each class, and of objects.csv: objects, or connected pieces of each class. For
        objects with classes, the score is the probability of the class, and class_entropy that of all classes.
    """
    first = models[0]
    with first.open_image(path) as image:
        maps = MeanMaps([model.open_maps(image, str(path), model.memory_gb * NETWORK) for model in models])
        shape = tuple(image.shape[1:])
        notes = [Note("repaired", repair) for repair in image.repairs] + maps.notes
        notes += [Note("note", f"not exported as {kind}", why) for kind, why in without(exports, shape).items()]
        chosen = [kind for kind in exports if kind not in without(exports, shape)]
        table = _measured(image, maps, name, first, folder, chosen)
    rows = [{"class": kind, **summarise(table[table["class"] == kind], shape)} for kind in first.task.classes()]
    if RUNS in table:
        rows = [{**row, "height": shape[0], "width": shape[1]} for row in rows]
    return Applied("images.csv", rows, notes, {OBJECTS: table}, finish)


def without(exports: Sequence[str], shape: tuple[int, ...]) -> dict[str, str]:
    """Return the formats that an image of this shape cannot have, and why."""
    found = {"coco": "its masks are planes, not volumes"} if len(shape) > 2 else {}
    found |= {"coloured": f"more than {LARGE:,} pixels"} if prod(shape) > LARGE else {}
    return {kind: why for kind, why in found.items() if kind in exports}


def finish(folder: Path, images: pd.DataFrame, others: dict[str, pd.DataFrame]) -> None:
    """Write the masks of all objects as coco.json, if it is chosen."""
    objects = others[OBJECTS]
    if RUNS not in objects:
        return
    others[OBJECTS] = objects.drop(columns=RUNS)
    read = images[images["skipped"].isna()] if "skipped" in images else images
    sizes = read.drop_duplicates("path").set_index("path")[["height", "width"]].dropna().astype(int)
    annotations = [
        (
            row["path"],
            row["class"],
            {
                "segmentation": {"size": sizes.loc[row["path"]].tolist(), "counts": row[RUNS]},
                "bbox": [row["x_min"], row["y_min"], row["x_max"] - row["x_min"], row["y_max"] - row["y_min"]],
                **{key: row[key] for key in ("area", "score", "label")},
            },
        )
        for row in objects[objects[RUNS].map(bool)].to_dict("records")
    ]
    write_coco(folder / "coco.json", sizes.reset_index(), list(dict.fromkeys(read["class"])), annotations)


def _measured(
    image: LazyImage, maps: MeanMaps, name: str, first: Model, folder: Path, exports: Sequence[str]
) -> pd.DataFrame:
    """Write the mask or labels of one image, and pictures of them, and return its objects."""
    facts, task, share = first.facts, first.task, first.memory_gb * OTHERS
    spacing, unit = (image.spacing, image.unit) if image.spacing else (facts.spacing, facts.unit)
    with Scratch(image.shape[1:], folder / f".{name}.numbers") as numbers:
        postprocess = task.postprocess_at(first.meta.postprocess.given(), maps.zoom)
        found, row = resolve(task.segmenter)(maps, task, postprocess, numbers, share)
        order, labels = _in_order(found, np.zeros_like(found.kind) if task.objects else found.kind)
        kind, values = ("labels", labels) if task.objects else ("masks", found.kind.astype(np.uint8))
        value = np.append(values, np.zeros(1, values.dtype))[row]  # of each number; row -1 is the background
        # The mask is written last, because until then the image may prove to be damaged.
        table = measure_pieces(found, row, numbers, image, spacing, unit, facts.channels, share)
        read = partial(_values, numbers, value)
        write_like(image, folder / kind, name, read, value.dtype, spacing, unit)
        names = list(task.classes())
        kinds = np.searchsorted(list(task.classes().values()), found.kind)
        outlined = Found(found, row, numbers, order, labels, kinds, names, task.objects)
        plane = numbers.fullest() if len(numbers.shape) > 2 else None
        draw_found(outlined, Picture(image, spacing, unit, facts.channels, plane), name, folder)
        runs = export_found(outlined, name, folder, exports, share) if exports else None
        if "coloured" in exports:
            every = read(tuple(slice(0, n) for n in numbers.shape))
            if not write_coloured(folder / "coloured" / f"{name}.tif", every, spacing, unit):
                log.warning("%s: too many objects for a palette", name)
    table = table.assign(**{"label": labels, "class": np.array(names)[kinds]}).iloc[order]
    if runs is not None:
        table[RUNS] = pd.Series(runs, index=table.index, dtype=object)
    if found.sums.shape[1] > OF_ALL:
        table["class_entropy"] = (found.sums[:, OF_ALL] / found.area)[order]
    groups = [table] if task.objects else [table[table["class"] == name] for name in names]
    apart = [with_neighbours(group, unit) for group in groups]
    return pd.concat([part for part in apart if len(part)] or apart, ignore_index=True)


def _values(numbers: Scratch, value: np.ndarray, window: Slices) -> np.ndarray:
    return value[numbers.read(window)]


def _in_order(found: Pieces, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of rows by group and first pixel, and labels 1..n within each group, independent of blocks."""
    order = np.lexsort((found.first, group))
    begins = np.searchsorted(group[order], group[order])
    labels = np.empty(len(order), np.int32)
    labels[order] = np.arange(len(order)) - begins + 1
    return order, labels
