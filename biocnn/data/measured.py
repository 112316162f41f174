"""What is measured of images: their sizes, intensities and classes, and what an experiment may leave to these."""

from pathlib import Path
from typing import Any

import numpy as np

from biocnn.data.decisions import decide
from biocnn.data.foreground import write_places
from biocnn.io.intensity import decide_normalise, image_ranges, intensity_percentiles
from biocnn.io.ragged import Ragged


def measure_images(facts: dict[str, Any], folder: Path, folds: list[Any], seed: int) -> None:
    """Store places of each class and ranges of intensity; add to the facts of all, and of each fold's training part.

    Parameters
    ----------
    facts
        Of all examples.
    folder
        Holds x and y.
    folds
        Each has ``split``, the part of each example, and ``facts``.
    seed
        The experiment's.
    """
    x = Ragged(folder / "x.npy")
    write_places(Ragged(folder / "y.npy"), folder / "foreground.npy", seed)
    ranges = image_ranges(x[i] for i in range(len(x)))
    np.save(folder / "ranges.npy", ranges)
    facts["sizes"] = measure_sizes(x.shapes)
    for fold in folds:
        train = np.flatnonzero(fold.split == "train")
        fold.facts["intensity"] = intensity_percentiles(x[i] for i in train)
        fold.facts["normalise"], reason = decide_normalise(facts.get("normalise", "auto"), ranges[train])
        fold.facts["decisions"] = {"normalise": {"value": fold.facts["normalise"], "reason": reason}}
        fold.facts["pixels"] = int(x.shapes[train, 1:].prod(axis=1).sum())
        fold.facts["decisions"] = facts["decisions"] | fold.facts["decisions"] | decide(facts | fold.facts)


def measure_sizes(shapes: np.ndarray) -> dict[str, Any]:
    """Sizes of all images.

    Parameters
    ----------
    shapes
        One row an image, (C, *spatial).

    Returns
    -------
    sizes
        ``smallest``, ``median`` and ``largest`` by axis, and ``shorter``: the median of each image's shortest side, in
        pixels.
    """
    sides = np.asarray(shapes)[:, 1:]
    return {
        "smallest": sides.min(axis=0).tolist(),
        "median": np.median(sides, axis=0).tolist(),
        "largest": sides.max(axis=0).tolist(),
        "shorter": float(np.median(sides.min(axis=1))),
    }
