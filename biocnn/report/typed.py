"""Performance figures for objects with classes: classes, images from the worst to the best, confusion, counts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from biocnn.core.palette import YELLOW
from biocnn.metrics.masks import IGNORE
from biocnn.report import segmentation
from biocnn.report.blocks import Table, Text, short, table
from biocnn.report.box_panels import class_style
from biocnn.report.figures import MUTED, Gallery, Picture, letter, new_figure
from biocnn.report.headline import interval, number
from biocnn.report.images import Example, bare, draw_outline, show
from biocnn.report.multiclass import confusion
from biocnn.report.object_errors import DARK, KINDS
from biocnn.report.panels import Panels
from biocnn.report.results import Results
from biocnn.tasks.object_classes import CODES
from biocnn.tasks.typed_instances import MAPS

_UNKNOWN = "#C9CED6"
_WRONG = "wrong class"
_OF_CLASSES = {
    "panoptic_quality_0.5": "PQ at IoU .5",
    "f1_0.5": "F1 at IoU .5",
    "average_precision_iou_0.5": "AP at IoU .5",
    "class_accuracy": "Right class",
}
_NAMED = 12  # most classes in a legend
_COLUMNS = 4  # panels in a row of counts


class TypedPanels(Panels):
    """Outlines of true and predicted objects in the colours of their classes, and the error of each object."""

    truth = "true objects"
    caption = "true objects by class; predicted objects by class; error map of objects"
    rows = ("Truth", "Prediction", "Errors")
    targets = "Outlines: targets by class."

    def __init__(self, outputs: Sequence[str]) -> None:
        super().__init__(outputs[MAPS:])
        self._unknown = False  # whether an object of unknown class was drawn

    def draw_truth(self, axes: Axes, truth: np.ndarray) -> None:
        """Draw outlines over an image, given codes of `biocnn.tasks.object_classes.with_classes`."""
        for k in (*range(len(self.outputs)), IGNORE):
            own = np.where(truth % CODES == k, truth, 0)
            draw_outline(axes, own, _UNKNOWN if k == IGNORE else class_style(k)[0])
        self._unknown |= bool(own.any())

    def truth_handles(self) -> list[Line2D | Patch]:
        named = [(class_style(k)[0], short(name, 16)) for k, name in enumerate(self.outputs[:_NAMED])]
        named += [(_UNKNOWN, "unknown")] * self._unknown
        return [Line2D([], [], color=colour, label=name) for colour, name in named]

    def draw(self, column: Sequence[Axes], example: Example) -> None:
        self.draw_truth(column[0], example.truth)
        self.postcard(column[1], example)
        colours = np.array([to_rgb(colour) for colour in (DARK, *_errors().values())])
        column[2].imshow(colours[example.errors], interpolation="nearest")
        draw_outline(column[2], example.predicted, DARK)
        bare(column[2])

    def handles(self) -> list[Line2D | Patch]:
        return self.truth_handles()

    def legend(self, figure: Figure) -> None:
        kinds = [Patch(color=colour, label=kind) for kind, colour in _errors().items()]
        for handles, title, side in ((self.truth_handles(), "Class", "left"), (kinds, "Errors", "right")):
            style = {"loc": f"outside lower {side}", "alignment": "left", "title_fontsize": 7, "handlelength": 1.6}
            figure.legend(handles=handles, title=title, ncols=min(len(handles), 3), **style)

    def postcard(self, axes: Axes, example: Example) -> None:
        show(axes, example.image)
        self.draw_truth(axes, example.predicted)


def _errors() -> dict[str, str]:
    return KINDS | {_WRONG: YELLOW}


def figures(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Show each class in a table, the figures of all objects, confusion, and counts in each image."""
    matches = segmentation.of_best_run(results, results.table("matches.tsv"))
    names = results.outputs[MAPS:]
    blocks: list[Picture | Table | Text] = segmentation.figures(results, gallery)
    if not len(matches):
        return blocks
    matches = matches.fillna({"class": "", "target_class": ""})
    counts = confused(matches, names)
    rows, columns = [*names, "no object"], [*names, "missed"]
    named = pd.DataFrame(counts, index=rows, columns=columns)
    named.to_csv(gallery.folder / "confusion.tsv", sep="\t", index_label="true class")
    style = {"found": columns, "xlabel": "Predicted class", "ylabel": "True class (objects)", "uncoloured": 1}
    caption = (
        "True objects (rows) by the class of the predicted object that matches them at an IoU of .5 (columns). Last "
        "column: true objects without a match; last row: predicted objects without a match. Colour: share of the true "
        "objects of a class. True objects of unknown class are left out. The counts are in figures/confusion.tsv."
    )
    picture = gallery.add("confusion", confusion(counts, rows, **style), "Confusion matrix of objects", caption)
    caption = "Objects of each class in each image, predicted against true; dotted: equality."
    if unknown := int(((matches["target_label"] > 0) & (matches["target_class"] == "")).sum()):
        caption += f" {unknown:,} true objects of unknown class are not counted, nor predicted ones that match them."
    agreement = gallery.add("classes", per_image(matches, names), "Predicted against true number of objects", caption)
    return [_classes(results, matches, names), *blocks, picture, agreement]


