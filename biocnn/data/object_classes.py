"""Classes of objects in masks: from a table with a row for each object, or from masks with the class of each pixel."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import Collector, InputError, all_faults, nearest
from biocnn.data.image_pairs import check_columns, read_rows
from biocnn.data.image_sets import Seen
from biocnn.data.labels import of_classes, shown
from biocnn.io.image_paths import unique_ids
from biocnn.io.tables import MISSING
from biocnn.metrics.masks import IGNORE
from biocnn.tasks.typed_instances import RESERVED

TALLY = ("label", "value", "pixels")  # columns of `tally`
COLUMNS = ["row", "label", "class", "where"]  # of tables of objects in this module


class ObjectClasses(NamedTuple):
    """Classes of the objects of N images: their names, and for each image rows of label and class.

    ``of_image`` are N arrays of shape (n, 2), int32, ordered by label; classes are counted from 0, 255 is unknown.
    """

    names: list[str]
    of_image: list[np.ndarray]


def tally(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Count the pixels of each object with each value of a class mask.

    Parameters
    ----------
    labels, values
        Objects and values of their classes, integers, both of shape (*spatial).

    Returns
    -------
    tally
        Shape (n, 3): label (0 = background), value, number of pixels, in this order.
    """
    found, pixels = np.unique(np.stack([labels.ravel(), values.ravel()]), axis=1, return_counts=True)
    return np.column_stack([found.T, pixels]).astype(np.int64)


def from_masks(
    seen: Sequence[Seen],
    paths: Sequence[Path],
    classes: list[str] | None,
    ignore: int | None,
    checks: Checks,
    source: str,
) -> ObjectClasses:
    """Give each object the class of most of its pixels.

    Parameters
    ----------
    seen
        Properties of each image, with the tally of its class mask: 0 = no class, 1 to K = classes.
    paths
        Class mask of each image.
    classes
        Names of the values from 1; None: class1, class2, ...
    ignore
        Another value of pixels without a class.
    checks, source
        Receive counts of objects of each class, without a class and of several classes, under this name of the data.

    Raises
    ------
    InputError
        If a value has no name, or fewer than two classes have an object.
    """
    every = pd.concat([pd.DataFrame(one.tally, columns=TALLY).assign(row=row) for row, one in enumerate(seen)])
    every["value"] = every["value"].where(every["value"] != (0 if ignore is None else ignore), 0)
    top = len(classes) if classes else int(every["value"].max())
    if len(odd := every[~every["value"].between(0, min(top, IGNORE - 1))]):
        value, first = odd["value"].iloc[0], paths[odd["row"].iloc[0]]
        allowed = f"0 (none) to {top} (names in data.classes)" if classes else f"0 (none) to {IGNORE - 1}"
        remedy = "name the value of each class from 1 on in data.classes, or set data.ignore to that of unknown pixels"
        raise InputError(f"{first}: the class mask has the value {value}", f"allowed: {allowed}; {remedy}")
    names = classes or [f"class{value}" for value in range(1, top + 1)]
    outside = every[(every["label"] == 0) & (every["value"] > 0)]
    checks.add(source, "note", "pixels with a class outside all objects: not used", int(outside["pixels"].sum()))
    every = every[every["label"] > 0]
    known = every[every["value"] > 0].groupby(["row", "label"])["value"].nunique()
    several = known[known > 1]
    example = paths[several.index[0][0]].name if len(several) else ""
    checks.add(source, "note", "objects with pixels of several classes: most pixels decide", len(several), example)
    # Among equal numbers of pixels, a class comes before none, and a lower value before a higher one.
    order = every.assign(none=every["value"] == 0).sort_values(["row", "label", "pixels", "none", "value"],
                                                              ascending=[True, True, False, True, True])  # fmt: skip
    most = order.drop_duplicates(["row", "label"])
    words = np.array(["", *names], dtype=object)[most["value"]]
    where = [f"{paths[row].name} object {label}" for row, label in zip(most["row"], most["label"], strict=True)]
    absent = [name for name in names if name not in set(words)]
    checks.add(source, "dropped", "classes that no object has", len(absent), ", ".join(absent[:4]))
    present = [name for name in names if name not in absent]
    return _classes(most.assign(**{"class": words, "where": where})[COLUMNS], seen, present, checks, source)


