"""Figures of images: examples, predictions beside the truth, and class activation maps."""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from biocnn.metrics.masks import IGNORE
from biocnn.report.blocks import short
from biocnn.report.figures import INK, PAGE_WIDTH, SERIES, SKY, VERMILION, YELLOW, new_figure
from biocnn.report.object_errors import draw_errors
from biocnn.report.object_errors import handles as object_handles

TRUTH, PREDICTED = SKY, YELLOW
_LEGEND, _CLASSES = 7, 20  # columns of a legend; classes that it names
_NOT_JUDGED = "#8A9099"  # pixels to ignore


@dataclass(frozen=True)
class Example:
    """One image with what is known of it.

    ``image`` (C, H, W) in its own dtype; ``truth`` and ``predicted`` (H, W), classes or object labels, or None;
    ``title`` one short line; ``errors`` (H, W) as ``object_errors.error_map`` gives it, ``uncertainty`` (H, W), 0 to
    1, or None.
    """

    image: np.ndarray
    truth: np.ndarray | None = None
    predicted: np.ndarray | None = None
    title: str = ""
    errors: np.ndarray | None = None
    uncertainty: np.ndarray | None = None


def display(image: np.ndarray) -> np.ndarray:
    """An image as a screen shows it.

    Parameters
    ----------
    image
        Shape (C, H, W), any dtype.

    Returns
    -------
    shown
        Shape (H, W, 3), float in 0..1. Three uint8 channels are taken as they are; else each channel is stretched from
        its 1st to its 99.8th percentile; one channel is grey, two are blue and yellow, of more the first three show.
    """
    if image.dtype == np.uint8 and len(image) == 3:
        return np.moveaxis(image, 0, -1) / 255
    low, high = np.percentile(image, [1, 99.8], axis=(1, 2), keepdims=True)
    scaled = np.clip((image - low) / np.maximum(high - low, 1e-9), 0, 1)
    if len(image) == 1:
        return np.repeat(np.moveaxis(scaled, 0, -1), 3, axis=2)
    if len(image) == 2:
        return np.clip(scaled[0, ..., None] * to_rgb(SKY) + scaled[1, ..., None] * to_rgb(YELLOW), 0, 1)
    return np.moveaxis(scaled[:3], 0, -1)


def outline(labels: np.ndarray) -> np.ndarray:
    """The edges between pixels of different labels, along pixel borders, so that touching objects stay apart.

    Parameters
    ----------
    labels
        Shape (H, W), integers; 255 in a class mask should be set to 0 by the caller.

    Returns
    -------
    segments
        Shape (n, 2, 2): n lines from (x, y) to (x, y); pixel centres have whole coordinates.
    """
    rows, columns = np.nonzero(labels[1:] != labels[:-1])
    flat = np.stack([np.stack([columns - 0.5, rows + 0.5], -1), np.stack([columns + 0.5, rows + 0.5], -1)], 1)
    rows, columns = np.nonzero(labels[:, 1:] != labels[:, :-1])
    upright = np.stack([np.stack([columns + 0.5, rows - 0.5], -1), np.stack([columns + 0.5, rows + 0.5], -1)], 1)
    return np.concatenate([flat, upright])


def gallery(examples: list[Example], task: str) -> Figure:
    """A row of images with their truth outlined."""
    figure = new_figure(1.0 * PAGE_WIDTH / max(len(examples), 4) + 0.5)
    for axes, example in zip(figure.subplots(1, max(len(examples), 4))[: len(examples)], examples, strict=True):
        show(axes, example.image, example.title)
        if example.truth is not None:
            draw_outline(axes, example.truth, TRUTH)
    for axes in figure.axes[len(examples) :]:
        axes.remove()
    if any(example.truth is not None for example in examples):
        name = {"instances": "true objects", "mask": "true mask"}.get(task, "true classes")
        _legend(figure, [Line2D([], [], color=TRUTH, label=name)])
    return figure


def fullest_slice(labels: np.ndarray) -> int:
    """Number of the slice of a volume (D, H, W) that holds most foreground."""
    return int(((labels > 0) & (labels != IGNORE)).sum(axis=(1, 2)).argmax())


def comparison(examples: list[Example], task: str, outputs: list[str]) -> Figure:
    """One column an image: what is true and what was predicted, where they differ, and how unsure the networks are.

    Parameters
    ----------
    examples
        At most four, with truth and prediction.
    task
        mask, classes or instances.
    outputs
        Names of the classes, for the legend of ``classes``.
    """
    unsure = all(example.uncertainty is not None for example in examples)
    rows = (3 if task == "classes" else 2) + unsure
    tallest = max(example.image.shape[1] / example.image.shape[2] for example in examples)
    size = PAGE_WIDTH / max(len(examples), 3)
    figure = new_figure(rows * size * min(tallest, 1.4) + 0.6, PAGE_WIDTH)
    grid = figure.subplots(rows, len(examples), squeeze=False)
    for column, example in zip(grid.T, examples, strict=True):
        show(column[0], example.image, example.title)
        if task == "instances":
            draw_outline(column[0], example.truth, TRUTH)
            draw_outline(column[0], example.predicted, PREDICTED)
            draw_errors(column[1], example.errors)
            borders = outline(example.predicted)  # so that objects that touch stay apart
            column[1].add_collection(LineCollection(borders, colors="#20242B", linewidths=0.6))
            _bare(column[1])
        elif task == "mask":
            draw_outline(column[0], example.truth, TRUTH)
            _draw_agreement(column[1], example)
        else:
            _draw_classes(column[1], example.truth, len(outputs))
            _draw_classes(column[2], example.predicted, len(outputs))
        if unsure:
            scale = {"cmap": colormaps["magma"].with_extremes(bad=_NOT_JUDGED), "vmin": 0, "vmax": 1}
            shown = column[-1].imshow(example.uncertainty, **scale, interpolation="nearest")
            _bare(column[-1])
    if task == "classes":
        grid[1, 0].set_ylabel("Truth")
        grid[2, 0].set_ylabel("Prediction")
    if unsure:
        bar = figure.colorbar(shown, ax=grid[-1], shrink=0.75, fraction=0.02, pad=0.01, panchor=False, ticks=[0, 1])
        bar.set_label("Entropy", labelpad=-4)
        bar.outline.set_visible(False)
    _legend(figure, _handles(task, outputs))
    return figure


