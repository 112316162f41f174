"""Figures for values of bases: totals of windows, errors by value, and windows with measured and predicted tracks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.evaluation.judges import Values
from biocnn.report.bases import along_genome, predictions
from biocnn.report.blocks import Table, short
from biocnn.report.figures import FAINT, MUTED, PAGE_WIDTH, SERIES, Gallery, Picture, label_decades, letter, new_figure
from biocnn.report.headline import number
from biocnn.report.results import Results
from biocnn.report.segmentation import of_best_run

BINS = 20  # of predicted values of bases
ENOUGH = 20  # bases in a bin
HIGH = 0.75  # quantile of totals from which on windows are shown
TRACKS, POINTS = 6, 2000  # most tracks and windows in a figure


@dataclass(frozen=True)
class Window:
    """A window to show in the direction of the genome: first base, measured and predicted values (K, L), baseline."""

    start: int
    truth: np.ndarray
    p: np.ndarray
    simple: np.ndarray | None
    title: str


def figures(results: Results, gallery: Gallery) -> list[Picture | Table]:
    """Show totals and errors over the reported split, and windows from well to badly predicted."""
    predicted, each = predictions(results), of_best_run(results, results.table("metrics_per_example.tsv"))
    if predicted is None or not len(each):
        return []
    network, numbers, rows, simple = predicted
    of_windows = {
        output: part.pivot(index="id", columns="metric", values="value") for output, part in each.groupby("output")
    }
    of_windows = {output: of_windows[output] for output in results.outputs[:TRACKS] if output in of_windows}
    counts, what = results.facts.scale == "log1p", "total" if results.facts.scale == "log1p" else "mean"
    compared = "over" if counts else "minus"
    caption = (
        f"a: predicted against measured {what} of each window; dotted: equality. b: predicted {compared} "
        f"measured {what} against the measured one. c: mean measured value of bases by predicted value."
    )
    if len(results.outputs) > TRACKS:
        caption += f" The first {TRACKS} tracks are shown."
    observed = _observed(results, network, numbers, rows)
    alt = f"Predicted against measured {what}s of windows, and values of bases"
    blocks: list[Picture | Table] = [
        gallery.add("profile_totals", totals(of_windows, observed, counts=counts), alt, caption)
    ]
    shown = _chosen(results, network, numbers, rows, simple, pd.concat(of_windows, names=["output"]))
    if shown:
        names, opposite = results.outputs[:TRACKS], results.facts.opposite
        caption = (
            f"Windows among the quarter with the largest measured {what}s, from the smallest to the largest error, and "
            "the window with the largest excess of predicted values. Filled: measured; line: predicted; grey: linear "
            "model of 6-mers; shaded: unknown bases."
        )
        caption += " Minus strands point downwards." if opposite else ""
        figure = tracks(shown, names, opposite)
        blocks.append(gallery.add("profile_windows", figure, "Measured and predicted values along windows", caption))
        gallery.thumbnail(tracks(shown[:1], names, opposite, width=3.2))
    return blocks


def _observed(
    results: Results, network: Values, numbers: np.ndarray, rows: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the mean predicted and measured value of bases, by predicted value, for each track."""
    task, dataset = results.task, results.dataset
    values = results.facts.values
    if values is None:
        return {}
    found = {}
    for k, output in enumerate(results.outputs[:TRACKS]):
        edges = np.linspace(values.least[k], values.most[k], BINS + 1)[1:-1]
        sums = np.zeros((3, BINS))
        for n, row in zip(numbers, rows, strict=True):
            y, p = np.asarray(dataset.y[row][k], np.float64), np.asarray(network(n)[k], np.float64)
            known = ~np.isnan(y)
            which = np.digitize(task.scaled(p[known]), edges)
            sums += [np.bincount(which, weights, BINS) for weights in (None, p[known], y[known])]
        enough = sums[0] >= ENOUGH
        found[output] = sums[1][enough] / sums[0][enough], sums[2][enough] / sums[0][enough]
    return found


