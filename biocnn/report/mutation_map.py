"""Mutation maps: the change of a network's output by every single mutation of a sequence."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from biocnn.report.figures import MUTED, PRINTED, new_figure
from biocnn.report.headline import number
from biocnn.report.logo import COLOURS, draw_attributions, position_label

_SPAN = 110  # bp that a page can show legibly
_COLOURS = "RdBu_r"
_HEIGHT = 1.35  # height of one map in inches


def mutation_maps(
    codes: Sequence[np.ndarray],
    changes: Sequence[np.ndarray],
    titles: Sequence[str],
    alphabet: str,
    scale: str,
    marks: Sequence[int | None] | None = None,
) -> Figure:
    """Draw mutation maps of several sequences, one below the other, each with its own colour scale.

    Each map is the sequence, with letters scaled by importance, above a heat map of the change by every mutation.

    Parameters
    ----------
    codes
        Shape (L,) each, uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding. If longer than 110 bp, only the stretch around
        the mark is drawn or, without a mark, the one with the largest changes.
    changes
        Shape (4, L) each: output for the mutant minus output for the sequence, from ``saturation_mutagenesis``.
    titles
        Title of each map, "" for none.
    alphabet
        Four letters.
    scale
        What the network computes, as a noun.
    marks
        Position of a variant to frame in each sequence, 0-based.

    References
    ----------
    Alipanahi et al., Nature Biotechnology 33, 831-838 (2015), doi:10.1038/nbt.3300, figure 4.
    """
    figure = new_figure(_HEIGHT * len(codes) + 0.3)
    panels = figure.subplots(2 * len(codes), 1, height_ratios=[1.1, 1.0] * len(codes)).reshape(-1, 2)
    for pair, code, change, title, mark in zip(
        panels, codes, changes, titles, marks or [None] * len(codes), strict=True
    ):
        _draw(pair, np.asarray(code), np.asarray(change, dtype=float), alphabet, title, scale, mark)
    panels[-1, 1].set_xlabel(position_label(alphabet))
    for i, (_, cells) in enumerate(panels):
        cells.collections[0].set_gid(f"map-{i}")
    return figure


def hints(
    codes: Sequence[np.ndarray],
    changes: Sequence[np.ndarray],
    alphabet: str,
    places: Sequence[tuple[str, int, int, str] | None],
    marks: Sequence[int | None] | None = None,
) -> dict[str, list[str]]:
    """Describe the cells of ``mutation_maps``: "chrIV:1,204 A>C −.53"; see ``figures.Gallery.add``.

    Parameters
    ----------
    codes, changes, alphabet, marks
        As given to ``mutation_maps``.
    places
        Interval of each sequence: contig, start, end (0-based, half-open) and strand; None if it is unknown. Positions
        are those of the genome, from 1, with the strand if it is "-", or else those in the sequence, from 1.
    """
    found = {}
    for i, (code, change, place) in enumerate(zip(codes, changes, places, strict=True)):
        first, last = shown(np.asarray(code), change, marks[i] if marks else None)
        words = []
        for row, column in np.ndindex(4, last - first):
            at, base = first + column, int(code[first + column])
            where, before = f"position {at + 1:,}", alphabet[base] if base < 4 else "N"
            if place:
                chrom, start, end, strand = place
                where = f"{chrom}:{end - at if strand == '-' else start + at + 1:,}{' (−)' * (strand == '-')}"
            same = row == base
            words.append(f"{where} {before}" + ("" if same else f">{alphabet[row]} {number(change[row, at])}"))
        found[f"map-{i}"] = words
    return found


def importance(change: np.ndarray) -> np.ndarray:
    """Return the importance of bases, minus the mean change by three mutations: (4, L) to (L,)."""
    return -change.sum(axis=0) / 3


def shown(codes: np.ndarray, change: np.ndarray, mark: int | None) -> tuple[int, int]:
    """Return start and end (exclusive) of the stretch to draw: at most 110 bp, without padding at the end."""
    length = int(np.flatnonzero(codes != 5).max(initial=0)) + 1
    if length <= _SPAN:
        return 0, length
    if mark is not None:
        first = mark - _SPAN // 2
    else:
        first = int(np.convolve(np.abs(change).sum(axis=0)[:length], np.ones(_SPAN), mode="valid").argmax())
    first = min(max(first, 0), length - _SPAN)
    return first, first + _SPAN


def _draw(
    panels: np.ndarray, codes: np.ndarray, change: np.ndarray, alphabet: str, title: str, scale: str, mark: int | None
) -> None:
    first, last = shown(codes, change, mark)
    codes, change = codes[first:last], change[:, first:last]
    letters, cells = panels
    draw_attributions(letters, codes, np.broadcast_to(importance(change), change.shape), alphabet)
    letters.spines["bottom"].set_visible(False)
    letters.tick_params(bottom=False, labelbottom=False)
    letters.locator_params(axis="y", nbins=3)
    letters.set_ylabel("Importance")
    letters.set_title(title, fontsize=7)
    mesh = _heat_map(cells, codes, change, alphabet)
    ticks = [place for place in range(first, last) if place % 10 == 0]
    cells.set_xlim(letters.get_xlim())
    cells.set_xticks([place - first for place in ticks], ticks)
    bar = cells.figure.colorbar(mesh, ax=cells, pad=0.01, fraction=0.02, aspect=8)
    bar.set_label(f"Change of\nthe {scale}", fontsize=7)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6.5)
    if mark is not None:
        frame = {"fill": False, "edgecolor": PRINTED, "linewidth": 1.0, "clip_on": False, "zorder": 3}
        cells.add_patch(Rectangle((mark - first - 0.5, -0.5), 1, 4, **frame))


def _heat_map(axes: Axes, codes: np.ndarray, change: np.ndarray, alphabet: str) -> QuadMesh:
    """Draw cells in four rows, A on top; a dot marks the base present."""
    largest = float(np.abs(change).max()) or 1.0
    scale = TwoSlopeNorm(0.0, -largest, largest)
    edges = np.arange(len(codes) + 1) - 0.5
    mesh = axes.pcolormesh(edges, np.arange(5) - 0.5, change, cmap=_COLOURS, norm=scale)
    known = np.flatnonzero(codes < 4)
    axes.scatter(known, codes[known], s=1.5, color=MUTED, linewidths=0)
    axes.invert_yaxis()
    axes.set_yticks(range(4), list(alphabet), fontsize=6.5, fontweight="bold")
    for label, letter in zip(axes.get_yticklabels(), alphabet, strict=True):
        label.set_color(COLOURS[letter])
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    return mesh
