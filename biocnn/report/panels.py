"""How examples of a task with maps are drawn: the truth, the prediction and where they differ, one column an image."""

from collections.abc import Sequence

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
from biocnn.report.figures import PAGE_WIDTH, SERIES, SKY, VERMILION, YELLOW, new_figure
from biocnn.report.images import LEGEND, PREDICTED, TRUTH, Example, bare, draw_outline, legend, outline, show
from biocnn.report.object_errors import draw_errors
from biocnn.report.object_errors import handles as object_handles

_CLASSES = 20  # that a legend names
_DARK = "#20242B"
_NOT_JUDGED = "#8A9099"  # pixels to ignore


class Panels:
    """Draws examples.

    Parameters
    ----------
    outputs
        Names of the outputs, for the legend.
    """

    truth: str  # what a thumbnail outlines
    caption: str  # what the rows show
    rows: tuple[str, ...] = ("", "")  # and the label of each

    def __init__(self, outputs: Sequence[str]) -> None:
        self.outputs = outputs

    def draw_truth(self, axes: Axes, truth: np.ndarray) -> None:
        """Draw what is true over an image."""
        draw_outline(axes, truth, TRUTH)

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        """Draw an example into the panels of a column, the first of which shows the image."""
        raise NotImplementedError

    def handles(self) -> list[Line2D | Patch]:
        """The legend."""
        raise NotImplementedError

    def postcard(self, axes: Axes, example: Example) -> None:
        """One picture that stands for the experiment."""
        raise NotImplementedError


class MaskPanels(Panels):
    """Outline of the truth; agreement of prediction and truth."""

    truth = "true mask"
    caption = "the image with the true outline; agreement of prediction and truth, pixel by pixel"

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        self.draw_truth(column[0], example.truth)
        self.postcard(column[1], example)

    def handles(self) -> list[Line2D | Patch]:
        named = (("#D9DCE1", "found"), (SKY, "missed"), (VERMILION, "not in the truth"))
        return [Patch(color=colour, label=name) for colour, name in named]

    def postcard(self, axes: Axes, example: Example) -> None:
        """White: both; blue: only the truth; vermilion: only the prediction; dark: neither; grey: not judged."""
        truth, predicted = example.truth == 1, example.predicted == 1
        picture = np.full((*truth.shape, 3), to_rgb(_DARK))
        both, missed, false = truth & predicted, truth & ~predicted, predicted & ~truth
        for where, colour in ((both, "#F5F6F8"), (missed, SKY), (false, VERMILION)):
            picture[where] = to_rgb(colour)
        picture[example.truth == IGNORE] = to_rgb(_NOT_JUDGED)
        axes.imshow(picture, interpolation="nearest")
        bare(axes)


class ClassPanels(Panels):
    """Classes in colours."""

    truth = "true classes"
    caption = "the image, true and predicted classes"
    rows = ("", "Truth", "Prediction")

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        _draw_classes(column[1], example.truth, len(self.outputs))
        _draw_classes(column[2], example.predicted, len(self.outputs))

    def handles(self) -> list[Line2D | Patch]:
        colours = _class_colours(len(self.outputs))
        room = 100 // min(len(self.outputs), LEGEND)  # characters that fit beside one of so many
        named = zip(colours, self.outputs, strict=True)
        shown = [Patch(color=colour, label=short(name, room)) for colour, name in named][:_CLASSES]
        more = [f"and {len(self.outputs) - _CLASSES} more"] if len(self.outputs) > _CLASSES else []
        return [*shown, *(Patch(color="none", label=text) for text in more)]

    def postcard(self, axes: Axes, example: Example) -> None:
        _draw_classes(axes, example.predicted, int(example.predicted.max()) + 1)


class ObjectPanels(Panels):
    """Outlines of objects; what became of each."""

    truth = "true objects"
    caption = "outlines of true and predicted objects; what became of each object"

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        self.draw_truth(column[0], example.truth)
        draw_outline(column[0], example.predicted, PREDICTED)
        draw_errors(column[1], example.errors)
        borders = outline(example.predicted)  # so that objects that touch stay apart
        column[1].add_collection(LineCollection(borders, colors=_DARK, linewidths=0.6))
        bare(column[1])

    def handles(self) -> list[Line2D | Patch]:
        lines = [Line2D([], [], color=TRUTH, label="truth"), Line2D([], [], color=PREDICTED, label="prediction")]
        return [*lines, *object_handles()]

    def postcard(self, axes: Axes, example: Example) -> None:
        show(axes, example.image)
        draw_outline(axes, example.predicted, PREDICTED)


def comparison(examples: list[Example], panels: Panels) -> Figure:
    """One column an image: what is true and what was predicted, where they differ, and how unsure the networks are.

    Parameters
    ----------
    examples
        At most four, with truth and prediction.
    panels
        Draws them.
    """
    unsure = all(example.uncertainty is not None for example in examples)
    rows = len(panels.rows) + unsure
    tallest = max(example.image.shape[1] / example.image.shape[2] for example in examples)
    size = PAGE_WIDTH / max(len(examples), 3)
    figure = new_figure(rows * size * min(tallest, 1.4) + 0.6, PAGE_WIDTH)
    grid = figure.subplots(rows, len(examples), squeeze=False)
    for column, example in zip(grid.T, examples, strict=True):
        show(column[0], example.image, example.title)
        panels.draw(column, example)
        if unsure:
            scale = {"cmap": colormaps["magma"].with_extremes(bad=_NOT_JUDGED), "vmin": 0, "vmax": 1}
            shown = column[-1].imshow(example.uncertainty, **scale, interpolation="nearest")
            bare(column[-1])
    for axes, label in zip(grid[:, 0], panels.rows, strict=False):
        axes.set_ylabel(label)
    if unsure:
        bar = figure.colorbar(shown, ax=grid[-1], shrink=0.75, fraction=0.02, pad=0.01, panchor=False, ticks=[0, 1])
        bar.set_label("Entropy", labelpad=-4)
        bar.outline.set_visible(False)
    legend(figure, panels.handles())
    return figure


def postcard(example: Example, panels: Panels) -> Figure:
    """One image with its prediction, for the overview page."""
    figure = Figure(figsize=(1.6, 1.6))
    panels.postcard(figure.add_axes((0, 0, 1, 1)), example)
    return figure


def _draw_classes(axes: Axes, classes: np.ndarray, count: int) -> None:
    colours = ListedColormap(_class_colours(count))
    shown = np.ma.masked_equal(classes, IGNORE)
    axes.imshow(shown, cmap=colours, vmin=-0.5, vmax=count - 0.5, interpolation="nearest")
    bare(axes)


def _class_colours(count: int) -> list[str]:
    cycle = (SERIES[1], SERIES[0], SERIES[2], SERIES[4], SERIES[3], SERIES[5], YELLOW)
    return [_DARK, *(cycle[index % len(cycle)] for index in range(count - 1))]
