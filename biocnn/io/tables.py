"""Read tables of text with a header line."""

from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.core.text import read_cells, read_lines

ROUNDED = 0.01  # tolerated change of a target in float32, in standard deviations
MISSING = ("", "na", "n/a", "nan", "null", "none", ".")  # spellings of a missing label, in any case
PROVENANCE = ("id", "sequence", "name", "group", "split", "chrom", "start", "end", "strand")


def read_table(path: str | Path, *needed: str) -> pd.DataFrame:
    """Read a table, plain or gzip, whose first line names the columns, separated by tabs, or else by commas.

    Parameters
    ----------
    path
        Table file.
    needed
        Required columns.

    Returns
    -------
    table
        All values as text; the index is the line number in the file, from 1.

    Raises
    ------
    InputError
        If a required column is missing, a line has the wrong number of columns, or there are no data lines.
    """
    path = Path(path)
    numbered = [(i, line) for i, line in enumerate(read_lines(path), start=1) if line.strip()]
    first = numbered[0][1] if numbered else ""
    commas = "," in first and "\t" not in first
    cells = list(read_cells([line for _, line in numbered])) if commas else [line.split("\t") for _, line in numbered]
    if len(cells) != len(numbered):
        raise InputError(f"{path}: a quoted cell spans several lines", "keep each row on one line")
    lines = [(i, fields) for (i, _), fields in zip(numbered, cells, strict=True)]
    columns = [name.strip(" ") for name in lines[0][1]] if lines else []
    for name in needed:
        if name not in columns:
            raise InputError(
                f"{path} line 1: no column {name!r} (columns: {', '.join(columns) or 'none'})",
                f"the first line must name the columns, including {name!r}, separated by tabs or commas",
            )
    if len(set(columns)) < len(columns):
        raise InputError(f"{path} line 1: duplicate column names ({', '.join(columns)})", "rename one of them")
    for number, fields in lines[1:]:
        if len(fields) != len(columns):
            raise InputError(
                f"{path} line {number}: has {plural(len(fields), 'column')}",
                f"line 1 names {len(columns)}, separated by {'commas' if commas else 'tabs'}",
            )
    if len(lines) < 2:
        raise InputError(f"{path}: has no lines below the column names", "give one line per example")
    return pd.DataFrame([f for _, f in lines[1:]], columns=columns, index=[i for i, _ in lines[1:]]).apply(
        lambda column: column.str.strip(" ")
    )


def read_targets(table: pd.DataFrame, path: Path, targets: list[str] | None) -> pd.DataFrame:
    """Read the target columns as float32; missing values (empty, NA, NaN, null, none or .) become NaN.

    Parameters
    ----------
    table
        Table from ``read_table``.
    path
        File of the table, for messages.
    targets
        Names of the columns; None: those whose name starts with "label", else those in which more than half of the
        values are numbers, except columns on the origin of a sequence (id, name, group, split, chrom, start, end,
        strand).

    Raises
    ------
    InputError
        If there is no such column, a value is neither a finite number nor, with several columns, missing (the message
        gives the line), or all values are missing; also as in ``as_float32``.
    """
    for name in targets or []:
        if name not in table:
            raise InputError(f"data.targets: no column {name!r} in {path}", nearest(name, table.columns))
    free = [name for name in table.columns if name not in PROVENANCE]
    names = list(dict.fromkeys(targets or [name for name in free if name.startswith("label")]))
    missing = {name: table[name].str.lower().isin(MISSING) for name in [*free, *names]}
    # Most values identify a numeric column, so that a faulty value is an error instead of hiding the column.
    known = {name: ~np.isnan(_numbers(table[name][~missing[name]])) for name in free}
    names = names or [name for name in free if 2 * known[name].sum() > len(known[name])]
    if not names:
        remedy = "name the columns in data.targets; one of words with its kind: data.targets: {family: class}"
        raise InputError(f"{path}: no column of numbers to predict", remedy)
    several = len(names) > 1
    for name in names:
        wrong = ~(np.isfinite(_numbers(table[name])) | (missing[name] & several))
        if wrong.all():
            raise InputError(f"{path}: {name} has words", f"for classes set data.targets: {{{name}: class}}")
        for line in sorted(table.index[wrong])[:1]:
            raise InputError(
                f"{path} line {line}: {name} is {table.at[line, name]!r}",
                ("correct it, or use NA if it is missing" if several else "correct it, or remove the line")
                + ("" if targets else "; name the columns to predict in data.targets"),
            )
        if missing[name].all():
            raise InputError(f"{path}: column {name} has no values", "remove it from data.targets")
    found = np.stack([np.where(missing[name], np.nan, _numbers(table[name])) for name in names], axis=1)
    return pd.DataFrame(as_float32(found, names, str(path)), index=table.index, columns=names)


def as_float32(y: np.ndarray, outputs: list[str], source: str) -> np.ndarray:
    """Convert targets of shape (N, K) to float32; refuse those that rounding would change noticeably."""
    stored = y.astype(np.float32)
    for name, given, kept in zip(outputs, y.T, stored.T, strict=True):
        given, kept = given[~np.isnan(given)], kept[~np.isnan(given)]
        if len(given) and np.ptp(given) > 0 and np.abs(kept - given).max() > ROUNDED * given.std():
            raise InputError(
                f"{source}: the values of {name} differ too little for 32-bit floats "
                f"({given.min():.12g} to {given.max():.12g})",
                "subtract a constant from all of them, or use another unit",
            )
    return stored


def without_labels(y: np.ndarray, outputs: list[str], ids: pd.Series, source: str, checks: Checks) -> np.ndarray:
    """Return which examples have no label and must be dropped: (N,). Record them and single missing labels."""
    bare = np.isnan(y).all(axis=1)
    if bare.any() and (len(outputs) == 1 or bare.all()):
        raise InputError(
            f"{source}: {outputs[0]} of {ids[bare].iloc[0]} is missing ({plural(bare.sum(), 'such example')})",
            "give a number for each, or remove them; with several outputs some may be missing",
        )
    checks.add(source, "dropped", "no known label", bare.sum(), "".join(ids[bare].head(1)))
    for name, missing in zip(outputs, np.isnan(y[~bare]).T, strict=True):
        checks.add(source, "note", f"{name} is missing: not used in training and evaluation", missing.sum())
    return bare


def _numbers(column: pd.Series) -> np.ndarray:
    """Convert text to numbers: NaN if it is not a number, infinite if it exceeds float32."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    return np.where(np.abs(values) > np.finfo(np.float32).max, np.inf, values)
