"""Figures for classes of bases: precision and recall, calibration, and windows with truth and prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from biocnn.evaluation.base_judge import Counts, count
from biocnn.evaluation.evaluate import combined, rows_of
from biocnn.evaluation.judges import Values
from biocnn.metrics.masks import IGNORE
from biocnn.prediction.stored_predictions import read_predictions
from biocnn.report.blocks import Table
from biocnn.report.figures import FAINT, INK, MUTED, PAGE_WIDTH, SERIES, Gallery, Picture, letter, new_figure
from biocnn.report.headline import number
from biocnn.report.logo import draw_letters, present
from biocnn.report.results import Results

GRID = 400  # points of a curve
BINS = 10  # of predicted probability, in the reliability diagram
AROUND = 24  # bases shown around a stretch
ZOOMED = 3  # windows whose bases are shown
LOWEST = 0.12  # height of a letter, so that bases that the network misses can be read


@dataclass(frozen=True)
class Window:
    """A window to show: its place, codes (L,), truth (L,), probabilities (C, L) and those of the linear model.

    Probabilities of unknown bases are nan: nothing was learned there.
    """

    chrom: str
    start: int
    codes: np.ndarray
    truth: np.ndarray
    p: np.ndarray
    simple: np.ndarray | None
    title: str


def figures(results: Results, gallery: Gallery) -> list[Picture | Table]:
    """Show curves over all bases of the reported split, and windows from well to badly predicted."""
    predicted = predictions(results)
    if predicted is None:
        return []
    network, numbers, rows, simple = predicted
    dataset, task = results.dataset, results.task
    members = {name: [k] for name, k in task.classes().items()}
    counts = {"network": count(dataset, members, network, numbers, rows)}
    if simple:
        counts["6-mers"] = count(dataset, members, simple, numbers, rows)
    alt = "Precision by recall, and observed share of a class by predicted probability"
    caption = (
        "All known bases of the split. a: precision and recall; dashed: linear model of the 6-mers around a base; "
        "dotted: share of the class. b: share of bases of the class by predicted probability."
    )
    blocks: list[Picture | Table] = [gallery.add("bases_curves", curves(counts), alt, caption)]
    shown = _chosen(results, network, numbers, rows, simple)
    if shown:
        names = list(task.classes())
        caption = (
            "Windows of the split from the best to the worst, and the one with the most probable false stretch. Boxes: "
            "true (top) and called (below) stretches; lines: probability of each class; grey: linear model of 6-mers; "
            "shaded: unknown bases."
        )
        blocks.append(
            gallery.add("bases_windows", tracks(shown, names), "True and predicted classes along windows", caption)
        )
        zoomed = [(window, place) for window in shown if (place := _stretch(window)) is not None][:ZOOMED]
        if zoomed:
            caption = (
                "The same windows, around a true stretch. The height of a letter: probability of any class; letters "
                "of a low one keep a height that can be read."
            )
            blocks.append(gallery.add("bases_letters", letters(zoomed, names), "Bases and their probability", caption))
        gallery.thumbnail(tracks(shown[:1], names, width=3.2))
    return blocks


def predictions(results: Results) -> tuple[Values, np.ndarray, np.ndarray, Values | None] | None:
    """Return the combined predictions, the numbers of windows of the reported split, their rows, and the baseline."""
    folders = [results.folder / "runs" / run / "predictions" for run in results.runs]
    if results.dataset is None or not folders or not all((one / "probability.npy").is_file() for one in folders):
        return None
    network, table = combined(dict(enumerate(map(read_predictions, folders))), results.task)
    numbers = np.flatnonzero(table["split"] == results.split)
    rows = rows_of(results.dataset, table["id"])[numbers]
    baselines = results.folder / "baselines"
    if not (baselines / "probability.npy").is_file():
        return network, numbers, rows, None
    values, others = combined({0: read_predictions(baselines)}, results.task)
    place = {key: i for i, key in enumerate(zip(others["id"], others["split"], strict=True))}
    keys = list(zip(table["id"], table["split"], strict=True))
    same = {n: place[keys[n]] for n in numbers}
    return network, numbers, rows, lambda number: values(same[number])[-1]


def curves(counts: dict[str, dict[str, Counts]]) -> Figure:
    """Draw precision by recall, and observed by predicted shares, of each class."""
    figure = new_figure(2.7)
    precision, reliability = figure.subplots(1, 2)
    for model, of_class in counts.items():
        mine = model == "network"
        for colour, (name, found) in zip(SERIES, of_class.items(), strict=False):
            others, positives = found.histogram[:, ::-1].astype(float)
            hits, called = np.cumsum(positives), np.cumsum(positives + others)
            if not hits[-1]:
                continue
            some = np.flatnonzero(called)
            some = some[np.unique(np.linspace(0, len(some) - 1, GRID).astype(int))]
            style = {} if mine else {"linestyle": (0, (3, 1.5)), "linewidth": 0.9}
            precision.plot(
                hits[some] / hits[-1], hits[some] / called[some], color=colour, **style, label=name if mine else None
            )
            if mine:
                precision.axhline(hits[-1] / called[-1], color=colour, linewidth=0.8, linestyle=":", zorder=1)
                reliability.plot(*_reliability(found), "o-", color=colour, markersize=3)
    reliability.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
    letter(precision, "a", "Precision and recall")
    precision.set(xlabel="Recall", ylabel="Precision")
    letter(reliability, "b", "Calibration")
    reliability.set(xlabel="Predicted probability", ylabel="Observed share")
    for axes in (precision, reliability):
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), box_aspect=1)
    precision.legend(loc="lower left")
    return figure


def _reliability(found: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Return mean probability and observed share in bins of equal width, where there are enough bases."""
    p = np.arange(found.histogram.shape[1], dtype=np.uint16).view(np.float16).astype(float)
    which = np.minimum((p * BINS).astype(int), BINS - 1)
    total = found.histogram.sum(axis=0)
    number, mean, true = (np.bincount(which, w, BINS) for w in (total, total * p, found.histogram[1]))
    enough = number >= BINS
    return mean[enough] / number[enough], true[enough] / number[enough]


