"""Images with a class, several labels of 0 and 1, or numbers each: read, checked, and returned one at a time."""

from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.data.covariates import check_names, read_covariates
from biocnn.data.doctor import examine
from biocnn.data.image_pairs import group_by_name, read_table
from biocnn.data.image_reader import ImageReader, refuse_repeated_classes
from biocnn.data.image_sets import (
    Open,
    Seen,
    common_facts,
    not_constant,
    pixels_of,
    scan,
    with_sizes,
)
from biocnn.data.image_values import several_values
from biocnn.data.labels import Labels, note_numbers, note_splits, one_class, ordered, several_labels, shown
from biocnn.data.raw import Raw
from biocnn.data.several_targets import CLASS, GRADE, VALUE, kind_of_labels, several_kinds
from biocnn.data.splits import SPLITS
from biocnn.io.image_paths import PASSED_OVER, image_paths, passed_over, unique_ids
from biocnn.io.kinds import is_zarr
from biocnn.io.labelled_npz import LabelledNpz
from biocnn.io.lazy import open_image
from biocnn.tasks.facts import Facts


@dataclass(kw_only=True)
class LabelReader(ImageReader):
    """Settings of a reader of images, or bags of images, with labels or numbers.

    Parameters
    ----------
    labels
        Columns of the table: one with the class of each image, by default ``label``; or several, each 0, 1 or empty
        (unknown). Beside other outputs, a column of 0 and 1 is yes or no, and one without either has classes.
    values
        Columns of the table to predict as numbers, such as an age, a size or a count; empty: unknown. For an .npz file
        the names of the columns of its labels.
    grades
        Column of the table with ordered classes, such as a stage; for a folder or .npz file, a name for its classes.
        The order is that of their numbers, else that of ``classes``, from the lowest to the highest.
    classes
        Names of the classes: for a table or folder the ones to keep, in this order; for an .npz file those of the
        numbers 0, 1, and so on, or of the columns of 0 and 1. For several columns with classes or grades, a list for
        each, by name: {type: [a, b], stage: [low, high]}; images of other classes are unknown there.
    """

    labels: list[str] | None = None
    values: list[str] | None = None
    grades: str | None = None
    classes: list[str] | dict[str, list[str]] | None = None


