"""Findings of the data doctor, with thumbnails."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from biocnn.config.registry import resolve
from biocnn.core.palette import VERMILION
from biocnn.report import images
from biocnn.report.blocks import Table, short, table
from biocnn.report.figures import MUTED, PAGE_WIDTH, Gallery, Picture, new_figure
from biocnn.report.results import Results

_MEANING = {"leak": "leak", "look": "inspect", "repaired": "repaired"}
_ROWS, _COLUMNS = 6, 6  # kinds of findings with thumbnails, thumbnails per kind


class Thumbnail(NamedTuple):
    """Image (Y, X, 3) and mask (Y, X), uint8; boxes (M, 5), label and corners."""

    image: np.ndarray
    mask: np.ndarray
    boxes: np.ndarray


def findings(results: Results, gallery: Gallery) -> list[Picture | Table]:
    """List each kind of finding with its images, most urgent first; nothing if there is none."""
    found = results.table("doctor/findings.tsv")
    if not len(found):
        return []
    found = found.assign(order=found["severity"].map({"leak": 0, "look": 1, "repaired": 2}))
    found = found.sort_values("order", kind="stable")
    rows = []
    for finding, part in found.groupby("finding", sort=False):
        shown = ", ".join(f"{short(row.id, 16)} ({row.detail})" for row in part.head(3).itertuples())
        more = f", and {len(part) - 3:,} more" if len(part) > 3 else ""
        severity = _MEANING.get(part["severity"].iloc[0], part["severity"].iloc[0])
        rows.append([finding, severity, f"{len(part):,}", shown + more])
    caption = "Findings of the image checks; all images with findings are listed in doctor/findings.tsv."
    blocks: list[Picture | Table] = [table(caption, ["Finding", "Severity", "Images", "Examples"], rows, "Images")]
    path = results.folder / "doctor" / "thumbnails.npz"
    if path.is_file():
        with np.load(path) as stored:
            every = stored.get("boxes", np.zeros((0, 6)))
            boxes = [every[every[:, 0] == number, 1:] for number in range(len(stored["ids"]))]
            small = [trimmed(*one) for one in zip(stored["images"], stored["masks"], boxes, strict=True)]
            named = dict(zip(stored["ids"].tolist(), small, strict=True))
        boxed = bool(len(every) and results.task and results.task.panels)
        figure = _thumbnails(found, named, resolve(results.task.panels)(results.outputs) if boxed else None)
        if figure:
            drawn = "; masks are outlined" if any(one.mask.any() for one in small) else "; with boxes" * boxed
            caption = f"Images with each finding{drawn}."
            blocks.append(gallery.add("findings", figure, "Images with findings", caption, vector=False))
    return blocks


def trimmed(image: np.ndarray, mask: np.ndarray, boxes: np.ndarray) -> Thumbnail:
    """Leave out the white below and right of an image, which dark pages would show."""
    drawn = (image < 255).any(-1)
    y, x = (slice(1 + int(np.flatnonzero(drawn.any(axis)).max(initial=0))) for axis in (1, 0))
    return Thumbnail(image[y, x], mask[y, x], boxes)


def _thumbnails(found: pd.DataFrame, small: dict[str, Thumbnail], panels: Any) -> Figure | None:
    """Draw a row of images for each finding; ``panels`` draw boxes, None: there are none."""
    rows = [
        (finding, shown)
        for finding, part in found.groupby("finding", sort=False)
        if (shown := [row for row in part.itertuples() if row.id in small][:_COLUMNS])
    ][:_ROWS]
    if not rows:
        return None
    size = PAGE_WIDTH / _COLUMNS
    figure = new_figure(len(rows) * (size + 0.22), PAGE_WIDTH)
    for part, (finding, shown) in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        part.suptitle(
            finding, fontsize=7, x=0.005, ha="left", color=VERMILION if shown[0].severity == "leak" else MUTED
        )
        grid = part.subplots(1, _COLUMNS)
        for axes in grid[len(shown) :]:
            axes.remove()
        for axes, row in zip(grid, shown, strict=False):
            one = small[row.id]
            images.show(axes, np.moveaxis(one.image, -1, 0), short(row.id, 14))
            images.draw_outline(axes, one.mask, images.TRUTH)
            if panels:
                panels.draw_truth(axes, one.boxes)
    if panels:
        images.legend(figure, panels.truth_handles())
    return figure
