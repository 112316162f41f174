"""What every figure of a report shares: palette, type, and saving it for paper and page at once."""

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

from biocnn.report.blocks import Picture, short

# Okabe & Ito's palette: told apart with every common colour vision, and in grey.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, INK = "#56B4E9", "#CC79A7", "#F0E442", "#1F2328"
MUTED, FAINT = "#6B7280", "#C9CED6"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
PAGE_WIDTH = 7.2  # inches: two columns of a journal
PAPER_DPI, PAGE_DPI, THUMBNAIL_DPI = 300, 170, 150
LONGEST, LEGEND, LINES = 80, 24, 4  # letters of a line, also of one in a panel's legend, and lines of a text

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same figure on every machine
    "font.size": 7.5,
    "text.color": INK,
    "text.parse_math": False,  # names come from data: $, _ and ^ are letters like others
    "axes.labelcolor": INK,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.02,
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
    "svg.hashsalt": "biocnn",  # element names that do not change from one run to the next
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def style() -> Iterator[None]:
    """The look of all figures, for as long as the context lasts; nothing global is left changed."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Names may be in any script; a letter that the font lacks is drawn as a box, and whole in the tables.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def new_figure(height: float, width: float = PAGE_WIDTH) -> Figure:
    """An empty figure, sizes in inches, that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained")


def letter(axes: Axes, text: str, title: str) -> None:
    """Head a panel with a title and, where the figure has several panels, its letter, as papers do."""
    title = short(title, LONGEST)
    if text:
        dollars = title.replace("$", r"\$")
        axes.set_title(rf"$\mathbf{{{text}}}$   {dollars}", parse_math=True)
    else:
        axes.set_title(title)


class Gallery:
    """Saves figures: a PNG for papers into a folder, and a copy small enough to live inside the page.

    Parameters
    ----------
    folder
        Where the PNG files go; it is made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, figure: Figure, alt: str, caption: str, *, vector: bool = True) -> Picture:
        """Save a figure as ``name.png`` and return it for the page: as SVG, or as PNG where pixels dominate."""
        FigureCanvasAgg(figure)
        _tame(figure)
        figure.savefig(self.folder / f"{name}.png", dpi=PAPER_DPI, metadata={"Software": None})
        figure.set_layout_engine("none")  # laid out once; the second rendering keeps it
        source = _svg(figure) if vector else _png(figure)
        return Picture(name, source, alt, caption, round(figure.get_figwidth() * 125))

    def thumbnail(self, figure: Figure) -> None:
        """Save the picture that stands for the experiment on the overview page."""
        FigureCanvasAgg(figure)
        _tame(figure)
        figure.savefig(self.folder / "thumbnail.png", dpi=THUMBNAIL_DPI, metadata={"Software": None})


def data_uri(data: bytes, media_type: str) -> str:
    """An address that contains what it points to, so that the page needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _tame(figure: Figure) -> None:
    """Cut texts that would leave no room for anything else: names from data can be of any length."""
    for legend in (legend for axes in figure.axes if (legend := axes.get_legend())):
        for text in legend.get_texts():
            text.set_text(short(text.get_text(), LEGEND))
    for text in figure.findobj(Text):
        if not text.get_parse_math():
            lines = text.get_text().split("\n")[:LINES]
            text.set_text("\n".join(short(line, LONGEST) for line in lines))


def _svg(figure: Figure) -> str:
    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return data_uri(buffer.getvalue(), "image/svg+xml")


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PAGE_DPI, metadata={"Software": None})
    return data_uri(buffer.getvalue(), "image/png")
