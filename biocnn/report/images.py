"""Figures of images: examples with truth and prediction, and class activation maps."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from biocnn.core.palette import SKY, YELLOW
from biocnn.io.display import display
from biocnn.metrics.masks import IGNORE
from biocnn.report.figures import INK, PAGE_WIDTH, new_figure

TRUTH, PREDICTED = SKY, YELLOW
LEGEND = 7  # columns
OF_VOLUMES = "Of volumes, the middle slice is shown, or the maximum over slices if that is empty."


@dataclass(frozen=True)
class Example:
    """One image with its truth and prediction.

    ``image`` (C, H, W) in its own dtype; ``truth`` and ``predicted`` (H, W), classes or object labels, or None;
    ``title`` one short line; ``errors`` (H, W) from ``object_errors.error_map``, ``uncertainty`` (H, W), 0 to 1, or
    None.
    """

    image: np.ndarray
    truth: np.ndarray | None = None
    predicted: np.ndarray | None = None
    title: str = ""
    errors: np.ndarray | None = None
    uncertainty: np.ndarray | None = None


def outline(labels: np.ndarray) -> np.ndarray:
    """Return the edges between different labels along pixel borders, so that touching objects stay apart.

    Parameters
    ----------
    labels
        Shape (H, W), integers; the caller should replace 255 in a class mask by 0.

    Returns
    -------
    segments
        Shape (n, 2, 2): n lines from (x, y) to (x, y), as long as possible; pixel centres have integer coordinates.
    """
    return np.concatenate([_flat_edges(labels), _flat_edges(labels.T)[..., ::-1]])


def _flat_edges(labels: np.ndarray) -> np.ndarray:
    """Return the lines between labels that differ from those below them."""
    edges = np.pad(labels[1:] != labels[:-1], ((0, 0), (1, 1))).astype(np.int8)
    rows, ends = np.nonzero(np.diff(edges))  # of each row: first, end, first, end, ...
    return np.stack([ends, rows + 1], -1).reshape(-1, 2, 2) - 0.5


def fullest_slice(labels: np.ndarray) -> int:
    """Return the index of the slice of a volume (D, H, W) with the most foreground."""
    return int(((labels > 0) & (labels != IGNORE)).sum(axis=(1, 2)).argmax())


def plane(image: np.ndarray) -> np.ndarray:
    """Return an image (C, H, W) as it is; of a volume its middle slice, or the maximum over slices if that is empty."""
    if image.ndim == 3:
        return image
    middle = image[:, image.shape[1] // 2]
    return middle if np.ptp(middle) > 0 else image.max(axis=1)


def heat_maps(images: np.ndarray, maps: np.ndarray, titles: list[str], across: int = 3) -> Figure:
    """Draw images in the first row, and the same with class activation maps in the second.

    Parameters
    ----------
    images
        Shape (n, H, W) or (n, H, W, 3), uint8.
    maps
        Shape (n, H, W), 0 to 1.
    titles
        One per image, of one or more lines.
    across
        Number of images that fill a page.
    """
    size = PAGE_WIDTH / max(len(images), across)
    figure = new_figure(2 * size + 0.15 * (1 + max(title.count("\n") for title in titles)), size * len(images) + 0.3)
    grid = figure.subplots(2, len(images), squeeze=False)
    for (top, bottom), image, cam, title in zip(grid.T, images, maps, titles, strict=True):
        # Three channels, because a grey one would be stretched again.
        channels = image[None].repeat(3, axis=0) if image.ndim == 2 else np.moveaxis(image, -1, 0)
        show(top, channels, title)
        show(bottom, channels)
        shown = bottom.imshow(np.clip(cam, 0, 1), cmap="magma", vmin=0, vmax=1, alpha=0.6, interpolation="bilinear")
    bar = figure.colorbar(shown, ax=grid[1], shrink=0.75, fraction=0.02, pad=0.01, panchor=False, ticks=[0, 1])
    bar.set_label("Grad-CAM", labelpad=-4)
    bar.outline.set_visible(False)
    return figure


def show(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Show an image of shape (C, H, W) without axes."""
    axes.imshow(display(image), interpolation="nearest")
    bare(axes, title)


def bare(axes: Axes, title: str = "") -> None:
    """Remove the axes and set a small title."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(title, fontsize=7)


def draw_outline(axes: Axes, labels: np.ndarray, colour: str) -> None:
    """Outline objects or classes, with a dark edge, so that the line is visible on bright images too."""
    segments = outline(np.where(labels == IGNORE, 0, labels) if labels.dtype == np.uint8 else labels)
    lines = np.concatenate([segments, np.full((len(segments), 1, 2), np.nan)], axis=1).reshape(-1, 2)
    for drawn, width, alpha in ((INK, 1.5, 0.35), (colour, 0.8, 1)):
        line = Line2D(*lines.T, color=drawn, lw=width, alpha=alpha, solid_capstyle="projecting", snap=True)
        axes.add_artist(line)  # which keeps the limits of the axes


def draw_boxes(axes: Axes, corners: np.ndarray, colour: str, linestyle: str = "-") -> None:
    """Outline boxes, with a dark edge like `draw_outline`.

    Parameters
    ----------
    axes
        Axes that show the image.
    corners
        Edges of pixels, shape (M, 4): row, column, row, column.
    colour, linestyle
        As for matplotlib.
    """
    around = corners[:, [1, 0, 3, 0, 3, 2, 1, 2, 1, 0]].reshape(-1, 5, 2) - 0.5
    axes.add_collection(LineCollection(around, colors=INK, linewidths=1.7, alpha=0.45), autolim=False)
    axes.add_collection(LineCollection(around, colors=colour, linewidths=0.9, linestyles=linestyle), autolim=False)


def legend(figure: Figure, handles: list[Line2D | Patch]) -> None:
    """Add a legend below a figure."""
    drawn = figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), LEGEND))
    for line in drawn.get_lines():
        line.set_linewidth(2.5)
        line.set_path_effects([])
