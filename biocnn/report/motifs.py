"""Figures of what a sequence network learned: motifs with database matches, and attributions along examples."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.report.blocks import short
from biocnn.report.figures import INK, MUTED, PAGE_WIDTH, new_figure
from biocnn.report.headline import probability
from biocnn.report.logo import draw_attributions, draw_letters, draw_motif, draw_signal, position_label, present

_SPAN = 110  # bp that a page can show legibly
_ROW = 0.72  # height of one motif in inches


def motif_rows(
    table: pd.DataFrame,
    motifs: dict[str, np.ndarray],
    targets: dict[str, np.ndarray],
    alphabet: str,
    scale: str,
    contributions: dict[str, np.ndarray] | None = None,
    *,
    both_strands: bool = True,
) -> Figure:
    """Draw one motif per row: contributions, frequencies, their reverse complement, and the aligned database match.

    Parameters
    ----------
    table
        Rows to draw, in order, with columns motif and title and, for the match, strand, offset, target_id, target_name,
        p_value and convincing.
    motifs
        Base frequencies of each motif, shape (L, 4), by the names in ``motif``.
    targets
        Base frequencies of database motifs, shape (L, 4), by the identifiers in ``target_id``; if empty, their column
        is omitted.
    alphabet
        Letters of the logos.
    scale
        What networks compute for an output, as a noun.
    contributions
        Contributions of each motif to it, shape (L, 4); if None, their column is omitted.
    both_strands
        Whether to draw reverse complements.
    """
    rows = [_Row(row, motifs[row["motif"]], targets) for row in table.to_dict("records")]
    columns = [partial(_contribution, scale=scale)] if contributions is not None else []
    columns += [_forward, _reverse] if both_strands else [_forward]
    columns += [_match] if targets else []
    figure = new_figure(_ROW * len(rows) + 0.1)
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    width = max(row.end - row.begin for row in rows)
    for row, line in zip(rows, panels, strict=True):
        for axes, draw in zip(line, columns, strict=True):
            axes.set_xlim(row.begin - 0.5, row.begin + width - 0.5)  # equal letter width in all rows
            draw(axes, row, alphabet, contributions)
            axes.set_xticks([])
            axes.spines["bottom"].set_visible(False)
        line[0].set_title(row.facts["title"], fontsize=7)
    return figure


class _Row:
    """A motif, its match on the matching strand, and the columns covered by both."""

    def __init__(self, facts: dict, pfm: np.ndarray, targets: dict[str, np.ndarray]) -> None:
        self.facts, self.pfm, self.target, self.start = facts, pfm, None, 0
        if str(facts["target_id"]) in targets and facts["convincing"]:
            target = targets[str(facts["target_id"])]
            self.target = target[::-1, ::-1] if facts["strand"] == "-" else target
            self.start = int(facts["offset"])
        self.begin = min(0, self.start)
        self.end = max(len(pfm), self.start + (0 if self.target is None else len(self.target)))


def _contribution(axes: Axes, row: _Row, alphabet: str, contributions: dict[str, np.ndarray], scale: str) -> None:
    heights = contributions[row.facts["motif"]].T
    draw_letters(axes, heights, alphabet)
    axes.axhline(0, color=MUTED, linewidth=0.5, zorder=0)
    axes.set_ylim(
        min(1.1 * np.minimum(heights, 0).sum(axis=0).min(), 0), 1.1 * np.maximum(heights, 0).sum(axis=0).max()
    )
    axes.locator_params(axis="y", nbins=2)
    axes.set_ylabel(scale.capitalize(), fontsize=6.5)


def _forward(axes: Axes, row: _Row, alphabet: str, _: dict[str, np.ndarray] | None) -> None:
    _logo(axes, row.pfm, alphabet, 0)
    axes.set_ylabel("Bits", fontsize=6.5)


def _reverse(axes: Axes, row: _Row, alphabet: str, _: dict[str, np.ndarray] | None) -> None:
    _logo(axes, row.pfm[::-1, ::-1], alphabet, row.begin)
    axes.set_title("reverse complement", fontsize=7, color=MUTED)


def _match(axes: Axes, row: _Row, alphabet: str, _: dict[str, np.ndarray] | None) -> None:
    if row.target is None:
        axes.set_axis_off()
        axes.text(0, 0.4, "no similar motif", color=MUTED, fontsize=7, transform=axes.transAxes)
        return
    _logo(axes, row.target, alphabet, row.start)
    strand = " (−)" if row.facts["strand"] == "-" else ""
    words = f"{short(row.facts['target_name'], 12)}{strand}, p = {probability(row.facts['p_value'])}"
    axes.set_title(words, fontsize=7, color=MUTED)


def _logo(axes: Axes, pfm: np.ndarray, alphabet: str, start: int) -> None:
    limits = axes.get_xlim()
    draw_motif(axes, pfm, alphabet, start)
    axes.set_xlim(limits)
    axes.set_yticks([0, 2])


def logos(
    codes: list[np.ndarray],
    attributions: list[np.ndarray],
    titles: list[str],
    alphabet: str,
    sites: Sequence[pd.DataFrame] = (),
    signal: Sequence[np.ndarray] = (),
    names: Sequence[str] = (),
) -> Figure:
    """Draw attribution logos of examples, one below the other; long ones are cut to the busiest stretch.

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
    sites
        Stretches to label above the letters of each example: columns start, end and label.
    signal, names
        Tracks beside the bases of each example, shape (S, L), to be drawn above its letters, and their names; or none.
    """
    spans = [busiest(code, values) for code, values in zip(codes, attributions, strict=True)]
    heights = [0.5, 1] if len(signal) else [1]
    figure = new_figure(0.7 * sum(heights) * len(codes) + 0.35, PAGE_WIDTH)
    every = figure.subplots(len(heights) * len(codes), 1, squeeze=False, height_ratios=heights * len(codes))[:, 0]
    panels, tops = every[len(heights) - 1 :: len(heights)], every[:: len(heights)]
    for axes, code, values, (first, last) in zip(panels, codes, attributions, spans, strict=True):
        draw_attributions(axes, code[first:last], values[:, first:last], alphabet)
        ticks = [place for place in range(first, last) if place % 20 == 0]
        shared = len(set(spans)) == 1 and axes is not panels[-1]
        axes.set_xticks([place - first for place in ticks], ["" if shared else place for place in ticks])
        axes.spines["bottom"].set_visible(False)
        axes.locator_params(axis="y", nbins=3)
    for axes, title in zip(tops, titles, strict=True):
        axes.set_title(title, fontsize=7)
    shown = [values[:, first:last] for values, (first, last) in zip(signal, spans, strict=False)]
    low, high = min([0.0, *(one.min() for one in shown)]), max([0.0, *(one.max() for one in shown)])
    for axes, values in zip(tops, shown, strict=False):
        draw_signal(axes, values, names if axes is tops[0] else ())
        axes.set_ylabel("sd", fontsize=6)
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    for axes, found, (first, last) in zip(panels, sites, spans, strict=False):
        name_sites(axes, found, first, last)
    panels[-1].set_xlabel(position_label(alphabet))
    figure.supylabel("Attribution", fontsize=7.5)
    return figure


def name_sites(axes: Axes, sites: pd.DataFrame, first: int, last: int) -> None:
    """Draw a bar with a label above each site."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.22 * (high - low))
    for start, end, label in sites[["start", "end", "label"]].itertuples(index=False):
        if first <= start and end <= last:
            place = high + 0.05 * (high - low)
            axes.plot([start - first - 0.5, end - first - 0.5], [place] * 2, color=INK, linewidth=0.8, clip_on=False)
            axes.text((start + end) / 2 - first - 0.5, place, label, fontsize=6, ha="center", va="bottom")


def busiest(codes: np.ndarray, attributions: np.ndarray) -> tuple[int, int]:
    """Return start and end (exclusive) of the stretch of at most 110 bp with the largest summed attribution."""
    known = int(np.flatnonzero(codes != 5).max(initial=-1)) + 1
    if known <= _SPAN:
        return 0, max(known, 1)
    weight = np.abs(present(codes, attributions)).sum(axis=0)[:known]
    sums = np.convolve(weight, np.ones(_SPAN), mode="valid")
    first = int(sums.argmax())
    return first, first + _SPAN


def emblem(pfm: np.ndarray, alphabet: str) -> Figure:
    """Draw the logo of one motif for the overview page."""
    figure = Figure(figsize=(2.6, 0.8))
    axes = figure.add_axes((0.01, 0.03, 0.98, 0.94))
    draw_motif(axes, pfm, alphabet)
    axes.set_axis_off()
    return figure