def heat_maps(images: np.ndarray, maps: np.ndarray, titles: list[str]) -> Figure:
    """Images above, the same with their class activation map below.

    Parameters
    ----------
    images
        Shape (n, H, W) or (n, H, W, 3), uint8.
    maps
        Shape (n, H, W), 0 to 1.
    titles
        One line per image.
    """
    size = PAGE_WIDTH / max(len(images), 3)
    figure = new_figure(2 * size + 0.3)
    grid = figure.subplots(2, len(images), squeeze=False)
    for (top, bottom), image, cam, title in zip(grid.T, images, maps, titles, strict=True):
        channels = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
        show(top, channels, title)
        show(bottom, channels)
        shown = bottom.imshow(np.clip(cam, 0, 1), cmap="magma", vmin=0, vmax=1, alpha=0.6, interpolation="bilinear")
    bar = figure.colorbar(shown, ax=grid[1], shrink=0.75, fraction=0.02, pad=0.01, panchor=False, ticks=[0, 1])
    bar.set_label("Grad-CAM", labelpad=-4)
    bar.outline.set_visible(False)
    return figure


def postcard(example: Example, task: str) -> Figure:
    """One image with its prediction, for the overview page."""
    figure = Figure(figsize=(1.6, 1.6))
    axes = figure.add_axes((0, 0, 1, 1))
    if task == "mask":
        _draw_agreement(axes, example)
    elif task == "classes":
        _draw_classes(axes, example.predicted, int(example.predicted.max()) + 1)
    else:
        show(axes, example.image)
        if example.predicted is not None:
            draw_outline(axes, example.predicted, PREDICTED)
    return figure


def show(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Show an image of shape (C, H, W) without axes."""
    axes.imshow(display(image), interpolation="nearest")
    _bare(axes, title)


def _bare(axes: Axes, title: str = "") -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(title, fontsize=7)


def draw_outline(axes: Axes, labels: np.ndarray, colour: str) -> None:
    """Outline objects or classes, on a dark edge, so that the line shows on bright images too."""
    segments = outline(np.where(labels == IGNORE, 0, labels) if labels.dtype == np.uint8 else labels)
    axes.add_collection(LineCollection(segments, colors=INK, linewidths=1.5, alpha=0.35, capstyle="projecting"))
    axes.add_collection(LineCollection(segments, colors=colour, linewidths=0.8, capstyle="projecting"))


def _draw_agreement(axes: Axes, example: Example) -> None:
    """White: both; blue: only the truth; vermilion: only the prediction; dark: neither; grey: not judged."""
    truth, predicted = example.truth == 1, example.predicted == 1
    picture = np.full((*truth.shape, 3), to_rgb("#20242B"))
    for where, colour in ((truth & predicted, "#F5F6F8"), (truth & ~predicted, SKY), (predicted & ~truth, VERMILION)):
        picture[where] = to_rgb(colour)
    picture[example.truth == IGNORE] = to_rgb(_NOT_JUDGED)
    axes.imshow(picture, interpolation="nearest")
    _bare(axes)


def _draw_classes(axes: Axes, classes: np.ndarray, count: int) -> None:
    colours = ListedColormap(_class_colours(count))
    shown = np.ma.masked_equal(classes, IGNORE)
    axes.imshow(shown, cmap=colours, vmin=-0.5, vmax=count - 0.5, interpolation="nearest")
    _bare(axes)


def _class_colours(count: int) -> list[str]:
    cycle = (SERIES[1], SERIES[0], SERIES[2], SERIES[4], SERIES[3], SERIES[5], YELLOW)
    return ["#20242B", *(cycle[index % len(cycle)] for index in range(count - 1))]


def _handles(task: str, outputs: list[str]) -> list[Line2D | Patch]:
    if task == "instances":
        lines = [Line2D([], [], color=TRUTH, label="truth"), Line2D([], [], color=PREDICTED, label="prediction")]
        return [*lines, *object_handles()]
    if task == "classes":
        colours = _class_colours(len(outputs))
        room = 100 // min(len(outputs), _LEGEND)  # characters that fit beside one of so many
        shown = [Patch(color=c, label=short(name, room)) for c, name in zip(colours, outputs, strict=True)][:_CLASSES]
        more = [f"and {len(outputs) - _CLASSES} more"] if len(outputs) > _CLASSES else []
        return [*shown, *(Patch(color="none", label=text) for text in more)]
    named = (("#D9DCE1", "found"), (SKY, "missed"), (VERMILION, "not in the truth"))
    return [Patch(color=colour, label=name) for colour, name in named]


def _legend(figure: Figure, handles: list[Line2D | Patch]) -> None:
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), _LEGEND))
    for line in legend.get_lines():
        line.set_linewidth(2.5)
        line.set_path_effects([])
