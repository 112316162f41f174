"""Reports on objects with classes: table, colours, confusion and counts, by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from simulated_results import coarse
from tiny import images, stored

from biocnn.config.settings import Metrics
from biocnn.evaluation.evaluate import evaluate
from biocnn.io.archive import array_archive
from biocnn.io.ragged import Ragged
from biocnn.report.box_panels import class_style
from biocnn.report.figures import Gallery, new_figure
from biocnn.report.results import Results
from biocnn.report.typed import TypedPanels, confused, figures, most_common, per_image
from biocnn.tasks.object_classes import class_map, with_classes

NAMES = ["round", "long"]
# a0: a round object found as long, one merged object, a missed long one; a1: a false one, and one of unknown class.
ROWS = [
    ("a0", "matched", 1, 1, "long", "round"), ("a0", "merged", 2, 2, "round", "round"),
    ("a0", "merged", 2, 3, "round", "long"), ("a0", "missed", 0, 4, "", "long"),
    ("a0", "matched", 3, 5, "long", "long"),
    ("a1", "false", 1, 0, "round", ""), ("a1", "matched", 2, 7, "round", ""),
]  # fmt: skip
MATCHES = pd.DataFrame(ROWS, columns=["id", "kind", "label", "target_label", "class", "target_class"])


def test_confusion_by_hand() -> None:
    assert confused(MATCHES, NAMES).tolist() == [[0, 1, 1], [0, 1, 2], [2, 0, 0]]


def test_counts_of_images_leave_out_what_matches_an_unknown_object() -> None:
    first, second = per_image(MATCHES, NAMES).axes
    for axes, wanted in ((first, [[2, 0], [1, 1]]), (second, [[3, 0], [2, 0]])):
        assert np.array(axes.lines[1].get_data()).tolist() == wanted


def test_outlines_have_the_colours_of_classes() -> None:
    axes, panels = new_figure(1).subplots(), TypedPanels([*"abcd", *NAMES])
    labels = np.zeros((6, 9), np.int32)
    labels[1:5, 1:4], labels[1:5, 4:7] = 3, 5
    panels.draw_truth(axes, with_classes(labels, np.array([[3, 1], [5, 255]])))
    drawn = {to_rgb(one.get_color()): np.isnan(one.get_xdata()).sum() for one in axes.lines if len(one.get_xdata())}
    assert drawn[to_rgb(class_style(1)[0])] == 4, "the sides of one object"
    assert [line.get_label() for line in panels.truth_handles()] == [*NAMES, "unknown"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return results of a network that finds all objects, and calls all of them even."""
    folder = tmp_path_factory.mktemp("results") / "cells"
    dataset = stored(images(8, task="typed_instances", size=(48, 48)), folder)
    rows = dataset.rows("val", "test")
    maps = []
    for row in rows:
        inside, even = dataset.labels[row][0] > 0, class_map(dataset.labels[row][0], dataset.classes[row]) < 255
        classes, distance = dataset.y[row][:2]
        maps.append(np.stack([*(classes == k for k in range(3)), distance / 255, even, ~even & inside]))
    path = folder / "runs" / "fold0-seed1"
    path.mkdir(parents=True)
    Ragged.write(path / "p.npy", maps, np.float32)
    found = {
        "fold0-seed1": (Ragged(path / "p.npy"), dataset.examples.iloc[rows][["id", "split"]].reset_index(drop=True))
    }
    with array_archive(folder / "decided.npz") as keep:
        tables = evaluate(dataset, found, {"fold0-seed1": {}}, Metrics(resamples=20), 1, keep=keep)
    for name, table in zip(("metrics", "metrics_per_example", "matches"), tables, strict=True):
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    return folder


def test_every_figure_is_drawn(folder: Path) -> None:
    results = Results(folder)
    with coarse():
        blocks = figures(results, Gallery(folder / "figures"))
    for name in ("segmentation", "predictions", "objects_errors", "confusion", "classes", "thumbnail"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 500
    table = str(blocks[0])
    assert "odd" in table
    assert "any class" in table
    counts = pd.read_csv(folder / "figures" / "confusion.tsv", sep="\t", index_col=0)
    assert counts.loc["even", "odd"] == counts["odd"].sum() == 0
    assert counts.loc["odd", "even"] > 0
    odd = results.examples[results.examples["split"] == "test"]["y_1"].sum()
    assert counts.loc["odd"].sum() == odd
    assert most_common(results, pd.Series(["even", "odd", ""])).endswith("is that of 50% of the true objects.")
