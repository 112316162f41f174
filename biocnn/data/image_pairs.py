"""Pairing of images with masks or other images: from a table, or from two folders by name."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, close, nearest
from biocnn.core.files import exists
from biocnn.core.plurals import plural
from biocnn.core.text import read_cells, read_lines
from biocnn.data.splits import SPLITS, TRAIN_DEV
from biocnn.io.image_paths import members, stem, unique_ids
from biocnn.io.labelled_npz import in_archive
from biocnn.io.tables import MISSING

_TABLE = "list the pairs in a table (data.table) with the columns image and "
# Words at the end of names: of the other files, by what they are, and of the images.
_WORDS = {
    "mask": (r"masks?|labels?|seg|segmentation|gt|groundtruth|annotation|manual\d*", "images?|img|raw|0000"),
    "class_mask": (r"(class_?)?masks?|class(es)?|types?|labels?", "images?|img|raw|0000"),
    "target": ("targets?|gt|groundtruth|clean|high", "images?|img|raw|inputs?|noisy|low"),
}


def read_table(table: Path, files: list[str], group: str | None = None) -> pd.DataFrame:
    """Read a table of images.

    Parameters
    ----------
    table
        CSV or TSV; optional columns are split (train, val, test, train_dev), group, id, and any others, which are kept.
    files
        Columns with paths relative to the table's folder; the first is that of the images.
    group
        Column of the groups; by default ``group`` if it exists, else each image is a group.

    Returns
    -------
    rows
        Columns of the table as strings, with ``group``; the index is the line number, from 1.

    Raises
    ------
    InputError
        If a column or a cell is missing, a split is invalid, or files do not exist.
    """
    return check_rows(read_rows(table, files), table, Path(table).parent, files, group)


def check_rows(
    rows: pd.DataFrame, table: Path, base: Path, files: list[str], group: str | None, optional: Sequence[str] = ()
) -> pd.DataFrame:
    """Check a table of images from ``read_rows``, whose paths start at ``base``, as ``read_table`` does.

    ``optional`` are further columns with paths, whose cells may be empty.
    """
    check_columns(rows, table, [*files, *([group] if group else [])])
    if "split" in rows:
        allowed = (*SPLITS, TRAIN_DEV)
        _check_rows(~rows["split"].isin(allowed), rows["split"], table, f"allowed: {', '.join(allowed)}")
    if "id" in rows:
        _check_rows(
            rows["id"].duplicated(), rows["id"], table, "ids must be unique; without this column file names are used"
        )
    for column in (*files, *optional):
        missing = rows[[not exists(base / path) and not in_archive(base / path) for path in rows[column]]]
        if len(missing):
            raise InputError(
                f"{table}: {len(missing)} of {len(rows)} {column} files do not exist: "
                + _three([f"{path} (line {line})" for line, path in missing[column].items()]),
                f"{alike(base / missing[column].iloc[0])}paths are relative to {base}",
            )
    if group or "group" not in rows:
        paths = rows[files[0]].unique().tolist()  # a file that is listed twice is one group
        rows["group"] = rows[group] if group else rows[files[0]].map(dict(zip(paths, unique_ids(paths), strict=True)))
    return rows


def alike(path: Path) -> str:
    """Return the start of a remedy: the most similar name in the folder, or the same one in a subfolder, if any."""
    entries = sorted(path.parent.iterdir()) if exists(path.parent) and path.parent.is_dir() else []
    inside = [f"{entry.name}/{path.name}" for entry in entries if exists(entry / path.name)]
    hits = close(path.name, [entry.name for entry in entries]) or inside
    return f"did you mean {hits[0]!r}? " if hits else ""


def read_rows(table: Path, files: Sequence[str] = ("image",)) -> pd.DataFrame:
    """Read the cells of a table, whose first line names the columns, as strings, indexed by line number.

    Paths in the columns ``files`` that exist lose what does not matter: ./a.png is a.png.
    """
    numbered = [(i, line) for i, line in enumerate(read_lines(table), 1) if line.strip()]
    if len(numbered) < 2:
        raise InputError(f"{table}: no rows", "give a header that names the columns, and rows below it")
    first = numbered[0][1]
    if ";" in first and "," not in first and "\t" not in first:
        raise InputError(f"{table}: columns separated by semicolons", "save it with commas or tabs")
    header, *cells = read_cells([line for _, line in numbered])
    header = [name.strip().lstrip("\ufeff") for name in header]
    twice = [name for name, n in Counter(header).items() if n > 1]
    if twice:
        raise InputError(f"{table}: duplicate column {twice[0]!r}", "give each column its own name")
    if len(cells) != len(numbered) - 1:
        raise InputError(f"{table}: a quoted cell spans several lines", "keep each row on one line")
    for (line, _), row in zip(numbered[1:], cells, strict=True):
        if len(row) != len(header):
            raise InputError(
                f"{table} line {line}: {plural(len(row), 'cell')}, but {plural(len(header), 'column')} in line 1",
                "fill the row, or quote cells that contain a comma",
            )
    lines = [line for line, _ in numbered[1:]]
    rows = pd.DataFrame([[c.strip() for c in row] for row in cells], columns=header, index=lines, dtype=object)
    for column in rows.columns.intersection(files):
        rows[column] = [path and str(Path(path)) for path in rows[column]]
    return rows


def check_columns(rows: pd.DataFrame, table: Path, needed: list[str]) -> None:
    for column in needed:
        if column not in rows:
            raise InputError(f"{table}: no column {column!r} in its first line", nearest(column, rows))
    for column in {*needed, "split", "group", "id"} & set(rows):
        _check_rows(rows[column] == "", rows[column], table, f"fill the column {column}, or delete the row")


def _check_rows(wrong: pd.Series, values: pd.Series, table: Path, remedy: str) -> None:
    """Refuse the first invalid row, and report how many there are."""
    if wrong.any():
        line = wrong.idxmax()
        more = f" ({wrong.sum()} such rows)" if wrong.sum() > 1 else ""
        raise InputError(f"{table} line {line}: {values.name} {values[line]!r}{more}", remedy)


def _three(words: list[str]) -> str:
    return ", ".join(words[:3]) + (", ..." if len(words) > 3 else "")


def pair_folders(
    images: Path, others: Path, other: str = "mask", checks: Checks | None = None
) -> tuple[pd.DataFrame, Path, str]:
    """Pair the images of one folder with the masks, or other files, of another by their names.

    Three rules are tried in turn, for the folders as a whole: the same name; the same name without words such as
    ``_mask``, ``_labels``, ``_seg``, ``_manual1``; the same leading digits (``21_training``, ``21_manual1``). If both
    are one folder, its files with such a word beside one without it are the masks.

    Parameters
    ----------
    images, others
        The folders.
    other
        What the files in the second folder are.
    checks
        Receives counts of files without a partner, which are left out; None: these are refused.

    Returns
    -------
    rows
        Columns image, mask or what ``other`` names (paths from ``base``), group (one per image).
    base
        Common parent folder of both folders.
    rule
        The rule that was used, in words.

    Raises
    ------
    InputError
        If there is no pair or, without ``checks``, an image or other file has no partner, under the rule that pairs
        most.
    """
    images, others = Path(images).resolve(), Path(others).resolve()
    first, second = _files(images, "images"), _files(others, f"{other}s")
    if images == others:
        second = in_one_folder(images, other)
        first = [path for path in first if path not in second]
    if not second:
        raise InputError(
            f"data.images and data.{other}s: both are {images}, without a file such as 1_{other} beside 1",
            f"put {other}s into a folder of their own, or {_TABLE}{other}",
        )
    rule, left, right = _best_rule(first, second, other)
    both = sorted(left.keys() & right.keys())
    for mine, theirs, what, lacks, folder in (
        (left, right, "image", other, others),
        (right, left, other, "image", images),
    ):
        alone = sorted(mine[key].name for key in mine.keys() - theirs.keys())
        if checks and both:
            checks.add(mine[both[0]].parent.name, "dropped", f"{what} without {lacks}", len(alone), *alone[:1])
        elif alone:
            raise InputError(
                f"no {lacks} in {folder} for {len(alone)} of {plural(len(mine), what)}: {_three(alone)}",
                f"give each image and its {other} the same name (rule tried: {rule}), or {_TABLE}{other}",
            )
    base = Path(os.path.commonpath([images, others]))
    pairs = [(str(left[key].relative_to(base)), str(right[key].relative_to(base))) for key in both]
    rows = pd.DataFrame(pairs, columns=["image", other], dtype=object)
    return rows.assign(group=unique_ids(rows["image"].tolist())), base, rule


def in_one_folder(folder: Path, other: str) -> list[Path]:
    """Return the masks, or what ``other`` names, in a folder with their images: 1_mask.tif beside 1.tif.

    Those without an image are among them, unless none has one.
    """
    of_others, of_images = _endings(other)
    files = members(folder)
    found = [path for path in files if of_others.search(stem(path))]
    images = {of_images.sub("", stem(path)) for path in files if path not in found}
    return found if any(of_others.sub("", stem(path)) in images for path in found) else []


def group_by_name(images: list[str], pattern: str) -> list[str]:
    """Return the group of each image: the match of a regular expression in its name, or the match's first group.

    Raises
    ------
    InputError
        If the expression is invalid, or a name does not match.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"data.group: {pattern!r} is not a regular expression ({error})",
            "for example '(.+)_tile'; to name a column, give data.table",
        ) from error
    found = [expression.search(stem(Path(image))) for image in images]
    lost = [image for image, match in zip(images, found, strict=True) if match is None]
    if lost:
        raise InputError(
            f"data.group: {pattern!r} does not match {len(lost)} of {len(images)} names: {_three(lost)}",
            "for folders it is a regular expression for file names, e.g. '(.+)_tile'; a column needs data.table",
        )
    return [match[1 if expression.groups else 0] for match in found]


def _best_rule(images: list[Path], others: list[Path], other: str) -> tuple[str, dict[str, Path], dict[str, Path]]:
    """Return the first rule that pairs all, else the one that pairs most; and the files by the key of the rule."""
    tried = []
    for rule, key in _rules(other).items():
        left, right = {key(p): p for p in images}, {key(p): p for p in others}
        if len(left) < len(images) or len(right) < len(others) or "" in left.keys() | right.keys():
            continue  # two files with one key, or a file without a key: the rule cannot distinguish them
        tried.append((left.keys() != right.keys(), -len(left.keys() & right.keys()), rule, left, right))
    if not tried:
        stems = Counter(stem(p) for p in images)
        folder = images if max(stems.values()) > 1 else others
        raise InputError(
            f"{folder[0].parent}: files whose names differ only in their suffix",
            f"keep one of each, or {_TABLE}{other}",
        )
    return min(tried, key=lambda t: t[:2])[2:]


def _files(folder: Path, what: str) -> list[Path]:
    if not (exists(Path(folder)) and Path(folder).is_dir()):
        raise InputError(f"data.{what}: {folder} is not a folder", "give a folder, or use data.table")
    try:
        return members(Path(folder))
    except InputError as error:
        remedy = f"{error.remedy}; files in subfolders need a table (data.table)"
        raise InputError(f"data.{what}: no image file in {folder}", remedy) from error


