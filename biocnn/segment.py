"""New images -> masks or labels as TIFF, and a table of objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.errors import InputError
from biocnn.predict import Model


def segment_images(images: str | Path, models: Sequence[Model], folder: Path) -> int:
    """Segment every image of a folder by the mean of the models' probabilities.

    Parameters
    ----------
    images
        A folder, or one image.
    models
        Trained on the same data set; settings that turn maps into objects are those of the first.
    folder
        Gets masks/ (0/1 or class numbers, uint8) or labels/ (0 = background, 1..n, int32), as TIFF, and objects.csv:
        the objects, or the connected pieces of each class.

    Returns
    -------
    count
        Number of objects in all images.
    """
    tables = []
    facts = models[0].facts
    for name, image, spacing in models[0].read(images):
        p = models[0].predict(image)
        for model in models[1:]:  # a sum, so that memory holds two predictions however many models there are
            p += model.predict(image)
        p /= len(models)
        found = models[0].decide(p)
        kind = "labels" if facts["task"] == "instances" else "masks"
        _write(folder / kind / f"{name}.tif", found)
        for table in _objects(found, p, image, facts, spacing or facts.get("spacing")):
            table.insert(0, "image", name)
            tables.append(table)
    if not tables:
        raise InputError(f"{images}: no images found", "allowed: PNG, TIFF, OME-TIFF, JPEG, BMP")
    objects = pd.concat(tables, ignore_index=True)
    objects.to_csv(folder / "objects.csv", index=False, float_format="%.6g")
    return len(objects)


def _objects(
    found: np.ndarray, p: np.ndarray, image: np.ndarray, facts: dict[str, Any], spacing: list[float] | None
) -> list[pd.DataFrame]:
    """Objects, or the connected pieces of each class; their score is the mean probability of being what they are."""
    from skimage.measure import label

    from biocnn.measure import measure

    if facts["task"] == "instances":
        pieces = [("object", found, 1 - p[0])]
    elif facts["task"] == "mask":
        pieces = [(facts["outputs"][0], label(found).astype(np.int32), p[0])]
    else:
        named = list(enumerate(facts["outputs"]))[1:]
        pieces = [(name, label(found == k).astype(np.int32), p[k]) for k, name in named]
    return [
        measure(labels, image, spacing, score, channels=facts["channels"]).assign(**{"class": name})
        for name, labels, score in pieces
    ]


def _write(path: Path, array: np.ndarray) -> None:
    import tifffile

    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, array, compression="zlib")
