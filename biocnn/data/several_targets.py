"""Columns of a table as targets of several kinds: classes, yes or no, ordered grades, and numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.image_values import several_values
from biocnn.data.labels import Labels, one_class, ordered, several_labels
from biocnn.io.tables import MISSING
from biocnn.tasks.facts import Decision, Part

LABEL, CLASS, GRADE, VALUE = KINDS = ("label", "class", "grade", "value")
YES_OR_NO = ("0", "1", "0.0", "1.0")


def kind_of_labels(column: pd.Series) -> str:
    """Return whether labels are classes: none is 0 or 1, which are yes or no; empty cells are unknown."""
    known = column[~column.str.lower().isin(MISSING)]
    return LABEL if known.isin(YES_OR_NO).any() or known.empty else CLASS


def several_kinds(
    table: pd.DataFrame,
    kinds: Mapping[str, str],
    classes: Mapping[str, list[str]],
    checks: Checks,
    source: str,
    what: str = "images",
) -> Labels:
    """Understand columns as targets of several kinds, unknown where a cell is empty (or NA, NaN, null, none or .).

    Columns of yes or no are one part, as are those of numbers; each column of classes or grades is a part of its own.

    Parameters
    ----------
    table
        Text; the index states the origin of each row, for messages.
    kinds
        Kind of each column, see ``KINDS``.
    classes
        Classes to keep, in the order of the outputs, of columns of classes and grades; other classes are unknown.
    checks, source
        Receive counts of what is unknown, repaired or dropped, under this name of the data.
    what
        The examples, for messages.

    Raises
    ------
    InputError
        As in ``one_class``, ``ordered``, ``several_labels`` and ``several_values``.
    """
    unknown = pd.DataFrame({name: _unknown(table[name], classes.get(name, ())) for name in kinds})
    each, parts, outputs = [], [], []
    for name, columns, kind in _groups(kinds):
        of = table.loc[:, columns]
        if kind in (CLASS, GRADE):
            found = _of_classes(of[name], unknown[name], kind, classes.get(name), checks, source, what)
            outputs += [f"{name}_{output}" for output in found.outputs]
        else:
            read = several_labels if kind == LABEL else several_values
            found = read(of, "", checks, source, alone=False)
            outputs += found.outputs
        single = kind == LABEL and len(columns) == 1
        parts.append(Part(name=name, task="binary" if single else found.task.value, outputs=found.outputs))
        each.append(found.y)
    y = np.concatenate(each, axis=1)
    keep = ~np.isnan(y).all(axis=1)
    checks.add(source, "dropped", "no known label or value", (~keep).sum(), "".join(table.index[~keep][:1]))
    reason = "; ".join(f"{part.name}: {part.task}" for part in parts)
    decision = Decision(value="several", reason=f"columns of several kinds: {reason}")
    if twice := [output for output in outputs if outputs.count(output) > 1]:
        raise InputError(f"{source}: two outputs would have the name {twice[0]!r}", "rename one of the columns")
    return Labels(y, outputs, decision, keep, parts=parts)


def _groups(kinds: Mapping[str, str]) -> list[tuple[str, list[str], str]]:
    """Return name, columns and kind of each part, in the order of their first columns."""
    found: dict[str, tuple[str, list[str], str]] = {}
    for column, kind in kinds.items():
        key = column if kind in (CLASS, GRADE) else f" {kind}"
        found.setdefault(key, (column, [], kind))[1].append(column)
    return [(f"{kind}s" if len(columns) > 1 else name, columns, kind) for name, columns, kind in found.values()]


def _unknown(column: pd.Series, classes: Sequence[str]) -> pd.Series:
    return column.str.lower().isin(MISSING) & ~column.isin(classes)


def _of_classes(
    column: pd.Series,
    unknown: pd.Series,
    kind: str,
    classes: list[str] | None,
    checks: Checks,
    source: str,
    what: str,
) -> Labels:
    name = str(column.name)
    if unknown.all():
        raise InputError(f"{source}: all labels of {name} are unknown", "leave the column out")
    found = one_class(column[~unknown], classes, name, checks, f"{source}, column {name}", what, left_out="unknown")
    if kind == GRADE:
        found = ordered(found, name, classes, f"{source}, column {name}")
    y = np.full((len(column), len(found.outputs)), np.nan, np.float32)
    y[np.flatnonzero(~unknown)[found.keep]] = found.y[found.keep]
    note = f"{name} is unknown: not used in training and evaluation"
    checks.add(source, "note", note, unknown.sum(), "".join(column.index[unknown][:1]))
    return found._replace(y=y)
