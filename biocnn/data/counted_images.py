"""Images whose objects are counted, each marked by a point: read, checked, and returned one at a time."""

from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.data.box_files import POINT, BoxFile, located, of_objects
from biocnn.data.doctor import examine
from biocnn.data.image_pairs import check_columns, check_rows, read_rows
from biocnn.data.image_reader import ImageReader, refuse_repeated_classes
from biocnn.data.image_sets import common_facts, not_constant, pixels_of, scan, with_sizes
from biocnn.data.labels import of_classes
from biocnn.data.point_doctor import clean_points, compare_counts, decide_width, note_swapped
from biocnn.data.raw import Raw
from biocnn.io.image_paths import image_paths
from biocnn.io.lazy import open_image
from biocnn.tasks.facts import Decision, Facts


@dataclass(kw_only=True)
class CountedImages(ImageReader):
    """Images with a point in each object, to count objects by a map of their density; planes only.

    Parameters
    ----------
    table
        CSV or TSV with one row per point: the columns image, x, y, in pixels, and optionally label (each is counted on
        its own), split (train, val, test), group, id, and difficult (1: not counted). A row without coordinates is an
        image without objects.
    index
        CSV or TSV of all images: the column image, optionally split, group, id, count (compared with the number of
        points), and others, which are kept. An image without points has no objects.
    images
        Folder that paths of images start at; by default that of the index, else of the table.
    classes
        Labels to count, in this order; of a table without labels, the name of its objects.
    origin
        Number of the first pixel.
    width
        Standard deviation of the density around each point, in pixels; follows from the distances between points unless
        set.
    group
        Column of the index or table that a split never cuts: patient, slide. By default the column ``group``, else each
        image.
    """

    table: Path
    index: Path | None = None
    images: Path | None = None
    classes: list[str] | None = None
    origin: Literal[0, 1] = 0
    width: Annotated[float, Field(gt=0, lt=1000)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_repeated_classes(self.classes)

    def read(self, seed: int, checks: Checks) -> Raw:
        """Read every image once, check images and points as a whole, and describe them.

        Parameters
        ----------
        seed
            Not used: nothing here is random.
        checks
            Receives counts of what was found, repaired and dropped.

        Raises
        ------
        InputError
            If a file or point cannot be used.
        """
        source = Path(self.table).name
        file = self._file(checks, source)
        base, rows, points = file.base, file.images, file.boxes
        if not len(points):
            raise InputError(f"{source}: no points", "give a row with x and y for each object")
        labels, outputs = of_classes(points["label"].set_axis(points["where"]), self.classes, "points", checks, source)
        points = points.assign(label=labels.to_numpy())
        points = points[points["label"].isin(outputs)]
        seen = scan(rows["image"].tolist(), lambda name: open_image(base / name, self.axes), "images", checks, source)
        keep = not_constant(seen, self.constant, checks, source)
        rows, seen = rows[keep].reset_index(drop=True), list(compress(seen, keep))
        shared = common_facts(seen, self.channels, self.spacing, self.normalise, checks, source)
        if shared["spatial_dims"] != 2:
            raise InputError("data: volumes, but objects are counted in planes only", "give planes")
        examples = with_sizes(rows, seen, shared, checks, source)
        points = clean_points(points[points["image"].isin(rows["image"])], examples, checks, source)
        compare_counts(points, examples, checks, source)
        examine(examples, seen, checks, source)
        kind = Decision(value="density", reason=f"points of {len(outputs)} classes" if outputs[1:] else "points")
        width = decide_width(points, self.width)
        facts = Facts(
            task="density",
            out_channels=len(outputs),
            outputs=outputs,
            width=width.value,
            decisions={"task": kind, "width": width},
            **shared,
        )
        names = examples["image"].tolist()

        def x(row: int) -> np.ndarray:
            with open_image(base / names[row], self.axes) as image:
                return pixels_of(image, facts)

        note_swapped(points, examples, x, checks, source)
        number = points["image"].value_counts().reindex(names, fill_value=0).to_numpy()
        checks.add(source, "read", "points", number.sum())
        none = examples["id"][number == 0]
        checks.add(source, "note", "images without points: 0 objects", len(none), *none[:1])
        return Raw(examples.assign(n_points=number), x, _Dots(points, outputs, examples), facts)

    def _file(self, checks: Checks, source: str) -> BoxFile:
        """Read the points, and find their images."""
        table = Path(self.table)
        base, rows = Path(self.images or Path(self.index or table).parent), read_rows(table)
        check_columns(rows, table, ["image"])
        if lacking := [name for name in POINT if name not in rows]:
            remedy = f"{nearest(lacking[0], rows)}; points need the columns image, x and y"
            raise InputError(f"{table}: no column {lacking[0]!r} in its first line", remedy)
        if "label" not in rows:
            if len(self.classes or []) > 1:
                what = f"data.classes: {len(self.classes)} names, but {table} has no column label"
                raise InputError(what, "add the column, or give one name")
            rows["label"] = (self.classes or ["object"])[0]
        listed = self.index is not None
        images, points = of_objects(rows, POINT, table, base, listed=listed, group=self.group)
        points[POINT] -= self.origin
        file = BoxFile(images, points, base)
        if listed:
            rows = check_rows(read_rows(self.index), self.index, base, ["image"], self.group)
            file = located(file, rows.reset_index(drop=True), base, source)
        self._note_unlisted(file, checks, source)
        return file

    def _note_unlisted(self, file: BoxFile, checks: Checks, source: str) -> None:
        """Count images next to the listed ones that no table lists: without points, or not yet annotated?"""
        folders = dict.fromkeys((file.base / name).parent for name in file.images["image"])
        listed = {file.base / name for name in file.images["image"]}
        others = [path.name for folder in folders for path in image_paths(folder) if path not in listed]
        reason = "images of the folder that are not listed: left out; list those without objects in data.index"
        checks.add(source, "note", reason, len(others), *others[:1])


class _Dots:
    """Number of points in each pixel, by row of the table of images: shape (K, height, width), float32."""

    def __init__(self, points: pd.DataFrame, outputs: list[str], examples: pd.DataFrame) -> None:
        self.shapes = examples[["height", "width"]].to_numpy(int)
        number = pd.Index(outputs).get_indexer(points["label"])
        self.places = np.column_stack([number, points[["row", "column"]]])
        found = points.reset_index(drop=True).groupby("image", sort=False).indices
        self.rows = [found.get(name, []) for name in examples["image"]]
        self.outputs = len(outputs)

    def __call__(self, row: int) -> np.ndarray:
        dots = np.zeros((self.outputs, *self.shapes[row]), np.float32)
        np.add.at(dots, tuple(self.places[self.rows[row]].T), 1)
        return dots
