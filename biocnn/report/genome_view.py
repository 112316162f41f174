"""Views of the genome around examples: predictions, attributions and sites of motifs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.core.palette import BLUE
from biocnn.report.figures import INK, MUTED, PAGE_WIDTH, new_figure
from biocnn.report.logo import draw_attributions, present
from biocnn.report.motifs import busiest, name_sites


@dataclass(frozen=True)
class View:
    """A place in the genome to draw; positions are 0-based.

    Parameters
    ----------
    chrom, start
        Contig, and first base of the example.
    codes, attributions
        Bases of the example and attributions of all bases, on the + strand: shapes (L,) and (4, L).
    sites
        Sites of motifs in the genome: start, end, strand, label.
    at, prediction
        Middles of windows, (n,), and their predictions, (n,).
    windows
        Test examples nearby: start, end, target, prediction.
    """

    chrom: str
    start: int
    codes: np.ndarray
    attributions: np.ndarray
    sites: pd.DataFrame
    at: np.ndarray
    prediction: np.ndarray
    windows: pd.DataFrame


def genome_view(views: Sequence[View], predicted: str, alphabet: str, labels: bool) -> Figure:
    """Draw predictions above attributions for each view; long examples are drawn as a profile and a stretch of letters.

    Parameters
    ----------
    views
        What to draw, one below the other.
    predicted
        What is predicted, as a noun.
    alphabet
        Four letters.
    labels
        Whether targets are 0 and 1, and predictions probabilities.
    """
    stretches = [busiest(view.codes, view.attributions) for view in views]
    long = any(last - first < len(view.codes) for view, (first, last) in zip(views, stretches, strict=True))
    heights = [0.75, 0.55, 0.9] if long else [0.75, 0.9]
    height = sum(heights) * 1.6 * len(views) + 0.2
    figure = new_figure(height, PAGE_WIDTH)
    figure.set_layout_engine("none")  # labels are of known size: rows line up
    edges = {"left": 0.07, "right": 0.97, "top": 1 - 0.25 / height, "bottom": 0.42 / height}
    panels = [
        part.subgridspec(len(heights), 1, height_ratios=heights, hspace=0.45).subplots()
        for part in figure.add_gridspec(len(views), 1, hspace=0.34, **edges)
    ]
    for view, stretch, (above, *middle, letters) in zip(views, stretches, panels, strict=True):
        _predictions(above, view, predicted, labels)
        for axes in middle:
            _profile(axes, view, stretch)
        _letters(letters, view, stretch, alphabet)
    return figure


def _predictions(axes: Axes, view: View, predicted: str, labels: bool) -> None:
    low, high = view.at[0], view.at[-1]
    axes.axvspan(view.start - 0.5, view.start + len(view.codes) - 0.5, color=MUTED, alpha=0.12, linewidth=0)
    axes.plot(view.at, view.prediction, color=INK, linewidth=1.0)
    for row in view.windows.itertuples():
        colour = BLUE if not labels or row.target == 1 else MUTED
        axes.plot([row.start, row.end], [row.prediction] * 2, color=colour, linewidth=2.0, alpha=0.8)
    axes.set_xlim(low, high)
    if labels:
        axes.set_ylim(0, 1.04)
    first, last = view.start + 1, view.start + len(view.codes)
    axes.set_title(f"{view.chrom}:{first:,}–{last:,}", fontsize=8)
    axes.set_ylabel(predicted.capitalize(), fontsize=7)
    axes.locator_params(axis="y", nbins=3)
    _ticks(axes, low, high)


def _profile(axes: Axes, view: View, stretch: tuple[int, int]) -> None:
    heights = present(view.codes, view.attributions).sum(axis=0)
    axes.bar(view.start + np.arange(len(heights)), heights, width=1.0, color=MUTED)
    axes.axvspan(view.start + stretch[0] - 0.5, view.start + stretch[1] - 0.5, color=BLUE, alpha=0.12, linewidth=0)
    axes.set_xlim(view.at[0], view.at[-1])
    axes.set_ylabel("Attribution", fontsize=7)
    axes.locator_params(axis="y", nbins=3)
    _ticks(axes, view.at[0], view.at[-1])


def _letters(axes: Axes, view: View, stretch: tuple[int, int], alphabet: str) -> None:
    first, last = stretch
    draw_attributions(axes, view.codes[first:last], view.attributions[:, first:last], alphabet)
    start = view.start + first
    words = [f"{row.label} {'−' if row.strand == '-' else row.strand}" for row in view.sites.itertuples()]
    name_sites(axes, view.sites.assign(label=words), start, view.start + last)
    axes.set_ylabel("Attribution", fontsize=7)
    axes.locator_params(axis="y", nbins=3)
    axes.spines["bottom"].set_visible(False)
    _ticks(axes, start, view.start + last, origin=start)
    axes.set_xlabel(f"Position in {view.chrom}", fontsize=7)


def _ticks(axes: Axes, low: int, high: int, origin: int = 0) -> None:
    """Label about six round positions, counted from 1."""
    steps = [step * 10**power for power in range(8) for step in (1, 2, 5)]
    step = next(step for step in steps if (high - low) / step <= 7)
    labelled = [place for place in range(low - low % step, high + 1, step) if low < place <= high]
    axes.set_xticks([place - 1 - origin for place in labelled], [f"{place:,}" for place in labelled], fontsize=6.5)
