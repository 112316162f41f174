"""Sequences or images in memory, written as the files that readers of data read."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.config.registry import REGISTRY, find
from biocnn.core.errors import InputError, nearest
from biocnn.data.labels import MOST_NUMBERS
from biocnn.data.several_targets import CLASS, GRADE, LABEL, VALUE
from biocnn.io.letters import CODES, letters_of

TABLE = "examples.tsv"
# Where readers name lines of the table; elsewhere, such words are names of classes, covariates and the like.
LINES = re.compile(rf"(?:{TABLE} |(?<=\bat )|(?<=\()|(?<=\t)|^)(line \d+(?:, line \d+)*)", re.MULTILINE)
TAKEN = ("name", "table", "sequences", "images", "masks", "npz")  # settings of readers that say what to read
MOST_CHANNELS = 4  # of a first axis that is taken for channels
WIDE = 10  # times the range of fractions
IMAGES = (
    "give arrays of shape (N, height, width), or (N, channels, height, width) with up to 4 channels; others need axes, "
    "the order of the axes of one image: for example axes='YXC' (colours last), 'CYX', or 'ZYX' (volumes)"
)


def write_arrays(
    folder: Path,
    x: Any,
    y: Any,
    *,
    task: str | None = None,
    axes: str | None = None,
    columns: Mapping[str, Any],
    covariates: Any = None,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Write examples into an existing folder, and return the section data to read them.

    For other parameters, see ``biocnn.data.dataset.Dataset.from_arrays``.

    Parameters
    ----------
    columns
        ids, groups and split of each example; None where there are none.
    settings
        Settings of the reader, which are not checked here.
    """
    x, y = plain("x", x), plain("y", y)
    if isinstance(x, str) or not hasattr(x, "__len__") or not len(x):
        message = f"x: {'one' if isinstance(x, str) or not hasattr(x, '__len__') else 'an empty'} {type(x).__name__}"
        raise InputError(message, f"give a list: sequences are {CODES}; images: {IMAGES}")
    table = pd.DataFrame({"id": np.arange(len(x))}).astype(str)
    for name, values in columns.items():
        if values is not None:
            table[name.removesuffix("s")] = _column(name, values, len(x)).astype(str)
    if taken := [name for name in TAKEN if name in settings]:
        raise InputError(f"{taken[0]}: is for files", "leave it out, or call Dataset.from_files")
    found = dict(settings) | ({"group": "group"} if "group" in table and "group" not in settings else {})
    if covariates is not None:
        if not isinstance(covariates, pd.DataFrame | Mapping) or any(map(np.isscalar, dict(covariates).values())):
            message = f"covariates: {type(covariates).__name__} without a list of values for each name"
            raise InputError(message, 'give a table, or a mapping, e.g. {"age": [52, 61, ...]}')
        given = _made("covariates", pd.DataFrame, covariates).reset_index(drop=True)
        _check_number("covariates", len(given), len(x))
        _check_cells("covariates", given)
        table = _joined(table, given, "covariates")
        found["covariates"] = list(given.columns)
    texts = letters_of(x)
    if texts is None:
        return _images(folder, table, _pixels(x), y, _given_as(task), axes, found)
    if axes is not None:
        raise InputError(f"axes: {axes!r}, but x holds sequences", "leave it out")
    if Path(texts[0]).suffix:
        raise InputError(f"x[0]: {texts[0]!r}, which looks like a file", "read files with Dataset.from_files")
    for row, text in enumerate(texts):
        if not text.strip():
            raise InputError(f"x[{row}]: is empty", "remove it")
    table["sequence"] = texts
    return _sequences(folder, table, y, _given_as(task), found)


def of_arrays(error: InputError, folder: Path) -> InputError:
    """Return an error of a reader of the files in a folder, in terms of the arrays and keywords that were given."""
    message = re.sub(r"(?m)^data\.", "", error.message).replace(f"{folder}/", "")
    return InputError(named(message), error.remedy.replace("data.", "").replace("under data", "as a keyword"))


def named(text: str) -> str:
    """Return text about files that were made of arrays with indices instead of lines of the table."""
    text = re.sub(r"\bin (?=line \d)", "at ", text)
    text = LINES.sub(lambda place: re.sub(r"line (\d+)", lambda line: f"index {int(line[1]) - 2}", place[1]), text)
    return re.sub(r"(\[\d+\])\.npy", r"\1", text).replace(TABLE, "the arrays")


