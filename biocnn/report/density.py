"""Performance figures for counts: predicted against true, errors, and densities from the worst to the best image."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from biocnn.core.palette import OF_CLASSES
from biocnn.core.plurals import plural
from biocnn.report import images
from biocnn.report.blocks import Table, Text, short, wrapped
from biocnn.report.figures import MUTED, PAGE_WIDTH, Gallery, Picture, letter, new_figure
from biocnn.report.headline import interval, number
from biocnn.report.panels import Panels
from biocnn.report.results import Results
from biocnn.report.segmentation import of_best_run

_COLOURED = 6  # classes in figures
_CLEAR = 0.5  # correlation of errors with true counts from which on they depend on these
_BAR = 0.9  # inches for a colour bar with its label
_DENSE = LinearSegmentedColormap.from_list("density", ["#10131A", "#2C4A7C", "#3F8FB0", "#E8C547", "#FFF6D8"])
_ROWS = ("Image, true points", "Predicted density", "Predicted − true")


def figures(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Describe the errors in words, and show counts, errors, and images from the worst to the best."""
    scores = of_best_run(results, results.table("metrics_per_example.tsv"))
    if not len(scores):
        return []
    of_classes = {
        name: part.pivot(index="id", columns="metric", values="value") for name, part in scores.groupby("output")
    }
    of_classes = {name: of_classes[name] for name in results.outputs if name in of_classes}
    blocks: list[Picture | Table | Text] = [
        Text(described(name if results.outputs[1:] else "", part, _metrics(results, name)))
        for name, part in of_classes.items()
    ]
    caption = (
        "Numbers of objects in held-out images. a: predicted against true; bars: intervals that are to contain 90% of "
        "the true counts, from the errors on validation images; dotted: equality. b: predicted minus true against true."
    )
    if len(of_classes) > _COLOURED:
        caption += f" The first {_COLOURED} classes are shown."
    shown = dict(list(of_classes.items())[:_COLOURED])
    alt = "Predicted against true counts, and their differences"
    blocks.append(gallery.add("counts", counts(shown), alt, caption))
    return blocks + _gallery(results, gallery, of_classes)


