"""Figures of curves and distributions: training, discrimination, object detection, sizes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from biocnn.core.extras import needs
from biocnn.core.palette import BLUE, ORANGE, VERMILION
from biocnn.report.figures import FAINT, INK, MUTED, PAGE_WIDTH, SERIES, letter, new_figure
from biocnn.report.headline import metric_name, number

_NOT_METRICS = {"epoch", "step", "lr", "train_loss", "val_loss", "seconds", "best", "examples"}
_GRID = 400  # points per curve, more than a page can resolve


def training(histories: dict[str, pd.DataFrame]) -> Figure:
    """Draw loss, validation metrics and learning rate by epoch; one colour per run, a dot at the best epoch.

    Parameters
    ----------
    histories
        History table of each run; ``best`` marks the epoch whose weights were kept.
    """
    first = next(iter(histories.values()))
    metrics = [
        name for name in first.columns if name not in _NOT_METRICS and pd.api.types.is_numeric_dtype(first[name])
    ]
    panels = ["loss", *metrics[:2], *(["lr"] if "lr" in first else [])]
    figure = new_figure(2.1)
    for axes, panel, symbol in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, "abcd", strict=False):
        for index, (run, table) in enumerate(histories.items()):
            colour = SERIES[index % len(SERIES)]
            column = "val_loss" if panel == "loss" else panel
            if panel == "loss":
                axes.plot(table["epoch"], table["train_loss"], color=colour, linewidth=0.9, linestyle=(0, (3, 1.5)))
            scale = 1000 if panel == "lr" else 1
            axes.plot(table["epoch"], table[column] * scale, color=colour, label=run)
            row = table[table["best"] == 1]
            if len(row) and panel != "lr":
                axes.plot(row["epoch"], row[column], "o", color=colour, markersize=4, markeredgecolor="white")
        title = {"loss": "Loss", "lr": "Learning rate × 1000"}.get(panel)
        letter(axes, symbol, title or f"Validation {metric_name(panel.removeprefix('val_'))}")
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if panel == "loss":
            axes.plot([], [], color=MUTED, linewidth=0.9, linestyle=(0, (3, 1.5)), label="training")
            axes.plot([], [], color=MUTED, label="validation")
            handles = axes.get_legend_handles_labels()
            axes.legend(*[part[-2:] for part in handles])
    if 1 < len(histories) <= len(SERIES):
        figure.legend(*[p[: len(histories)] for p in handles], loc="outside lower center", ncols=len(histories))
    return figure


def history_metrics(histories: dict[str, pd.DataFrame], most: int = 2) -> list[str]:
    """Return the first validation metrics of the history tables: columns that are neither counters nor losses."""
    first = next(iter(histories.values()))
    names = (name for name in first.columns if name not in _NOT_METRICS and pd.api.types.is_numeric_dtype(first[name]))
    return list(names)[:most]


def discrimination(curves: dict[str, list[tuple[np.ndarray, np.ndarray]]], bold: str) -> Figure:
    """Draw ROC curves, precision-recall curves and the distribution of the predicted probability.

    Parameters
    ----------
    curves
        Pairs (target 0/1, probability) by name; several pairs under one name are runs, drawn thin in one colour.
    bold
        Name that is drawn on top, with a histogram of its probabilities.
    """
    figure = new_figure(2.55)
    roc, precision, scores = figure.subplots(1, 3)
    for index, (name, pairs) in enumerate(curves.items()):
        top = name == bold
        style = {"color": SERIES[index % len(SERIES)] if len(curves) <= len(SERIES) else FAINT}
        style |= {"linewidth": 1.6 if top else 0.9, "zorder": 3 if top else 2}
        for number_of_pair, (target, probability) in enumerate(pairs):
            label = {"label": name} if number_of_pair == 0 and len(curves) <= len(SERIES) else {}
            roc.plot(*roc_points(target, probability), **style, **label)
            precision.plot(*precision_points(target, probability), **style)
    roc.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
    target, probability = curves[bold][0]
    precision.axhline(np.mean(target), color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
    for axes, symbol, title, x, y in (
        (roc, "a", "ROC", "False positive rate", "True positive rate"),
        (precision, "b", "Precision and recall", "Recall", "Precision"),
    ):
        letter(axes, symbol, title)
        axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), box_aspect=1)
    if 1 < len(curves) <= len(SERIES):
        roc.legend(loc="lower right")
    _score_histogram(scores, target, probability)
    return figure


def roc_points(target: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates, thinned without visible change of the curve."""
    with needs("workflow", "the report"):
        from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(target, probability)
    keep = _spread(false, true)
    return false[keep], true[keep]


