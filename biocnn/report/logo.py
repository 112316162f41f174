"""Sequence logos as vector outlines: information content of a motif, and attributions of a sequence."""

from collections.abc import Sequence
from functools import cache
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from biocnn.config.strands import RNA
from biocnn.core.palette import BLUE, GREEN, ORANGE, VERMILION
from biocnn.io.meme import information
from biocnn.report.figures import MUTED, SERIES

_LETTER, _LINE, _LEAST = 8, 26, 0.3  # width of a letter, height of a logo, and least height of a letter, in pixels
COLOURS = {"A": GREEN, "C": BLUE, "G": ORANGE, "T": VERMILION, "U": VERMILION}


def heights(pfm: np.ndarray) -> np.ndarray:
    """Return the letter heights of a logo in bits: frequencies of shape (L, 4) times the information of their row."""
    return pfm * information(pfm)[:, None]


def draw_letters(axes: Axes, heights: np.ndarray, alphabet: str = "ACGT", start: float = 0) -> None:
    """Stack letters at each position, the largest outermost, negative ones inverted below zero.

    Parameters
    ----------
    axes
        Axes to draw on; the caller sets its limits.
    heights
        Shape (4, L), rows in the order of ``alphabet``.
    alphabet
        Four letters.
    start
        Position of the first column; column i fills start + i - .5 to start + i + .5.
    """
    outlines: dict[str, list[Path]] = {symbol: [] for symbol in alphabet}
    for position, column in enumerate(np.asarray(heights, dtype=float).T, start):
        bases = {1: 0.0, -1: 0.0}
        for row in np.argsort(np.abs(column), kind="stable"):
            height, sign = column[row], 1 if column[row] > 0 else -1
            if height:
                outlines[alphabet[row]].append(_placed(alphabet[row], position, bases[sign], height))
                bases[sign] += height
    for symbol, paths in outlines.items():
        if paths:
            # One patch per letter of the alphabet, not per letter drawn, excluded from limits and layout, which the
            # caller sets: this keeps logos of 100 bp fast and small.
            patch = PathPatch(Path.make_compound_path(*paths), facecolor=COLOURS[symbol], linewidth=0, clip_on=False)
            patch.set_in_layout(False)
            axes.add_artist(patch)


def draw_motif(axes: Axes, pfm: np.ndarray, alphabet: str = "ACGT", start: float = 0) -> None:
    """Draw the logo of a motif, shape (L, 4), in bits on a scale of 0 to 2."""
    draw_letters(axes, heights(pfm).T, alphabet, start)
    axes.set_ylim(0, 2)
    axes.set_yticks([0, 1, 2])
    axes.set_xlim(start - 0.5, start + len(pfm) - 0.5)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def draw_attributions(axes: Axes, codes: np.ndarray, attributions: np.ndarray, alphabet: str = "ACGT") -> None:
    """Draw the attributions of the bases present as letters above and below zero.

    Parameters
    ----------
    axes
        Axes to draw on.
    codes
        Shape (L,), uint8: 0-3 = ACGT, 4 = unknown, 5 = padding; the last two are not drawn.
    attributions
        Shape (4, L): contribution of every base at every position; only bases present are drawn.
    alphabet
        Four letters.
    """
    heights = present(codes, attributions)
    draw_letters(axes, heights, alphabet)
    axes.axhline(0, color=MUTED, linewidth=0.5, zorder=0)
    low, high = min(heights.min(), 0.0), max(heights.max(), 0.0)
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(-0.5, len(codes) - 0.5)


def draw_signal(axes: Axes, values: np.ndarray, names: Sequence[str]) -> None:
    """Draw tracks beside the bases of a sequence, shape (S, L), as steps; with a legend above if they have names."""
    for k, track in enumerate(values):
        label = names[k] if names else None
        axes.plot(track, drawstyle="steps-mid", color=SERIES[k % len(SERIES)], linewidth=0.8, label=label)
    axes.set_xlim(-0.5, values.shape[1] - 0.5)
    axes.set_xticks([])
    axes.locator_params(axis="y", nbins=1)
    axes.spines["bottom"].set_visible(False)
    if names:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, ncols=len(names))


def present(codes: np.ndarray, attributions: np.ndarray) -> np.ndarray:
    """Set the attributions of bases that are not in the sequence to zero; shape (4, L)."""
    return np.where(np.arange(4)[:, None] == np.asarray(codes)[None, :], attributions, 0.0)


def small_logo(rows: Sequence[tuple[np.ndarray, int]], alphabet: str, name: str, alt: str) -> str:
    """Return one or more aligned logos, below each other, as a compact SVG.

    Parameters
    ----------
    rows
        Frequencies of each motif, shape (L, 4), and its first column.
    alphabet
        Four letters.
    name
        Unique name in the page.
    alt
        Alternative text.
    """
    first = min(start for _, start in rows)
    width = _LETTER * (max(start + len(pfm) for pfm, start in rows) - first)
    height = _LINE * len(rows)
    letters: dict[str, list[str]] = {symbol: [] for symbol in alphabet}
    for line, (pfm, start) in enumerate(rows, 1):
        for column, bits in enumerate(heights(pfm), start - first):
            bottom = line * _LINE - 1.0
            for row in np.argsort(bits, kind="stable"):
                size = float(bits[row]) / 2 * (_LINE - 2)
                if size >= _LEAST:
                    place = (
                        f"translate({column * _LETTER + 0.3:.3g} {bottom:.3g}) scale({_LETTER - 0.6:.3g} {size:.3g})"
                    )
                    letters[alphabet[row]].append(f'<use href="#{name}-{alphabet[row]}" transform="{place}"/>')
                    bottom -= size
    outlines = "".join(f'<path id="{name}-{symbol}" d="{_outline(symbol)}"/>' for symbol in alphabet)
    groups = "".join(f'<g fill="{COLOURS[symbol]}">{"".join(uses)}</g>' for symbol, uses in letters.items() if uses)
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(alt)}">'
        f"<defs>{outlines}</defs>{groups}</svg>"
    )


@cache
def _outline(symbol: str) -> str:
    """Return a letter in the unit square as the data of an SVG path, upwards from 0 to -1."""
    vertices, codes = _glyph(symbol)
    words, row, names = [], 0, {1: "M", 2: "L", 3: "Q", 4: "C"}
    while row < len(codes):
        number = {3: 2, 4: 3}.get(int(codes[row]), 1)  # vertices of the segment
        points = " ".join(f"{x:.3g} {-y:.3g}" for x, y in vertices[row : row + number])
        words.append("Z" if codes[row] == Path.CLOSEPOLY else names[int(codes[row])] + points)
        row += number
    return "".join(words)


def position_label(alphabet: str) -> str:
    """Return the label of the axis below attributions."""
    return f"Position in the window ({'nt' if alphabet == RNA else 'bp'})"


@cache
def _glyph(symbol: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the outline of a letter, stretched to the unit square."""
    path = TextPath((0, 0), symbol, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    return (path.vertices - [box.x0, box.y0]) / [box.width, box.height], path.codes


def _placed(symbol: str, position: float, base: float, height: float) -> Path:
    vertices, codes = _glyph(symbol)
    return Path(vertices * [0.94, height] + [position - 0.47, base], codes)
