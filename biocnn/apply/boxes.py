"""Boxes in new images: tables, a JSON file of COCO, and pictures with the boxes drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.apply.exports import Shape, box_shapes, write_shapes
from biocnn.apply.exports.coco import write_coco
from biocnn.apply.images import Applied
from biocnn.apply.overlay import Picture, draw_shapes, write_svg
from biocnn.core.palette import object_colours
from biocnn.metrics.boxes import box_iou
from biocnn.metrics.fusion import fuse_boxes
from biocnn.prediction.compatibility import Note
from biocnn.prediction.model import Model

SAME = 0.5  # IoU from which on a box of another model is the same object
CORNERS = ["y0", "x0", "y1", "x1"]
BOXES = "boxes.csv"


def find_boxes(path: Path, name: str, models: Sequence[Model], folder: Path, exports: Sequence[str] = ()) -> Applied:
    """Find the boxes in an image with one or more models, for ``biocnn.apply.images``.

    Parameters
    ----------
    path, name
        Image file, and its unique name.
    models
        Models, whose boxes are fused; their mean thresholds apply.
    folder
        Receives overlays/, a picture of each image with its boxes, as PNG and SVG; coco.json, all boxes in the format
        of COCO; and what is exported.
    exports
        Further formats: see ``biocnn.config.settings.Apply``.

    Returns
    -------
    applied
        Rows of images.csv, one for each class, and of boxes.csv, which ``biocnn.data.boxed_images`` can read: its image
        is the path. With several models, ``agreement`` is the share of those that find the object themselves, and
        ``disagreement`` 1 minus its mean over all objects that any of them finds in the image, in the final result or
        not.
    """
    first = models[0]
    with first.open_image(path) as image:
        adapted = [model.adapt(image, str(path)) for model in models]
        found = [model.boxes_in(one) for model, one in zip(models, adapted, strict=True)]
        shared = first.task.shared([model.meta.postprocess.given() for model in models])
        decided = first.task.decide(first.task.combine(found), shared)
        notes = [Note("repaired", repair) for repair in image.repairs]
        spacing, unit = (image.spacing, image.unit) if image.spacing else (first.facts.spacing, first.facts.unit)
        shapes = box_shapes(decided)
        _draw(Picture(image, spacing, unit, first.facts.channels), shapes, first.outputs, folder / "overlays" / name)
        write_shapes(folder, name, shapes, first.outputs, exports, "detection")
        height, width = image.shape[1:]
    notes += [note for one in adapted for note in one.notes]
    each = [model.decide(boxes) for model, boxes in zip(models, found, strict=True)]
    table = _table(decided, first.outputs, spacing, unit)
    of_image: dict[str, Any] = {"height": height, "width": width}
    if len(models) > 1:
        table.insert(2, "agreement", agreement(decided, each))
        shares = fuse_boxes(each)[1]
        of_image["disagreement"] = 1 - float(shares.mean()) if len(shares) else 0.0
    rows = [{"class": kind, **_summary(table[table["label"] == kind]), **of_image} for kind in first.outputs]
    return Applied("images.csv", rows, list(dict.fromkeys(notes)), {BOXES: table}, finish)


def _draw(picture: Picture, shapes: list[Shape], outputs: list[str], path: Path) -> None:
    numbers = np.bincount([one.kind for one in shapes], minlength=len(outputs))
    named = {k: f"{name} ({numbers[k]})" for k, name in enumerate(outputs) if numbers[k]}
    colours = object_colours(len(outputs))
    draw_shapes(picture, shapes, colours, named, path.with_name(f"{path.name}.png"))
    legend = [(text, colours[k]) for k, text in named.items()]
    write_svg(picture, path.with_name(f"{path.name}.svg"), legend, shapes=shapes, colours=colours, outputs=outputs)


def agreement(boxes: np.ndarray, each: Sequence[np.ndarray]) -> np.ndarray:
    """Return the share of the models that find each box, (M,), given their own boxes, (M_i, 2 + 2 spatial_dims)."""
    hits = [((box_iou(boxes[:, 2:], own[:, 2:]) >= SAME) & (boxes[:, :1] == own[:, 0])).any(axis=1) for own in each]
    return np.mean(hits, axis=0)


def _table(boxes: np.ndarray, outputs: list[str], spacing: Sequence[float] | None, unit: str) -> pd.DataFrame:
    """Return the columns label, score, x0, y0, x1, y1, in pixels, and if the pixel size is known width and height."""
    corners = dict(zip(CORNERS, boxes[:, 2:].T.astype(float), strict=True))
    table = pd.DataFrame({"label": np.array(outputs)[boxes[:, 0].astype(int)], "score": boxes[:, 1].astype(float)})
    table = table.assign(**{name: corners[name] for name in ("x0", "y0", "x1", "y1")})
    if spacing:
        table[f"width_{unit}"] = (table["x1"] - table["x0"]) * spacing[1]
        table[f"height_{unit}"] = (table["y1"] - table["y0"]) * spacing[0]
    return table


def _summary(boxes: pd.DataFrame) -> dict[str, float]:
    """Return the number of boxes, and their mean score and size; NaN if there is none."""
    size = np.sqrt((boxes["x1"] - boxes["x0"]) * (boxes["y1"] - boxes["y0"]))
    return {"n_objects": len(boxes), "score_mean": boxes["score"].mean(), "size_mean": size.mean()}


def finish(folder: Path, images: pd.DataFrame, others: dict[str, pd.DataFrame]) -> None:
    """Let boxes name their image by its path, like ``images``, and write all of them as coco.json."""
    boxes = others[BOXES] = others[BOXES].assign(image=others[BOXES]["path"]).drop(columns="path")
    read = images[images["skipped"].isna()] if "skipped" in images else images
    sizes = read.drop_duplicates("path")[["path", "height", "width"]]
    annotations = []
    for row in boxes.itertuples():
        sides = [float(row.x1 - row.x0), float(row.y1 - row.y0)]
        box = {"bbox": [float(row.x0), float(row.y0), *sides], "area": sides[0] * sides[1]}
        annotations.append((row.image, row.label, {**box, "score": float(row.score)}))
    write_coco(folder / "coco.json", sizes, list(dict.fromkeys(read["class"])), annotations)
