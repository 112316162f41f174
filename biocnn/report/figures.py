"""Common parts of all figures: palette, fonts, and saving for papers and the page."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter

from biocnn.core.palette import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from biocnn.report.blocks import Picture, short
from biocnn.report.drawing import as_svg, for_page, with_hints
from biocnn.report.glyphs import NumberOf, number_names

INK = "#1F2328"
MUTED, FAINT = "#6B7280", "#C9CED6"
PRINTED, PALE = "#22262B", "#C6CBD3"  # words on areas whose colours are the same on dark pages
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
PAGE_WIDTH = 7.2  # inches: two columns of a journal
PAPER_DPI, PAGE_DPI, THUMBNAIL_DPI = 300, 170, 150
THEMED = {INK: "--ink", MUTED: "--figure-muted", FAINT: "--figure-faint", BLUE: "--figure-blue"}
LONGEST, LEGEND, LINES = 80, 24, 4  # characters per line, characters per line of a panel legend, lines per text

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same figure on every machine
    "font.size": 7.5,
    "text.color": INK,
    "text.parse_math": False,  # names come from data: $, _ and ^ are ordinary characters
    "axes.labelcolor": INK,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.02,
    "axes.formatter.useoffset": False,  # labels are the values themselves
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.handlelength": 1.2,
    "svg.hashsalt": "biocnn",  # element names that do not change between runs
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the style of all figures within the context, and restore global settings afterwards."""
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(height: float, width: float = PAGE_WIDTH) -> Figure:
    """Create an empty figure with automatic layout; sizes are in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def label_decades(axis: XAxis | YAxis) -> None:
    """Label a logarithmic axis with plain numbers: powers of ten, also 2 and 5 of each in a range below 100."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter(NullFormatter())


def letter(axes: Axes, text: str, title: str) -> None:
    """Give a panel a title and, if the figure has several panels, a letter."""
    title = short(title, LONGEST)
    if text:
        dollars = title.replace("$", r"\$")
        axes.set_title(rf"$\mathbf{{{text}}}$   {dollars}", parse_math=True)
    else:
        axes.set_title(title)


class Gallery:
    """Saves figures as PNG and SVG for papers, and returns smaller copies for the page.

    Parameters
    ----------
    folder
        Folder for the files; created if missing.
    path
        The folder, for captions.
    """

    def __init__(self, folder: Path, path: str = "figures") -> None:
        self.folder, self.path = folder, path
        self.numbers: NumberOf = {}
        folder.mkdir(parents=True, exist_ok=True)

    def within(self, name: str) -> "Gallery":
        """Return a gallery for a folder in this one."""
        safe = re.sub(r"[^\w.-]+", "_", name)
        return Gallery(self.folder / safe, f"{self.path}/{safe}")

    def add(
        self,
        name: str,
        figure: Figure,
        alt: str,
        caption: str,
        *,
        vector: bool = True,
        hints: Mapping[str, Sequence[str]] | None = None,
    ) -> Picture:
        """Save a figure as ``name.png`` and ``name.svg``, and return it for the page.

        Names in scripts that the font lacks are replaced by numbers, which the caption explains. Without ``vector``,
        for figures of images, only words are vectors. For ``hints`` see ``with_hints``; these are on the page only.
        """
        FigureCanvasAgg(figure)
        _tame(figure)
        legend = "; ".join(number_names(figure, self.numbers))
        caption = f"{caption} {legend}." if legend else caption
        figure.savefig(self.folder / f"{name}.png", dpi=PAPER_DPI, metadata={"Software": None})
        figure.set_layout_engine("none")  # the second rendering keeps the layout of the first
        svg = as_svg(figure, PAGE_DPI, vector)
        (self.folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        place = f"{self.path}/{name}".removeprefix("figures/")
        source = for_page(with_hints(svg, hints or {}), re.sub(r"\W", "-", place), alt, THEMED)
        return Picture(place, source, alt, caption, round(figure.get_figwidth() * 125), bool(hints))

    def thumbnail(self, figure: Figure) -> None:
        """Save the picture of the experiment on the overview page."""
        FigureCanvasAgg(figure)
        _tame(figure)
        number_names(figure, {})
        figure.savefig(self.folder / "thumbnail.png", dpi=THUMBNAIL_DPI, metadata={"Software": None})


def _tame(figure: Figure) -> None:
    """Shorten long texts, because names from data can be of any length."""
    for legend in (legend for axes in figure.axes if (legend := axes.get_legend())):
        for text in legend.get_texts():
            text.set_text(short(text.get_text(), LEGEND))
    for text in figure.findobj(Text):
        if not text.get_parse_math():
            lines = text.get_text().split("\n")[:LINES]
            text.set_text("\n".join(short(line, LONGEST) for line in lines))
