"""Sheets of experiments: a table with one row per experiment, whose cells replace settings of a YAML file."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from biocnn.config.experiment import KEYS, Experiment, settings_of
from biocnn.config.experiment_file import read_value, read_yaml
from biocnn.core.errors import Collector, InputError, nearest
from biocnn.core.plurals import plural
from biocnn.core.text import read_cells, read_lines
from biocnn.core.wording import shown

SHEETS = (".tsv", ".csv")
MOST = 3  # rows listed with a fault


class Row(NamedTuple):
    """A row of a sheet: number of its line, name of the experiment, its base, and non-empty cells by dotted key."""

    line: int
    name: str
    base: str
    cells: dict[str, str]


def read_sheet(
    path: str,
    data_root: str,
    base_of: Callable[[str], str] = str,
    take: Callable[[Experiment], None] = lambda experiment: None,
) -> list[Experiment]:
    """Read and check the experiments of a sheet.

    The column ``name`` names each experiment; the column ``base`` its YAML file, by default the file next to the sheet
    with the same stem. All other columns are dotted keys, with values as in YAML; empty cells leave the settings of the
    base.

    Parameters
    ----------
    path
        Table separated by tabs (.tsv) or commas (.csv).
    data_root
        Folder that relative paths start at, as for ``load``.
    base_of
        Returns the path of a base, from the text of its cell.
    take
        Checks an experiment further, e.g. its name.

    Raises
    ------
    InputError
        If the sheet cannot be read; otherwise all faults, each with the rows that it occurs in.
    """
    bases: dict[str, dict[str, Any]] = {}
    lines: dict[str, int] = {}
    found: list[Experiment] = []
    faults: dict[tuple[str, str], list[Row]] = {}  # rows by message and remedy
    collector = Collector()
    for row in _rows(path, collector):
        own, base = Collector(), row.base
        with own:
            if (first := lines.setdefault(row.name, row.line)) != row.line:
                raise InputError(f"duplicate name {row.name!r}, as in line {first}", "rename one of them")
            base = base_of(row.base) if row.base else _beside(path)
            if base not in bases:
                bases[base] = _base(base)
            settings = settings_of(_merged(bases[base], row.cells, own), Path(data_root).expanduser())
            found.append(Experiment(row.name, settings, f"{path} line {row.line}", data_root))
            take(found[-1])
        for fault in own.faults:
            message = f"{base}: {fault.message}" if _of_base(fault, bases.get(base, {}), row) else fault.message
            faults.setdefault((message, fault.remedy), []).append(row)
    for (message, remedy), rows in faults.items():
        collector.faults.append(InputError(f"{path} {_listed(rows)}: {message}", remedy))
    collector.finish()
    return found


def _rows(path: str, collector: Collector) -> Iterator[Row]:
    """Yield the rows of a sheet; the collector receives faults of single rows and of the header.

    Spreadsheet programs add empty columns and rows at the ends, and quote comments that contain a comma.
    """
    lines = read_lines(path)
    numbers = [i for i, line in enumerate(lines, 1) if line.strip("\t, ") and not line.startswith(("#", '"#'))]
    unclosed = [number for number in numbers if lines[number - 1].count('"') % 2]
    for number in unclosed:
        remedy = "close or remove it; keep each row on one line"
        collector.faults.append(InputError(f"{path} line {number}: a quote is not closed", remedy))
    if unclosed and unclosed[0] == numbers[0]:  # the header
        return
    numbers = [number for number in numbers if number not in unclosed]
    if numbers and re.fullmatch("[^,\t]*;[^,\t]*", lines[numbers[0] - 1]):
        raise InputError(f"{path}: columns separated by semicolons", "save it with commas or tabs, and decimal points")
    cells = read_cells([lines[i - 1] for i in numbers])
    header = _without_end(next(cells, []))
    columns = Collector()
    for column in dict.fromkeys(header):
        with columns:
            if column.partition(".")[0] not in ("name", "base", *KEYS) or not all(column.split(".")):
                remedy = f"{nearest(column, ['name', 'base', *KEYS])}; or dotted keys, such as data.positives"
                raise InputError(f"{path}: unknown column {column!r}", remedy)
            if header.count(column) > 1:
                raise InputError(f"{path}: duplicate column {column!r}", "keep one of them")
    with columns:
        if "name" not in header:
            raise InputError(f"{path}: has no column 'name'", "it names the experiments; other columns are dotted keys")
    collector.faults += columns.faults
    if columns.faults:
        return
    for number, values in zip(numbers[1:], cells, strict=False):
        given = _without_end(values)
        with collector:
            if len(given) > len(header):
                raise InputError(
                    f"{path} line {number}: {plural(len(given), 'cell')}, but {plural(len(header), 'column')}",
                    "in a .csv file, write lists in quotes; check the separators",
                )
        filled = {key: value for key, value in zip(header, given, strict=False) if value}
        yield Row(number, filled.pop("name", ""), filled.pop("base", ""), filled)
    with collector:
        if len(numbers) < 2 and not unclosed:
            raise InputError(f"{path}: has no rows", "write one row per experiment below the names of the columns")


def _without_end(cells: list[str]) -> list[str]:
    """Return the stripped text of cells, without empty ones at the end."""
    given = [cell.strip() for cell in cells]
    while given and not given[-1]:
        given.pop()
    return given


def _beside(path: str) -> str:
    """Return the base that belongs to a sheet."""
    base = Path(path).with_suffix(".yaml")
    if not base.is_file():
        raise InputError(f"no base: there is neither a cell in the column base nor a file {base}", "add one of them")
    return str(base)


def _base(path: str) -> dict[str, Any]:
    try:
        return read_yaml(Path(path))
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.remedy) from error


def _of_base(fault: InputError, base: dict[str, Any], row: Row) -> bool:
    """Return whether a fault concerns settings of the base only, not those of a row; it starts with dotted keys."""
    keys = fault.message.partition(":")[0].split()
    own = any(key.startswith(column) or column.startswith(f"{key}.") for key in keys for column in row.cells)
    return bool(keys) and keys[0].partition(".")[0] in base and not own


def _merged(base: dict[str, Any], cells: dict[str, str], collector: Collector) -> dict[str, Any]:
    """Return the content of the base, with the cells as settings; the collector receives faults of cells."""
    given = dict(base)
    for key, text in sorted(cells.items(), key=lambda cell: cell[0].count(".")):  # a section before its settings
        *sections, last = key.split(".")
        inner = given
        with collector:
            for i, name in enumerate(sections, 1):
                value = inner.get(name) or {}
                value = {"name": value} if isinstance(value, str) else value
                if not isinstance(value, dict):
                    where = ".".join(sections[:i])
                    raise InputError(f"{key}: {where} is {shown(value)}", f"write all of it in a column {where}")
                inner[name] = inner = dict(value)
            try:
                inner[last] = read_value(text)
            except InputError as error:
                raise InputError(f"{key}: {error.message}", error.remedy) from error
    return given


def _listed(rows: list[Row]) -> str:
    """Return the lines and names of rows; of many, the first ones and their number."""
    some = ", ".join(f"{row.line} ({row.name})" if row.name else str(row.line) for row in rows[:MOST])
    return f"line{'s' * (len(rows) > 1)} {some}{f', ... ({len(rows)} rows)' * (len(rows) > MOST)}"
