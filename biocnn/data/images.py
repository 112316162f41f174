"""Images with masks: read, checked as a whole, and returned one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, all_faults
from biocnn.data.appearance import looks_swapped
from biocnn.data.doctor import examine
from biocnn.data.image_pairs import group_by_name, pair_folders, read_rows, read_table, second_masks
from biocnn.data.image_reader import ImageReader, refuse_repeated_classes
from biocnn.data.image_sets import (
    Seen,
    common_facts,
    count_read,
    not_constant,
    pixels_of,
    with_sizes,
)
from biocnn.data.mask_values import MaskFile, of_one_kind, read_mask_file
from biocnn.data.masks import IGNORE, MaskCode, color_codes, understand_masks
from biocnn.data.object_classes import ObjectClasses, from_masks, from_table, tally
from biocnn.data.raw import Raw
from biocnn.data.survey import Survey
from biocnn.io.geometry import lay
from biocnn.io.image_files import ImageFile, read_image
from biocnn.io.image_paths import PASSED_OVER, passed_over
from biocnn.io.lazy import open_image
from biocnn.io.stored_image import Grid, swapped
from biocnn.tasks.facts import Decision, Facts

MOST_CLASSES = IGNORE  # values from 0 to 254
CLASS_MASK = "class_mask"  # column with the masks of classes of objects
_TRIED = 3  # pairs examined to detect swapped images and masks


@dataclass(kw_only=True)
class Images(ImageReader):
    """Images with masks: planes or volumes, from microscopy or radiology.

    Parameters
    ----------
    table
        CSV or TSV with the columns image and mask (paths relative to the table's folder), optionally class_mask (like
        ``class_masks``), split (train, val, test), group, and others, which are kept.
    images, masks
        Instead of a table: two folders, paired by file name; or one folder, with 1_mask.tif beside 1.tif.
    mask_type
        What the masks contain; "auto" decides by their values and writes the reason to checks.tsv.
    classes
        Names of the classes from value 0, background included; for binary masks the one name of the foreground; for
        classes of objects those in ``objects`` to use, or the names of the values of class masks from 1.
    objects
        For masks of objects with classes: CSV or TSV with the columns image (its path or name), label (value of the
        object in its mask) and class; without label, a row is about all objects of an image. Objects that are not
        listed, or whose class is empty, have no class: they are outlined only.
    class_masks
        For masks of objects with classes, instead of ``objects``: a folder of masks, paired with the images by file
        name, in which 0 is no class and 1 to K are classes. An object has the class of most of its pixels.
    colors
        For colour-coded masks: red, green, blue (0-255) of each class, background first; a class called ``ignore``
        marks pixels to exclude.
    ignore
        Mask value of pixels to exclude from loss and metrics; for class masks a value of pixels without a class.
    roi
        Column of the table with a mask of the field of view; pixels outside are excluded from loss and metrics.
    second
        Column of the table with masks by a second annotator, empty for images without one: the human level, with which
        the report compares the network.
    geometry
        "headers": if headers give the position or size of pixels, a mask is aligned to its image with them, and a
        disagreement is an error; "trust_arrays": arrays match pixel by pixel, whatever headers state.
    """

    table: Path | None = None
    images: Path | None = None
    masks: Path | None = None
    mask_type: Literal["auto", "binary", "classes", "instances"] = "auto"
    classes: list[str] | None = None
    objects: Path | None = None
    class_masks: Path | None = None
    colors: dict[str, list[Annotated[int, Field(ge=0, le=255)]]] | None = None
    ignore: int | None = None
    roi: str | None = None
    second: str | None = None
    geometry: Literal["headers", "trust_arrays"] = "headers"

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in ("table", "images", "masks") if getattr(self, name) is not None]
        if given not in (["table"], ["images", "masks"]):
            found = " and ".join(given) or "neither table nor images and masks"
            raise InputError(f"data: {found} given", "give either table, or both images and masks")
        for key, column in (("roi", self.roi), ("second", self.second)):
            if self.table is None and column:
                raise InputError(f"data.{key}: names a column of a table", "give data.table as well")
        if self.table is not None and self.class_masks:
            raise InputError("data.class_masks: is for data.images", "name them in the column class_mask of data.table")
        if self.classes is not None and len(self.classes) > MOST_CLASSES:
            message = f"data.classes: {len(self.classes)} names"
            raise InputError(message, f"at most {MOST_CLASSES}: values from 0 to 254, because 255 means unknown")
        refuse_repeated_classes(self.classes)
        if self.colors is not None:
            color_codes(self.colors)

    def read(self, seed: int, checks: Checks) -> Raw:
        """Read every image and mask once, check them as a whole, and describe them.

        Parameters
        ----------
        seed
            Not used: nothing here is random.
        checks
            Receives counts of what was found, repaired and dropped.

        Raises
        ------
        InputError
            If a file cannot be used, or the files do not match.
        """
        rows, folder, source = self._rows(checks)
        self._refuse_swapped(rows, folder)
        seen, survey = self._scan(rows, folder, checks, source)
        keep = not_constant(seen, self.constant, checks, source)
        code, kinds = self._understand(rows, folder, seen, survey, checks, source)
        rows, seen = rows[keep].reset_index(drop=True), list(compress(seen, keep))
        checks.add(source, "note", f"masks interpreted as {code.task}: {code.reason}", len(rows))
        shared = common_facts(seen, self.channels, self.spacing, self.normalise, checks, source)
        facts = Facts(
            task=code.task,
            out_channels=len(code.outputs),
            outputs=code.outputs,
            decisions={"task": Decision(value=code.task, reason=code.reason)},
            **shared,
        )
        measured = {"n_objects": [s.mask.ids for s in seen]} if code.objects else {}
        examples = with_sizes(rows, seen, shared, checks, source, **measured)
        examine(examples, seen, checks, source, code)
        reader = _Reader(rows, folder, self, code, facts, [s.grid for s in seen])
        classes = list(compress(kinds.of_image, keep)).__getitem__ if kinds else None
        second = reader.second if self.second else None
        return Raw(examples, reader.x, reader.y, facts, classes=classes, second=second)

    def _understand(
        self, rows: pd.DataFrame, folder: Path, seen: list[Seen], survey: Survey, checks: Checks, source: str
    ) -> tuple[MaskCode, ObjectClasses | None]:
        """Decide what the values of masks mean, and the classes of objects, if there are any."""
        typed, by_pixel = self.objects is not None or CLASS_MASK in rows, CLASS_MASK in rows
        if self.objects and by_pixel:
            raise InputError("data.objects: given, but there are class masks, too", "give one of the two")
        code = understand_masks(
            survey,
            mask_type="instances" if typed and self.mask_type == "auto" else self.mask_type,
            classes=None if typed else self.classes,
            colors=self.colors,
            ignore=None if by_pixel else self.ignore,
        )
        if code.objects and self.roi:
            raise InputError("data.roi: masks of objects have no value for ignored pixels", "remove data.roi")
        if typed and self.second:
            raise InputError("data.second: is not for objects with classes", "leave out data.second, or the classes")
        if not typed:
            return code, None
        if not code.objects:
            raise InputError(
                f"classes of objects are given, but the masks contain {code.task} ({code.reason})",
                "set data.mask_type: instances, or leave out the classes of objects",
            )
        if by_pixel:
            paths = [folder / path for path in rows[CLASS_MASK]]
            if paths == [folder / path for path in rows["mask"]]:
                raise InputError(
                    "class masks: the same files as the masks of objects",
                    "name masks in which pixels have the number of a class, not that of an object",
                )
            kinds = from_masks(seen, paths, self.classes, self.ignore, checks, source)
        else:
            kinds = from_table(Path(self.objects), rows, seen, self.classes, checks)
        reason = f"objects of {len(kinds.names)} classes ({', '.join(kinds.names)})"
        return replace(code, task="typed_instances", outputs=code.outputs + kinds.names, reason=reason), kinds

    def _rows(self, checks: Checks) -> tuple[pd.DataFrame, Path, str]:
        if self.table is not None:
            files = ["image", "mask", *([self.roi] if self.roi else [])]
            files += [CLASS_MASK] * (CLASS_MASK in read_rows(self.table))
            rows = read_table(self.table, files, self.group).reset_index(drop=True)
            if self.second:
                rows[self.second] = found = second_masks(rows, self.second, self.table)
                checks.add(Path(self.table).name, "read", "masks by a second annotator", int((found != "").sum()))
            return rows, Path(self.table).parent, Path(self.table).name
        rows, base, rule = pair_folders(self.images, self.masks)
        source = Path(self.images).name
        if self.group:
            rows["group"] = group_by_name(rows["image"].tolist(), self.group)
            checks.add(source, "note", f"groups by name: {rows['group'].nunique()}", len(rows))
        checks.add(source, "note", f"images and masks paired by: {rule}", len(rows))
        if self.class_masks:
            pairs, start, rule = pair_folders(self.images, self.class_masks, CLASS_MASK)
            found = {start / image: start / mask for image, mask in zip(pairs["image"], pairs[CLASS_MASK], strict=True)}
            rows[CLASS_MASK] = [str(found[base / image]) for image in rows["image"]]
            checks.add(source, "note", f"images and class masks paired by: {rule}", len(rows))
        for folder in (self.images, self.masks):
            others = passed_over(Path(folder))
            checks.add(Path(folder).name, "note", PASSED_OVER, len(others), *(path.name for path in others[:1]))
        return rows, base, source

    def _refuse_swapped(self, rows: pd.DataFrame, folder: Path) -> None:
        """Raise an error if the first images look like masks, and their masks like images."""
        pairs = [(folder / row["image"], folder / row["mask"]) for row in rows.head(_TRIED).to_dict("records")]
        if all(looks_swapped(image, mask, self.axes) for image, mask in pairs):
            raise InputError(
                f"{pairs[0][0]} looks like a mask, and {pairs[0][1]} like an image (like the next pairs)",
                "swap data.images and data.masks" if self.table is None else "swap the columns image and mask",
            )

    def _scan(self, rows: pd.DataFrame, folder: Path, checks: Checks, source: str) -> tuple[list[Seen], Survey]:
        """Read every file once, with one image in memory at a time."""
        seen, survey, faults = [], Survey(), []
        repairs: dict[str, list[str]] = {}
        for row in rows.to_dict("records"):
            image = _attempt(faults, read_image, folder / row["image"], self.axes)
            mask = _attempt(faults, self.mask_file, folder / row["mask"])
            found = (
                None
                if image is None or mask is None
                else _attempt(faults, self._look, image, mask, row, folder, survey)
            )
            if found is None:
                continue
            seen.append(found[0])
            for reason in found[1]:
                repairs.setdefault(reason, []).append(row["image"])
        if faults:
            raise all_faults(of_one_kind(faults), f"faults in {len(rows)} images with their masks")
        count_read("images with a mask", len(rows), repairs, checks, source)
        return seen, survey

    def _look(
        self, image: ImageFile, mask: MaskFile, row: dict, folder: Path, survey: Survey
    ) -> tuple[Seen, list[str]]:
        """Return the properties of an image with its mask, and what was repaired."""
        path, mask_path = folder / row["image"], folder / row["mask"]
        mask = self.on_image(mask, image.grid)
        _check_fit(image, path, mask, mask_path)
        if self.roi:
            roi_path = folder / row[self.roi]
            _check_fit(image, path, self.on_image(self.inside(roi_path), image.grid), roi_path)
        if self.second and row[self.second]:
            second_path = folder / row[self.second]
            _check_fit(image, path, self.on_image(self.mask_file(second_path), image.grid), second_path)
        counts, repairs = None, (*image.repairs, *mask.repairs)
        if CLASS_MASK in row:
            kind_path = folder / row[CLASS_MASK]
            kinds = self.on_image(self.mask_file(kind_path), image.grid)
            _check_fit(image, path, kinds, kind_path)
            counts, repairs = tally(mask.values, kinds.values), repairs + kinds.repairs
        background = 0 if self.colors is None else next(iter(color_codes(self.colors)))
        ignore = None if CLASS_MASK in row else self.ignore
        seen, foreground = survey.add(mask.values, mask_path, ignore, background, mask.opposed)
        return Seen.of(path, image, foreground, seen, counts), list(dict.fromkeys(repairs))

    def mask_file(self, path: Path) -> MaskFile:
        """Read the values of a mask, shape (*spatial), and what was repaired."""
        return read_mask_file(path, self.colors is not None, self._mask_axes)

    def on_image(self, mask: MaskFile, image: Grid) -> MaskFile:
        """Resample a mask to the grid of its image."""
        own = {"spacing": None} if self.spacing else {}  # data.spacing overrides that of the files
        values, repair = lay(mask.values, mask.grid._replace(**own), image, self.geometry == "trust_arrays")
        return mask._replace(values=values, repairs=mask.repairs + ((repair,) if repair else ()))

    def inside(self, path: Path) -> MaskFile:
        """Read the field of view: bool, shape (*spatial)."""
        mask = read_mask_file(path, axes=self._mask_axes)
        if mask.opposed:
            raise InputError(
                f"{path}: a field of view that is displayed with inverted values (MINISWHITE, or a palette from white "
                "to black)",
                "save it as greyscale PNG with 0 outside",
            )
        if not mask.values.any():
            raise InputError(f"{path}: the field of view is empty", "allowed: 0 outside, any other value inside")
        return mask._replace(values=mask.values != 0)

    @property
    def _mask_axes(self) -> str | None:
        """Return the axes of masks, which have no channels; None for planes, which need no order."""
        return self.axes.replace("C", "") if self.axes and "Z" in self.axes else None


class _Reader:
    """Reads single examples again, exactly as they were checked."""

    def __init__(
        self, rows: pd.DataFrame, folder: Path, settings: Images, code: MaskCode, facts: Facts, grids: list[Grid]
    ) -> None:
        self.rows, self.folder, self.settings, self.code, self.grids = rows, folder, settings, code, grids
        self.facts = facts

    def x(self, index: int) -> np.ndarray:
        """Read an image of shape (C, *spatial), in the data type of the set."""
        with open_image(self.folder / self.rows["image"].iloc[index], self.settings.axes) as image:
            return pixels_of(image, self.facts)

    def y(self, index: int) -> np.ndarray:
        """Read a class mask, uint8 with 255 = ignore, or labels, int32; shape (*spatial)."""
        return self._mask(index, "mask")

    def second(self, index: int) -> np.ndarray:
        """Read the mask of the second annotator; all axes have length 0 if there is none."""
        name = self.rows[self.settings.second].iloc[index]
        if not name:
            return np.empty([0] * self.facts.spatial_dims)
        values = np.unique(self.settings.mask_file(self.folder / name).values).tolist()
        if strange := [value for value in values if (value < 0 if self.code.objects else value not in self.code.table)]:
            raise InputError(
                f"{self.folder / name}: the value {min(strange):g} is in no mask of the first annotator",
                "both annotators must use the same values",
            )
        return self._mask(index, self.settings.second)

    def _mask(self, index: int, column: str) -> np.ndarray:
        row = self.rows.iloc[index]
        y = self.code(self._on_image(self.settings.mask_file(self.folder / row[column]), index))
        if self.settings.roi:
            y[~self._on_image(self.settings.inside(self.folder / row[self.settings.roi]), index)] = IGNORE
        return y

    def _on_image(self, mask: MaskFile, index: int) -> np.ndarray:
        return self.settings.on_image(mask, self.grids[index]).values


def _attempt(faults: list[InputError], call: Callable, *arguments: Any) -> Any:
    """Return the result of a call; on an error return None and record it."""
    try:
        return call(*arguments)
    except InputError as fault:
        faults.append(fault)
        return None


def _check_fit(image: ImageFile, path: Path, mask: MaskFile, mask_path: Path) -> None:
    """Refuse a mask whose size or orientation differs from that of its image."""
    shape, tags = image.pixels.shape[1:], (image.turn, mask.turn)
    if shape != mask.values.shape:
        found, needed = (" x ".join(map(str, shape)) for shape in (mask.values.shape, shape))
        order = "height x width" if mask.values.ndim == 2 else "depth x height x width"
        turned = f" (orientation tags: {tags[1]} and {tags[0]})" if max(tags) > 1 else ""
        raise InputError(
            f"{mask_path}: {found} pixels ({order}), but its image {path} has {needed}{turned}",
            "a mask must have the size of its image: does it belong to another image?",
        )
    if tags[0] != tags[1] and (shape[-1] == shape[-2] or swapped(tags[0]) == swapped(tags[1])):
        raise InputError(
            f"{path}: has the orientation tag {tags[0]}, but its mask {mask_path} has {tags[1]} (1: as stored): it is "
            "unclear whether the mask was drawn on the image as stored or as displayed",
            "rotate the pixels of both and drop the tag (ImageMagick: mogrify -auto-orient FILE); check the match",
        )
