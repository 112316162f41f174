"""What a page is made of: sections of text, tables, listings and pictures, free of HTML."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

MAX_ROWS = 40


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: an address that holds the picture itself, and the words that go with it."""

    name: str
    source: str
    alt: str
    caption: str
    width: int
    kind: str = "picture"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str
    kind: str = "text"


@dataclass(frozen=True)
class Code:
    """A listing with the name of what it lists."""

    label: str
    lines: str
    folded: bool = False
    kind: str = "code"


@dataclass(frozen=True)
class Table:
    """A table of text; a second line within a cell is set small. ``numeric`` are the columns set flush right."""

    caption: str
    header: list[str]
    rows: list[list[str]]
    numeric: frozenset[int] = frozenset()
    kind: str = "table"


@dataclass(frozen=True)
class Section:
    """A chapter of the page."""

    anchor: str
    title: str
    blocks: list[Text | Code | Table | Picture] = field(default_factory=list)


def table(caption: str, header: list[str], rows: Iterable[list[object]], numeric: str = "", full: str = "") -> Table:
    """Make a table, cut after 40 rows; the caption then says where the rest is.

    Parameters
    ----------
    caption
        Above the table.
    header
        Names of the columns.
    rows
        One list per row; None and nan become empty cells.
    numeric
        Names of the columns set flush right, separated by commas.
    full
        The file that has all rows.
    """
    rows = [["" if pd.isna(value) else str(value) for value in row] for row in rows]
    if len(rows) > MAX_ROWS:
        rest = f"; all are in {full}." if full else "."
        caption = f"{caption.rstrip('.')}: the first {MAX_ROWS} of {len(rows)} rows{rest}"
    wanted = {name.strip() for name in numeric.split(",")}
    return Table(caption, header, rows[:MAX_ROWS], frozenset(i for i, name in enumerate(header) if name in wanted))


def counted(values: pd.Series, most: int = 8) -> str:
    """The values and how often each occurs, the most frequent first: 'chrIV (210), chrVII (160), and 3 more'."""
    counts = values.value_counts()
    listed = ", ".join(f"{name} ({count:,})" for name, count in counts.head(most).items())
    return listed + (f", and {len(counts) - most:,} more" if len(counts) > most else "")


def short(name: object, most: int) -> str:
    """A name of at most so many characters, without its middle: 'hippo…_173'; many differ at their ends alone.

    Line ends and other characters that cannot be printed are blanks.
    """
    text, end = "".join(letter if letter.isprintable() else " " for letter in str(name)), (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def plural(count: int, noun: str) -> str:
    """'1 run', '3 runs'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
