"""Read BED3 to BED6 and narrowPeak files, and write BED6 or BED9."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.errors import InputError
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.core.text import read_lines
from biocnn.io.tables import MISSING

COLUMNS = ["chrom", "start", "end", "strand", "score", "summit", "line"]
NARROWPEAK = 10  # columns
LARGEST = 1 << 40  # bp; longer than any contig
FLOAT32 = float(np.finfo(np.float32).max)


def read_bed(path: str | Path, columns: Sequence[int] = ()) -> pd.DataFrame:
    """Read the intervals of a BED3 to BED6 or narrowPeak file, plain or gzip.

    Parameters
    ----------
    path
        BED or narrowPeak file.
    columns
        Additional numeric columns to read, counted from 1; missing values (e.g. NA or .) become NaN.

    Returns
    -------
    intervals
        chrom; start, end (0-based, half-open, bp); strand ("+", "-" or "."); score (column 5, or signalValue of
        narrowPeak; NaN if absent); summit (0-based position, -1 if absent; only in narrowPeak, recognised by its ten
        columns); line (line number in the file, from 1); and ``columns``, each named by its number.

    Raises
    ------
    InputError
        If the file has no intervals, or a line has too few columns, a start or end that is not a whole number, end <
        start, an invalid strand, a summit outside its interval, or neither a number nor a missing value in one of
        ``columns``. The message names the first such line and the number of faulty lines.
    """
    path = Path(path)
    rows, faults = [], []
    for number, line in enumerate(read_lines(path), start=1):
        text = line.strip(" \t")
        if text and not text.startswith("#") and re.split("[ \t]", text, maxsplit=1)[0] not in ("track", "browser"):
            fields = [field.strip(" ") for field in line.split("\t")] if "\t" in line else re.split(" +", text)
            try:
                values = [_value(f"{path} line {number}", fields, column) for column in columns]
                rows.append((*_row(path, number, fields), *values))
            except InputError as error:
                faults.append(error)
    if faults:
        more = f" ({len(faults)} faulty lines; this is the first)" if len(faults) > 1 else ""
        raise InputError(faults[0].message + more, faults[0].remedy)
    if not rows:
        raise InputError(
            f"{path}: has no intervals", "a BED file has one interval per line: contig, start, end, separated by tabs"
        )
    return pd.DataFrame(rows, columns=[*COLUMNS, *columns])


def write_bed(path: Path, table: pd.DataFrame) -> None:
    """Write intervals as BED6, in order of position; BED9 if they have a colour.

    Parameters
    ----------
    path
        File to write; it appears once it is complete.
    table
        Columns chrom, start, end (0-based, half-open, in bp), name (blanks become _), score (0 to 1, written as 0 to
        1000), strand, and optionally colour ("r,g,b").
    """
    score = (1000 * table["score"].clip(0, 1)).round().astype(int)
    table = table.assign(score=score, name=table["name"].astype(str).str.replace(r"\s+", "_", regex=True))
    columns = ["chrom", "start", "end", "name", "score", "strand"]
    if "colour" in table:
        columns += ["start", "end", "colour"]  # the whole interval is drawn thick
    ordered = table.sort_values(["chrom", "start", "end", "name"], kind="stable")[columns]
    with atomic(path) as temporary:
        ordered.to_csv(temporary, sep="\t", header=False, index=False)


def _row(path: Path, number: int, fields: list[str]) -> tuple[str, int, int, str, float, int, int]:
    where = f"{path} line {number}"
    if len(fields) < 3:
        raise InputError(f"{where}: has {plural(len(fields), 'column')}", "allowed: 3 or more, separated by tabs")
    if not any(re.match("[-+]?[0-9]", field) for field in fields[1:3]):
        raise InputError(
            f"{where}: start {fields[1]!r} and end {fields[2]!r} are not numbers",
            "BED files have no header line: remove it or start it with #; the columns are contig, start, end, ...",
        )
    start, end = _whole(where, "start", fields[1]), _whole(where, "end", fields[2])
    if start < 0:
        raise InputError(f"{where}: start {start} is negative", "BED positions count from 0")
    if end < start:
        raise InputError(f"{where}: end {end} is before start {start}", "are columns 2 (start) and 3 (end) swapped?")
    peak = len(fields) == NARROWPEAK
    strand = fields[5] if len(fields) > 5 else "."
    if strand not in ("+", "-", "."):
        raise InputError(f"{where}: strand {strand!r} in column 6", "allowed: + - . (or omit columns 6 and following)")
    summit = _whole(where, "summit", fields[9]) if peak else -1
    if summit < -1 or start + summit > end:
        raise InputError(
            f"{where}: summit {summit} is outside the interval of {end - start} bp",
            "column 10 of narrowPeak counts from the start of the interval; -1 means none",
        )
    score = _number(fields[6] if peak else fields[4] if len(fields) > 4 else ".")
    return fields[0], start, end, strand, score, start + summit if summit >= 0 else -1, number


def _whole(where: str, name: str, text: str) -> int:
    if not re.fullmatch("[-+]?[0-9]+", text):
        raise InputError(f"{where}: {name} {text!r} is not a whole number", "BED: contig, start, end, ...")
    if len(text) > 18 or abs(int(text)) > LARGEST:
        shown = text if len(text) <= 24 else f"{text[:20]}... ({len(text)} digits)"
        raise InputError(f"{where}: {name} {shown} is beyond the end of any contig", "is the line complete?")
    return int(text)


def _value(where: str, fields: list[str], column: int) -> float:
    if column > len(fields):
        raise InputError(f"{where}: column {column} is missing", "name a column that every line has")
    text = fields[column - 1]
    if text.lower() in MISSING:
        return np.nan
    value = _number(text)
    if not abs(value) <= FLOAT32:
        raise InputError(f"{where}: column {column} is {text!r}", "allowed: numbers; NA or . for missing values")
    return value


def _number(text: str) -> float:
    try:
        return float(np.nan) if "_" in text else float(text)  # float() accepts 1_000
    except ValueError:
        return float(np.nan)
