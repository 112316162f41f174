"""Panels for examples of image tasks: truth, prediction and their differences, one column per image."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from biocnn.core.palette import SKY, VERMILION, YELLOW
from biocnn.metrics.masks import IGNORE
from biocnn.report.blocks import short
from biocnn.report.figures import MUTED, PAGE_WIDTH, SERIES, new_figure
from biocnn.report.images import LEGEND, PREDICTED, TRUTH, Example, bare, draw_outline, legend, outline, show
from biocnn.report.object_errors import DARK, draw_errors
from biocnn.report.object_errors import handles as object_handles

_CLASSES = 20  # largest number of classes in a legend
_IGNORED = "#8A9099"  # pixels to ignore


class Panels:
    """Base class for the drawing of examples.

    Parameters
    ----------
    outputs
        Names of the outputs, for the legend.
    """

    truth: str  # name of the outlines of truth
    drawn = "True outlines"  # what ``draw_truth`` draws, for captions
    targets = "Outlines: targets."  # description of ``draw_truth`` in patches
    caption: str  # description of the rows
    rows: tuple[str, ...] = ("", "")  # label of each row

    def __init__(self, outputs: Sequence[str]) -> None:
        self.outputs = outputs

    def draw_truth(self, axes: Axes, truth: np.ndarray) -> None:
        """Draw the truth over an image."""
        draw_outline(axes, truth, TRUTH)

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        """Draw an example into the panels of a column; the first panel shows the image."""
        raise NotImplementedError

    def truth_handles(self) -> list[Line2D | Patch]:
        """Return the legend entries of ``draw_truth``."""
        return [Line2D([], [], color=TRUTH, label=self.truth)]

    def handles(self) -> list[Line2D | Patch]:
        """Return the legend entries of ``draw``."""
        raise NotImplementedError

    def legend(self, figure: Figure) -> None:
        """Add the legend of ``draw`` below a figure."""
        legend(figure, self.handles())

    def postcard(self, axes: Axes, example: Example) -> None:
        """Draw the picture for the overview page."""
        raise NotImplementedError


class MaskPanels(Panels):
    """True outline, and pixel-wise agreement between prediction and truth."""

    truth = "true mask"
    caption = "image with true outline; pixel-wise agreement between prediction and truth"

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        self.draw_truth(column[0], example.truth)
        self.postcard(column[1], example)

    def handles(self) -> list[Line2D | Patch]:
        named = (("#D9DCE1", "true positive"), (SKY, "false negative"), (VERMILION, "false positive"))
        return [Patch(color=colour, label=name) for colour, name in named]

    def postcard(self, axes: Axes, example: Example) -> None:
        """White: both; blue: truth only; vermilion: prediction only; dark: neither; grey: ignored."""
        truth, predicted = example.truth == 1, example.predicted == 1
        picture = np.full((*truth.shape, 3), to_rgb(DARK))
        both, missed, false = truth & predicted, truth & ~predicted, predicted & ~truth
        for where, colour in ((both, "#F5F6F8"), (missed, SKY), (false, VERMILION)):
            picture[where] = to_rgb(colour)
        picture[example.truth == IGNORE] = to_rgb(_IGNORED)
        axes.imshow(picture, interpolation="nearest")
        bare(axes)


class ClassPanels(Panels):
    """Classes in colours."""

    truth = "true classes"
    caption = "image; true classes; predicted classes"
    rows = ("", "Truth", "Prediction")

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        _draw_classes(column[1], example.truth, len(self.outputs))
        _draw_classes(column[2], example.predicted, len(self.outputs))

    def handles(self) -> list[Line2D | Patch]:
        colours = _class_colours(len(self.outputs))
        room = 100 // min(len(self.outputs), LEGEND)  # characters that fit into one legend entry
        named = zip(colours, self.outputs, strict=True)
        shown = [Patch(fc=colour, ec=MUTED, lw=0.6, label=short(name, room)) for colour, name in named][:_CLASSES]
        more = [f"and {len(self.outputs) - _CLASSES} more"] if len(self.outputs) > _CLASSES else []
        return [*shown, *(Patch(color="none", label=text) for text in more)]

    def postcard(self, axes: Axes, example: Example) -> None:
        _draw_classes(axes, example.predicted, int(example.predicted.max()) + 1)


class ObjectPanels(Panels):
    """Outlines of objects, and the kind of error of each."""

    truth = "true objects"
    caption = "outlines of true and predicted objects; error map of objects"

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        self.draw_truth(column[0], example.truth)
        draw_outline(column[0], example.predicted, PREDICTED)
        draw_errors(column[1], example.errors)
        borders = outline(example.predicted)  # keeps touching objects apart
        column[1].add_collection(LineCollection(borders, colors=DARK, linewidths=0.6))
        bare(column[1])

    def handles(self) -> list[Line2D | Patch]:
        lines = [Line2D([], [], color=TRUTH, label="truth"), Line2D([], [], color=PREDICTED, label="prediction")]
        return [*lines, *object_handles()]

    def postcard(self, axes: Axes, example: Example) -> None:
        show(axes, example.image)
        draw_outline(axes, example.predicted, PREDICTED)


def comparison(examples: list[Example], panels: Panels) -> Figure:
    """Draw truth, prediction, their differences and the uncertainty, one column per image.

    Parameters
    ----------
    examples
        At most four examples with truth and prediction.
    panels
        Panels that draw them.
    """
    uncertain = all(example.uncertainty is not None for example in examples)
    rows = len(panels.rows) + uncertain
    tallest = max(example.image.shape[1] / example.image.shape[2] for example in examples)
    size = PAGE_WIDTH / max(len(examples), 3)
    figure = new_figure(rows * size * min(tallest, 1.4) + 0.6, PAGE_WIDTH)
    grid = figure.subplots(rows, len(examples), squeeze=False)
    for column, example in zip(grid.T, examples, strict=True):
        show(column[0], example.image, example.title)
        panels.draw(column, example)
        if uncertain:
            scale = {"cmap": colormaps["magma"].with_extremes(bad=_IGNORED), "vmin": 0, "vmax": 1}
            shown = column[-1].imshow(example.uncertainty, **scale, interpolation="nearest")
            bare(column[-1])
    for axes, label in zip(grid[:, 0], panels.rows, strict=False):
        axes.set_ylabel(label)
    if uncertain:
        bar = figure.colorbar(shown, ax=grid[-1], shrink=0.75, fraction=0.02, pad=0.01, panchor=False, ticks=[0, 1])
        bar.set_label("Entropy", labelpad=-4)
        bar.outline.set_visible(False)
    panels.legend(figure)
    return figure


def postcard(example: Example, panels: Panels) -> Figure:
    """Draw one image with its prediction for the overview page."""
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
    return [DARK, *(cycle[index % len(cycle)] for index in range(count - 1))]
