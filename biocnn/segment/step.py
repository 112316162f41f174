"""New images -> masks or labels, and a table of objects, in memory that does not grow with the images."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from biocnn.data.lazy import LazyImage
from biocnn.data.new_images import open_images
from biocnn.errors import InputError
from biocnn.measure import summarise, with_neighbours
from biocnn.predict import Model
from biocnn.segment.instances import label_blocks
from biocnn.segment.maps import MeanMaps
from biocnn.segment.masks import connect_blocks
from biocnn.segment.pieces import Pieces
from biocnn.segment.pyramid import write_image
from biocnn.segment.scratch import Scratch
from biocnn.segment.table import measure_pieces
from biocnn.tiles import Slices

NETWORK, OTHERS = 0.35, 0.5  # shares of the memory for a pass through the network, and for what is done at other times


def segment_files(images: Path, models: Sequence[Path], folder: Path, **settings: Any) -> int:
    """Make a folder and segment images into it with the models in files; settings are those of ``Model``."""
    if not models:
        raise InputError("segment: no model is given", "name one or more model.safetensors")
    loaded = [Model(model, **settings) for model in models]
    torch.set_num_threads(loaded[0].meta["experiment"]["train"]["threads"])
    folder.mkdir()
    return segment_images(images, loaded, folder)


def segment_images(images: str | Path, models: Sequence[Model], folder: Path) -> int:
    """Segment every image of a folder by the mean of the models' probabilities.

    An image is read, predicted and put together piece by piece, and its objects are measured some at a time. What comes
    out does not depend on the pieces, so neither on ``memory_gb`` of the models.

    Parameters
    ----------
    images
        A folder, or one image.
    models
        Trained on the same data set; settings that turn maps into objects, and the memory to use, are those of the
        first.
    folder
        Gets masks/ (0/1 or class numbers, uint8) or labels/ (0 = background, 1..n, int32), as TIFF, from 16 million
        pixels on as tiled OME-TIFF with a pyramid; objects.csv: the objects, or the connected pieces of each class; and
        images.csv: each image and class in a row.

    Returns
    -------
    count
        Number of objects in all images.
    """
    tables, rows = [], []
    facts, axes = models[0].facts, models[0].meta["experiment"]["data"].get("axes")
    for name, image in open_images(images, facts["channels"], axes):
        table = _segment(image, name, models, folder)
        table.insert(0, "image", name)
        tables.append(table)
        of_class = {kind: table[table["class"] == kind] for kind in _classes(facts)}
        rows += [{"image": name, "class": k, **summarise(t, image.shape[1:])} for k, t in of_class.items()]
    objects = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
    objects.to_csv(folder / "objects.csv", index=False, float_format="%.6g")
    pd.DataFrame(rows).to_csv(folder / "images.csv", index=False, float_format="%.6g")
    return len(objects)


def _segment(image: LazyImage, name: str, models: Sequence[Model], folder: Path) -> pd.DataFrame:
    """Write the mask or the labels of one image; its objects."""
    first, facts = models[0], models[0].facts
    spacing, unit = (image.spacing, image.unit) if image.spacing else (facts.get("spacing"), facts.get("unit", "um"))
    share = first.memory_gb * OTHERS
    with Scratch(image.shape[1:], folder / f".{name}.numbers") as numbers:
        maps = MeanMaps([model.open_maps(image, name, model.memory_gb * NETWORK) for model in models])
        if facts["task"] == "instances":
            found = label_blocks(maps, first.meta.get("postprocess", {}), numbers, share)
            row = np.arange(-1, len(found.first))
        else:
            found, row = connect_blocks(maps, first.decide, numbers)
        order, labels = _in_order(found)
        kind, values = ("labels", labels) if facts["task"] == "instances" else ("masks", found.kind.astype(np.uint8))
        value = np.append(values, np.zeros(1, values.dtype))[row]  # of each number; row -1 is the background
        read = partial(_values, numbers, value)
        write_image(folder / kind, name, read, numbers.shape, value.dtype, spacing, unit)
        table = measure_pieces(found, row, numbers, image, spacing, unit, facts["channels"], share)
    names = _classes(facts)
    table = table.assign(**{"label": labels, "class": [names[kind - 1] for kind in found.kind]}).iloc[order]
    apart = [with_neighbours(table[table["class"] == name], unit) for name in names]
    return pd.concat([part for part in apart if len(part)] or apart, ignore_index=True)


def _classes(facts: dict[str, Any]) -> list[str]:
    """Names of what is found."""
    if facts["task"] == "instances":
        return ["object"]
    return facts["outputs"] if facts["task"] == "mask" else facts["outputs"][1:]


def _values(numbers: Scratch, value: np.ndarray, window: Slices) -> np.ndarray:
    return value[numbers.read(window)]


def _in_order(found: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Rows by class and first pixel, and each row's label: 1..n in each class, however the image was cut."""
    order = np.lexsort((found.first, found.kind))
    begins = np.searchsorted(found.kind[order], found.kind[order])
    labels = np.empty(len(order), np.int32)
    labels[order] = np.arange(len(order)) - begins + 1
    return order, labels
