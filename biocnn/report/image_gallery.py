"""Test images with their predictions: the best, the least certain, and the most surprising."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from biocnn.core.palette import GREEN, VERMILION
from biocnn.data.dataset import Dataset
from biocnn.report import images
from biocnn.report.blocks import wrapped
from biocnn.report.figures import INK, MUTED, PAGE_WIDTH, Gallery, Picture, new_figure
from biocnn.report.headline import number
from biocnn.report.results import Results
from biocnn.tasks.multiclass import Multiclass

COLUMNS = 6
WIDEST, BELOW = 20, 25  # characters above and below an image
_COLOURS = {True: GREEN, False: VERMILION, None: INK}


class Tile(NamedTuple):
    """An image with the lines of its title, and whether its prediction is right; None if neither right nor wrong."""

    id: str
    title: list[str]
    right: bool | None


class Judged(NamedTuple):
    """The decision on one image."""

    id: str
    truth: str
    decided: str
    probability: float  # of what was decided
    margin: float  # to the next likely decision


def best_and_worst(results: Results, gallery: Gallery, mean: pd.DataFrame, truth: pd.DataFrame) -> list[Picture]:
    """Draw the images with the best, the least certain and the most surprising predictions.

    Parameters
    ----------
    results, gallery
        As for the sections.
    mean, truth
        Mean probability over runs and target of each example; rows by id, columns by output.
    """
    if results.dataset is None:
        return []
    judged = (
        _of_classes(results.task, mean, truth) if results.task.exclusive else _of_labels(results.outputs, mean, truth)
    )
    right = [one for one in judged if one.truth == one.decided]
    wrong = [one for one in judged if one.truth != one.decided]
    rows = {
        "Best": _in_turn(sorted(right, key=lambda one: -one.probability)),
        "Least certain": sorted(judged, key=lambda one: one.margin),
        "Most surprising": sorted(wrong, key=lambda one: -one.probability),
    }
    figure = drawn(results.dataset, {name: [_tile(one) for one in chosen[:COLUMNS]] for name, chosen in rows.items()})
    what = results.dataset.input.examples
    caption = (
        f"Held-out {what} with the predicted class and its probability. Best: right with the highest probability, "
        "from each class in turn. Least certain: smallest lead of the likeliest class. Most surprising: wrong with the "
        "highest probability; are these labels right?"
    )
    if results.facts.spatial_dims == 3:
        caption += f" {images.OF_VOLUMES}"
    alt = f"Best, least certain and most surprising {what}"
    return [gallery.add("gallery", figure, alt, caption, vector=False)]


def drawn(dataset: Dataset, rows: dict[str, list[Tile]]) -> Figure:
    """Draw rows of up to ``COLUMNS`` images, with a title each; empty rows are left out."""
    rows = {name: tiles for name, tiles in rows.items() if tiles}
    place = {name: row for row, name in enumerate(dataset.examples["id"])}
    size = PAGE_WIDTH / COLUMNS
    figure = new_figure(len(rows) * (size + 0.35))
    figure.set_layout_engine("constrained", h_pad=0.08)  # between the name of an image and the title below
    grid = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for line, (name, tiles) in zip(grid, rows.items(), strict=True):
        for axes, tile in zip(line, tiles, strict=False):
            images.show(axes, images.plane(dataset.input.picture(dataset.x[place[tile.id]])))
            title = "\n".join(wrapped(words, WIDEST, 2) for words in tile.title)
            axes.set_title(title, fontsize=6.5, color=_COLOURS[tile.right], loc="left")
            axes.set_xlabel(wrapped(tile.id, BELOW), fontsize=5.5, color=MUTED, loc="left", labelpad=1)
        for axes in line[len(tiles) :]:
            axes.set_visible(False)
        line[0].set_ylabel(name)
    return figure


def _tile(one: Judged) -> Tile:
    right = one.truth == one.decided
    return Tile(one.id, [f"{one.decided} {number(one.probability, 2)}", *[f"true: {one.truth}"] * (not right)], right)


def _in_turn(judged: list[Judged]) -> list[Judged]:
    """Order by rank among those of the same truth, so that each class comes first once."""
    ranks = pd.Series([one.truth for one in judged]).groupby([one.truth for one in judged]).cumcount() if judged else []
    return [judged[i] for i in np.argsort(ranks, kind="stable")]


def _of_classes(task: Multiclass, mean: pd.DataFrame, truth: pd.DataFrame) -> list[Judged]:
    """Return one decision per image with a known class."""
    found, outputs = [], task.outputs
    for name, p, y in zip(mean.index, mean.to_numpy(), truth.to_numpy(), strict=True):
        if not np.isnan(y).any():
            second, first = np.sort(p)[-2:]
            k = task.chosen(p[None])[0]
            found.append(Judged(name, outputs[y.argmax()], outputs[k], p[k], first - second))
    return found


def _of_labels(outputs: list[str], mean: pd.DataFrame, truth: pd.DataFrame) -> list[Judged]:
    """Return one decision per image and known label."""
    found = []
    for name, p, y in zip(mean.index, mean.to_numpy(), truth.to_numpy(), strict=True):
        for output, one, target in zip(outputs, p, y, strict=True):
            if not np.isnan(target):
                words = (f"not {output}", output)
                likely = max(one, 1 - one)
                found.append(Judged(name, words[int(target)], words[int(one >= 0.5)], likely, 2 * likely - 1))
    return found
