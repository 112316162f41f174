"""Tables of text: columns with names, separated by tabs."""

from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.core.text import read_lines

ROUNDED = 0.01  # standard deviations by which four bytes may change a target
MISSING = ("", "na", "n/a", "nan", "null", "none", ".")  # words for a label that is not known, in any case
PROVENANCE = ("id", "sequence", "name", "group", "split", "chrom", "start", "end", "strand")


def read_table(path: str | Path, *needed: str) -> pd.DataFrame:
    """Read a tab-separated table, plain or gzip, whose first line names the columns.

    Parameters
    ----------
    path
        The file.
    needed
        Columns that it must have.

    Returns
    -------
    table
        All values as text; the index is the number of each line in the file, from 1.

    Raises
    ------
    InputError
        Where a needed column is missing, a line has another number of columns, or there is no line below the names.
    """
    path = Path(path)
    lines = [(i, line.split("\t")) for i, line in enumerate(read_lines(path), start=1) if line.strip()]
    columns = [name.strip(" ") for name in lines[0][1]] if lines else []
    for name in needed:
        if name not in columns:
            commas = len(columns) == 1 and "," in columns[0]
            raise InputError(
                f"{path} line 1: no column {name!r} (columns: {', '.join(columns) or 'none'})",
                "separate the columns by tabs" if commas else f"the first line names the columns; one must be {name!r}",
            )
    if len(set(columns)) < len(columns):
        raise InputError(f"{path} line 1: two columns of one name ({', '.join(columns)})", "rename one of them")
    for number, fields in lines[1:]:
        if len(fields) != len(columns):
            raise InputError(
                f"{path} line {number}: has {len(fields)} columns", f"line 1 names {len(columns)}, separated by tabs"
            )
    if len(lines) < 2:
        raise InputError(f"{path}: has no line below the column names", "give one line for each example")
    return pd.DataFrame([f for _, f in lines[1:]], columns=columns, index=[i for i, _ in lines[1:]]).apply(
        lambda column: column.str.strip(" ")
    )


def read_targets(table: pd.DataFrame, path: Path, targets: list[str] | None) -> pd.DataFrame:
    """The columns to predict, as float32; nan where one of several is missing: empty, NA, NaN, null, none or a point.

    Parameters
    ----------
    table
        From ``read_table``.
    path
        Its file, for messages.
    targets
        Names of the columns; None: those whose name starts with "label", else all of whose values more than half are
        numbers, and that do not say where a sequence comes from (id, name, group, split, chrom, start, end, strand).

    Raises
    ------
    InputError
        Where there is no such column, a value in it is no finite number (nor, of several columns, a word for a missing
        one), which names the line, or all are missing; and as of ``as_float32``.
    """
    for name in targets or []:
        if name not in table:
            raise InputError(f"data.targets: no column {name!r} in {path}", nearest(name, table.columns))
    free = [name for name in table.columns if name not in PROVENANCE]
    names = list(dict.fromkeys(targets or [name for name in free if name.startswith("label")]))
    missing = {name: table[name].str.lower().isin(MISSING) for name in [*free, *names]}
    # A column of numbers is known by most of its values, so that a fault in it is an error and not overlooked.
    known = {name: ~np.isnan(_numbers(table[name][~missing[name]])) for name in free}
    names = names or [name for name in free if 2 * known[name].sum() > len(known[name])]
    if not names:
        raise InputError(f"{path}: no column of numbers to predict", "name the columns in data.targets")
    several = len(names) > 1
    for name in names:
        wrong = ~(np.isfinite(_numbers(table[name])) | (missing[name] & several))
        for line in sorted(table.index[wrong])[:1]:
            raise InputError(
                f"{path} line {line}: {name} is {table.at[line, name]!r}",
                ("correct it; one of several labels may be NA" if several else "correct it, or remove the line")
                + ("" if targets else "; data.targets names the columns to predict, where not all are"),
            )
        if missing[name].all():
            raise InputError(f"{path}: no line has a value of {name}", "leave it out of data.targets")
    found = np.stack([np.where(missing[name], np.nan, _numbers(table[name])) for name in names], axis=1)
    return pd.DataFrame(as_float32(found, names, str(path)), index=table.index, columns=names)


def as_float32(y: np.ndarray, outputs: list[str], source: str) -> np.ndarray:
    """Targets of shape (N, K) in four bytes each; refuses those that this would change by more than they differ."""
    stored = y.astype(np.float32)
    for name, given, kept in zip(outputs, y.T, stored.T, strict=True):
        given, kept = given[~np.isnan(given)], kept[~np.isnan(given)]
        if len(given) and np.ptp(given) > 0 and np.abs(kept - given).max() > ROUNDED * given.std():
            raise InputError(
                f"{source}: the values of {name} differ by too little for numbers of four bytes "
                f"({given.min():.12g} to {given.max():.12g})",
                "subtract the same number from all of them, or give them in another unit",
            )
    return stored


def without_labels(y: np.ndarray, outputs: list[str], ids: pd.Series, source: str, checks: Checks) -> np.ndarray:
    """Which examples have no known label, and are to be left out: (N,). They and single missing labels are counted."""
    bare = np.isnan(y).all(axis=1)
    if bare.any() and (len(outputs) == 1 or bare.all()):
        raise InputError(
            f"{source}: {outputs[0]} of {ids[bare].iloc[0]} is not known ({bare.sum()} such examples)",
            "give a number for each, or remove them; of several outputs some may be missing",
        )
    checks.add(source, "dropped", "no label is known", bare.sum(), "".join(ids[bare].head(1)))
    for name, missing in zip(outputs, np.isnan(y[~bare]).T, strict=True):
        checks.add(source, "note", f"{name} is not known: not learned from, not judged", missing.sum())
    return bare


def task_of(y: np.ndarray) -> str:
    """What targets of shape (N, K) ask for: binary or multilabel where those known are 0 and 1, else regression."""
    if not np.isin(y[~np.isnan(y)], (0, 1)).all():
        return "regression"
    return "binary" if y.shape[1] == 1 else "multilabel"


def _numbers(column: pd.Series) -> np.ndarray:
    """Of text; NaN where it is none, infinite where it is beyond what targets of four bytes can hold."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    return np.where(np.abs(values) > np.finfo(np.float32).max, np.inf, values)
