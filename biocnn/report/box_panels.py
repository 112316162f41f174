"""Boxes over images: true boxes in the colours of their classes, found ones by what became of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from biocnn.core.palette import OF_CLASSES, ORANGE, PURPLE, SKY, VERMILION, YELLOW
from biocnn.metrics import match_boxes
from biocnn.report.blocks import short
from biocnn.report.images import Example, draw_boxes, show
from biocnn.report.panels import Panels
from biocnn.tasks.target import PARTIAL

KINDS = {  # colour and line
    "matched": (YELLOW, "-"),
    "missed": (SKY, "--"),
    "false": (VERMILION, "-"),
    "confused": (PURPLE, "-."),
    "doubled": (ORANGE, ":"),
}
_LINES = ("-", "--", ":")
_UNJUDGED = "#8A9099"
_NAMED = 18  # most classes in a legend


class BoxPanels(Panels):
    """True boxes by class, and all boxes by what became of them."""

    drawn = "True boxes"
    targets = "Boxes: targets; grey: objects mostly outside the patch, neither learned nor background."
    caption = "true boxes by class; found and missed boxes"
    rows = ("Truth", "Found")

    def draw_truth(self, axes: Axes, truth: np.ndarray) -> None:
        draw_boxes(axes, truth[truth[:, 0] == PARTIAL, 1:], _UNJUDGED, ":")
        for k in range(len(self.outputs)):
            draw_boxes(axes, truth[truth[:, 0] == k, 1:], *class_style(k))

    def truth_handles(self) -> list[Line2D]:
        return [_handle(*class_style(k), short(name, 14)) for k, name in enumerate(self.outputs[:_NAMED])]

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        self.draw_truth(column[0], example.truth)
        show(column[1], example.image)
        _draw_kinds(column[1], match_boxes(example.predicted, example.truth))

    def legend(self, figure: Figure) -> None:
        kinds = [_handle(*style, kind) for kind, style in KINDS.items()]
        for handles, title, side in ((self.truth_handles(), "Truth", "left"), (kinds, "Found", "right")):
            style = {"loc": f"outside lower {side}", "alignment": "left", "title_fontsize": 7, "handlelength": 2.2}
            figure.legend(handles=handles, title=title, ncols=min(len(handles), 3), **style)

    def postcard(self, axes: Axes, example: Example) -> None:
        show(axes, example.image)
        self.draw_truth(axes, np.delete(example.predicted, 1, axis=1))  # without scores


def class_style(k: int) -> tuple[str, str]:
    """Return colour and line of a class."""
    return OF_CLASSES[k % len(OF_CLASSES)], _LINES[k // len(OF_CLASSES) % len(_LINES)]


def _draw_kinds(axes: Axes, boxes: pd.DataFrame) -> None:
    corners = boxes[["y_min", "x_min", "y_max", "x_max"]].to_numpy()
    for kind, style in KINDS.items():
        draw_boxes(axes, corners[boxes["kind"] == kind], *style)


def _handle(colour: str, linestyle: str, name: str) -> Line2D:
    return Line2D([], [], color=colour, linestyle=linestyle, label=name)
