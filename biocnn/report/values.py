"""Performance figures for numbers: predicted against measured with intervals, residuals, best and worst images."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.core.palette import BLUE, VERMILION
from biocnn.report.blocks import Table, Text, short
from biocnn.report.figures import FAINT, INK, MUTED, PAGE_WIDTH, Gallery, Picture, letter, new_figure
from biocnn.report.headline import number
from biocnn.report.image_gallery import COLUMNS, Tile, drawn
from biocnn.report.results import Results
from biocnn.report.vectors import held_out

_PANELS = 4  # outputs in the figure
_LINES = 400  # examples up to which each interval is drawn
_BINS = 8  # of the measured values, for the running median of residuals
_FEWEST = 3  # examples in a bin


def regression(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Show predicted against measured values, the residuals, and the images predicted best and worst."""
    mean, truth = held_out(results)
    found = {name: _of_output(mean, truth, k, len(results.outputs)) for k, name in enumerate(results.outputs)}
    found = {name: each for name, each in found.items() if len(each)}
    if not found:
        return []
    caption = (
        "Held-out examples. Top: predicted against measured values; dotted: equality. Bottom: predicted minus measured "
        "value against the measured one, with the median of examples of similar size (line)."
    )
    first = next(iter(found.values()))
    if first["low"].notna().any():
        lines = " Lines: intervals that are to contain 90% of measured values; orange: those that do not."
        many = " Orange: outside the interval that is to contain 90% of measured values."
        caption += lines if len(first) <= _LINES else many
    blocks: list[Picture | Table | Text] = [
        gallery.add("agreement", agreement(found), "Predicted against measured values, and residuals", caption)
    ]
    if results.input and results.input.best_and_worst and results.dataset:
        name = next(iter(found))
        caption = (
            f"Held-out {results.input.examples} with the smallest and the largest errors of {name}: predicted value"
            + (", its 90% interval" if first["low"].notna().any() else "")
            + " and measured value. Of the largest errors: is the measured value right?"
        )
        figure = drawn(results.dataset, _ordered(first))
        blocks.append(
            gallery.add("gallery", figure, "Images with the best and worst predictions", caption, vector=False)
        )
    return blocks


def _of_output(mean: pd.DataFrame, truth: pd.DataFrame, k: int, outputs: int) -> pd.DataFrame:
    """Return the known examples of an output: measured, value, low and high (nan without intervals), by id."""
    if not len(mean):
        return mean
    ends = {name: mean.get(k + i * outputs, np.nan) for i, name in enumerate(("value", "low", "high"))}
    return pd.DataFrame({"measured": truth[k], **ends}).dropna(subset=["measured", "value"])


def _ordered(found: pd.DataFrame) -> dict[str, list[Tile]]:
    order = (found["value"] - found["measured"]).abs().sort_values(kind="stable").index
    chosen = {"Smallest errors": order[:COLUMNS], "Largest errors": order[::-1][: min(COLUMNS, len(order) - COLUMNS)]}
    return {name: [_tile(str(id), found.loc[id]) for id in ids] for name, ids in chosen.items()}


def _tile(id: str, row: pd.Series) -> Tile:
    known = np.isfinite(row["low"])
    within = row["low"] <= row["measured"] <= row["high"] if known else None
    ends = f" ({number(row['low'])}–{number(row['high'])})" if known else ""
    return Tile(id, [f"{number(row['value'])}{ends}", f"measured: {number(row['measured'])}"], within)


def agreement(found: dict[str, pd.DataFrame]) -> Figure:
    """Draw predicted against measured values, and residuals below; one column per output (at most four).

    Parameters
    ----------
    found
        Tables with the columns measured, value, low and high, by output.
    """
    shown = list(found.items())[:_PANELS]
    width = min(PAGE_WIDTH, 3.4 * len(shown))
    figure = new_figure(0.75 * width + 0.6 if len(shown) == 1 else 4.2, width)
    grid = figure.subplots(2, len(shown), squeeze=False, height_ratios=[2, 1], sharex="col")
    for (top, bottom), symbol, (name, table) in zip(grid.T, "abcd" if len(shown) > 1 else [""], shown, strict=False):
        _values(top, table)
        letter(top, symbol, short(name, 32))
        _residuals(bottom, table)
    for axes, words in ((grid[0, 0], "Predicted"), (grid[1, 0], "Predicted − measured")):
        axes.set_ylabel(words)
    for axes in grid[1]:
        axes.set_xlabel("Measured")
    return figure


def _values(axes: Axes, table: pd.DataFrame) -> None:
    measured, value = table["measured"].to_numpy(), table["value"].to_numpy()
    ends = [min(measured.min(), value.min()), max(measured.max(), value.max())]
    axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=":")
    missed = (table["low"] > measured) | (table["high"] < measured)
    if len(table) <= _LINES and table["low"].notna().any():
        for which, colour in ((~missed, BLUE), (missed, VERMILION)):
            part = table[which]
            axes.vlines(part["measured"], part["low"], part["high"], color=colour, alpha=0.35, linewidth=0.9)
    for which, colour in ((~missed, BLUE), (missed, VERMILION)):
        part = table[which]
        axes.plot(part["measured"], part["value"], ".", color=colour, **_dots(len(table)))
    varies = np.ptp(measured) > 0 and np.ptp(value) > 0
    r = number(np.corrcoef(measured, value)[0, 1]) if varies else "–"
    words = [f"r = {r}", f"mean error {number(np.abs(value - measured).mean())}", f"n = {len(table):,}"]
    axes.text(0.04, 0.96, "\n".join(words), transform=axes.transAxes, va="top")


def _dots(number: int) -> dict[str, float]:
    few = number <= _LINES
    return {"alpha": 0.85 if few else 0.6, "markersize": 6 if few else 4, "markeredgewidth": 0}


def _residuals(axes: Axes, table: pd.DataFrame) -> None:
    measured, residual = table["measured"], table["value"] - table["measured"]
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
    axes.plot(measured, residual, ".", color=BLUE, rasterized=len(table) > _LINES, **_dots(len(table)))
    bins = pd.qcut(measured, min(_BINS, max(1, len(table) // _FEWEST)), duplicates="drop")
    middle = pd.DataFrame({"x": measured, "y": residual}).groupby(bins, observed=True).median()
    if len(middle) > 1:
        axes.plot(middle["x"], middle["y"], "-", color=INK, linewidth=1)
