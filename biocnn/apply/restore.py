"""Images predicted from new images, in the data type of each, and with its pixel size or a finer one."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from biocnn.apply.images import Applied
from biocnn.apply.overlay import draw_restored
from biocnn.apply.segment.writing import write_like
from biocnn.prediction.compatibility import Note
from biocnn.prediction.model import Model

NETWORK = 0.5  # fraction of memory_gb for a pass through the network


def restore_image(path: Path, name: str, models: Sequence[Model], folder: Path) -> Applied:
    """Predict an image from an image with the mean of the models, for ``biocnn.apply.images``.

    Parameters
    ----------
    path, name
        Image file, and its unique name.
    models
        Models; the first one determines the memory to use.
    folder
        Receives restored/, an image for each: TIFF, or NIfTI for images that are NIfTI or DICOM volumes. Values are
        rounded and clipped to the data type of the image. With several models also sd/, the standard deviation of their
        values, float32; and previews/, pictures of the middle of each image.

    Returns
    -------
    applied
        Rows of images.csv, with the number of clipped values; with several models ``sd``, the root mean square of their
        standard deviation, in intensities.
    """
    first, several = models[0], len(models) > 1
    outputs, upscale = first.outputs, first.facts.upscale
    with first.open_image(path) as image:
        each = [model.open_maps(image, str(path), model.memory_gb * NETWORK) for model in models]
        spacing, unit = (image.spacing, image.unit) if image.spacing else (first.facts.spacing, first.facts.unit)
        shape, clipped, squares = each[0].shape, 0, 0.0
        # On disk, because an image may be larger than the memory.
        with NamedTemporaryFile(dir=folder) as file, NamedTemporaryFile(dir=folder) as spread:
            values = np.memmap(file.name, image.dtype, "w+", shape=shape)
            sd = np.memmap(spread.name, np.float32, "w+", shape=shape) if several else None
            for region in max((maps.regions for maps in each), key=len):  # those that fit for the largest network
                found = [maps.region(region) for maps in each]
                values[:, *region], beyond = as_dtype(np.mean(found, axis=0), values.dtype)
                clipped += beyond
                if sd is not None:
                    sd[:, *region] = np.std(found, axis=0, ddof=1)
                    squares += float((sd[:, *region].astype(np.float64) ** 2).sum())
            for kind, maps in {"restored": values, "sd": sd}.items():
                if maps is not None:
                    write_like(
                        image, folder / kind, name, maps.__getitem__, maps.dtype, spacing, unit, outputs, upscale
                    )
            draw_restored(image, values, sd, folder / "previews" / f"{name}.png")
        notes = [Note("repaired", repair) for repair in image.repairs]
        notes += dict.fromkeys(note for maps in each for note in maps.notes)
    if clipped:
        share = f"{clipped:,} of {prod(shape):,}"
        notes.append(Note("repaired", f"values beyond the range of {values.dtype} clipped", share))
    row = {"clipped": clipped} | ({"sd": (squares / prod(shape)) ** 0.5} if several else {})
    return Applied("images.csv", [row], notes)


def as_dtype(values: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """Convert values to a data type; integers are rounded, and clipped to its range. Also count what was clipped."""
    if dtype.kind not in "iu":
        return values.astype(dtype), 0
    limits, rounded = np.iinfo(dtype), np.rint(values)
    clipped = int(((rounded < limits.min) | (rounded > limits.max)).sum())
    return np.clip(rounded, limits.min, limits.max).astype(dtype), clipped
