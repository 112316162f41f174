"""Images with boxes around objects: read, checked, and returned one at a time."""

from itertools import compress
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.box_doctor import clean
from biocnn.data.box_files import CORNERS, BoxFile, from_table
from biocnn.data.doctor import examine
from biocnn.data.image_sets import check_options, common_facts, not_constant, pixels_of, scan, with_sizes
from biocnn.data.labels import of_classes
from biocnn.data.raw import Raw
from biocnn.io.lazy import open_image
from biocnn.tasks.facts import Decision, Facts
from biocnn.tasks.target import PARTIAL


class BoxedImages:
    """Images with boxes around objects, or with points; planes, from microscopy or radiology.

    Parameters
    ----------
    table
        CSV or TSV with one row per box: the columns image (paths relative to the table's folder, or to ``images``),
        label, and x0, y0, x1, y1 (or xmin, ymin, xmax, ymax); or points with x, y and radius. Optionally split (train,
        val, test), group, id, and difficult (1: neither object nor background). A row without coordinates is an image
        without boxes.
    images
        Folder of the images; those that the table does not list have no boxes.
    classes
        Names of the classes to keep, in this order; of a table without labels the one class.
    origin
        What corners are: 0: edges of pixels, so that x1 - x0 is the width; 1: pixels that are part of the box, counted
        from 1.
    radius
        Of points, in pixels; by default there is a column radius.
    group
        Column of the table that a split never cuts: patient, slide. By default the column ``group``, else each image.
    channels
        Channels to use, by name; or, if none of these names is in the files, new names for their channels.
    axes
        Order of the axes of images without metadata, e.g. CYX (channels).
    spacing
        Height and width of a pixel, instead of that in the files; in um, or for NIfTI and DICOM in mm.
    normalise
        Intensities that map to 0 and 1 for the network: the 1st and 99.8th percentile of all training images
        ("dataset") or of each image ("image"); "auto" uses the latter if some images span twice the range of others.
    constant
        What to do with an image of a single value.
    """

    def __init__(
        self,
        *,
        table: Path | None = None,
        images: Path | None = None,
        classes: list[str] | None = None,
        origin: Literal[0, 1] = 0,
        radius: float | None = None,
        group: str | None = None,
        channels: list[str] | None = None,
        axes: str | None = None,
        spacing: list[float] | None = None,
        normalise: Literal["auto", "dataset", "image"] = "auto",
        constant: Literal["error", "keep", "drop"] = "error",
    ) -> None:
        check_options(axes, spacing, classes)
        self.table, self.images, self.classes, self.origin, self.radius = table, images, classes, origin, radius
        self.group, self.channels, self.axes, self.spacing = group, channels, axes, spacing
        self.normalise, self.constant = normalise, constant

    def read(self, seed: int, checks: Checks) -> Raw:
        """Read every image once, check images and boxes as a whole, and describe them.

        Parameters
        ----------
        seed
            Not used: nothing here is random.
        checks
            Receives counts of what was found, repaired and dropped.

        Raises
        ------
        InputError
            If a file or box cannot be used.
        """
        source = Path(self.table).name
        file = self._file()
        rows, boxes, outputs = file.images, *self._classes(file.boxes, checks, source)
        paths = rows["image"].tolist()
        seen = scan(paths, lambda name: open_image(file.base / name, self.axes), "images", checks, source)
        keep = not_constant(seen, self.constant, checks, source)
        rows, seen = rows[keep].reset_index(drop=True), list(compress(seen, keep))
        shared = common_facts(seen, self.channels, self.spacing, self.normalise, checks, source)
        if shared["spatial_dims"] != 2:
            raise InputError(f"{seen[0].path}: a volume", "boxes need planes so far; for volumes give masks (Images)")
        examples = with_sizes(rows, seen, shared, checks, source)
        boxes = clean(file, boxes[boxes["image"].isin(rows["image"])], examples, checks, source)
        y = _by_image(boxes, outputs, rows["image"])
        examples["n_boxes"] = [len(found) for found in y]
        checks.add(source, "read", "boxes", len(boxes))
        checks.add(source, "note", "boxes that count neither as object nor as background", boxes["ignored"].sum())
        bare = examples["id"][examples["n_boxes"] == 0]
        checks.add(source, "note", "images without boxes", len(bare), "".join(bare[:1]))
        decision = Decision(value="boxes", reason=f"boxes of {len(outputs)} classes")
        facts = Facts(task="boxes", out_channels=len(outputs), outputs=outputs, decisions={"task": decision}, **shared)
        examine(examples, seen, checks, source)
        names = examples["image"].tolist()

        def x(row: int) -> np.ndarray:
            with open_image(file.base / names[row], self.axes) as image:
                return pixels_of(image, facts)

        return Raw(examples, x, y.__getitem__, facts)

    def _file(self) -> BoxFile:
        images = Path(self.images) if self.images else None
        return from_table(Path(self.table), images, self.group, self.origin, self.radius, self.classes)

    def _classes(self, boxes: pd.DataFrame, checks: Checks, source: str) -> tuple[pd.DataFrame, list[str]]:
        """Return the boxes of the classes to keep, and these."""
        if not len(boxes):
            raise InputError(f"{source}: no boxes", "give at least one box of each class")
        labels, classes = of_classes(boxes["label"].set_axis(boxes["where"]), self.classes, "boxes", checks, source)
        boxes = boxes.assign(label=labels.to_numpy())
        return boxes[boxes["label"].isin(classes)].reset_index(drop=True), classes


def _by_image(boxes: pd.DataFrame, outputs: list[str], images: pd.Series) -> list[np.ndarray]:
    """Return the boxes of each image as targets, (M, 5), float32."""
    numbers = np.where(boxes["ignored"], PARTIAL, pd.Index(outputs).get_indexer(boxes["label"]))
    targets = np.column_stack([numbers, boxes[CORNERS]]).astype(np.float32)
    rows = boxes.groupby("image", sort=False).indices
    return [targets[rows.get(name, [])] for name in images]
