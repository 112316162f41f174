"""Numbers of objects in new images: a table, maps of the density, and pictures."""

from collections.abc import Sequence
from math import pi, prod
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from biocnn.apply.images import Applied
from biocnn.apply.overlay import Picture, draw_density, write_svg
from biocnn.apply.segment.writing import write_like
from biocnn.core.palette import class_colour
from biocnn.prediction.compatibility import Note
from biocnn.prediction.model import Model

NETWORK = 0.5  # fraction of memory_gb for a pass through the network


def count_objects(path: Path, name: str, models: Sequence[Model], folder: Path) -> Applied:
    """Count the objects in an image with the mean of the models, for ``biocnn.apply.images``.

    Parameters
    ----------
    path, name
        Image file, and its unique name.
    models
        Models; factor of the density and margin of the interval are their means. The first one determines the memory to
        use.
    folder
        Receives density/, objects per pixel, float32, a channel for each class: TIFF, or NIfTI for images that are
        NIfTI or DICOM; and overlays/, a picture of each image coloured by it, as PNG
        and SVG.

    Returns
    -------
    applied
        Rows of counts.csv, one for each class: ``count``, and ``low`` and ``high``, the ends of its 90% interval; with
        several models ``sd``, the standard deviation of their counts.
    """
    first = models[0]
    task, outputs = first.task, first.outputs
    postprocess = task.shared([model.meta.postprocess.given() for model in models])
    with first.open_image(path) as image:
        each = [model.open_maps(image, str(path), model.memory_gb * NETWORK) for model in models]
        spacing, unit = (image.spacing, image.unit) if image.spacing else (first.facts.spacing, first.facts.unit)
        with NamedTemporaryFile(dir=folder) as file:  # on disk, because an image may be larger than the memory
            density, sums = np.memmap(file.name, np.float32, "w+", shape=each[0].shape), 0.0
            for region in max((maps.regions for maps in each), key=len):
                found = [task.decide(maps.region(region), postprocess) for maps in each]
                density[:, *region] = np.mean(found, axis=0)
                sums = sums + np.stack([task.total(one) for one in found])
            count, low, high = task.interval(np.mean(sums, axis=0), postprocess)
            write_like(image, folder / "density", name, density.__getitem__, density.dtype, spacing, unit, outputs)
            full = 1 / (2 * pi * first.facts.width**2) / prod(each[0].zoom)  # one object's middle
            named = [f"{output}: {number:.1f}" for output, number in zip(outputs, count, strict=True)]
            picture, path_to = Picture(image, spacing, unit, first.facts.channels), folder / "overlays"
            shown = draw_density(picture, lambda window: density[:, *window], full, named, path_to / f"{name}.png")
            legend = [(text, class_colour(k)) for k, text in enumerate(named)]
            write_svg(picture, path_to / f"{name}.svg", legend, over=shown)
        notes = [Note("repaired", repair) for repair in image.repairs]
    rows = [
        {"class": output, "count": count[k], "low": low[k], "high": high[k]} for k, output in enumerate(outputs)
    ]  # fmt: skip
    if len(models) > 1:
        for row, sd in zip(rows, np.std(sums, axis=0, ddof=1), strict=True):
            row["sd"] = sd
    return Applied("counts.csv", rows, list(dict.fromkeys([*notes, *(note for maps in each for note in maps.notes)])))
