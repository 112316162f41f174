"""Images with boxes around objects: read, checked, and returned one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.files import exists
from biocnn.core.plurals import plural
from biocnn.core.ranges import Positive
from biocnn.data.box_doctor import clean, refuse_sizes
from biocnn.data.box_files import CORNERS, BoxFile, from_coco, from_table, from_voc, from_yolo, located, places
from biocnn.data.doctor import examine
from biocnn.data.image_pairs import alike, check_rows, group_by_name, read_rows
from biocnn.data.image_reader import ImageReader, refuse_repeated_classes
from biocnn.data.image_sets import common_facts, not_constant, pixels_of, scan, with_sizes
from biocnn.data.images import Images
from biocnn.data.labels import of_classes, shown
from biocnn.data.raw import Raw
from biocnn.io.image_paths import image_paths, stem, unique_ids
from biocnn.io.lazy import open_image
from biocnn.tasks.facts import Decision, Facts
from biocnn.tasks.target import PARTIAL

SOURCES = ("table", "coco", "voc", "yolo", "masks")  # of boxes
_SHARED = (
    "kind", "spatial_dims", "in_channels", "channels", "known_as", "dtype", "spacing", "spacing_range", "unit",
    "normalise",
)  # fmt: skip


@dataclass(kw_only=True)
class BoxedImages(ImageReader):
    """Images with boxes around objects, or with points; give one of table, coco, voc, yolo and masks.

    Parameters
    ----------
    table
        CSV or TSV with one row per box: the columns image, label, and x0, y0, x1, y1 (or xmin, ymin, xmax, ymax); or
        points with x, y and radius. Optionally split (train, val, test), group, id, and difficult (1: neither object
        nor background). A row without coordinates is an image without boxes.
    coco
        JSON file of COCO. Crowds are neither object nor background.
    voc
        Folder with an XML file of Pascal VOC per image. Difficult objects are neither object nor background.
    yolo
        Folder with a text file of YOLO per image, and optionally classes.txt with the names of the classes.
    masks
        Folder of masks of objects, paired with ``images`` by file name. Objects are called ``object``.
    images
        Folder of the images, which paths start at; by default that of the boxes. Images that a table or a folder of
        YOLO does not mention have no boxes.
    index
        CSV or TSV with the column image, optionally split, group, id, and others, which are kept. Images without boxes
        are listed here, too.
    classes
        Names of the classes to keep, in this order; of a table without labels, or of objects in masks, the one class;
        for YOLO without classes.txt the names of the numbers 0, 1 and so on.
    origin
        Meaning of corners in a table or VOC files: 0: edges of pixels, so that x1 - x0 is the width; 1: pixels that are
        part of the box, counted from 1. By default 1 for VOC, else 0.
    radius
        Of points, in pixels; by default there is a column radius.
    second
        File or folder with the boxes of a second annotator, of the same kind as those of the first, for some images or
        all: the human level, with which the report compares the network.
    group
        Column of the table or index that a split never cuts: patient, slide. By default the column ``group``, else each
        image. Without these, a regular expression, e.g. "(.+)_tile": its match in a file's name, or the first group of
        the match.
    """

    table: Path | None = None
    coco: Path | None = None
    voc: Path | None = None
    yolo: Path | None = None
    masks: Path | None = None
    images: Path | None = None
    index: Path | None = None
    classes: list[str] | None = None
    origin: Literal[0, 1] | None = None
    radius: Positive | None = None
    second: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError(f"data: {' and '.join(given) or 'no boxes'} given", f"give one of {', '.join(SOURCES)}")
        if self.masks is not None and (self.images is None or self.index is not None):
            raise InputError("data.masks: needs data.images, and no data.index", "give two folders, images and masks")
        if self.origin is not None and given[0] not in ("table", "voc"):
            raise InputError(f"data.origin: {given[0]} files define the meaning of corners", "leave it out")
        if self.radius is not None and self.table is None:
            raise InputError(f"data.radius: {self.radius:g}", "is for a table of points: leave it out")
        if self.second is not None and self.masks is not None:
            raise InputError("data.second: is for files of boxes, not for masks", "leave it out")
        refuse_repeated_classes(self.classes)

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
        if self.masks:
            return self._of_masks(seed, checks)
        source = Path(self.table or self.coco or self.voc or self.yolo).name
        file = self._file(checks, source)
        rows, boxes, outputs = file.images, *self._classes(file.boxes, checks, source)
        paths = rows["image"].tolist()
        seen = scan(paths, lambda name: open_image(file.base / name, self.axes), "images", checks, source)
        refuse_sizes(file, dict(zip(paths, [one.shape for one in seen], strict=True)), source)
        keep = not_constant(seen, self.constant, checks, source)
        rows, seen = rows[keep].reset_index(drop=True), list(compress(seen, keep))
        shared = common_facts(seen, self.channels, self.spacing, self.normalise, checks, source)
        facts = _facts(outputs, f"boxes of {plural(len(outputs), 'class')}", shared)
        examples = with_sizes(rows, seen, shared, checks, source)
        boxes = clean(file, boxes[boxes["image"].isin(rows["image"])], examples, checks, source)
        examine(examples, seen, checks, source)
        names = examples["image"].tolist()

        def x(row: int) -> np.ndarray:
            with open_image(file.base / names[row], self.axes) as image:
                return pixels_of(image, facts)

        raw = _raw(examples, x, _by_image(boxes, outputs, rows["image"]), facts, checks, source)
        if self.second:
            raw.second = self._by_second(file, examples, outputs, checks).__getitem__
        return raw

    def _by_second(self, file: BoxFile, examples: pd.DataFrame, classes: list[str], checks: Checks) -> list[np.ndarray]:
        """Return the boxes of the second annotator in each image; of shape (0, 0) if it has no annotation."""
        path = Path(self.second)
        source, names = path.name, examples["image"]
        other = self._boxes_of(path, file.base, listed=True)
        seen = {*places(other, file.images["image"].tolist(), file.base, source).values()}
        other = located(other, file.images, file.base, source)
        shapes = examples[["height", "width"]].itertuples(index=False, name=None)
        refuse_sizes(other, dict(zip(names, shapes, strict=True)), source)
        boxes = other.boxes[other.boxes["image"].isin(names)]
        known = boxes["label"].isin(classes)
        if not known.any():
            raise InputError(f"{path}: no box has a class of the first annotator", f"allowed: {', '.join(classes)}")
        reason = "boxes of classes that the first annotator does not use"
        checks.add(source, "dropped", reason, (~known).sum(), "".join(boxes["label"][~known][:1]))
        boxes = clean(other, boxes[known], examples, checks, source)
        checks.add(source, "read", "images with boxes by a second annotator", names.isin(seen).sum())
        checks.add(source, "read", "boxes", len(boxes))
        drawn = zip(names, _by_image(boxes, classes, names), strict=True)
        return [found if name in seen else np.empty((0, 0)) for name, found in drawn]

    def _file(self, checks: Checks, source: str) -> BoxFile:
        """Read the boxes, and find their images."""
        path = Path(self.table or self.coco or self.voc or self.yolo)
        base = Path(self.images or (path if path.is_dir() else path.parent))
        file = self._boxes_of(path, base, listed=self.index is not None)
        if self.index:
            base = Path(self.images or Path(self.index).parent)
            rows = check_rows(read_rows(self.index), self.index, base, ["image"], self.group)
            return located(file, rows.reset_index(drop=True), base, source)
        return self._with_others(file, checks, source) if self.table else self._in_folder(file, checks, source)

    def _boxes_of(self, path: Path, base: Path, listed: bool) -> BoxFile:
        """Read a file or folder of boxes; ``listed`` as for `from_table`."""
        if self.table:
            options = {"group": self.group, "radius": self.radius, "classes": self.classes, "origin": self.origin or 0}
            return from_table(path, base, listed=listed, **options)
        if self.coco:
            return from_coco(path, base)
        if self.voc:
            return from_voc(path, base, 1 if self.origin is None else self.origin)
        return from_yolo(path, base, self.classes)

    def _with_others(self, file: BoxFile, checks: Checks, source: str) -> BoxFile:
        """Add the images of the folder that the table does not list, unless it has a column split or id."""
        if not self.images:
            return file
        listed = set(file.images["image"])
        folders = dict.fromkeys(Path(name).parent for name in file.images["image"])
        paths = [str(path.relative_to(file.base)) for one in folders for path in image_paths(file.base / one)]
        others = [path for path in paths if path not in listed]
        if {"split", "id"} & set(file.images):
            reason = "images of the folder that the table does not list: left out, because they have no split or id"
            checks.add(source, "note", reason, len(others), "".join(others[:1]))
            return file
        reason = "images of the folder that the table does not list: used as images without boxes"
        checks.add(source, "note", reason, len(others), "".join(others[:1]))
        more = pd.DataFrame({"image": others, "group": unique_ids(others)}, dtype=object)
        return file._replace(images=pd.concat([file.images, more], ignore_index=True))

    def _in_folder(self, file: BoxFile, checks: Checks, source: str) -> BoxFile:
        """Find the images in their folder; those that are not annotated have no boxes for YOLO, else are left out."""
        names = file.images["image"]
        if self.coco:
            missing = [name for name in names if not exists(file.base / name)]
            if missing:
                remedy = f"{alike(file.base / missing[0])}paths are relative to {file.base}; set data.images"
                what = f"{source}: {len(missing)} of {len(names)} image files do not exist: {shown(missing)}"
                raise InputError(what, remedy)
            paths = names.tolist()
        else:
            paths = [str(path.relative_to(file.base)) for path in image_paths(file.base)]
        found = located(file, _grouped(paths, self.group), file.base, source)
        if self.coco:
            return found
        annotated = {stem(Path(name)) for name in names}
        others = [path for path in paths if stem(Path(path)) not in annotated]
        use = "used as images without boxes" if self.yolo else "left out"
        reason = f"images without a file of annotations: {use}"
        checks.add(source, "note", reason, len(others), "".join(others[:1]))
        if self.yolo:
            return found
        return found._replace(images=found.images[~found.images["image"].isin(others)].reset_index(drop=True))

    def _of_masks(self, seed: int, checks: Checks) -> Raw:
        """Read masks of objects like ``Images``, and put a box around each object."""
        common = {field.name: getattr(self, field.name) for field in fields(ImageReader)}
        raw = Images(images=self.images, masks=self.masks, mask_type="instances", **common).read(seed, checks)
        if (raw.examples["n_objects"] < 2).all():
            raise InputError(
                f"{self.masks}: no mask has several objects: are these masks of a class?",
                "give each object a number of its own, e.g. with skimage.measure.label",
            )
        outputs = self.classes or ["object"]
        if len(outputs) > 1:
            raise InputError(f"data.classes: {len(outputs)} names for the objects of masks", "give one name")
        shared = {name: getattr(raw.facts, name) for name in raw.facts.model_fields_set & set(_SHARED)}
        facts = _facts(outputs, "boxes around the objects of masks", shared)
        y = [_around(raw.truth(row)) for row in range(len(raw.examples))]
        return _raw(raw.examples, raw.x, y, facts, checks, Path(self.masks).name)

    def _classes(self, boxes: pd.DataFrame, checks: Checks, source: str) -> tuple[pd.DataFrame, list[str]]:
        """Return the boxes of the classes to keep, and these."""
        if not len(boxes):
            raise InputError(f"{source}: no boxes", "give at least one box of each class")
        labels, classes = of_classes(boxes["label"].set_axis(boxes["where"]), self.classes, "boxes", checks, source)
        boxes = boxes.assign(label=labels.to_numpy())
        return boxes[boxes["label"].isin(classes)].reset_index(drop=True), classes


def _facts(outputs: list[str], reason: str, shared: dict[str, Any]) -> Facts:
    """Return the facts about boxes of these classes; boxes are found in planes only so far."""
    if shared["spatial_dims"] != 2:
        raise InputError("data: volumes, but boxes are found in planes only", "for volumes use masks (data: Images)")
    decision = Decision(value="boxes", reason=reason)
    return Facts(task="boxes", out_channels=len(outputs), outputs=outputs, decisions={"task": decision}, **shared)


def _raw(examples: pd.DataFrame, x: Callable, y: list[np.ndarray], facts: Facts, checks: Checks, source: str) -> Raw:
    """Return images with boxes, and count these."""
    numbers = np.array([len(found) for found in y])
    checks.add(source, "read", "boxes", numbers.sum())
    ignored = sum(int((found[:, 0] == PARTIAL).sum()) for found in y)
    checks.add(source, "note", "boxes marked as difficult or as crowds: neither object nor background", ignored)
    checks.add(source, "note", "images without boxes", (numbers == 0).sum(), "".join(examples["id"][numbers == 0][:1]))
    return Raw(examples.assign(n_boxes=numbers), x, y.__getitem__, facts)


def _grouped(paths: list[str], pattern: str | None) -> pd.DataFrame:
    """Return the table of images in a folder, each its own group without a pattern for groups."""
    groups = group_by_name(paths, pattern) if pattern else unique_ids(paths)
    return pd.DataFrame({"image": paths, "group": groups}, dtype=object)


def _around(labels: np.ndarray) -> np.ndarray:
    """Return a box around each object of a mask, (n, 1 + 2 axes), float32, of class 0."""
    from scipy.ndimage import find_objects

    found = [one for one in find_objects(labels) if one is not None]
    corners = [[0, *(side.start for side in one), *(side.stop for side in one)] for one in found]
    return np.array(corners, np.float32).reshape(-1, 1 + 2 * labels.ndim)


def _by_image(boxes: pd.DataFrame, outputs: list[str], images: pd.Series) -> list[np.ndarray]:
    """Return the boxes of each image as targets, (M, 5), float32."""
    numbers = np.where(boxes["ignored"], PARTIAL, pd.Index(outputs).get_indexer(boxes["label"]))
    targets = np.column_stack([numbers, boxes[CORNERS]]).astype(np.float32)
    rows = boxes.groupby("image", sort=False).indices
    return [targets[rows.get(name, [])] for name in images]
