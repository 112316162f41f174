"""Figures of training images, and of training patches as the network sees them."""

import numpy as np
from matplotlib.lines import Line2D

from biocnn.augment.sets import resolve_augment
from biocnn.config.registry import resolve
from biocnn.config.settings import Settings
from biocnn.report import images
from biocnn.report.blocks import short
from biocnn.report.figures import PAGE_WIDTH, Gallery, Picture, new_figure
from biocnn.report.panels import Panels
from biocnn.report.results import Results
from biocnn.training.batches import preview

_SHOWN = 6
_PATCHES, _DRAWS = 3, 5


def examples(results: Results, settings: Settings, gallery: Gallery) -> list[Picture]:
    """Show some images with their truth, if they are planes, and some augmented patches."""
    if results.dataset is None or results.task is None:
        return []
    plane = results.facts.spatial_dims == 2
    return [*([_thumbnails(results, gallery)] if plane else []), *_montage(results, settings, gallery)]


def _thumbnails(results: Results, gallery: Gallery) -> Picture:
    dataset = results.dataset
    rows = dataset.rows("train")
    rows = rows[np.linspace(0, len(rows) - 1, min(_SHOWN, len(rows))).astype(int)]
    panels, places = _panels(results), max(len(rows), 4)
    figure = new_figure(PAGE_WIDTH / places + 0.5)
    grid = figure.subplots(1, places)
    for axes, row in zip(grid, rows, strict=False):
        images.show(axes, dataset.x[row], short(dataset.examples["id"].iloc[row], 16))
        if panels:
            panels.draw_truth(axes, dataset.truth(row))
    for axes in grid[len(rows) :]:
        axes.remove()
    if panels:
        images.legend(figure, [Line2D([], [], color=images.TRUTH, label=panels.truth)])
    truth = " True outlines are drawn;" if panels else " The"
    caption = f"Training images at evenly spaced rows of the table of examples.{truth} contrast is stretched."
    return gallery.add("examples", figure, f"{len(rows)} training images", caption, vector=False)


def _panels(results: Results) -> Panels | None:
    """Return the panels that draw the truth; None if there is none to draw."""
    return resolve(results.task.panels)(results.outputs) if results.task.panels else None


def _montage(results: Results, settings: Settings, gallery: Gallery) -> list[Picture]:
    """Show training patches, original and as augmented in some epochs, with targets outlined."""
    facts = results.facts
    patch = settings.train.patch
    if not patch and "patch" in facts.decisions:
        patch = facts.decisions["patch"].value
    if not patch:
        return []
    sections = resolve_augment(settings.augment, facts, patch)
    if not sections:
        return []
    x, y = preview(results.dataset, sections, patch, _PATCHES, _DRAWS, settings.seed)
    if len(patch) == 3:
        x, y = x[:, :, :, patch[0] // 2], y[:, :, :, patch[0] // 2]
    panels, size = _panels(results), PAGE_WIDTH / (1 + _DRAWS)
    figure = new_figure(_PATCHES * size * patch[-2] / patch[-1] + 0.2, PAGE_WIDTH)
    for row, (grid, patches, targets) in enumerate(
        zip(figure.subplots(len(x), 1 + _DRAWS, squeeze=False), x, y, strict=True)
    ):
        for draw, (axes, image, target) in enumerate(zip(grid, patches, targets, strict=True)):
            title = ("original" if draw == 0 else f"epoch {draw}") if row == 0 else ""
            images.show(axes, np.clip(255 * image, 0, 255).astype(np.uint8), title)
            if panels:
                panels.draw_truth(axes, results.task.outlined(target))
    named = ", ".join(dict.fromkeys(section.name.replace("_", " ") for section in sections))
    caption = f"Training patches as the network sees them, augmented by {named}."
    caption += " Outlines: targets." if panels else ""
    return [gallery.add("augmentation", figure, "Training patches, original and augmented", caption, vector=False)]