def _sequences(folder: Path, table: pd.DataFrame, y: Any, given_as: str, settings: dict[str, Any]) -> dict[str, Any]:
    if y is None:
        if len(table.columns) > 2:  # id and sequence
            raise InputError("y: is missing", "groups, splits and covariates need it, because negatives have none")
        path = folder / "examples.fa"
        path.write_text("".join(f">{id}\n{text}\n" for id, text in zip(table["id"], table["sequence"], strict=True)))
        return {"name": "Sequences", "sequences": path, **settings}
    if _spatial(y):
        raise InputError(
            "y: arrays for sequences, as if each base had a target",
            "give numbers of shape (N,) or (N, K); for targets of bases, use Dataset.from_files with AnnotatedGenome "
            "or GenomeTracks",
        )
    targets = _targets(y, len(table))
    kinds = {name: given_as or _kind(column, of_images=False) for name, column in targets.items()}
    typed = len(set(kinds.values())) > 1 or CLASS in kinds.values()
    _joined(table, targets, "y").to_csv(folder / TABLE, sep="\t", index=False, na_rep="NA")
    named = {"table": folder / TABLE, "targets": kinds if typed else [*kinds]}
    return {"name": "Sequences", **named, **settings}


def _images(
    folder: Path, table: pd.DataFrame, x: list[np.ndarray], y: Any, given_as: str, axes: str | None, settings: dict
) -> dict[str, Any]:
    axes = _axes(x, axes)
    _refuse_two_scales(x, settings)
    table["image"] = _save(folder, "x", x)
    if axes:
        settings["axes"] = axes
    if y is None or isinstance(y, str):
        raise InputError(f"y: {y!r}", "give a label or number for each image, masks, labels of objects, or images")
    if _spatial(y):
        arrays = [np.asarray(one) for one in y]
        _check_number("y", len(arrays), len(x))
        if not given_as and arrays[0].dtype.kind == "f":
            raise InputError(
                "y: images of fractions, which may be masks or what to predict",
                "give masks as integers or bool; or task='image_to_image'",
            )
        restored = given_as == "target"
        table["target" if restored else "mask"] = _save(folder, "y", arrays)
        given_as = "binary" if arrays[0].dtype == bool else given_as
        named = {} if restored or not given_as else {"mask_type": given_as}
        reader, settings = "PairedImages" if restored else "Images", named | settings
    else:
        targets = _targets(y, len(table), classes=settings.get("classes"))
        settings = _of_vectors(targets, given_as) | settings
        table, reader = _joined(table, targets, "y"), "LabelledImages"
    table.to_csv(folder / TABLE, sep="\t", index=False)
    return {"name": reader, "table": folder / TABLE, **settings}


def _of_vectors(targets: pd.DataFrame, given_as: str) -> dict[str, Any]:
    """Return the settings of ``LabelledImages`` that name the columns, by their kinds."""
    kinds = {name: given_as or _kind(column, of_images=True) for name, column in targets.items()}
    if not given_as and len(kinds) > 2 and set(kinds.values()) == {LABEL} and (targets.sum(axis=1) == 1).all():
        raise InputError(
            "y: exactly one 1 in each row, so that columns may be classes or independent labels",
            "give the number of the class, y.argmax(axis=1); or task='multilabel'",
        )
    grades = [name for name, kind in kinds.items() if kind == GRADE]
    if len(grades) > 1:
        raise InputError(f"y: {len(grades)} columns of grades", "give one")
    labels = [name for name, kind in kinds.items() if kind in (LABEL, CLASS)]
    values = [name for name, kind in kinds.items() if kind == VALUE]
    found = {"labels": labels or None, "values": values or None, "grades": grades[0] if grades else None}
    return {key: value for key, value in found.items() if value is not None}


def _kind(column: pd.Series, *, of_images: bool) -> str:
    """Return what a column holds; refuse numbers that may be classes or quantities."""
    known = column.dropna()
    if not pd.api.types.is_numeric_dtype(known):
        return CLASS
    numbers = known.to_numpy(np.float64)
    if np.isin(numbers, (0, 1)).all():
        return LABEL
    whole = bool((numbers == np.round(numbers)).all())
    if not whole:
        return VALUE
    few = len(np.unique(numbers)) <= MOST_NUMBERS
    if of_images and few and pd.api.types.is_integer_dtype(known):
        return CLASS
    some = ", ".join(f"{number:g}" for number in np.unique(numbers)[:4])
    of = "0 and 1 for yes and no, words for classes" if not of_images else "integers for classes"
    raise InputError(
        f"y: whole numbers ({some}, ...) in {column.name!r}, which may be classes or quantities",
        f"give {of}, or task='regression' for quantities" + (", 'ordinal' for grades" if of_images else ""),
    )