def precision_points(target: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision, thinned in the same way."""
    with needs("workflow", "the report"):
        from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(target, probability)
    keep = _spread(recall, precision)
    return recall[keep], precision[keep]


def _spread(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return indices of at most about _GRID points, evenly spaced along the curve, including both ends."""
    if len(x) <= _GRID:
        return np.arange(len(x))
    along = np.concatenate([[0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    return np.unique(np.searchsorted(along, np.linspace(0, along[-1], _GRID)).clip(max=len(x) - 1))


def _score_histogram(axes: Axes, target: np.ndarray, probability: np.ndarray) -> None:
    bins = np.linspace(min(0, probability.min()), max(1, probability.max()), 31)
    for value, colour, name in ((0, ORANGE, "negative"), (1, BLUE, "positive")):
        chosen = probability[np.asarray(target) == value]
        axes.hist(chosen, bins, color=colour, alpha=0.75, label=f"{name} (n = {len(chosen):,})")
    letter(axes, "c", "Predicted probability")
    axes.set(xlabel="Probability", ylabel="Examples", box_aspect=1)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.25)  # room for the legend
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.legend(loc="upper center")


def detection(lines: dict[str, tuple[np.ndarray, np.ndarray]], per_image: pd.DataFrame) -> Figure:
    """Draw segmentation quality: average precision against IoU threshold, and the distribution over images.

    Parameters
    ----------
    lines
        Pairs (IoU thresholds, average precision) by name ("per image", "pooled"); may be empty.
    per_image
        Table with columns metric and value, one row per image and metric; may be empty.
    """
    widths = [1.0] * bool(lines) + [1.6] * bool(len(per_image))
    rows = per_image["metric"].nunique() if len(per_image) else 0
    figure = new_figure(max(2.5, 0.6 + 0.45 * rows), PAGE_WIDTH if len(widths) > 1 else 4.2)
    panels = list(figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0])
    if lines:
        _precision_lines(panels.pop(0), lines, "a" if len(per_image) else "")
    if len(per_image):
        _strips(panels[0], per_image, "b" if lines else "")
    return figure


def _precision_lines(axes: Axes, lines: dict[str, tuple[np.ndarray, np.ndarray]], symbol: str) -> None:
    for colour, (name, (x, y)) in zip((BLUE, ORANGE), lines.items(), strict=False):
        axes.plot(x, y, "o-", color=colour, markersize=3.5, label=name)
    letter(axes, symbol, "Object detection")
    axes.set(xlabel="IoU threshold", ylabel="Average precision", ylim=(0, 1.02))
    axes.set_xticks(next(iter(lines.values()))[0])
    axes.legend(loc="lower left")


def _strips(axes: Axes, per_image: pd.DataFrame, symbol: str) -> None:
    """Draw every image as a dot over a bar of the quartiles; the scatter of the dots is fixed, so figures repeat."""
    names = list(per_image["metric"].unique())
    for place, name in enumerate(names):
        values = per_image.loc[per_image["metric"] == name, "value"].dropna().to_numpy()
        jitter = (np.arange(len(values)) * 0.618034 % 1 - 0.5) * 0.5
        axes.plot(np.sort(values), place + jitter, "o", color=BLUE, alpha=0.7, markersize=3, markeredgewidth=0)
        if len(values):
            low, middle, high = np.percentile(values, [25, 50, 75])
            axes.plot([low, high], [place, place], color=INK, linewidth=3.5, alpha=0.35, solid_capstyle="butt")
            axes.plot(middle, place, "|", color=INK, markersize=12, markeredgewidth=1.6)
            axes.annotate(number(middle), (middle, place), (0, -13), textcoords="offset points", ha="center", va="top")
    letter(axes, symbol, "Images (bar: quartiles, tick: median)")
    axes.set_yticks(range(len(names)), [metric_name(name) for name in names])
    axes.set(ylim=(len(names) - 0.2, -0.6), xlim=(-0.02, 1.02))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def sizes(values: np.ndarray, label: str) -> Figure:
    """Draw a histogram of object sizes with their median; logarithmic if they span more than two decades."""
    positive = values[values > 0]
    figure = new_figure(2.1, 4.2)
    axes = figure.subplots()
    low, high = np.percentile(positive, [1, 99])
    wide, count = high / low > 100, int(np.clip(2 * np.sqrt(len(positive)), 8, 40)) + 1
    top = positive.max() * 1.001
    edges = np.geomspace(positive.min(), top, count) if wide else np.linspace(0, top, count)
    axes.hist(positive, edges, color=BLUE, alpha=0.85)
    middle = np.median(positive)
    axes.axvline(middle, color=VERMILION, linewidth=1)
    axes.text(
        middle, 1.01, f"median {number(middle)}", transform=axes.get_xaxis_transform(), color=VERMILION, ha="center"
    )
    axes.set(xlabel=label, ylabel="Objects", xscale="log" if wide else "linear")
    if wide:
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure
