"""Covariates: numbers and words beside each image or sequence, such as age or sex; read, measured and coded."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.io.tables import MISSING
from biocnn.tasks.facts import Covariate

PREFIX = "covariate_"  # of the columns of examples that contain covariates as read
MOST_LEVELS = 32  # of words
FEW = 10  # distinct whole numbers up to which they may be names of categories
LARGEST = float(np.finfo(np.float32).max)  # a number that the network can receive
NOT_MEASURED = ("id", "image", "split", "group", "sequence")  # columns that cannot be covariates
_COMMA = r"[+-]?\d+,\d+"  # a number with a decimal comma


def check_names(names: Sequence[str] | None, targets: Sequence[str], table: object) -> None:
    """Refuse names of covariates that cannot be columns of a table, or are targets.

    Raises
    ------
    InputError
        If there is no table, a name is given twice, or it is that of a target or of a column with another use.
    """
    if names is None:
        return
    if table is None or not names:
        raise InputError("data.covariates: names columns of a table", "give a table of examples; or leave it out")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"data.covariates: duplicate column {name!r}", "name each column once")
        if name in targets or name in NOT_MEASURED:
            use = "is predicted" if name in targets else "names examples, groups or splits"
            raise InputError(f"data.covariates: the column {name!r} {use}", "leave it out")


def read_covariates(table: pd.DataFrame, names: Sequence[str] | None, checks: Checks, source: str) -> pd.DataFrame:
    """Read columns as numbers or words; a cell that is empty (or NA, NaN, null, none or .) is missing.

    Parameters
    ----------
    table
        Text; the index states the origin of each row, for messages.
    names
        Columns; None: none.
    checks, source
        Receive counts of what is missing or doubtful, under this name of the data.

    Returns
    -------
    covariates
        A column for each name after ``PREFIX``: float64, or text; NaN where it is missing.

    Raises
    ------
    InputError
        If there is no such column, a number cannot be read, all values are missing or equal, or there are too many
        words, or two spellings of one.
    """
    found = {}
    for name in need(table, names, source):
        if PREFIX + name in table:
            raise InputError(f"{source}: columns {name!r} and {PREFIX + name!r}", "rename the second one")
        found[PREFIX + name] = column = _column(table[name], name, source)
        checks.add(source, "read", f"covariate {name}: {'words' if _is_text(column) else 'numbers'}", len(column))
        missing = column.isna()
        place = "".join(missing.index[missing][:1])
        checks.add(source, "note", f"covariate {name} is missing: coded as 0, and marked", missing.sum(), place)
        values = column.dropna().unique()
        if not _is_text(column) and 2 < len(values) <= FEW and (values % 1 == 0).all():
            doubt = f"covariate {name} has few whole numbers, used as a quantity: for categories write words"
            checks.add(source, "note", doubt, len(column), f"{len(values)} numbers")
    return pd.DataFrame(found, index=table.index)


def need(table: pd.DataFrame, names: Sequence[str] | None, source: object) -> Sequence[str]:
    """Return the names of covariates, all of which must be columns of a table."""
    for name in names or ():
        if name not in table:
            raise InputError(f"data.covariates: no column {name!r} in {source}", nearest(name, table.columns))
    return names or ()


def _column(cells: pd.Series, name: str, source: str) -> pd.Series:
    known = cells.mask(cells.str.lower().isin(MISSING)).astype(object)
    numbers = pd.to_numeric(known, errors="coerce")
    wrong = known.notna() & ~(np.abs(numbers) <= LARGEST)
    values, what = known.dropna().unique(), f"{source}: covariate {name}"
    if len(values) < 2:
        given = f"is {values[0]!r} everywhere" if len(values) else "has no values"
        raise InputError(f"{what} {given}", "leave it out of data.covariates: it carries no information")
    if 2 * wrong.sum() < known.notna().sum():  # so that a faulty number is an error, and does not make them words
        for place in wrong.index[wrong][:1]:
            raise InputError(
                f"{source} {place}: {name} is {cells[place]!r}, not a finite number "
                f"({plural(wrong.sum(), 'such cell')})",
                "correct it, or leave the cell empty; for categories write words in all cells",
            )
        return numbers.astype(np.float64)
    commas = known[known.str.fullmatch(_COMMA, na=False)]
    if 2 * len(commas) >= known.notna().sum():
        place, cell = commas.index[0], commas.iloc[0]
        message = f"{source} {place}: {name} is {cell!r}, a number with a comma ({plural(len(commas), 'such cell')})"
        raise InputError(message, f"write decimal points: {cell.replace(',', '.')}")
    if len(values) > MOST_LEVELS:
        raise InputError(f"{what} has {len(values)} different words", f"at most {MOST_LEVELS}; is it a name or an id?")
    folded: dict[str, str] = {}
    for value in values:
        other = folded.setdefault("".join(value.split()).casefold(), value)
        if other != value:
            raise InputError(f"{what} is written {other!r} and {value!r}", "write one word alike everywhere")
    return known


def _is_text(column: pd.Series) -> bool:
    return not is_numeric_dtype(column)


def measure(table: pd.DataFrame, names: Sequence[str], train: np.ndarray) -> list[Covariate]:
    """Measure covariates on the training split: mean, standard deviation and range, or levels, by name.

    Parameters
    ----------
    table
        Examples, with the columns of ``read_covariates``.
    names
        Names of the covariates.
    train
        Whether each example is in the training split, shape (N,), bool.

    Raises
    ------
    InputError
        If all values of the training split are missing.
    """
    found = []
    for name in names:
        column = table[PREFIX + name]
        known = column[train].dropna()
        if not len(known):
            raise InputError(f"data.covariates: {name} is missing for the whole training split", "leave it out")
        missing = bool(column[train].isna().any())
        if _is_text(column):
            found.append(Covariate(name=name, levels=sorted(known.unique()), missing=missing))
        else:
            values = known.to_numpy(float)
            sd = float(values.std()) if np.ptp(values) > 0 else 1.0
            ends = {"least": float(values.min()), "most": float(values.max())}
            found.append(Covariate(name=name, mean=float(values.mean()), sd=sd, missing=missing, **ends))
    return found


def encode_covariates(covariates: Sequence[Covariate], table: pd.DataFrame) -> np.ndarray:
    """Code covariates as the network receives them.

    Parameters
    ----------
    covariates
        How they are coded; see ``measure``.
    table
        The columns of ``read_covariates``. Words that the training split lacks count as missing.

    Returns
    -------
    z
        Shape (N, Z), float32, with the columns ``Covariate.columns`` of each: numbers are standardised and 0 if
        missing, words are one-hot and all 0 if missing.
    """
    parts = [np.zeros((len(table), 0))]
    for one in covariates:
        column = table[PREFIX + one.name]
        if one.levels:
            coded = (column.to_numpy(object)[:, None] == np.array(one.levels, object)).astype(float)
            missing = coded.sum(axis=1) == 0
        else:
            missing = column.isna().to_numpy()
            coded = np.where(missing, 0.0, (column.to_numpy(float) - one.mean) / one.sd)[:, None]
        parts += [coded, missing[:, None]] if one.missing else [coded]
    return np.concatenate(parts, axis=1).astype(np.float32)


def doubts(covariates: Sequence[Covariate], table: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what differs from the training split, and whether it is so for each example, shape (N,)."""
    for one in covariates:
        column = table[PREFIX + one.name]
        if one.levels:
            unknown = ~column.isna() & ~column.isin(one.levels)
            yield f"{one.name} is a word that the training split lacks, used as missing", unknown.to_numpy()
        else:
            beyond = (column < one.least) | (column > one.most)
            yield (
                f"{one.name} is outside the range of the training split ({one.least:g} to {one.most:g})",
                beyond.to_numpy(),
            )
        if not one.missing:
            yield f"{one.name} is missing, which never happens in the training split", column.isna().to_numpy()