def totals(
    of_windows: dict[str, pd.DataFrame], observed: dict[str, tuple[np.ndarray, np.ndarray]], *, counts: bool
) -> Figure:
    """Draw predicted against measured totals of windows, their differences, and measured by predicted values of bases.

    Parameters
    ----------
    of_windows
        Columns total and true_total, by track.
    observed
        Mean predicted and measured values in bins of predicted ones, by track.
    counts
        Whether values are counts, with totals and logarithmic axes; else means.
    """
    figure = new_figure(2.7)
    left, middle, right = figure.subplots(1, 3)
    ends: list[float] = []
    for colour, (output, table) in zip(SERIES, of_windows.items(), strict=False):
        table = table[["total", "true_total"]].dropna()
        table = table.sample(min(len(table), POINTS), random_state=0)
        total, true = table["total"].to_numpy(), table["true_total"].to_numpy()
        style = {"color": colour, "alpha": 0.5, "markersize": 3, "markeredgewidth": 0, "rasterized": True}
        shift = 1 if counts else 0
        left.plot(true + shift, total + shift, "o", label=short(output, 20), **style)
        middle.plot(true + shift, (total + 1) / (true + 1) if counts else total - true, "o", **style)
        ends += [*(true + shift), *(total + shift)]
        if output in observed:
            right.plot(*(each + shift for each in observed[output]), "o-", color=colour, markersize=3)
    word = "total" if counts else "mean"
    span = [min(ends), max(ends)]
    left.plot(span, span, color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
    middle.axhline(1 if counts else 0, color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
    values = [value + (1 if counts else 0) for pair in observed.values() for each in pair for value in each] or span
    right.plot([min(values), max(values)], [min(values), max(values)], color=MUTED, linewidth=0.8, linestyle=":")
    if counts:
        wide = max(values) >= 10 * min(values)  # a narrower range may lack labelled ticks on a logarithmic axis
        for axes in (left, middle, right) if wide else (left, middle):
            axes.set(xscale="log", yscale="log")
            for axis in (axes.xaxis, axes.yaxis):
                label_decades(axis)
    plus = " + 1" if counts else ""
    left.set(xlabel=f"Measured {word}{plus}", ylabel=f"Predicted {word}{plus}")
    middle.set(xlabel=f"Measured {word}{plus}", ylabel="Predicted / measured" if counts else "Predicted − measured")
    right.set(xlabel=f"Predicted value{plus}", ylabel=f"Mean measured value{plus}")
    for axes, symbol, title in ((left, "a", "Windows"), (middle, "b", "Errors"), (right, "c", "Bases")):
        letter(axes, symbol, title)
        axes.set_box_aspect(1)
    if len(of_windows) > 1:
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _chosen(
    results: Results,
    network: Values,
    numbers: np.ndarray,
    rows: np.ndarray,
    simple: Values | None,
    table: pd.DataFrame,
) -> list[Window]:
    """Return windows with large values from the smallest to the largest error, and that with the largest excess."""
    table = table.groupby(level="id", sort=False)[["rmse", "total", "true_total"]].mean()
    high = table[table["true_total"] >= table["true_total"].quantile(HIGH)]
    ordered = high.sort_values("rmse", kind="stable").index
    if not len(ordered):
        return []
    words = dict(
        zip((0, len(ordered) // 2, len(ordered) - 1), ("smallest error", "median", "largest error"), strict=True)
    )
    picked = {ordered[place]: word for place, word in words.items()}
    excess = (table["total"] - table["true_total"]).idxmax()
    picked.setdefault(excess, "largest excess")
    places = dict(zip(results.dataset.examples["id"].to_numpy()[rows], zip(numbers, rows, strict=True), strict=True))
    return [
        _window(results, *places[name], f"{word}: {number(table.loc[name, 'rmse'])}", network, simple)
        for name, word in picked.items()
    ]


def _window(results: Results, number: int, row: int, title: str, network: Values, simple: Values | None) -> Window:
    """Return a window in the direction of the genome."""
    example, dataset, facts = results.dataset.examples.iloc[row], results.dataset, results.facts
    maps = [np.asarray(dataset.y[row]), network(number), simple(number) if simple else None]
    if example["strand"] == "-":
        order = facts.opposite or list(range(len(facts.outputs)))
        maps = [None if one is None else one[order, ::-1] for one in maps]
    truth, p, simpler = maps
    p, simpler = (None if one is None else np.where(np.isnan(truth), np.nan, one) for one in (p, simpler))
    where = f"{example['chrom']}:{example['start']:,}–{example['end']:,}"
    return Window(int(example["start"]) - facts.context, truth, p, simpler, f"{where}   {title}")


def tracks(
    windows: Sequence[Window], names: Sequence[str], opposite: Sequence[int], width: float = PAGE_WIDTH
) -> Figure:
    """Draw measured and predicted values along each window; pairs of strands share an axis."""
    groups = _groups(len(names), opposite)
    figure = new_figure((0.75 * len(groups) + 0.45) * len(windows) + 0.3, width)
    grid = figure.subplots(len(windows) * len(groups), 1, squeeze=False)[:, 0]
    for at, window in enumerate(windows):
        place = window.start + np.arange(window.truth.shape[1])
        for axes, (first, group) in zip(grid[at * len(groups) :], enumerate(groups), strict=False):
            for k, sign in zip(group, (1, -1), strict=False):
                colour = SERIES[k % len(SERIES)]
                axes.fill_between(place, sign * window.truth[k], step="mid", color=colour, alpha=0.35, linewidth=0)
                if window.simple is not None:
                    axes.plot(place, sign * window.simple[k], color=MUTED, linewidth=0.7)
                axes.plot(place, sign * window.p[k], color=colour, linewidth=1)
            _shade(axes, window, place, group[0])
            if len(group) > 1:
                axes.axhline(0, color=MUTED, linewidth=0.5)
            letter(axes, "", window.title if not first else "")
            axes.set_ylabel(" / ".join(short(names[k], 14) for k in group), fontsize=6.5)
            along_genome(axes, place)
            if first < len(groups) - 1:
                axes.tick_params(labelbottom=False)
    return figure


def _groups(number: int, opposite: Sequence[int]) -> list[list[int]]:
    """Return the tracks that share an axis: the two strands of a pair, plus first."""
    pairs = enumerate(opposite or range(number))
    return [[k, other] if other > k else [k] for k, other in pairs if k <= other and k < number and other < number]


def _shade(axes: Axes, window: Window, place: np.ndarray, track: int) -> None:
    unknown = np.isnan(window.truth[track]).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], unknown, [0]])))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        axes.axvspan(place[start] - 0.5, place[end - 1] + 0.5, color=FAINT, alpha=0.35, linewidth=0)