def confused(matches: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Count objects by true and predicted class, shape (K + 1, K + 1); the last row and column are unmatched objects.

    Parameters
    ----------
    matches
        Rows of matches.tsv for one run and split.
    names
        Names of the classes.
    """
    matched = matches["kind"] == "matched"
    pairs = matches[matched & (matches["target_class"] != "")]
    found = pd.crosstab(pairs["target_class"], pairs["class"]).reindex(index=names, columns=names, fill_value=0)
    counts = np.zeros((len(names) + 1,) * 2, int)
    counts[:-1, :-1] = found
    for label, of, place in (("target_label", "target_class", (slice(-1), -1)), ("label", "class", (-1, slice(-1)))):
        alone = _once(matches, label, of)
        taken = _once(matches[matched], label, of)
        counts[place] = [(alone == name).sum() - (taken == name).sum() for name in names]
    return counts


def _once(matches: pd.DataFrame, label: str, of: str) -> pd.Series:
    """Return the class of each object, which may be in several rows, by image and label."""
    found = matches[matches[label] > 0].drop_duplicates(["id", label])
    return found.set_index(["id", label])[of]


def _classes(results: Results, matches: pd.DataFrame, names: list[str]) -> Table:
    """Make a table with one row per class: numbers of objects, and pooled metrics."""
    found = segmentation.of_best_run(results, results.metrics)
    found = found[found["over"] == "pooled"] if len(found) else found
    cells = {
        (row.output, row.metric): f"{number(row.value)}\n{interval(row.low, row.high)}".strip()
        for row in found.itertuples()
    }
    true, predicted = _once(matches, "target_label", "target_class"), _once(matches, "label", "class")
    rows = [
        [name, f"{(true == name).sum():,}", f"{(predicted == name).sum():,}"]
        + [cells.get((name, metric), "") for metric in _OF_CLASSES]
        for name in names
    ]
    every = [cells.get(("objects", metric), "") for metric in _OF_CLASSES]
    rows.append(["any class", f"{len(true):,}", f"{len(predicted):,}", *every])
    header = ["Class", "True objects", "Predicted", *_OF_CLASSES.values()]
    run = f" ({found['run'].iloc[0]})" if len(found) else ""
    caption = (
        f"Each class on the {results.split} split{run}, all images together. PQ, F1, AP: objects of the same class "
        "match; last row: whatever their class. Right class: share of the matched true objects."
    )
    if common := most_common(results, true):
        caption += f" {common}"
    if len(found) and found["low"].notna().any():
        caption += " Small print: 95% confidence intervals."
    caption += " –: no such object." * any("–" in row for row in rows)
    return table(caption, header, rows, ",".join(header[1:]), "metrics.tsv")


def most_common(results: Results, true: pd.Series) -> str:
    """Return a sentence on the accuracy of always predicting the most common class of the training split."""
    numbers, known = results.facts.n_positive, true[true != ""]
    if numbers is None or not len(known):
        return ""
    name = results.outputs[MAPS:][int(np.argmax(numbers.train))]
    return f"The most common class in training, {name}, is that of {(known == name).mean():.0%} of the true objects."


def per_image(matches: pd.DataFrame, names: list[str]) -> Figure:
    """Draw the numbers of objects of each class in each image, predicted against true."""
    lines = -(-len(names) // _COLUMNS)
    figure = new_figure(0.3 + 2.2 * lines)
    grid = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    ids = sorted(set(matches["id"]))
    unknown = (matches["kind"] == "matched") & (matches["target_class"] == "")
    pair = _once(matches, "target_label", "target_class"), _once(matches[~unknown], "label", "class")
    for k, (axes, name) in enumerate(zip(grid, names, strict=False)):
        true, found = (of[of == name].groupby("id").size().reindex(ids, fill_value=0).to_numpy() for of in pair)
        high = max(1, true.max(), found.max())
        ends = (-0.04 * high, 1.06 * high)
        axes.plot([0, high], [0, high], color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
        axes.plot(true, found, "o", color=class_style(k)[0], alpha=0.7, markersize=3.5, markeredgewidth=0)
        axes.set(xlabel="True", ylabel="Predicted", xlim=ends, ylim=ends, box_aspect=1)
        letter(axes, "abcdefghijklmnopqrstuvwxyz"[k % 26], short(name, 20))
        text = f"mean error {number(np.abs(found - true).mean(), 2)}\nbias {(found - true).mean():+.2f}"
        axes.text(0.04, 0.97, text.replace("-", "−"), transform=axes.transAxes, va="top", fontsize=6.5)
    for axes in grid[len(names) :]:
        axes.remove()
    return figure