def _targets(y: Any, number: int, classes: Any = None) -> pd.DataFrame:
    """Return targets of shape (N,) or (N, K) as a table with named columns; 0 and 1 for bool, else as given."""
    if isinstance(y, pd.DataFrame | Mapping):
        table = _made("y", pd.DataFrame, y)
    elif isinstance(y, pd.Series):
        table = y.to_frame(y.name or "label")
    else:
        array = _made("y", np.asarray, y)
        if array.ndim not in (1, 2) or not len(array):
            raise InputError(f"y: shape {array.shape}", "give one target for each example, (N,), or several, (N, K)")
        names = ["label"] if array.ndim == 1 or array.shape[1] == 1 else [f"label{k}" for k in range(array.shape[1])]
        table = pd.DataFrame(array.reshape(len(array), -1), columns=names)
    _check_number("y", len(table), number)
    _check_cells("y", table)
    table = table.reset_index(drop=True).set_axis([*map(str, table.columns)], axis=1).infer_objects()
    for name, column in table.items():
        if pd.api.types.is_bool_dtype(column.dtype):  # also pandas' own, with missing values
            table[name] = column.astype("Int64" if column.isna().any() else int)
        elif column.dtype.kind == "f" and column.isin((0, 1)).all():
            table[name] = column.astype(int)
        if column.isna().all() or (len(table.columns) == 1 and column.isna().any()):
            raise InputError(f"y: {name} of example {int(column.isna().argmax())} is missing", "leave it out")
    if isinstance(classes, list) and len(table.columns) == 1 and pd.api.types.is_integer_dtype(table.iloc[:, 0]):
        numbers = table.iloc[:, 0]
        if not numbers.isin(range(len(classes))).all():
            raise InputError(
                f"classes: {len(classes)} names, but y has numbers from {numbers.min()} to {numbers.max()}",
                "name all classes, in the order of their numbers from 0",
            )
        table[table.columns[0]] = [classes[k] for k in numbers]
    return table


def _pixels(x: Any) -> list[np.ndarray]:
    """Return images as arrays of one type; refuse anything else."""
    allowed = f"{IMAGES}; sequences: {CODES}"
    if isinstance(x, np.ndarray) and x.dtype == object:
        x = list(x)
    if isinstance(x, np.ndarray) and x.ndim < 3:
        raise InputError(f"x: an array of shape {x.shape} and type {x.dtype}", allowed)
    if isinstance(x, pd.DataFrame):
        raise InputError(
            f"x: a table with the columns {', '.join(map(str, x))}",
            "give that of the sequences: x['sequence'], for example",
        )
    if isinstance(x, pd.Series):
        x = x.tolist()
    if isinstance(x, Sequence) and isinstance(x[0], str | Path):
        row = next(row for row, one in enumerate(x) if not isinstance(one, str))
        raise InputError(
            f"x[{row}]: {x[row]!r:.80}", "sequences are a list of strings; read files with Dataset.from_files"
        )
    if not isinstance(x, np.ndarray | Sequence) or not len(x) or isinstance(x[0], bytes):
        raise InputError(f"x: {type(x).__name__}, which holds neither sequences nor images", allowed)
    arrays = [np.asarray(one) for one in x]
    for row, array in enumerate(arrays):
        if array.ndim < 2 or not array.size or array.dtype.kind not in "uif":
            masks = "are these the masks? " if array.dtype == bool else ""
            raise InputError(f"x[{row}]: shape {array.shape} and type {array.dtype} is not an image", masks + allowed)
        if array.dtype != arrays[0].dtype or array.ndim != arrays[0].ndim:
            given = f"{array.ndim} axes of {array.dtype}, but x[0] has {arrays[0].ndim} of {arrays[0].dtype}"
            raise InputError(f"x[{row}]: {given}", "convert all to one type, with the same scale, and the same axes")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"x[{row}]: has NaN or infinity", "replace them, or leave out the image")
    return arrays


def _axes(x: list[np.ndarray], axes: str | None) -> str | None:
    """Return the order of the axes of images, None for planes; refuse to guess it."""
    dims = x[0].ndim
    if axes is not None:
        if not isinstance(axes, str) or len(axes) != dims or (dims == 2 and axes != "YX"):
            raise InputError(
                f"axes: {axes!r}, but each image has {dims} axes", "name those of one image, without N; of planes: YX"
            )
        return None if dims == 2 else axes
    if dims == 2:
        return None
    first = max(one.shape[0] for one in x) <= MOST_CHANNELS
    small = min(min(one.shape[1:]) for one in x) <= MOST_CHANNELS
    if dims > 4 or not first or small:
        raise InputError(f"x: it is not clear which axis of an image of shape {x[0].shape} is which", IMAGES)
    return "CYX" if dims == 3 else "CZYX"


