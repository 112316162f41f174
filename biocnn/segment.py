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
    task, outputs = models[0].facts["task"], models[0].facts["outputs"]
    for name, image, spacing in models[0].read(images):
        p = np.mean([model.predict(image) for model in models], axis=0)
        found = models[0].decide(p)
        kind = "labels" if task == "instances" else "masks"
        _write(folder / kind / f"{name}.tif", found)
        for table in _objects(found, image, spacing or models[0].facts.get("spacing"), task, outputs):
            table.insert(0, "image", name)
            tables.append(table)
    if not tables:
        raise InputError(f"{images}: no images found", "allowed: PNG, TIFF, OME-TIFF, JPEG, BMP")
    objects = pd.concat(tables, ignore_index=True)
    objects.to_csv(folder / "objects.csv", index=False, float_format="%.6g")
    return len(objects)


def _objects(found: np.ndarray, image: np.ndarray, spacing: Any, task: str, outputs: list[str]) -> list[pd.DataFrame]:
    from skimage.measure import label

    from biocnn.measure import measure

    if task == "instances":
        return [measure(found, image, spacing=spacing).assign(**{"class": "object"})]
    classes = {1: outputs[0]} if task == "mask" else dict(list(enumerate(outputs))[1:])
    return [
        measure(label(found == k).astype(np.int32), image, spacing=spacing).assign(**{"class": name})
        for k, name in classes.items()
    ]


def _write(path: Path, array: np.ndarray) -> None:
    import tifffile

    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, array, compression="zlib")
