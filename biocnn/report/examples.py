"""Figures of training images, and of augmented patches or images as the network sees them."""

import numpy as np
import pandas as pd

from biocnn.augment.sets import resolve_augment
from biocnn.config.registry import resolve
from biocnn.config.settings import Settings
from biocnn.core.plurals import plural
from biocnn.data.decisions import resolve as resolve_settings
from biocnn.data.frame import frame_of
from biocnn.report import images
from biocnn.report.blocks import wrapped
from biocnn.report.figures import PAGE_WIDTH, Gallery, Picture, new_figure
from biocnn.report.panels import Panels
from biocnn.report.results import Results
from biocnn.training.batches import preview

_SHOWN = 6  # images per row
_LABELLED = 12  # most images with labels
_PATCHES, _DRAWS = 3, 5


def examples(results: Results, settings: Settings, gallery: Gallery) -> list[Picture]:
    """Show some images with their truth, unless it is a map of a volume, and some augmented patches or images."""
    if results.dataset is None or results.task is None:
        return []
    shown = []
    if not results.task.target.spatial:
        shown.append(_labelled(results, gallery))
    elif results.facts.spatial_dims == 2:
        shown.append(_thumbnails(results, gallery))
    return [*shown, *_montage(results, settings, gallery)]


def _labelled(results: Results, gallery: Gallery) -> Picture:
    """Show training images below their targets in words, different targets in turn."""
    dataset = results.dataset
    rows = dataset.rows("train")
    words = pd.Series([results.task.words(y) for y in dataset.y.stacked(rows)])
    chosen = words.groupby(words).cumcount().sort_values(kind="stable").index[:_LABELLED]
    chosen = words[chosen].sort_values(kind="stable").index
    lines = -(-len(chosen) // _SHOWN)
    titles = [wrapped(words[place], 20) for place in chosen]
    tallest = max(title.count("\n") for title in titles)
    figure = new_figure(lines * (PAGE_WIDTH / _SHOWN + 0.2 + 0.12 * tallest))
    grid = figure.subplots(lines, _SHOWN, squeeze=False).ravel()
    for axes, place, title in zip(grid, chosen, titles, strict=False):
        images.show(axes, images.plane(dataset.input.picture(dataset.x[rows[place]])), title)
    for axes in grid[len(chosen) :]:
        axes.remove()
    what = dataset.input.examples
    caption = f"Training {what}, of different labels in turn; contrast is stretched unless they are 8-bit colours."
    caption += f" {images.OF_VOLUMES}" if results.facts.spatial_dims == 3 else ""
    return gallery.add("examples", figure, f"{len(chosen)} training {what}", caption, vector=False)


def _thumbnails(results: Results, gallery: Gallery) -> Picture:
    dataset = results.dataset
    rows = dataset.rows("train")
    rows = rows[np.linspace(0, len(rows) - 1, min(_SHOWN, len(rows))).astype(int)]
    panels, places = _panels(results), max(len(rows), 4)
    tallest = max(height / width for _, height, width in dataset.x.shapes[rows])
    titles = [wrapped(name, 18, 2) for name in dataset.examples["id"].iloc[rows]]
    lines = 1 + max(title.count("\n") for title in titles)
    figure = new_figure(PAGE_WIDTH / places * min(tallest, 1.4) + 0.35 + 0.15 * lines)
    grid = figure.subplots(1, places)
    for axes, row, title in zip(grid, rows, titles, strict=False):
        images.show(axes, dataset.x[row], title)
        if panels:
            panels.draw_truth(axes, dataset.drawn(row))
    for axes in grid[len(rows) :]:
        axes.remove()
    if panels:
        images.legend(figure, panels.truth_handles())
    truth = f" {panels.drawn} are drawn;" if panels else " The"
    caption = f"Training images at evenly spaced rows of the table of examples.{truth} contrast is stretched."
    return gallery.add("examples", figure, f"{plural(len(rows), 'training image')}", caption, vector=False)


def _panels(results: Results) -> Panels | None:
    """Return the panels that draw the truth; None if there is none to draw, or it is boxes in volumes."""
    drawn = results.task.panels and not (results.task.detects and results.facts.spatial_dims == 3)
    return resolve(results.task.panels)(results.outputs) if drawn else None


def _montage(results: Results, settings: Settings, gallery: Gallery) -> list[Picture]:
    """Show training patches or whole images, original and augmented several times, with targets outlined."""
    facts, section = results.facts, resolve_settings(settings, results.facts)[0].train
    frame = frame_of(section, facts)
    size = section.size if frame else section.patch
    if not size:
        return []
    exact = results.dataset.task.exact
    sections = resolve_augment(settings.augment, facts, size, whole=frame is not None, exact=exact)
    if not sections:
        return []
    x, y = preview(results.dataset, sections, section.patch, _PATCHES, _DRAWS, settings.seed, frame=frame)
    if len(size) == 3:
        x = x[:, :, :, size[0] // 2]
    panels, width = _panels(results), PAGE_WIDTH / (1 + _DRAWS)
    figure = new_figure(len(x) * width * size[-2] / size[-1] + 0.2, PAGE_WIDTH)
    for row, (grid, patches, targets) in enumerate(
        zip(figure.subplots(len(x), 1 + _DRAWS, squeeze=False), x, y, strict=True)
    ):
        for draw, (axes, image, target) in enumerate(zip(grid, patches, targets, strict=True)):
            title = ("augmented" if draw else "original") if row == 0 else ""
            images.show(axes, np.clip(255 * image, 0, 255).astype(np.uint8), title)
            if panels:
                outlined = results.task.outlined(target)
                panels.draw_truth(axes, outlined[size[0] // 2] if len(size) == 3 else outlined)
    named = ", ".join(dict.fromkeys(section.name.replace("_", " ") for section in sections))
    what = "Training images" if frame else "Training patches"
    caption = f"{what} as the network sees them, augmented by {named}."
    if panels:
        caption += f" {panels.targets}"
        if len(handles := panels.truth_handles()) > 1:
            images.legend(figure, handles)
    return [gallery.add("augmentation", figure, f"{what}, original and augmented", caption, vector=False)]