def _refuse_two_scales(x: list[np.ndarray], settings: Mapping[str, Any]) -> None:
    """Refuse images of fractions among others with much larger numbers, unless each is scaled by its own range."""
    if x[0].dtype.kind != "f" or settings.get("normalise") == "image":
        return
    highest = np.array([np.abs(one).max() for one in x])
    fractions = (highest > 0) & (highest <= 1)
    if fractions.any() and (highest > WIDE).any():
        raise InputError(
            f"x: {fractions.sum()} of {len(x)} images are fractions, but x[{int(highest.argmax())}] has values up to "
            f"{highest.max():g}",
            "bring all to one scale; or set normalise='image', if brightness has no meaning",
        )


def _save(folder: Path, name: str, arrays: Sequence[np.ndarray]) -> list[str]:
    """Write one file for each array; return their names, which are also those of the arrays in messages."""
    files = [f"{name}[{row}].npy" for row in range(len(arrays))]
    for file, array in zip(files, arrays, strict=True):
        np.save(folder / file, array.astype(np.uint8) if array.dtype == bool else array)
    return files


def _spatial(y: Any) -> bool:
    """Return whether each target is an array with two or more axes."""
    if isinstance(y, np.ndarray):
        return y.ndim > 2
    return isinstance(y, Sequence) and len(y) > 0 and isinstance(y[0], np.ndarray) and y[0].ndim > 1


def _given_as(task: str | None) -> str:
    """Return what arrays for a task hold; "" if none is given."""
    if task is None:
        return ""
    known = [name for name in REGISTRY["tasks"] if find("tasks", name).given_as]
    if task not in known:
        raise InputError(f"task: {task!r} is not known for arrays", nearest(task, known))
    return find("tasks", task).given_as


def plain(name: str, value: Any) -> Any:
    """Return tensors, and lists of lists of lists, as arrays; refuse what numpy would change when it converts it."""
    if isinstance(value, list) and value and hasattr(value[0], "detach"):
        value = [plain(name, one) for one in value]
    elif hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if "bfloat16" in str(value.dtype) else value).numpy()  # numpy has no bfloat16
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(
            f"{name}: a masked array", "give an array; unknown targets are nan, unknown pixels of masks 255"
        )
    inner = value
    for _ in range(2):
        inner = inner[0] if isinstance(inner, list) and inner else None
    return _made(name, np.asarray, value) if isinstance(inner, list) else value


def _made(name: str, make: Callable[[Any], Any], value: Any) -> Any:
    """Return a table or array made of what was given under a name."""
    try:
        return make(value)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise InputError(
            f"{name}: {type(value).__name__} that is not a table with one row per example ({reason})",
            "give as many values for each example, or a list of them for each name",
        ) from error


def _column(name: str, values: Any, number: int) -> pd.Series:
    if np.isscalar(values) or isinstance(values, pd.DataFrame):
        given = "a table" if isinstance(values, pd.DataFrame) else repr(values)
        raise InputError(f"{name}: {given}", "give a list, with one for each example")
    found = pd.Series(list(values), dtype=object)
    _check_number(name, len(found), number)
    if found.isna().any():
        raise InputError(f"{name}[{found.isna().argmax()}]: is missing", "give one for each example")
    return found


def _joined(table: pd.DataFrame, more: pd.DataFrame, name: str) -> pd.DataFrame:
    """Add columns to a table, whose names are printable and unique."""
    names = [str(one).strip() for one in more]
    for number, one in enumerate(names):
        if not one or not one.isprintable() or one in names[:number]:
            raise InputError(f"{name}: {one!r} as name of column {number + 1}", "give each column a name of its own")
    if twice := sorted({*map(str, more)} & {*table}):
        raise InputError(f"{name}: a column {twice[0]!r}, which has another meaning", "give it another name")
    return table.join(more)


def _check_cells(name: str, table: pd.DataFrame) -> None:
    """Refuse complex and infinite numbers, and bytes."""
    for place, column in enumerate(table):
        cells = table.iloc[:, place].tolist()
        odd = (isinstance(one, complex | bytes) or (isinstance(one, float) and math.isinf(one)) for one in cells)
        for row, wrong in enumerate(odd):
            if wrong:
                raise InputError(f"{name}[{row}]: {column} is {cells[row]!r}", "give finite numbers, or text")


def _check_number(name: str, number: int, wanted: int) -> None:
    if number != wanted:
        raise InputError(f"{name}: {number} for {wanted} examples", "give one for each, in the same order")
