"""Figures of object errors: error maps, and sizes and counts compared with the truth."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from biocnn.core.palette import BLUE, ORANGE, PURPLE, SKY, VERMILION
from biocnn.metrics import match_objects
from biocnn.report.figures import MUTED, label_decades, letter, new_figure
from biocnn.report.headline import number

KINDS = {"matched": "#D9DCE1", "missed": SKY, "false": VERMILION, "merged": PURPLE, "split": ORANGE}
DARK = "#20242B"


def error_map(labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Classify each object by its kind of error: numbers of ``KINDS`` from 1 on; 0 is background.

    Missed and merged objects are drawn in their true shape, all others in the predicted shape.

    Parameters
    ----------
    labels, target_labels
        Predicted and true objects, shape (*spatial).
    """
    found = match_objects(labels, target_labels)
    codes = np.zeros(labels.shape, np.uint8)
    # Matched objects come first, so that errors are painted over them.
    for number_of_kind, kind in enumerate(KINDS, 1):
        rows = found[found["kind"] == kind]
        true = kind in ("missed", "merged")
        source, names = (target_labels, rows["target_label"]) if true else (labels, rows["label"])
        codes[np.isin(source, names)] = number_of_kind
    return codes


def draw_errors(axes: Axes, codes: np.ndarray) -> None:
    """Paint an error map of shape (H, W)."""
    colours = np.array([to_rgb(colour) for colour in (DARK, *KINDS.values())])
    axes.imshow(colours[codes], interpolation="nearest")


def handles() -> list[Patch]:
    """Return the legend entries of error maps."""
    return [Patch(color=colour, label=kind) for kind, colour in KINDS.items()]


def agreement(matches: pd.DataFrame) -> Figure:
    """Draw number and size of objects, predicted against true.

    Parameters
    ----------
    matches
        Rows of matches.tsv for one run and split.
    """
    figure = new_figure(2.6)
    kinds, counts, sizes = figure.subplots(1, 3, width_ratios=(0.8, 1, 1))
    _kinds(kinds, matches)
    predicted = matches[matches["label"] > 0].groupby("id")["label"].nunique()
    true = matches[matches["target_label"] > 0].groupby("id")["target_label"].nunique()
    names = sorted(set(predicted.index) | set(true.index))
    pair = [found.reindex(names, fill_value=0).to_numpy() for found in (true, predicted)]
    _scatter(counts, *pair, "b", "Objects in each image", log=False)
    matched = matches[matches["kind"] == "matched"]
    _scatter(sizes, matched["target_area"], matched["area"], "c", "Size of matched objects (pixels)", log=True)
    return figure


def _kinds(axes: Axes, matches: pd.DataFrame) -> None:
    """Draw the numbers of matched, missed and merged true objects, and of false and split predictions."""
    numbers = [int((matches["kind"] == kind).sum()) for kind in KINDS]
    axes.barh(range(len(KINDS)), numbers, color=list(KINDS.values()), edgecolor=MUTED, linewidth=0.4)
    for place, count in enumerate(numbers):
        axes.annotate(f"{count:,}", (count, place), (3, 0), textcoords="offset points", va="center")
    letter(axes, "a", "Objects at IoU .5")
    axes.set_yticks(range(len(KINDS)), list(KINDS))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(*numbers, 1))
    axes.set_xticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _scatter(axes: Axes, true: np.ndarray, predicted: np.ndarray, symbol: str, title: str, *, log: bool) -> None:
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    letter(axes, symbol, title)
    axes.set(xlabel="True", ylabel="Predicted", box_aspect=1)
    if not len(true):
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center")
        return
    alpha = 0.8 if len(true) < 1000 else 0.25
    axes.plot(true, predicted, ".", color=BLUE, alpha=alpha, markersize=4, markeredgewidth=0, rasterized=True)
    high = max(true.max(), predicted.max())
    low = min(true.min(), predicted.min()) if log else 0
    ends = (low / 1.2, high * 1.2) if log else (-0.03 * high, 1.05 * high + 1)
    axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
    scale = "log" if log else "linear"
    axes.set(xscale=scale, yscale=scale, xlim=ends, ylim=ends)
    if log:
        for axis in (axes.xaxis, axes.yaxis):
            label_decades(axis)
    bias = np.median(predicted / true) if log else (predicted - true).mean()
    text = f"median ratio {number(bias, 2)}" if log else f"mean difference {bias:+.1f}".replace("-", "−")
    axes.text(0.04, 0.96, f"n = {len(true):,}\n{text}", transform=axes.transAxes, va="top")
