"""What the data doctor found, with thumbnails, and patches as the network sees them in training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from biocnn.config.settings import Settings
from biocnn.report import images
from biocnn.report.blocks import Table, short, table
from biocnn.report.figures import MUTED, PAGE_WIDTH, VERMILION, Gallery, Picture, new_figure
from biocnn.report.results import Results

_MEANING = {"leak": "leak", "look": "look at it", "repaired": "repaired"}
_ROWS, _COLUMNS = 6, 6  # kinds of findings with thumbnails, thumbnails of each
_PATCHES, _DRAWS = 3, 5


def findings(results: Results, gallery: Gallery) -> list[Picture | Table]:
    """Each kind of finding with its images, the most urgent first; nothing where there is none."""
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
    caption = "What the images were examined for and what was found; every image of it: doctor/findings.tsv."
    blocks: list[Picture | Table] = [table(caption, ["Finding", "What to do", "Images", "Which"], rows, "Images")]
    path = results.folder / "doctor" / "thumbnails.npz"
    if path.is_file():
        with np.load(path) as stored:
            small = dict(zip(stored["ids"].tolist(), zip(stored["images"], stored["masks"], strict=True), strict=True))
        figure = _thumbnails(found, small)
        if figure:
            said = "Images of each finding, with their masks outlined."
            blocks.append(gallery.add("findings", figure, "Images that the examination named", said, vector=False))
    return blocks


def _thumbnails(found: pd.DataFrame, small: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure | None:
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
        panels = part.subplots(1, _COLUMNS)
        for axes in panels[len(shown) :]:
            axes.remove()
        for axes, row in zip(panels, shown, strict=False):
            image, mask = small[row.id]
            images.show(axes, np.moveaxis(image, -1, 0), short(row.id, 14))
            images.draw_outline(axes, mask, images.TRUTH)
    return figure


def montage(results: Results, settings: Settings, gallery: Gallery) -> list[Picture]:
    """Training patches as they are, and as they are drawn in some epochs, with what is to be learned outlined."""
    from biocnn.augment.sets import resolve_augment
    from biocnn.training.batches import preview

    facts = results.facts
    patch = settings.train.patch
    if not patch and "patch" in facts.decisions:
        patch = facts.decisions["patch"].value
    if results.dataset is None or facts.kind != "image" or not patch:
        return []
    sections = resolve_augment(settings.augment, facts, patch)
    if not sections:
        return []
    x, y = preview(results.dataset, sections, patch, _PATCHES, _DRAWS, settings.seed)
    if len(patch) == 3:
        x, y = x[:, :, :, patch[0] // 2], y[:, :, :, patch[0] // 2]
    size = PAGE_WIDTH / (1 + _DRAWS)
    figure = new_figure(_PATCHES * size * patch[-2] / patch[-1] + 0.2, PAGE_WIDTH)
    for row, (grid, patches, targets) in enumerate(
        zip(figure.subplots(len(x), 1 + _DRAWS, squeeze=False), x, y, strict=True)
    ):
        for draw, (axes, image, target) in enumerate(zip(grid, patches, targets, strict=True)):
            title = ("as it is" if draw == 0 else f"epoch {draw}") if row == 0 else ""
            images.show(axes, np.clip(255 * image, 0, 255).astype(np.uint8), title)
            images.draw_outline(axes, _objects(target[0], facts.task), images.TRUTH)
    named = ", ".join(dict.fromkeys(section.name.replace("_", " ") for section in sections))
    caption = f"Patches of training images as the network sees them: {named}. Outlined: what it is to learn."
    return [gallery.add("augmentation", figure, "Training patches, plain and augmented", caption, vector=False)]


def _objects(target: np.ndarray, task: str) -> np.ndarray:
    """Classes to outline; of objects, their insides."""
    return np.where(target == 1, 1, 0).astype(np.uint8) if task == "instances" else target
