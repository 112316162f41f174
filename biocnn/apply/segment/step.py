"""The segment step: masks or labels of new images, and a table of objects, in memory independent of image size."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from biocnn.apply.measure import summarise, with_neighbours
from biocnn.apply.segment.maps import MeanMaps
from biocnn.apply.segment.pieces import Pieces
from biocnn.apply.segment.scratch import Scratch
from biocnn.apply.segment.table import measure_pieces
from biocnn.apply.segment.writing import write_like
from biocnn.config.registry import resolve
from biocnn.config.schema import options
from biocnn.config.settings import Predict, Segment
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.io.image_paths import PASSED_OVER, named_images, passed_over
from biocnn.io.lazy import LazyImage
from biocnn.io.stored_image import Slices
from biocnn.prediction.compatibility import Note, agree
from biocnn.prediction.model import Model

SEGMENT = Segment()
NETWORK, OTHERS = 0.35, 0.5  # fractions of memory_gb for a pass through the network, and for work at other times


log = logging.getLogger("biocnn")


def segment_files(
    images: Path, models: Sequence[Path], folder: Path, *, trust: Sequence[str] = (), **settings: Any
) -> int:
    """Segment images with model files, into a new folder; settings are those of ``Model``, and on_error.

    The defaults are those of ``Predict`` and ``Segment`` in ``biocnn.config.settings``.
    """
    predict, segment = options(settings, Predict, Segment)
    loaded = [Model(model, trust=trust, **dict(predict), **segment.fit) for model in models]
    agree(loaded, "image")
    torch.set_num_threads(loaded[0].meta.experiment.train.threads)
    folder.mkdir()
    return segment_images(images, loaded, folder, on_error=segment.on_error)


def segment_images(
    images: str | Path, models: Sequence[Model], folder: Path, *, on_error: str = SEGMENT.on_error
) -> int:
    """Segment every image of a folder with the mean probability of the models.

    Images are read, predicted and assembled piece by piece, and objects are measured in groups. The results do not
    depend on the pieces, nor on ``memory_gb`` of the models.

    Parameters
    ----------
    images
        A folder, or one image.
    models
        Models of the same task, classes and channels. The first one determines the settings that turn maps into
        objects, and the memory to use.
    folder
        Receives masks/ (0/1 or class numbers, uint8) or labels/ (0 = background, 1..n, int32), as NIfTI for images that
        are NIfTI or DICOM volumes, else as TIFF, above 16 million pixels as tiled OME-TIFF with a pyramid; objects.csv
        with the objects, or the connected pieces of each class; images.csv with a row per image and class, including
        repairs of the image or why it was skipped; and counts.tsv with the number of each.
    on_error
        What to do with an image that cannot be read or does not fit the model: ``skip`` it, or ``stop``.

    Returns
    -------
    count
        Number of objects in all images.

    Raises
    ------
    InputError
        If models differ, an image cannot be used and ``on_error`` is ``stop``, or no image can be used.
    """
    agree(models, "image")
    options({"on_error": on_error}, Segment)
    tables, rows, checks = [], [], Checks()
    found = named_images(images)
    skipped: list[InputError] = []
    for name, path in found:
        place = {"image": name, "path": str(path.relative_to(images) if path != Path(images) else path.name)}
        try:
            table, shape, notes = _segment(path, name, models, folder)
        except InputError as error:
            if on_error == "stop":
                raise
            log.warning("skipped: %s", error)
            skipped.append(error)
            rows.append({**place, "skipped": " ".join(f"{error.message}: {error.remedy}".split())})
            continue
        for note in notes:
            checks.add("segment", note.outcome, note.reason, 1, f"{name}: {note.detail}" if note.detail else name)
        message = "; ".join(f"{note.reason} ({note.detail})" if note.detail else note.reason for note in notes)
        tables.append(pd.DataFrame(place, index=table.index).join(table))
        of_class = {kind: table[table["class"] == kind] for kind in models[0].task.classes()}
        rows += [{**place, "class": k, **summarise(t, shape), "notes": message} for k, t in of_class.items()]
    if not tables:
        first = skipped[0]
        raise InputError(f"{first.message} (none of {len(found)} images can be segmented)", first.remedy)
    checks.add("segment", "read", "images segmented", len(tables))
    others = passed_over(Path(images))
    checks.add("segment", "note", PASSED_OVER, len(others), *(path.name for path in others[:1]))
    if skipped:
        log.warning("%d of %d images were skipped; images.csv gives the reasons", len(skipped), len(found))
        checks.add("segment", "dropped", "images that cannot be used", len(skipped), skipped[0].message)
    objects = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
    objects.to_csv(folder / "objects.csv", index=False, float_format="%.6g")
    table = pd.DataFrame(rows)
    last = ["notes", "skipped"]
    table = table.reindex(columns=[*(name for name in table if name not in last), *last])
    table.to_csv(folder / "images.csv", index=False, float_format="%.6g")
    checks.counted().to_csv(folder / "counts.tsv", sep="\t", index=False)
    return len(objects)


def _segment(
    path: Path, name: str, models: Sequence[Model], folder: Path
) -> tuple[pd.DataFrame, tuple[int, ...], list[Note]]:
    """Write the mask or labels of one image; return its objects, its shape (*spatial), and repairs and doubts."""
    first = models[0]
    with first.open_image(path) as image:
        maps = MeanMaps([model.open_maps(image, str(path), model.memory_gb * NETWORK) for model in models])
        table = _measured(image, maps, name, first, folder)
        notes = [Note("repaired", repair) for repair in image.repairs] + maps.notes
        return table, tuple(image.shape[1:]), notes


def _measured(image: LazyImage, maps: MeanMaps, name: str, first: Model, folder: Path) -> pd.DataFrame:
    """Write the mask or labels of one image, and return its objects."""
    facts, task, share = first.facts, first.task, first.memory_gb * OTHERS
    spacing, unit = (image.spacing, image.unit) if image.spacing else (facts.spacing, facts.unit)
    with Scratch(image.shape[1:], folder / f".{name}.numbers") as numbers:
        postprocess = task.postprocess_at(first.meta.postprocess.given(), maps.zoom)
        found, row = resolve(task.segmenter)(maps, task, postprocess, numbers, share)
        order, labels = _in_order(found)
        kind, values = ("labels", labels) if task.objects else ("masks", found.kind.astype(np.uint8))
        value = np.append(values, np.zeros(1, values.dtype))[row]  # of each number; row -1 is the background
        # The mask is written last, because until then the image may prove to be damaged.
        table = measure_pieces(found, row, numbers, image, spacing, unit, facts.channels, share)
        write_like(image, folder / kind, name, partial(_values, numbers, value), value.dtype, spacing, unit)
    names = {kind: name for name, kind in task.classes().items()}
    table = table.assign(**{"label": labels, "class": [names[kind] for kind in found.kind]}).iloc[order]
    apart = [with_neighbours(table[table["class"] == name], unit) for name in names.values()]
    return pd.concat([part for part in apart if len(part)] or apart, ignore_index=True)


def _values(numbers: Scratch, value: np.ndarray, window: Slices) -> np.ndarray:
    return value[numbers.read(window)]


def _in_order(found: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of rows by class and first pixel, and labels 1..n within each class, independent of blocks."""
    order = np.lexsort((found.first, found.kind))
    begins = np.searchsorted(found.kind[order], found.kind[order])
    labels = np.empty(len(order), np.int32)
    labels[order] = np.arange(len(order)) - begins + 1
    return order, labels
