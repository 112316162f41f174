"""Measurements of images: sizes, intensities and classes, and the decisions that follow from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from biocnn.data.decisions import decide
from biocnn.data.foreground import write_places
from biocnn.io.intensity import decide_normalise, image_ranges, intensity_percentiles
from biocnn.io.ragged import Ragged
from biocnn.tasks import make_task
from biocnn.tasks.facts import Decision, Facts, PixelFit, Sizes


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
    task, y = make_task(facts), Ragged(folder / "y.npy")
    if task.target.labelled:
        write_places(y, folder / "foreground.npy", seed)
    ranges = image_ranges(x[i] for i in range(len(x)))
    np.save(folder / "ranges.npy", ranges)
    sizes = measure_sizes(x.shapes)
    for fold in folds:
        train = np.flatnonzero(fold.split == "train")
        if task.like_input:
            fold.add(pixel_fit=fit_pixels(task.fitted(x[i], y[i]) for i in train))
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


def fit_pixels(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> PixelFit:
    """Fit each channel of targets to the same channel of their images, (C, *spatial) each, over all known pixels."""
    sums: Any = 0
    for x, y in pairs:
        a, b = (one.reshape(len(one), -1).astype(np.float64) for one in (x, y))
        known = ~np.isnan(b)
        a, b = np.where(known, a, 0), np.where(known, b, 0)
        sums = sums + np.stack([known.sum(1), a.sum(1), b.sum(1), (a * a).sum(1), (a * b).sum(1), (b * b).sum(1)])
    number, *sums = sums
    mean_x, mean_y, xx, xy, yy = (total / np.maximum(number, 1) for total in sums)
    var_x, var_y, covariance = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    factor = np.where(var_x > 0, covariance / np.where(var_x > 0, var_x, 1), 0)
    rest = np.sqrt(np.maximum(var_y - factor * covariance, 0))
    shift = mean_y - factor * mean_x
    return PixelFit(factor=factor.tolist(), shift=shift.tolist(), rest=np.where(rest > 0, rest, 1).tolist())


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