def given(covariates: Sequence[Covariate], table: pd.DataFrame, where: Callable[[Any], str]) -> pd.DataFrame:
    """Read covariates of new examples, of any type, in the units of the training data.

    Parameters
    ----------
    covariates
        How they are coded.
    table
        A column for each covariate; other columns are ignored.
    where
        Describes a row, given its index, for messages.

    Returns
    -------
    covariates
        Columns as from ``read_covariates``.

    Raises
    ------
    InputError
        If a column is missing, or a number cannot be read.
    """
    found = {}
    for one in covariates:
        if one.name not in table:
            names = ", ".join(other.name for other in covariates)
            raise InputError(f"covariates: no column {one.name!r}", f"the model was trained with {names}")
        cells = table[one.name].map(lambda cell: "" if pd.isna(cell) else str(cell).strip())
        known = cells.mask(cells.str.lower().isin(MISSING)).astype(object)
        if not one.levels:
            numbers = pd.to_numeric(known, errors="coerce").astype(np.float64)
            wrong = known.notna() & ~(np.abs(numbers - one.mean) <= LARGEST * min(one.sd, 1))
            for row in known.index[wrong][:1]:
                raise InputError(
                    f"{where(row)}: {one.name} is {cells[row]!r}, not a finite number",
                    f"give numbers in the unit of training ({one.least:g} to {one.most:g}), or leave it empty",
                )
            known = numbers
        found[PREFIX + one.name] = known
    return pd.DataFrame(found, index=table.index)
