"""Boxes and masks in the JSON format of COCO."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.apply.measure.pixels import Pixels

RUNS = "runs"  # column of the table of objects that holds their masks until all images are done


def run_lengths(labels: np.ndarray, offset: Sequence[int], shape: Sequence[int]) -> list[list[int]]:
    """Encode the mask of each object in an image: numbers of pixels outside, inside, outside ..., column by column.

    Parameters
    ----------
    labels
        Shape (*window), integers, 0 = background, 1..n, each of which occurs.
    offset, shape
        Position of the window in the image, and height and width of the image.

    Returns
    -------
    counts
        A list for each object, as in a mask of COCO; their sum is the number of pixels of the image.
    """
    pixels = Pixels(np.ascontiguousarray(labels.T))
    starts = (pixels.lines + offset[1]) * shape[0] + pixels.begins + offset[0]
    found = []
    for runs in np.split(np.stack([starts, starts + pixels.lengths]), pixels.firsts[1:], axis=1):
        joined = runs[0, 1:] == runs[1, :-1]  # a run to the bottom of a column continues at the top of the next one
        start, stop = runs[0][np.append(True, ~joined)], runs[1][np.append(~joined, True)]
        edges = np.append(np.stack([start, stop], axis=1).ravel(), shape[0] * shape[1])
        found.append(np.diff(edges, prepend=0).tolist())
    return found


def write_coco(
    path: Path, images: pd.DataFrame, classes: list[str], annotations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    """Write annotations of images, one per line.

    Parameters
    ----------
    path
        JSON file.
    images
        Columns path, height and width; a row for each image.
    classes
        Names of the categories, which are numbered from 1.
    annotations
        Path of the image, name of the category, and further keys of COCO for each; they are numbered from 1.
    """
    numbers = {name: number for number, name in enumerate(images["path"], 1)}
    kinds = {name: number for number, name in enumerate(classes, 1)}
    files = [
        {"id": numbers[row.path], "file_name": row.path, "width": int(row.width), "height": int(row.height)}
        for row in images.itertuples()
    ]
    content = {
        "images": files,
        "categories": [{"id": number, "name": name} for name, number in kinds.items()],
        "annotations": [
            {"id": number, "image_id": numbers[name], "category_id": kinds[kind], "iscrowd": 0, **about}
            for number, (name, kind, about) in enumerate(annotations, 1)
        ],
    }
    parts = [f'"{name}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in content.items()]
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")