@dataclass(kw_only=True)
class LabelledImages(LabelReader):
    """Images with labels or numbers: planes or volumes, of microscopy or radiology; give one of table, folder and npz.

    For a table, labels, values and grades can be combined: one network then predicts all of them. Empty cells are
    unknown, and such an image is used for its other outputs only.

    Parameters
    ----------
    table
        CSV or TSV with the columns image (paths relative to the table's folder) and label, optionally split (train,
        val, test), group, id, and others, which are kept.
    folder
        Folder with one subfolder of images per class; or with the folders train, val and test of such subfolders.
    npz
        File in the layout of MedMNIST: arrays train_images, train_labels, and so on for val and test. Without test, val
        becomes test, and val is drawn from train.
    covariates
        Columns of the table with numbers or words that the network receives beside the image, such as age and sex.
        Numbers are standardised; an empty cell is missing.
    axes
        Order of the axes of files without metadata, e.g. CYX (channels), ZYX (a volume), ZCYX; in an .npz file of one
        image.
    """

    table: Path | None = None
    folder: Path | None = None
    npz: Path | None = None
    covariates: list[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        labels, values, classes = self.labels, self.values, self.classes
        given = [name for name in ("table", "folder", "npz") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError(f"data: {' and '.join(given) or 'no images'} given", "give one of table, folder and npz")
        if labels is not None and (self.table is None or not labels):
            raise InputError("data.labels: names columns of a table", "give data.table as well; or leave labels out")
        if values is not None and (self.folder or not values):
            remedy = "name at least one" if values == [] else "give data.table"
            raise InputError("data.values: names columns of a table", f"{remedy}; or leave values out")
        named = [("labels", name) for name in labels or []] + [("grades", self.grades)] * (self.grades is not None)
        named += [("values", name) for name in values or []]
        several = len({key for key, _ in named}) > 1
        if several and self.table is None:
            keys = " and ".join(dict.fromkeys(f"data.{key}" for key, _ in named))
            raise InputError(f"{keys}: can be combined for a table only", "give data.table, or leave one out")
        for number, (key, name) in enumerate(named):
            if name in [other for _, other in named[:number]]:
                raise InputError(f"data.{key}: duplicate column {name!r}", "name each column once")
        with_classes = [name for key, name in named if key != "values"]
        if isinstance(classes, dict):
            if strange := [name for name in classes if name not in with_classes]:
                remedy = nearest(strange[0], with_classes) if with_classes else "list the classes"
                raise InputError(f"data.classes: {strange[0]!r} is not a column of labels or grades", remedy)
        elif classes is not None and (values and not several):
            raise InputError("data.classes: numbers have no classes", "leave it out, or give data.labels as well")
        elif classes is not None and len(with_classes) > 1:
            raise InputError(
                "data.classes: is one list for several columns",
                "outputs of 0 and 1 have the names in data.labels; for others give a list for each, by name: "
                f"{{{with_classes[0]}: [{', '.join(classes[:3])}]}}",
            )
        if self.group is not None and self.npz is not None:
            raise InputError("data.group: images in an .npz file have no names", "leave it out, or give data.table")
        check_names(self.covariates, [name for _, name in named] or ["label"], self.table)
        by_column = classes if isinstance(classes, dict) else {}
        for listed in [classes] if isinstance(classes, list) else by_column.values():
            refuse_repeated_classes(listed)
        if several and isinstance(classes, list):
            by_column = {with_classes[0]: classes}
        elif not several and len(with_classes) == 1:
            self.classes = by_column.get(with_classes[0], classes)
        self.columns, self.several, self.by_column = {name: key for key, name in named}, several, by_column

    def read(self, seed: int, checks: Checks) -> Raw:
        """Read every image once, check images and labels as a whole, and describe them.

        Parameters
        ----------
        seed
            Not used: nothing here is random.
        checks
            Receives counts of what was found, repaired and dropped.

        Raises
        ------
        InputError
            If a file or label cannot be used.
        """
        raw, seen, source = self.images(checks)
        examine(raw.examples, seen, checks, source, labels=raw.y)
        return raw

    def images(self, checks: Checks) -> tuple[Raw, list[Seen], str]:
        """Do the same without searching for problems; also return the properties of each image, and a source name."""
        source = Path(self.table or self.folder or self.npz).name
        reader = self._table if self.table else self._folder if self.folder else self._npz
        rows, labels, opened = reader(checks, source)
        if self.grades and not labels.parts:
            labels = ordered(labels, self.grades, self.classes, source)
        elif labels.names is not None and self.classes is None:
            note_numbers(labels, checks, source)
        if labels.names is not None:
            rows = rows.assign(label=labels.names)
        rows, y = rows[labels.keep].reset_index(drop=True), labels.y[labels.keep]
        if labels.names is not None and "split" in rows:
            note_splits(rows["label"].tolist(), rows["split"], labels.outputs, checks, source)
        names = rows["image"].drop_duplicates().tolist()  # an image may be in several bags
        what = "images with values" if self.values and not labels.parts else "images with a label"
        of_names = dict(zip(names, scan(names, opened, what, checks, source), strict=True))
        seen = [of_names[name] for name in rows["image"]]
        keep = not_constant(seen, self.constant, checks, source)
        rows, y, seen = rows[keep].reset_index(drop=True), y[keep], list(compress(seen, keep))
        shared = common_facts(seen, self.channels, self.spacing, self.normalise, checks, source)
        facts = Facts(
            task=labels.task.value,
            out_channels=len(labels.outputs),
            outputs=labels.outputs,
            **({"parts": list(labels.parts)} if labels.parts else {}),
            decisions={"task": labels.task},
            **shared | ({"covariates": self.covariates} if self.covariates else {}),
        )
        examples = with_sizes(rows, seen, shared, checks, source)
        names = examples["image"].tolist()

        def x(row: int) -> np.ndarray:
            with opened(names[row]) as image:
                return pixels_of(image, facts)

        return Raw(examples, x, y, facts), seen, source

    def _table(self, checks: Checks, source: str) -> tuple[pd.DataFrame, Labels, Open]:
        columns = list(self.columns) or ["label"]
        rows = read_table(self.table, ["image"], self.group)
        for column in columns:
            if column not in rows:
                remedy = nearest(column, rows.columns.drop("group")) + (
                    "" if self.columns else "; name the column in data.labels, or one of numbers in data.values"
                )
                raise InputError(f"{self.table}: no column {column!r} in its first line", remedy)
        places = "line " + rows.index.astype(str)
        found = rows[columns].set_index(places)
        covariates = read_covariates(rows.set_index(places), self.covariates, checks, source)
        kinds = self._kinds(found) if self.several or len(self.labels or []) > 1 else {}
        if self.several or CLASS in kinds.values():
            labels = several_kinds(found, kinds, self.by_column, checks, source)
        elif self.values:
            labels = several_values(found, f"numbers in data.values: {', '.join(columns)}", checks, source)
        elif len(columns) > 1:
            labels = several_labels(found, f"labels in {len(columns)} columns", checks, source)
        else:
            labels = one_class(found[columns[0]], self.classes, f"one label in column {columns[0]}", checks, source)
        return rows.join(covariates.set_index(rows.index)), labels, self._files(Path(self.table).parent)

    def _kinds(self, table: pd.DataFrame) -> dict[str, str]:
        """Return the kind of each column; labels of several columns are classes if none of them is 0 or 1."""
        given = {"grades": GRADE, "values": VALUE}
        return {
            name: given.get(key) or (CLASS if name in self.by_column else kind_of_labels(table[name]))
            for name, key in self.columns.items()
        }

    def _folder(self, checks: Checks, source: str) -> tuple[pd.DataFrame, Labels, Open]:
        base = Path(self.folder)
        folders = _folders(base, checks, source)
        split = {path.name for path in folders} <= set(SPLITS)
        if split:
            folders = [inner for path in folders for inner in _folders(path, checks, f"{source}/{path.name}")]
            checks.add(source, "note", "splits by folder: train, val and test", len(folders))
        found = []
        for path in folders:
            _refuse_deeper(path, len(folders) == 1 and not split)
            others = passed_over(path)
            checks.add(path.name, "note", PASSED_OVER, len(others), *(other.name for other in others[:1]))
            found += [(str(image.relative_to(base)), path.name, path.parent.name) for image in image_paths(path)]
        rows = pd.DataFrame(found, columns=["image", "label", "split"], dtype=object)
        rows = rows if split else rows.drop(columns="split")
        labels = one_class(rows["label"].set_axis(rows["image"]), self.classes, "one folder per class", checks, source)
        kept = rows.loc[labels.keep, "image"].tolist()
        rows.loc[labels.keep, "group"] = group_by_name(kept, self.group) if self.group else unique_ids(kept)
        if self.group:
            checks.add(source, "note", f"groups by name: {rows['group'].nunique()}", len(kept))
        return rows, labels, self._files(base)

    def _files(self, base: Path) -> Open:
        return lambda name: open_image(base / name, self.axes)

    def _npz(self, checks: Checks, source: str) -> tuple[pd.DataFrame, Labels, Open]:
        file = LabelledNpz(Path(self.npz), self.axes)
        rows = pd.DataFrame({"image": file.names}, dtype=object)
        parts = rows["image"].str.extract(r"(.*)_images\[(.*)\]")
        rows = rows.assign(id=parts[0] + "_" + parts[1], split=parts[0])[["id", "split", "image"]]
        rows["group"] = rows["id"]
        if file.splits == ["train"]:
            rows = rows.drop(columns="split")
        elif "test" not in file.splits:
            number = (rows["split"] == "val").sum()
            rows["split"] = rows["split"].replace("val", "test")
            checks.add(
                source, "note", "no test images: those of val are used for test, and val is drawn from train", number
            )
        checks.add(source, "note", "arrays that are not used", len(file.others), ", ".join(file.others[:8]))
        return rows, self._numbered(file.labels(), rows["image"], checks, source), file.open

    def _numbered(self, y: np.ndarray, names: pd.Series, checks: Checks, source: str) -> Labels:
        """Understand the labels of an .npz file: values, numbers of classes, (N, 1), or 0 and 1, (N, K)."""
        if self.values:
            if len(self.values) != y.shape[1]:
                given = f"{plural(len(self.values), 'name')} for {plural(y.shape[1], 'column')} of labels in {source}"
                raise InputError(f"data.values: {given}", "give a name for each")
            text = pd.DataFrame(y.astype(str), index=names, columns=self.values, dtype=object)
            return several_values(text, f"numbers in data.values: {', '.join(self.values)}", checks, source)
        numeric = y.dtype.kind != "U"
        text = pd.DataFrame((y.astype(np.uint8) if y.dtype == bool else y).astype(str), index=names, dtype=object)
        if numeric:
            text = text.apply(lambda column: column.str.removesuffix(".0"))
        if y.shape[1] > 1:
            outputs = self.classes or [str(k) for k in range(y.shape[1])]
            if len(outputs) != y.shape[1]:
                raise InputError(
                    f"data.classes: {plural(len(outputs), 'name')} for {y.shape[1]} labels", "give a name for each"
                )
            return several_labels(text.set_axis(outputs, axis=1), f"{y.shape[1]} labels for each image", checks, source)
        text = text[0]
        reason = "one number for each image" if numeric else "one label for each image"
        if not numeric:
            return one_class(text, self.classes, reason, checks, source)
        numbers = {str(k): name for k, name in enumerate(self.classes or ())}
        if moved := [(k, name) for k, name in numbers.items() if name in numbers and name != k]:
            raise InputError(
                f"data.classes: names class {moved[0][0]} {moved[0][1]!r}, the number of another class",
                "list the names of the classes in the order of their numbers, e.g. [healthy, sick]; or leave it out",
            )
        wrong = text[~text.isin(numbers) if numbers else text.str.startswith("-")]
        if len(wrong):
            allowed = f"data.classes names 0 to {len(numbers) - 1}" if numbers else "classes are counted from 0"
            raise InputError(
                f"{source}: label {wrong.iloc[0]} of {wrong.index[0]}, but {allowed} "
                f"({plural(len(wrong), 'such label')})",
                "name all classes, in the order of their numbers; leave out images without a label",
            )
        return one_class(text.map(numbers) if numbers else text, self.classes, reason, checks, source)


def _folders(base: Path, checks: Checks, source: str) -> list[Path]:
    """List the subfolders of a folder; images directly in it are refused, other files are counted."""
    entries = [path for path in sorted(base.iterdir()) if not path.name.startswith(".")]
    found = [path for path in entries if path.is_dir() and not is_zarr(path)]
    others = passed_over(base)
    images = [path.name for path in entries if path not in found and path not in others]
    if images:
        raise InputError(
            f"{base}: {plural(len(images), 'image')} without a class, directly in this folder: {shown(images)}",
            "move each into the subfolder of its class",
        )
    if not found:
        raise InputError(f"{base}: no subfolder", "give a folder with one subfolder of images per class")
    files = [path.name for path in others if path.is_file()]
    checks.add(source, "note", "ignored: files outside the folders of classes", len(files), shown(files))
    return found


def _refuse_deeper(folder: Path, only: bool) -> None:
    """Refuse a folder without images but with folders: those of the classes are one level deeper."""
    others = passed_over(folder)
    inner = [path.name for path in others if path.is_dir()]
    if inner and len(others) == sum(not path.name.startswith(".") for path in folder.iterdir()):
        alike = "" if only else "; folders of splits must be named train, val and test"
        raise InputError(
            f"{folder}: no image, only the folders {shown(inner)}",
            f"if these are the classes, give data.folder: {folder}{alike}",
        )
