"""Performance figures for images predicted from images: input, prediction, truth, and their difference."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from biocnn.metrics.similarity import fitted
from biocnn.report import images
from biocnn.report.blocks import Table
from biocnn.report.figures import PAGE_WIDTH, Gallery, Picture, new_figure
from biocnn.report.headline import metric_name, number
from biocnn.report.results import Results
from biocnn.report.segmentation import from_worst_to_best, of_best_run

_ROWS = ("Input", "Prediction", "Target", "Difference")
_WITHOUT = ("Input", "Prediction", "Removed")  # without targets
_PART = 128  # pixels of a target that are shown of images with fewer pixels, so that all are visible


def figures(results: Results, gallery: Gallery) -> list[Picture | Table]:
    """Show images from the worst to the best; without targets, what was removed from them."""
    scores = of_best_run(results, results.table("metrics_per_example.tsv"))
    targets, columns = results.facts.values is not None, []
    for row, name, title in from_worst_to_best(results, scores, results.headline):
        p = results.mean_prediction(name)
        if p is not None:
            x, y = results.dataset.x[row], results.dataset.y[row]
            title = title.replace(f"{metric_name(results.headline[0])} ", "")
            shown = (x, p, y, fitted(p, y) - y) if targets else (x, p, x.astype(np.float32) - p)
            columns.append((title, [_part(_plane(one), results.facts.upscale, x.shape) for one in shown]))
    if not columns:
        return []
    middle = f" Only the middle is shown, {_PART} pixels of the target." if results.facts.upscale > 1 else ""
    volumes = f" {images.OF_VOLUMES}" if results.facts.spatial_dims == 3 else ""
    stretched = f"Each other image is stretched from its own 1st to its 99.8th percentile.{volumes}"
    if targets:
        used = "the test targets" if results.facts.blind else "the training targets"
        of = "8 bit" if results.facts.target_dtype == "uint8" else used
        caption = (
            "Images from worst to best, with their PSNR after affine fit in dB. Rows from top: input; prediction; "
            "target; prediction after the affine fit minus target (blue: too dark, red: too bright), with the same "
            f"scale in all columns.{middle} {stretched} PSNR and SSIM refer to a range of "
            f"{number(results.task.data_range)} intensities, that of {of}."
        )
    else:
        caption = (
            "Images, with the correlation of neighbouring pixels in what was removed. Rows from top: input; "
            "prediction; input minus prediction, with the same scale in all columns: only noise should be visible. "
            + stretched
        )
    postcard = Figure(figsize=(1.6, 1.6))
    images.show(postcard.add_axes((0, 0, 1, 1)), columns[len(columns) // 2][1][1])
    gallery.thumbnail(postcard)
    rows = _ROWS if targets else _WITHOUT
    picture = gallery.add(
        "predictions", _comparison(columns, rows), f"{', '.join(rows)} of several images", caption, vector=False
    )
    return [picture]


def _plane(image: np.ndarray) -> np.ndarray:
    return np.nan_to_num(images.plane(image))


def _part(image: np.ndarray, upscale: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the middle of a plane (C, H, W) of an image of a shape or of its target, if it has more pixels."""
    if upscale == 1:
        return image
    factor = image.shape[-1] // shape[-1]
    sides = [(max(0, n - _PART // upscale) // 2, min(n, _PART // upscale)) for n in shape[-2:]]
    (top, height), (left, width) = [(factor * first, factor * size) for first, size in sides]
    return image[:, top : top + height, left : left + width]


def _comparison(columns: list[tuple[str, list[np.ndarray]]], rows: Sequence[str]) -> Figure:
    differences = [shown[-1].mean(axis=0) for _, shown in columns]
    limit = max(float(np.percentile(np.abs(one), 99.5)) for one in differences) or 1.0
    tallest = max(one.shape[0] / one.shape[1] for one in differences)
    size = PAGE_WIDTH / max(len(columns), 3)
    figure = new_figure(0.92 * len(rows) * size * min(tallest, 1.4) + 0.4)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes, (title, shown), difference in zip(grid.T, columns, differences, strict=True):
        for place, image in zip(axes, shown[:-1], strict=False):
            images.show(place, image, title if place is axes[0] else "")
        drawn = axes[-1].imshow(difference, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        images.bare(axes[-1])
    for axes, label in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(label)
    bar = figure.colorbar(drawn, ax=grid[-1], shrink=0.75, fraction=0.02, pad=0.01, panchor=False)
    bar.outline.set_visible(False)
    return figure
