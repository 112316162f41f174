"""The meaning of columns of numbers: a value for each image and column, unknown where a cell is empty."""

import re

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.labels import Labels
from biocnn.io.tables import MISSING, as_float32
from biocnn.tasks.facts import Decision

FEW = 8  # distinct whole numbers up to which values may be classes or grades
_COMMA = re.compile(r"[+-]?\d+,\d+")


def several_values(values: pd.DataFrame, reason: str, checks: Checks, source: str, *, alone: bool = True) -> Labels:
    """Understand columns as numbers, unknown where a cell is empty (or NA, NaN, null, none or .).

    Parameters
    ----------
    values
        Text, a column for each output; the index states the origin of each row, for messages.
    reason
        Why this is the task.
    checks, source
        Receive counts of what is unknown, dropped or doubtful, under this name of the data.
    alone
        As for ``several_labels``.

    Raises
    ------
    InputError
        If a cell is not a finite number, all values of a column are unknown or equal, or as in ``as_float32``.
    """
    unknown = values.apply(lambda column: column.str.lower().isin(MISSING))
    y = values.mask(unknown).apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = ~(np.abs(y) <= np.finfo(np.float32).max) & ~unknown.to_numpy()
    for row, k in np.argwhere(wrong)[:1]:
        _refuse(values.iat[row, k], values.columns[k], f"{source} {values.index[row]}", int(wrong[:, k].sum()))
    for name, column in zip(values, y.T, strict=True):
        known = column[~np.isnan(column)]
        _refuse_constant(known, name, source)
        _note_few(np.unique(known), name, len(known), checks, source)
    keep = ~np.isnan(y).all(axis=1) if alone else np.ones(len(y), bool)
    checks.add(source, "dropped", "no known value", (~keep).sum(), "".join(values.index[~keep][:1]))
    for name, missing in zip(values, np.isnan(y[keep]).T, strict=True):
        place = "".join(values.index[keep][missing][:1])
        checks.add(source, "note", f"{name} is unknown: not used in training and evaluation", missing.sum(), place)
    decision = Decision(value="regression", reason=reason)
    return Labels(as_float32(y, list(values), source), list(values), decision, keep)


def _refuse(cell: str, name: str, where: str, number: int) -> None:
    remedy = (
        f"write a decimal point: {cell.replace(',', '.')}; or, if the comma separates thousands, leave it out"
        if _COMMA.fullmatch(cell)
        else "write a number, or leave the cell empty if it is unknown; for classes give data.labels: "
        f"[{name}], for ordered ones data.grades: {name}"
    )
    raise InputError(f"{where}: {name} is {cell!r}, not a number ({plural(number, 'such cell')})", remedy)


def _refuse_constant(known: np.ndarray, name: str, source: str) -> None:
    if not len(known):
        raise InputError(f"{source}: all values of {name} are unknown", "leave it out of data.values")
    if (known == known[0]).all():
        raise InputError(
            f"{source}: all {len(known)} known values of {name} are {known[0]:g}",
            "leave it out of data.values: there is nothing to learn",
        )


def _note_few(distinct: np.ndarray, name: str, number: int, checks: Checks, source: str) -> None:
    """Record whole numbers that are so few that they may be names of classes or grades."""
    if len(distinct) <= FEW and (distinct == distinct.round()).all():
        which = ", ".join(f"{value:g}" for value in distinct)
        checks.add(
            source,
            "note",
            f"{name} has few distinct whole numbers: predicted as a number, as asked; for classes give data.labels: "
            f"[{name}], for ordered ones data.grades: {name}",
            number,
            which,
        )
