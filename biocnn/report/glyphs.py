"""Names with letters that the font of the figures lacks: replaced by numbers, which the caption explains."""

import re
from functools import cache

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

NumberOf = dict[str, int]


def number_names(figure: Figure, numbers: NumberOf) -> list[str]:
    """Replace what the font lacks in all texts of a figure.

    Parameters
    ----------
    figure
        Changed in place.
    numbers
        Number of each replaced piece of text; receives new pieces, so that figures share it.

    Returns
    -------
    legend
        "#1: name" for each number in the figure.
    """
    found: dict[str, None] = {}

    def replaced(text: str) -> str:
        def number(match: re.Match) -> str:
            key = f"#{numbers.setdefault(match[0], len(numbers) + 1)}"
            found[f"{key}: {match[0]}"] = None
            return key

        return _missing().sub(number, text)

    for axis in (axis for axes in figure.findobj(Axes) for axis in (axes.xaxis, axes.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if any(map(_missing().search, labels)):  # ticks forget texts that are set on their labels
            axis.set_ticks(axis.get_majorticklocs(), labels=list(map(replaced, labels)))
    for text in figure.findobj(Text):
        text.set_text(replaced(text.get_text()))
    return list(found)


@cache
def _missing() -> re.Pattern:
    """Match letters that the font lacks."""
    path = findfont(FontProperties(family=rcParams["font.sans-serif"]))
    letters = "".join(map(re.escape, map(chr, get_font(path).get_charmap())))
    return re.compile(rf"[^{letters}\s]+")
