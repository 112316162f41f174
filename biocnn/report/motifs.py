"""Figures of what a sequence network learned: kernels beside their database matches, attributions along examples."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.report.figures import MUTED, PAGE_WIDTH, new_figure
from biocnn.report.headline import SIMILAR, probability
from biocnn.report.logo import draw_attributions, draw_motif, present

_COLUMNS = 3
_SPAN = 110  # bp of an example that a page can show legibly


def kernels(table: pd.DataFrame, motifs: dict, targets: dict, alphabet: str) -> Figure:
    """Logos of the kernels in a grid, each with the logo of its database match aligned below it.

    Parameters
    ----------
    table
        Rows of matches.tsv, in the order to draw.
    motifs
        Shape (L, 4) of each kernel, by the names in ``motif``.
    targets
        Shape (L, 4) of each database motif, by the identifiers in ``target_id``; those missing are not drawn.
    alphabet
        Letters of the logos.
    """
    rows = -(-len(table) // _COLUMNS)
    paired = bool(targets)
    figure = new_figure(rows * (1.55 if paired else 1.05) + 0.1)
    cells = np.ravel(figure.subfigures(rows, _COLUMNS, squeeze=False, wspace=0.02))
    for cell, row in zip(cells, table.to_dict("records"), strict=False):
        target = targets.get(str(row["target_id"])) if row["q_value"] <= SIMILAR else None
        panels = cell.subplots(2 if paired else 1, 1, squeeze=False)[:, 0]
        _kernel(panels[0], row, motifs[row["motif"]], alphabet)
        if paired and target is None:
            panels[1].set_axis_off()
            panels[1].text(0, 0.6, "no similar motif", color=MUTED, fontsize=7, transform=panels[1].transAxes)
        elif paired:
            _match(panels, row, motifs[row["motif"]], target, alphabet)
    return figure


def _kernel(axes: Axes, row: dict, pfm: np.ndarray, alphabet: str) -> None:
    draw_motif(axes, pfm, alphabet)
    axes.set_title(f"{row['motif']}   {row['n_sites']:,.0f} sites", fontsize=7)
    axes.set_yticks([0, 2])


def _match(panels: np.ndarray, row: dict, pfm: np.ndarray, target: np.ndarray, alphabet: str) -> None:
    """Draw the database motif, on the strand of the match, in line with the kernel above."""
    upper, lower = panels
    turned = target[::-1, ::-1] if row["strand"] == "-" else target
    start = int(row["offset"])
    draw_motif(lower, turned, alphabet, start)
    ends = min(0, start) - 0.5, max(len(pfm), start + len(turned)) - 0.5
    upper.set_xlim(ends)
    lower.set_xlim(ends)
    lower.set_yticks([0, 2])
    strand = " (reverse complement)" if row["strand"] == "-" else ""
    words = f"{row['target_name']}{strand}, p = {probability(row['p_value'])}"
    lower.set_xlabel(words, color=MUTED, fontsize=7)


def tracks(codes: list[np.ndarray], attributions: list[np.ndarray], titles: list[str], alphabet: str) -> Figure:
    """Attribution logos of some examples, one below the other; long ones are cut to where most happens.

    Parameters
    ----------
    codes
        One array (L,) per example.
    attributions
        One array (4, L) per example.
    titles
        One line per example.
    alphabet
        Letters of the logos.
    """
    spans = [busiest(code, values) for code, values in zip(codes, attributions, strict=True)]
    figure = new_figure(0.7 * len(codes) + 0.35, PAGE_WIDTH)
    panels = figure.subplots(len(codes), 1, squeeze=False)[:, 0]
    for axes, code, values, title, (first, last) in zip(panels, codes, attributions, titles, spans, strict=True):
        draw_attributions(axes, code[first:last], values[:, first:last], alphabet)
        ticks = [place for place in range(first, last) if place % 20 == 0]
        shared = len(set(spans)) == 1 and axes is not panels[-1]
        axes.set_xticks([place - first for place in ticks], ["" if shared else place for place in ticks])
        axes.set_title(title, fontsize=7)
        axes.spines["bottom"].set_visible(False)
        axes.locator_params(axis="y", nbins=3)
    axes.set_xlabel("Position in the window (bp)")
    figure.supylabel("Attribution", fontsize=7.5)
    return figure


def busiest(codes: np.ndarray, attributions: np.ndarray) -> tuple[int, int]:
    """First and last + 1 position of the stretch of at most 110 bp with the largest summed attribution."""
    known = int(np.flatnonzero(codes < 5).max(initial=-1)) + 1
    if known <= _SPAN:
        return 0, max(known, 1)
    weight = np.abs(present(codes, attributions)).sum(axis=0)[:known]
    sums = np.convolve(weight, np.ones(_SPAN), mode="valid")
    first = int(sums.argmax())
    return first, first + _SPAN


def emblem(pfm: np.ndarray, alphabet: str) -> Figure:
    """The logo of one motif, for the overview page."""
    figure = Figure(figsize=(2.6, 0.8))
    axes = figure.add_axes((0.01, 0.03, 0.98, 0.94))
    draw_motif(axes, pfm, alphabet)
    axes.set_axis_off()
    return figure
