"""Images predicted from new images, in the data type and with the pixel size of each."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from biocnn.apply.images import Applied
from biocnn.apply.segment.maps import MeanMaps
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
        rounded and clipped to the data type of the image.

    Returns
    -------
    applied
        Rows of images.csv, with the number of clipped values.
    """
    first = models[0]
    with first.open_image(path) as image:
        maps = MeanMaps([model.open_maps(image, str(path), model.memory_gb * NETWORK) for model in models])
        spacing, unit = (image.spacing, image.unit) if image.spacing else (first.facts.spacing, first.facts.unit)
        with NamedTemporaryFile(dir=folder) as file:  # on disk, because an image may be larger than the memory
            values = np.memmap(file.name, image.dtype, "w+", shape=maps.shape)
            clipped = 0
            for region in maps.regions:
                values[:, *region], beyond = as_dtype(maps.region(region), values.dtype)
                clipped += beyond
            folder = folder / "restored"
            write_like(image, folder, name, values.__getitem__, values.dtype, spacing, unit, first.outputs)
        notes = [Note("repaired", repair) for repair in image.repairs] + maps.notes
    if clipped:
        share = f"{clipped:,} of {prod(maps.shape):,}"
        notes.append(Note("repaired", f"values beyond the range of {values.dtype} clipped", share))
    return Applied("images.csv", [{"clipped": clipped}], notes)


def as_dtype(values: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """Convert values to a data type; integers are rounded, and clipped to its range. Also count what was clipped."""
    if dtype.kind not in "iu":
        return values.astype(dtype), 0
    limits, rounded = np.iinfo(dtype), np.rint(values)
    clipped = int(((rounded < limits.min) | (rounded > limits.max)).sum())
    return np.clip(rounded, limits.min, limits.max).astype(dtype), clipped