def _chosen(
    results: Results, network: Values, numbers: np.ndarray, rows: np.ndarray, simple: Values | None
) -> list[Window]:
    """Return the best, the median and the worst window with a class, and that with the most probable false base."""
    task, dataset, table = results.task, results.dataset, []
    for i, row in zip(numbers, rows, strict=True):
        truth, p = dataset.y[row][0], task.distribution(network(i))
        known = truth != IGNORE
        decided, any_class = task.likeliest(network(i)), 1 - p[0]
        inside = known & (truth > 0)
        both = 2 * (inside & (decided == truth)).sum()
        dice = both / max(1, inside.sum() + (known & (decided > 0)).sum())
        false = float(np.max(any_class, where=known & (truth == 0), initial=0)) if not inside.any() else np.nan
        table.append((i, row, dice if inside.any() else np.nan, false))
    frame = pd.DataFrame(table, columns=["number", "row", "dice", "false"])
    ranked = frame[frame["dice"].notna()].sort_values("dice", kind="stable", ascending=False)
    places = (
        dict(zip((0, len(ranked) // 2, len(ranked) - 1), ("best", "median", "worst"), strict=True))
        if len(ranked)
        else {}
    )
    picked = [
        (ranked.iloc[place], f"{word}: Dice {number(ranked.iloc[place]['dice'])}") for place, word in places.items()
    ]
    if frame["false"].notna().any():
        one = frame.loc[frame["false"].idxmax()]
        picked.append((one, f"no class: highest probability {number(one['false'])}"))
    return [_window(results, int(one["number"]), int(one["row"]), title, network, simple) for one, title in picked]


def _window(results: Results, number: int, row: int, title: str, network: Values, simple: Values | None) -> Window:
    """Return a window in the direction of the genome."""
    example, dataset, context = results.dataset.examples.iloc[row], results.dataset, results.facts.context
    maps = [dataset.x[row], dataset.y[row][0], results.task.distribution(network(number))]
    maps.append(results.task.distribution(simple(number)) if simple else None)
    if example["strand"] == "-":
        codes = maps[0]
        maps = [None if one is None else one[..., ::-1] for one in maps]
        maps[0] = np.where(codes < 4, 3 - codes, codes)[::-1]
    codes, truth, p, simpler = maps
    p, simpler = (None if one is None else np.where(truth == IGNORE, np.nan, one) for one in (p, simpler))
    where = f"{example['chrom']}:{example['start']:,}–{example['end']:,}"
    return Window(example["chrom"], int(example["start"]) - context, codes, truth, p, simpler, f"{where}   {title}")


def tracks(windows: Sequence[Window], names: Sequence[str], width: float = PAGE_WIDTH) -> Figure:
    """Draw truth, calls and probabilities along each window, in coordinates of the genome."""
    figure = new_figure(1.25 * len(windows) + 0.3, width)
    for axes, window in zip(figure.subplots(len(windows), 1, squeeze=False)[:, 0], windows, strict=True):
        place = window.start + np.arange(len(window.truth))
        called = np.nan_to_num(window.p).argmax(axis=0)
        if window.simple is not None:
            axes.plot(place, 1 - window.simple[0], color=FAINT, linewidth=0.9)
        for k, (name, colour) in enumerate(zip(names, SERIES, strict=False), start=1):
            axes.plot(place, window.p[k], color=colour, linewidth=1.1, label=name)
            for level, classes in ((1.12, window.truth), (1.03, called)):
                for start, end in runs(classes == k):
                    axes.axvspan(place[start] - 0.5, place[end - 1] + 0.5, *_lane(level), color=colour, linewidth=0)
        for start, end in runs(window.truth == IGNORE):
            axes.axvspan(place[start] - 0.5, place[end - 1] + 0.5, 0, 1 / 1.25, color=FAINT, alpha=0.35, linewidth=0)
        _style(axes, window.title, place)
    if len(names) > 1:
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=len(names))
    return figure


def _lane(level: float) -> tuple[float, float]:
    """Return the extent of a lane of boxes, in fractions of an axis from 0 to 1.25."""
    return level / 1.25, (level + 0.07) / 1.25


def _style(axes: Axes, title: str, place: np.ndarray) -> None:
    letter(axes, "", title)
    axes.set(ylim=(0, 1.25), yticks=[0, 0.5, 1], ylabel="Probability")
    along_genome(axes, place)


def along_genome(axes: Axes, place: np.ndarray) -> None:
    """Give an axis the positions of bases in a contig."""
    axes.set_xlim(place[0] - 0.5, place[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def letters(zoomed: Sequence[tuple[Window, tuple[int, int]]], names: Sequence[str]) -> Figure:
    """Draw the bases around a stretch, as high as their probability of a class; true stretches are underlined."""
    figure = new_figure(1.15 * len(zoomed) + 0.2)
    for axes, (window, (low, high)) in zip(figure.subplots(len(zoomed), 1, squeeze=False)[:, 0], zoomed, strict=True):
        codes, any_class = window.codes[low:high], np.nan_to_num(1 - window.p[0, low:high]).clip(LOWEST)
        draw_letters(axes, present(codes, np.broadcast_to(any_class, (4, high - low))), start=window.start + low)
        for k, colour in enumerate(SERIES[: len(names)], start=1):
            for start, end in runs(window.truth[low:high] == k):
                first = window.start + low
                axes.plot(
                    [first + start - 0.5, first + end - 0.5],
                    [1.12, 1.12],
                    color=colour,
                    linewidth=3,
                    solid_capstyle="butt",
                )
        _style(axes, window.title, window.start + np.arange(low, high))
        axes.spines["bottom"].set_color(INK)
        axes.tick_params(axis="x", color=MUTED)
    return figure


def _stretch(window: Window) -> tuple[int, int] | None:
    """Return the bases around the first true stretch; None if there is none."""
    found = runs((window.truth > 0) & (window.truth != IGNORE))
    if not found:
        return None
    middle = sum(found[0]) // 2
    low = min(max(0, middle - AROUND), max(0, len(window.truth) - 2 * AROUND))
    return low, min(len(window.truth), low + 2 * AROUND)


def runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Return start and end (exclusive) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(chosen).astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
