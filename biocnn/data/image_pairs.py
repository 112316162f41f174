"""Which mask belongs to which image: from a table, or from two folders by name."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from biocnn.data.image_files import SUFFIXES
from biocnn.errors import InputError, nearest
from biocnn.files import read_lines

SPLITS = ("train", "val", "test")
_MASK_WORDS = re.compile(
    r"[-_. ]?(masks?|labels?|seg|segmentation|gt|groundtruth|annotation|manual\d*)$", re.IGNORECASE
)
_IMAGE_WORDS = re.compile(r"[-_. ]?(images?|img|raw)$", re.IGNORECASE)


def read_table(table: Path, group: str | None = None, roi: str | None = None) -> pd.DataFrame:
    """Read a table of images and masks.

    Parameters
    ----------
    table
        CSV or TSV with the columns image and mask, paths relative to the table's folder; optional columns split (train,
        val, test), group, and any others, which are kept.
    group
        Column to take the groups from; by default ``group`` where there is one, else each image is a group.
    roi
        Column with the path of a mask of the field of view.

    Returns
    -------
    rows
        Columns of the table as strings, with ``group``, and ``line``: the line of the file, from 1.

    Raises
    ------
    InputError
        Where a column or a cell is missing, a split has another name, or files do not exist.
    """
    rows = _cells(Path(table))
    needed = ["image", "mask"] + [c for c in (group, roi) if c]
    for column in needed:
        if column not in rows:
            raise InputError(
                f"{table}: no column {column!r} in its first line", nearest(column, [c for c in rows if c != "line"])
            )
    for column in [*needed, *(c for c in ("split", "group") if c in rows)]:
        empty = rows[rows[column] == ""]
        if len(empty):
            raise InputError(
                f"{table} line {empty['line'].iloc[0]}: no {column} ({len(empty)} such rows)",
                "fill the cell, or delete the row",
            )
    if "split" in rows:
        wrong = rows[~rows["split"].isin(SPLITS)]
        if len(wrong):
            raise InputError(
                f"{table} line {wrong['line'].iloc[0]}: split {wrong['split'].iloc[0]!r} ({len(wrong)} such rows)",
                nearest(wrong["split"].iloc[0], SPLITS),
            )
    _check_exist(rows, Path(table), [c for c in ("image", "mask", roi) if c])
    rows["group"] = rows[group] if group else rows["group"] if "group" in rows else unique_ids(rows["image"].tolist())
    return rows


def _cells(table: Path) -> pd.DataFrame:
    lines = read_lines(table)
    numbered = [(i, line) for i, line in enumerate(lines, 1) if line.strip()]
    if len(numbered) < 2:
        raise InputError(f"{table}: no rows", "a header line with image,mask and one row an image")
    delimiter = "\t" if "\t" in numbered[0][1] else ","
    if delimiter == "," and ";" in numbered[0][1] and "," not in numbered[0][1]:
        raise InputError(f"{table}: columns separated by semicolons", "save it with commas or tabs")
    import csv

    header, *cells = csv.reader([line for _, line in numbered], delimiter=delimiter)
    header = [name.strip().lstrip("\ufeff") for name in header]
    twice = [name for name, n in Counter(header).items() if n > 1]
    if twice:
        raise InputError(f"{table}: column {twice[0]!r} twice", "give each column a name of its own")
    for (line, _), row in zip(numbered[1:], cells, strict=True):
        if len(row) != len(header):
            raise InputError(
                f"{table} line {line}: {len(row)} cells, but {len(header)} columns in the first line",
                "quote cells that hold a comma",
            )
    rows = pd.DataFrame([[c.strip() for c in row] for row in cells], columns=header)
    return rows.assign(line=[line for line, _ in numbered[1:]])


def _check_exist(rows: pd.DataFrame, table: Path, columns: list[str]) -> None:
    for column in columns:
        missing = [
            (r.line, p)
            for r, p in zip(rows.itertuples(), rows[column], strict=True)
            if not (table.parent / p).is_file()
        ]
        if missing:
            lines = ", ".join(f"{p} (line {n})" for n, p in missing[:3])
            raise InputError(
                f"{table}: {len(missing)} of {len(rows)} {column} files do not exist: {lines}"
                + (", ..." if len(missing) > 3 else ""),
                f"paths are relative to {table.parent}",
            )


def pair_folders(images: Path, masks: Path) -> tuple[pd.DataFrame, str]:
    """Pair the images of one folder with the masks of another by their names.

    Three rules are tried in turn, for the folders as a whole: the same name; the same name without words such as
    ``_mask``, ``_labels``, ``_seg``, ``_manual1``; the same leading digits (``21_training``, ``21_manual1``).

    Returns
    -------
    rows
        Columns image, mask (paths), group.
    rule
        The rule that paired them, in words.

    Raises
    ------
    InputError
        Where an image has no mask, or a mask no image, under the rule that pairs most.
    """
    found, wanted = _files(images, "images"), _files(masks, "masks")
    rules: list[tuple[str, Callable[[Path], str]]] = [
        ("same name", _stem),
        ("same name without words such as _mask", _bare),
        ("same leading digits", lambda p: (re.match(r"\d+", p.name) or [""])[0]),
    ]
    best: tuple[int, str, dict, dict] = (-1, "", {}, {})
    for rule, key in rules:
        left, right = _keyed(found, key), _keyed(wanted, key)
        if left is None or right is None:
            continue
        common = left.keys() & right.keys()
        if len(common) > best[0]:
            best = (len(common), rule, left, right)
        if left.keys() == right.keys():
            break
    _, rule, left, right = best
    for one, other, what, lacks, folder in (
        (left, right, "image", "mask", masks),
        (right, left, "mask", "image", images),
    ):
        alone = sorted(one[k].name for k in one.keys() - other.keys())
        if alone:
            raise InputError(
                f"{len(alone)} of {len(one)} {what}s have no {lacks} in {folder}: {', '.join(alone[:3])}"
                + (", ..." if len(alone) > 3 else ""),
                f"give each image and its mask the same name (rule tried: {rule}), or list the pairs in a table: "
                "data.table with the columns image and mask",
            )
    keys = sorted(left)
    rows = pd.DataFrame({"image": [str(left[k]) for k in keys], "mask": [str(right[k]) for k in keys]})
    return rows.assign(group=unique_ids(rows["image"].tolist())), rule


def _files(folder: Path, what: str) -> list[Path]:
    if not Path(folder).is_dir():
        raise InputError(f"data.{what}: {folder} is not a folder", "give a folder, or use data.table")
    files = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not files:
        raise InputError(
            f"data.{what}: no image file in {folder}",
            f"allowed: {' '.join(SUFFIXES)}; files in folders below it need a table (data.table)",
        )
    return files


def _keyed(files: list[Path], key: Callable[[Path], str]) -> dict[str, Path] | None:
    """Files by key, or None where two share one or a file has none."""
    keyed = {key(p): p for p in files}
    return keyed if len(keyed) == len(files) and "" not in keyed else None


def _stem(path: Path) -> str:
    return path.stem.removesuffix(".ome").removesuffix(".OME")


def _bare(path: Path) -> str:
    return _IMAGE_WORDS.sub("", _MASK_WORDS.sub("", _stem(path)))


def unique_ids(paths: list[str]) -> list[str]:
    """A short name for each file: its stem, with its folders where stems repeat, with a number where paths repeat."""
    stems = [_stem(Path(p)) for p in paths]
    if len(set(stems)) < len(stems):
        parents = [Path(p).parent.parts for p in paths]
        shared = 0
        while all(len(p) > shared for p in parents) and len({p[shared] for p in parents}) == 1:
            shared += 1
        stems = ["_".join([*p[shared:], s]) for p, s in zip(parents, stems, strict=True)]
    seen: Counter[str] = Counter()
    ids = []
    for stem in stems:
        seen[stem] += 1
        ids.append(stem if seen[stem] == 1 else f"{stem}-{seen[stem]}")
    return ids