def from_table(
    table: Path, rows: pd.DataFrame, seen: Sequence[Seen], classes: list[str] | None, checks: Checks
) -> ObjectClasses:
    """Read the class of each object from a table.

    Parameters
    ----------
    table
        CSV or TSV with the columns image (path as in ``rows``, file name, or name without suffix), label (value of the
        object in its mask) and class, which may be empty. Without label, a row is about all objects of an image.
    rows
        Images, with the column image.
    seen
        Properties of each image, with its mask.
    classes
        Classes to use, in this order; objects of others have none. None: all, by name.
    checks
        Receives counts of objects of each class, and without a class.

    Raises
    ------
    InputError
        If an image, label or class cannot be used, or a row contradicts another; names all faults.
    """
    found, source = read_rows(table), table.name
    check_columns(found, table, ["image"])
    if "class" not in found:
        raise InputError(f"{table}: no column 'class' in its first line", nearest("class", found))
    of_name, labels_in = _images_by_name(rows), [set(_labels_in(one)) for one in seen]
    rows_of = {path: list(of_path) for path, of_path in rows.reset_index().groupby("image").groups.items()}
    labels = found["label"] if "label" in found else [None] * len(found)
    collector, listed = Collector(), []
    for line, image, label, kind in zip(found.index, found["image"], labels, found["class"], strict=True):
        with collector:
            for row in rows_of[_path_of(image, of_name, f"{source} line {line}")]:
                named = labels_in[row] if label is None else {_label(label, labels_in[row], image, line, source)}
                listed += [(row, one, kind, f"{source} line {line}") for one in named]
    if collector.faults:
        raise all_faults(collector.faults, f"of {len(found)} rows cannot be used")
    every = pd.DataFrame(listed, columns=COLUMNS)
    for _, same in every[every.duplicated(["row", "label"], keep=False)].groupby(["row", "label"]):
        if same["class"].nunique() > 1:
            first, second = same["class"].unique()[:2]
            image = rows["image"].iloc[same["row"].iloc[0]]
            message = f"object {same['label'].iloc[0]} of {image} is {first!r} and {second!r}"
            raise InputError(f"{same['where'].iloc[-1]}: {message}", "keep one row for each object")
    twice = every.duplicated(["row", "label"])
    checks.add(source, "dropped", "rows about an object of an earlier row", int(twice.sum()))
    what = "an object" if "label" in found else "all objects of an image"
    checks.add(source, "read", f"rows with the class of {what}", len(found))
    return _classes(every[~twice], seen, classes, checks, source)


def _images_by_name(rows: pd.DataFrame) -> dict[str, set[str]]:
    """Return the paths of the images with each file name or name without suffix; a path names itself."""
    found: dict[str, set[str]] = {}
    for path, name in zip(rows["image"], unique_ids(rows["image"].tolist()), strict=True):
        for key in (Path(path).name, name):
            found.setdefault(key, set()).add(path)
    return found | {path: {path} for path in rows["image"]}


def _path_of(image: str, of_name: dict[str, set[str]], where: str) -> str:
    """Return the path of the image that a table names."""
    paths = sorted(of_name.get(image, ()))
    if not paths:
        raise InputError(f"{where}: there is no image {image!r}", nearest(image, of_name))
    if len(paths) > 1:
        message = f"{len(paths)} images are called {image!r}"
        raise InputError(f"{where}: {message}", f"give the path: {' or '.join(paths[:2])}")
    return paths[0]


def _label(text: str, known: set[int], image: str, line: int, source: str) -> int:
    """Return the label of an object that the mask has."""
    number = text.removesuffix(".0")  # of spreadsheets and data frames with empty cells
    if number.isdecimal() and int(number) in known:
        return int(number)
    some = ", ".join(map(str, sorted(known)[:4])) + ", ..." * (len(known) > 4)
    remedy = f"labels are the values of pixels in the mask: {f'it has {some}' if known else 'it is empty'}"
    raise InputError(f"{source} line {line}: the mask of {image} has no object {text!r}", remedy)


def _labels_in(seen: Seen) -> list[int]:
    assert seen.mask
    return sorted(seen.mask.values - {0})


def _classes(
    listed: pd.DataFrame, seen: Sequence[Seen], classes: list[str] | None, checks: Checks, source: str
) -> ObjectClasses:
    """Check classes as a whole, and sort them by image; ``listed`` has the columns row, label, class and where."""
    known = listed[~listed["class"].str.lower().isin(MISSING) | listed["class"].isin(classes or [])]
    if not len(known):
        remedy = "leave the classes of objects out, or check that they belong to these masks"
        raise InputError(f"{source}: no object has a class", remedy)
    words, names = of_classes(
        pd.Series(known["class"].to_numpy(), known["where"]), classes, "objects", checks, source, left_out="kept"
    )
    _check_names(names, words, source)
    numbers = {name: number for number, name in enumerate(names)}
    of_class = [numbers.get(word, IGNORE) for word in words]
    given = dict(zip(zip(known["row"], known["label"], strict=True), of_class, strict=True))
    of_image = [
        np.array([(label, given.get((row, label), IGNORE)) for label in _labels_in(one)], np.int32).reshape(-1, 2)
        for row, one in enumerate(seen)
    ]
    unknown = sum(int((one[:, 1] == IGNORE).sum()) for one in of_image)
    checks.add(source, "note", "objects without a class: only their outlines are learned and judged", unknown)
    return ObjectClasses(names, of_image)


def _check_names(names: list[str], words: pd.Series, source: str) -> None:
    if len(names) < 2:
        remedy = "leave the classes out: outlines need none"
        raise InputError(f"{source}: all {len(words)} objects are of class {names[0]!r} ({shown(words.index)})", remedy)
    if len(names) >= IGNORE:
        raise InputError(f"{source}: {len(names)} classes", f"at most {IGNORE - 1}")
    for name in names:
        if name in RESERVED:
            remedy = "name classes of objects only, from value 1" if name == "background" else "choose another name"
            raise InputError(f"{source}: a class of objects is called {name!r}", remedy)
