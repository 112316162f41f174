"""The part of the explanation on likeness: metrics of vectors, and the nearest training images of test images."""

import numpy as np
import pandas as pd

from biocnn.core.palette import GREEN, VERMILION
from biocnn.evaluation.likeness import centred, read_features
from biocnn.metrics.likeness import neighbours
from biocnn.report import images
from biocnn.report.blocks import Table, Text, short, table
from biocnn.report.figures import MUTED, PAGE_WIDTH, Gallery, Picture, new_figure
from biocnn.report.headline import interval, number
from biocnn.report.results import Results

_ROWS, _NEAREST = 8, 6
_VECTORS = {"network": "Network", "intensities": "Intensities alone"}
_NAMES = {
    "verification_auroc": "Same class or not, for two images: AUROC",
    "equal_error_rate": "Same class or not: equal error rate",
    "recall_at_1": "The nearest other image is of the same class",
    "recall_at_5": "One of the five nearest others is",
    "accuracy_1_shot": "Accuracy with one known image of each class",
    "accuracy_5_shot": "Accuracy with five known images of each class",
}


def likeness(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Show how well vectors separate like from unlike images, and test images with their nearest training images."""
    folders = [folder for run in results.runs if (folder := results.folder / "runs" / run / "features").is_dir()]
    if not folders or results.dataset is None:
        return []
    vectors, examples = read_features(folders[0])
    vectors = centred(vectors, examples)
    blocks: list[Picture | Table | Text] = []
    measured = results.table(str((folders[0] / "likeness.tsv").relative_to(results.folder)))
    if len(measured):
        blocks.append(_metrics(measured, examples))
    return [*blocks, *_nearest(results, gallery, vectors, examples)]


def _metrics(measured: pd.DataFrame, examples: pd.DataFrame) -> Table:
    classes = examples.loc[examples["split"] == "test", "class"].nunique()
    rows = []
    for metric, part in measured.groupby("metric", sort=False):
        by = part.set_index("vectors")
        if np.isfinite(by.loc["network", "value"]):
            cells = [(number(row.value), interval(row.low, row.high)) for row in by.loc[[*_VECTORS]].itertuples()]
            rows.append([_NAMES[str(metric)], *["\n".join(filter(None, cell)) for cell in cells]])
    caption = (
        f"Likeness of the {measured['n'].max():,} test images, of {classes} classes, by the angle between vectors from "
        "the mean of the training images: those before the last layer of the network, and intensities alone (mean, "
        "standard deviation and percentiles of each channel). Known images represent a class by their mean vector; 200 "
        f"random draws of them, with their central 95%; chance is {number(1 / max(1, classes), 2)}."
    )
    return table(caption, ["Metric", *_VECTORS.values()], rows, ",".join(_VECTORS.values()))


def _nearest(results: Results, gallery: Gallery, vectors: np.ndarray, examples: pd.DataFrame) -> list[Picture]:
    """Draw some test images, of each class in turn, and the training images whose vectors are nearest."""
    assert results.dataset is not None
    train, test = (np.flatnonzero(examples["split"] == split) for split in ("train", "test"))
    named = examples["class"] if "class" in examples else pd.Series([""] * len(examples))
    turn = named.iloc[test].groupby(named.iloc[test]).cumcount().to_numpy()
    test = test[np.lexsort((named.iloc[test], turn))][:_ROWS]
    if not len(train) or not len(test):
        return []
    found = train[neighbours(vectors[test], vectors[train], _NEAREST)]
    size = PAGE_WIDTH / (_NEAREST + 1)
    figure = new_figure(len(test) * (size + 0.12))
    grid = figure.subplots(len(test), _NEAREST + 1, squeeze=False)
    for line, row, others in zip(grid, test, found, strict=True):
        for axes, one in zip(line, [row, *others], strict=False):
            images.show(axes, images.plane(results.dataset.x[one]))
            colour = MUTED if one == row or not named[row] else GREEN if named[one] == named[row] else VERMILION
            axes.set_title(short(named[one] or examples["id"][one], 18), fontsize=6.5, color=colour, loc="left", pad=2)
        for axes in line[len(others) + 1 :]:
            axes.set_visible(False)
    grid[0, 0].set_title(f"test: {grid[0, 0].get_title(loc='left')}", fontsize=6.5, color=MUTED, loc="left", pad=2)
    caption = "Test images (left) and the training images whose vectors are nearest, nearest first."
    if named.any():
        caption += " Green: of the same class."
    if results.facts.spatial_dims == 3:
        caption += f" {images.OF_VOLUMES}"
    return [gallery.add("likeness", figure, "Test images and the most similar training images", caption, vector=False)]