def described(name: str, found: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """Describe the errors of the counts of a class in words.

    Parameters
    ----------
    name
        Of the class; "" if there is only one.
    found
        Numbers of each image: count, true_count and, with intervals, coverage90.
    metrics
        Rows of metrics.tsv for this class, indexed by metric.
    """
    error, true = found["count"] - found["true_count"], found["true_count"]
    mean, most = (number(value) for value in (error.abs().mean(), error.abs().quantile(0.9)))
    bias, low, high = metrics.loc["count_bias", ["value", "low", "high"]]
    share = abs(bias) / true.mean() if true.mean() else np.nan
    sentences = [f"{name[:1].upper()}{name[1:]}: counts" if name else "Counts"]
    sentences[0] += (
        f" of {plural(len(found), 'image')} with {true.min():.0f} to {true.max():.0f} objects are off by {mean} on "
        f"average, and by up to {most} in nine of ten."
    )
    bounds = f"; 95% CI {interval(low, high, ' to ')}" if np.isfinite(low) else ""
    sentence = f"On average they are {number(abs(bias))} too {'high' if bias > 0 else 'low'} ({share:.1%}{bounds})"
    sentences.append(sentence + (", which is no clear bias." if bounds and low <= 0 <= high else "."))
    r = np.corrcoef(error, true)[0, 1] if len(found) > 2 and error.std() > 0 and true.std() > 0 else 0.0
    if abs(r) >= _CLEAR:
        less = "under" if r < 0 else "over"
        sentences.append(f"Images with many objects are {less}counted compared with those with few.")
    if "coverage90" in found:
        inside = int(found["coverage90"].sum())
        sentences.append(f"The 90% intervals contain {inside} of {len(found)} true counts ({inside / len(found):.0%}).")
    return " ".join(sentences)


def counts(of_classes: dict[str, pd.DataFrame]) -> Figure:
    """Draw predicted against true counts with intervals, and errors against true counts, by name of the class."""
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    lines, ends = [], [np.inf, -np.inf]
    for k, (name, found) in enumerate(of_classes.items()):
        true, count, colour = found["true_count"], found["count"], _colour(k)
        if "low" in found:
            left.vlines(true, found["low"], found["high"], color=colour, alpha=0.3, linewidth=1)
        style = {"color": colour, "alpha": 0.7, "markersize": 3.5, "markeredgewidth": 0}
        left.plot(true, count, "o", **style)
        right.plot(true, count - true, "o", **style, label=name)
        r = np.corrcoef(true, count)[0, 1] if true.std() > 0 and count.std() > 0 else np.nan
        label = f"{short(name, 14)}: " if len(of_classes) > 1 else ""
        lines.append(f"{label}MAE {number((count - true).abs().mean(), 2)}, r {number(r)}")
        ends = [min(ends[0], true.min(), count.min()), max(ends[1], true.max(), count.max())]
    margin = 0.06 * (ends[1] - ends[0] or 1)
    left.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
    left.text(0.04, 0.96, "\n".join(lines), transform=left.transAxes, va="top", fontsize=6.5)
    limits = (ends[0] - margin, ends[1] + margin)
    left.set(xlabel="True count", ylabel="Predicted count", xlim=limits, ylim=limits, box_aspect=1)
    letter(left, "a", "Counts")
    right.axhline(0, color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
    right.set(xlabel="True count", ylabel="Predicted − true", xlim=limits)
    letter(right, "b", "Errors")
    if len(of_classes) > 1:
        right.legend()
    return figure


def _metrics(results: Results, output: str) -> pd.DataFrame:
    found = of_best_run(results, results.metrics)
    return found[found["output"] == output].set_index("metric")


def _gallery(results: Results, gallery: Gallery, of_classes: dict[str, pd.DataFrame]) -> list[Picture]:
    """Draw the two worst, the median and the best image with points, density, and their difference."""
    errors = sum(found["count_mae"] for found in of_classes.values()).sort_values(ascending=False, kind="stable")
    model = results.metadata(results.runs[0]) if results.runs else None
    if results.dataset is None or model is None:
        return []
    rows = {name: row for row, name in enumerate(results.dataset.examples["id"])}
    columns = []
    for place in sorted({0, min(1, len(errors) - 1), len(errors) // 2, len(errors) - 1}):
        name = errors.index[place]
        p = results.mean_prediction(name)
        if p is not None:
            row, numbers = rows[name], [found.loc[name] for found in of_classes.values()]
            shown = ", ".join(f"{one['count']:.1f} of {one['true_count']:.0f}" for one in numbers[:2])
            density = results.task.decide(p, model.postprocess.given())
            columns.append((f"{wrapped(name, 26, 2)}\n{shown}", row, density.sum(axis=0)))
    if not columns:
        return []
    caption = (
        "Images from the worst to the best count: predicted of true number of objects. Rows from top: image with the "
        "true points; predicted density; predicted minus true density (red: too many, blue: too few), each with one "
        "scale."
    )
    if len(of_classes) > 1:
        caption += " Densities are sums over classes."
    picture = Figure(figsize=(1.6, 1.6))
    axes = picture.add_axes((0, 0, 1, 1))
    images.show(axes, results.dataset.x[columns[-1][1]])
    draw_points(axes, results.dataset.truth(columns[-1][1]))
    gallery.thumbnail(picture)
    alt = "Images with true points and predicted density, from the worst to the best"
    return [gallery.add("predictions", _comparison(results, columns), alt, caption, vector=False)]


def _comparison(results: Results, columns: list[tuple[str, int, np.ndarray]]) -> Figure:
    shapes = [density.shape for _, _, density in columns]
    size = (PAGE_WIDTH - _BAR) / max(len(columns), 3)
    figure = new_figure(len(_ROWS) * size * min(max(h / w for h, w in shapes), 1.4) + 0.3)
    grid = figure.subplots(len(_ROWS), len(columns), squeeze=False)
    differences = [density - results.dataset.y[row].sum(axis=0) for _, row, density in columns]
    most = max(float(np.percentile(density, 99.9)) for _, _, density in columns) or 1.0
    limit = max(float(np.percentile(np.abs(one), 99.9)) for one in differences) or 1.0
    for axes, (title, row, density), difference in zip(grid.T, columns, differences, strict=True):
        images.show(axes[0], results.dataset.x[row], title)
        draw_points(axes[0], results.dataset.truth(row))
        dense = axes[1].imshow(density, cmap=_DENSE, vmin=0, vmax=most, interpolation="nearest")
        off = axes[2].imshow(difference, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        for one in axes[1:]:
            images.bare(one)
    for axes, label in zip(grid[:, 0], _ROWS, strict=True):
        axes.set_ylabel(label)
    for line, drawn in ((grid[1], dense), (grid[2], off)):
        bar = figure.colorbar(drawn, ax=line, shrink=0.8, fraction=0.02, pad=0.01, panchor=False)
        bar.set_label("objects per pixel", fontsize=6.5)
        bar.outline.set_visible(False)
    return figure


def draw_points(axes: Axes, dots: np.ndarray) -> None:
    """Draw the points of maps of their numbers, (K, height, width), in the colours of their classes."""
    for k, one in enumerate(dots):
        rows, columns = np.nonzero(one)
        size = float(np.clip(60 / np.sqrt(len(rows) + 1), 2.5, 6))
        axes.plot(columns, rows, "+", color=_colour(k), markersize=size, markeredgewidth=0.7)


def _colour(k: int) -> str:
    return OF_CLASSES[k % len(OF_CLASSES)]


class DensityPanels(Panels):
    """Points of images, and densities of patches."""

    drawn = "True points"
    targets = "Colours: the density that is learned."

    def draw_truth(self, axes: Axes, truth: np.ndarray) -> None:
        """Draw points, which are whole numbers, or densities, which are far below 1: (K, height, width)."""
        if truth.max() >= 1:
            draw_points(axes, truth)
            return
        for k, one in enumerate(truth):
            shades = LinearSegmentedColormap.from_list("shades", [(*to_rgb(_colour(k)), share) for share in (0, 0.8)])
            axes.imshow(one, cmap=shades, vmin=0, vmax=max(float(truth.max()), 1e-6), interpolation="nearest")

    def truth_handles(self) -> list[Line2D | Patch]:
        return [Patch(color=_colour(k), label=name) for k, name in enumerate(self.outputs)]
