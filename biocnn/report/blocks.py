"""Building blocks of a report, free of HTML: sections of text, tables, listings and pictures."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from textwrap import wrap
from typing import NamedTuple

import pandas as pd

MAX_ROWS = 100


@dataclass(frozen=True)
class Picture:
    """A figure as shown on the page: a data URI, alternative text and caption; ``hinted`` if it has hints."""

    name: str
    source: str
    alt: str
    caption: str
    width: int
    hinted: bool = False
    kind: str = "picture"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str
    kind: str = "text"


@dataclass(frozen=True)
class Code:
    """A listing with a label."""

    label: str
    lines: str
    folded: bool = False
    kind: str = "code"


@dataclass(frozen=True)
class Quote:
    """Paragraphs to copy into a paper, and the references that they cite."""

    label: str
    paragraphs: list[str]
    references: list[str]
    kind: str = "quote"


@dataclass(frozen=True)
class Files:
    """A list of files beside the page: paths and sizes."""

    label: str
    files: list[tuple[str, str]]
    kind: str = "files"


@dataclass(frozen=True)
class Drawing:
    """A small picture in a cell of a table, an SVG, with links to files below: labels and paths."""

    svg: str
    links: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True)
class Table:
    """A table of text and drawings; the second line of a cell is set small. ``numeric`` columns are right-aligned."""

    caption: str
    header: list[str]
    rows: list[list[str | Drawing]]
    numeric: frozenset[int] = frozenset()
    kind: str = "table"


class Mark(NamedTuple):
    """An outline over an image: a path of SVG. Its name is the first cell of its row in the table of objects."""

    name: str
    colour: str
    drawn: str


@dataclass(frozen=True)
class Viewer:
    """A new image beside the same image with what was found in it.

    Parameters
    ----------
    name, about
        Path of the image; its size and, of volumes, the slice.
    what
        What is drawn over it.
    photo, over
        Data URIs of the image, and of a picture to show instead of it, if any.
    width, height
        Size in the units of the marks.
    marks
        Outlines.
    key
        Names and colours of channels and classes.
    field_width, unit
        Width of the field of view, and its unit; 0 if the pixel size is unknown.
    bar
        Length of the scale bar, in that unit.
    listed, header, rows
        Table of the objects: its label, names of the columns, and rows.
    """

    name: str
    about: str
    what: str
    photo: str
    over: str
    width: int
    height: int
    marks: list[Mark]
    key: list[tuple[str, str]]
    field_width: float = 0.0
    unit: str = ""
    bar: float = 0.0
    listed: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    kind: str = "viewer"


Block = Text | Code | Quote | Files | Table | Picture | Viewer


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    anchor: str
    title: str
    blocks: list[Block] = field(default_factory=list)


def table(caption: str, header: list[str], rows: Iterable[list[object]], numeric: str = "", full: str = "") -> Table:
    """Make a table of at most 100 rows; the caption of a longer one names the file with all rows.

    Parameters
    ----------
    caption
        Above the table.
    header
        Names of the columns.
    rows
        One list per row; None and nan become empty cells.
    numeric
        Names of the right-aligned columns, separated by commas.
    full
        File with all rows.
    """
    rows = [[_cell(value) for value in row] for row in rows]
    if len(rows) > MAX_ROWS:
        rest = f"; all rows are in {full}." if full else "."
        caption = f"{caption.rstrip('.')}: first {MAX_ROWS} of {len(rows)} rows{rest}"
    wanted = {name.strip() for name in numeric.split(",")}
    return Table(caption, header, rows[:MAX_ROWS], frozenset(i for i, name in enumerate(header) if name in wanted))


def _cell(value: object) -> str | Drawing:
    if isinstance(value, Drawing):
        return value
    return "" if pd.isna(value) else str(value)


def counted(values: pd.Series, most: int = 8) -> str:
    """List values with their counts, most frequent first: 'chrIV (210), chrVII (160), and 3 more'."""
    counts = values.value_counts()
    listed = ", ".join(f"{name} ({count:,})" for name, count in counts.head(most).items())
    return listed + (f", and {len(counts) - most:,} more" if len(counts) > most else "")


def short(name: object, most: int) -> str:
    """Shorten a name by removing its middle, 'hippo…_173', because many names differ only at their ends.

    Line ends and other characters that cannot be printed become blanks.
    """
    text, end = "".join(letter if letter.isprintable() else " " for letter in str(name)), (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def wrapped(name: object, width: int, most: int = 3) -> str:
    """Break a name into at most ``most`` lines of ``width`` characters; only what is longer is shortened."""
    return "\n".join(wrap(short(name, most * width), width)[:most])