def _rules(other: str) -> dict[str, Callable[[Path], str]]:
    """Return functions from a file to what both files of a pair have in common, by the words of the rule."""
    of_others, of_images = _endings(other)
    return {
        "same name": stem,
        f"same name without words such as _{other}": lambda path: of_images.sub("", of_others.sub("", stem(path))),
        "same leading digits": lambda path: (re.match(r"\d+", path.name) or [""])[0],
    }


def _endings(other: str) -> list[re.Pattern[str]]:
    """Return the ends of names of the other files, by what they are, and of images."""
    return [re.compile(rf"[-_. ]?({words})$", re.IGNORECASE) for words in _WORDS[other]]


def second_masks(rows: pd.DataFrame, column: str, table: Path) -> pd.Series:
    """Return the paths of masks by a second annotator, "" for images without one.

    Raises
    ------
    InputError
        If there is no such column besides image and mask, or it is empty.
    """
    others = rows.drop(columns=["image", "mask"])
    if column not in others:
        what = "no column" if column not in rows else "there are no second masks in the column"
        raise InputError(f"data.second: {what} {column!r} in {table}", nearest(column, others))
    found = rows[column].where(~rows[column].str.lower().isin(MISSING), "")
    if not found.any():
        raise InputError(f"data.second: the column {column!r} of {table} is empty", "leave data.second out")
    return found
