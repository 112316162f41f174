"""Measurements of images: sizes, intensities and classes, and the decisions that follow from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from biocnn.config.registry import resolve
from biocnn.data.foreground import write_places
from biocnn.io.intensity import decide_normalise, image_ranges, intensity_percentiles
from biocnn.io.ragged import Ragged
from biocnn.tasks import make_task
from biocnn.tasks.facts import Decision, Facts, PixelFit, Sizes
from biocnn.tasks.inputs import make_input


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
    x, dims = Ragged(folder / "x.npy"), facts.spatial_dims
    decide = resolve(make_input(facts).decide)
    task, y = make_task(facts), Ragged(folder / "y.npy")
    if task.target.labelled:
        write_places(y, folder / "foreground.npy", seed)
    ranges = image_ranges(_channels(x[i], dims) for i in range(len(x)))
    np.save(folder / "ranges.npy", ranges)
    sizes = measure_sizes(x.shapes[:, -1 - dims :])
    for fold in folds:
        train = np.flatnonzero(fold.split == "train")
        if task.like_input:
            fold.add(pixel_fit=fit_pixels(task.fitted(x[i], y[i]) for i in train))
        normalise, reason = decide_normalise(facts.normalise, ranges[train])
        fold.add(
            intensity=intensity_percentiles(_channels(x[i], dims) for i in train),
            normalise=normalise,
            pixels=int(x.shapes[train].prod(axis=1).sum()) // facts.in_channels,
            decisions=facts.decisions | {"normalise": Decision(value=normalise, reason=reason)},
        )
        decided = decide(facts.model_copy(update=fold.facts.given() | {"sizes": sizes}))
        fold.add(decisions=fold.facts.decisions | decided)
    return {"sizes": sizes}


def measure_bags(facts: Facts, folder: Path, folds: list[Any], seed: int) -> dict[str, Any]:
    """Measure the images of bags, and their numbers; parameters and result as for ``measure_images``."""
    numbers = Ragged(folder / "x.npy").shapes[:, 0]
    found = {"bags": [int(numbers.min()), int(np.median(numbers)), int(numbers.max())]}
    for fold in folds:
        fold.add(images=int(numbers[fold.split == "train"].sum()))
    return found | measure_images(facts.model_copy(update=found), folder, folds, seed)


def _channels(x: np.ndarray, dims: int) -> np.ndarray:
    """Return an image (C, *spatial) unchanged, and images of a bag (n, C, *spatial) as channels (C, n, *spatial)."""
    return np.moveaxis(x, -1 - dims, 0)


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
