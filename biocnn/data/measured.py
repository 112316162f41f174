"""Measurements of images: sizes, intensities and classes, and the decisions that follow from them."""

from pathlib import Path
from typing import Any

import numpy as np

from biocnn.data.decisions import decide
from biocnn.data.foreground import write_places
from biocnn.io.intensity import decide_normalise, image_ranges, intensity_percentiles
from biocnn.io.ragged import Ragged
from biocnn.tasks import make_task
from biocnn.tasks.facts import Decision, Facts, Sizes


def measure_images(facts: Facts, folder: Path, folds: list[Any], seed: int) -> dict[str, Any]:
    """Store positions of each class of maps, and intensity ranges; measure each fold's training split, and all images.

    Parameters
    ----------
    facts
        Facts about all examples.
    folder
        Folder that contains x and y.
    folds
        Each has ``split``, the split of each example, ``facts``, and ``add``, which adds to them.
    seed
        Seed of the experiment.

    Returns
    -------
    facts
        Facts about all images, by name.
    """
    x = Ragged(folder / "x.npy")
    if make_task(facts).target.labelled:
        write_places(Ragged(folder / "y.npy"), folder / "foreground.npy", seed)
    ranges = image_ranges(x[i] for i in range(len(x)))
    np.save(folder / "ranges.npy", ranges)
    sizes = measure_sizes(x.shapes)
    for fold in folds:
        train = np.flatnonzero(fold.split == "train")
        normalise, reason = decide_normalise(facts.normalise, ranges[train])
        fold.add(
            intensity=intensity_percentiles(x[i] for i in train),
            normalise=normalise,
            pixels=int(x.shapes[train, 1:].prod(axis=1).sum()),
            decisions=facts.decisions | {"normalise": Decision(value=normalise, reason=reason)},
        )
        decided = decide(facts.model_copy(update=fold.facts.given() | {"sizes": sizes}))
        fold.add(decisions=fold.facts.decisions | decided)
    return {"sizes": sizes}


def measure_sizes(shapes: np.ndarray) -> Sizes:
    """Measure the sizes of all images.

    Parameters
    ----------
    shapes
        One row per image, (C, *spatial).
    """
    sides = np.asarray(shapes)[:, 1:]
    return Sizes(
        smallest=sides.min(axis=0).tolist(),
        median=np.median(sides, axis=0).tolist(),
        largest=sides.max(axis=0).tolist(),
        shorter=float(np.median(sides.min(axis=1))),
    )
