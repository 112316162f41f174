"""Reports on boxes: every figure and table; colours, confusion, curves, counts and sizes by hand."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from boxed import scenes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from simulated_results import coarse, write_model
from tiny import chosen, experiment, image_facts, stored

from biocnn.config.settings import Metrics, Train
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.evaluation.evaluate import evaluate
from biocnn.io.archive import array_archive
from biocnn.io.ragged import Ragged
from biocnn.metrics import match_detections
from biocnn.metrics.detections import average_precision
from biocnn.report import write_report
from biocnn.report.box_panels import KINDS, BoxPanels
from biocnn.report.boxes import Held, confused, held_out, precision_recall, sizes_and_hits, wilson
from biocnn.report.images import Example
from biocnn.report.results import Results
from biocnn.training.batches import preview

NAMES = ["0", "round & red", "thin"]
RUNS = ("fold0-seed1", "fold0-seed2")
POSTPROCESS = {"thresholds": [0.3, 0.4, 0.5], "f1": [0.8, 0.7, 0.1], "scale": [1.0] * 3, "shift": [0.0] * 3}
SCENES = scenes(5, images=24, steps=1000)


def dataset_of(folder: Path) -> Dataset:
    """Store the true boxes of made-up scenes with images of noise."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (24, 3, 92, 96)).astype(np.uint8)
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(24)], "group": [f"g{i // 2}" for i in range(24)]})
    facts = image_facts(task="boxes", outputs=NAMES, channels=["r", "g", "b"], dtype="uint8")
    return stored(Raw(examples, x.__getitem__, SCENES[1].__getitem__, facts), folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "cells"
    dataset = dataset_of(folder)
    rows, found = dataset.rows("val", "test"), {}
    about = dataset.examples.iloc[rows][["id", "split"]].reset_index(drop=True)
    for number, run in enumerate(RUNS):
        path = folder / "runs" / run / "predictions"
        path.mkdir(parents=True)
        shift = np.float32([0, 0, 0, number, 0, number])
        Ragged.write(path / "probability.npy", [SCENES[0][i] + shift for i in rows], np.float32)
        about.to_csv(path / "examples.tsv", sep="\t", index=False)
        found[run] = Ragged(path / "probability.npy"), about
    with array_archive(folder / "decided.npz") as keep:
        tables = evaluate(dataset, found, dict.fromkeys(RUNS, POSTPROCESS), Metrics(resamples=20), 1, keep=keep)
    for name, table in zip(("metrics", "metrics_per_example", "matches"), tables, strict=True):
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    for run in RUNS:
        write_model(folder, run, versions={"biocnn": "0.1.0"}, postprocess=POSTPROCESS)
    return folder


@pytest.fixture(scope="module")
def page(results: Path) -> str:
    settings = experiment("CentreNet", data="BoxedImages", augment="default", train=Train(patch=[64, 64]))
    with coarse():
        write_report(results, settings, results / "report.html", results / "figures")
    return re.sub("</?abbr[^>]*>", "", (results / "report.html").read_text(encoding="utf-8"))


def test_the_page_has_a_table_of_classes_and_every_figure(results: Path, page: str) -> None:
    for name in ("examples", "augmentation", "curves", "predictions", "confusion", "agreement", "thumbnail"):
        assert (results / "figures" / f"{name}.png").stat().st_size > 500
    first = page.split('<p class="verdict">')[1].split("</p>")[0]
    assert first.strip().startswith("Test AP50 = .")
    assert "AP50:95 = ." in first
    table = page.split("Each class on the test split (ensemble)")[1].split("</table>")[0]
    assert "round &amp; red" in table
    runs = page.split("Performance by")[1].split("</table>")[0]
    assert "round &amp; red" not in runs, "classes have a table of their own"
    assert "count error" in runs
    assert "model.detect(...)" in page
    assert "Objects as points" in page


def test_the_methods_name_no_loss_of_a_setting(page: str) -> None:
    assert "was trained to minimize its own loss, with AdamW" in page


def test_the_page_counts_what_the_judge_counts(results: Path, page: str) -> None:
    held = held_out(Results(results))
    numbers = pd.read_csv(results / "figures" / "confusion.tsv", sep="\t", index_col=0)
    matches = pd.read_csv(results / "matches.tsv", sep="\t", dtype=str).query("run == 'ensemble' and split == 'test'")
    kinds = matches["kind"].value_counts()
    assert np.trace(numbers.to_numpy()[:3, :3]) == kinds["matched"] > 10
    assert numbers["missed"].sum() == kinds["missed"]
    assert numbers.loc["no object"].sum() == kinds["false"] + kinds["doubled"]
    assert numbers.iloc[:3].to_numpy().sum() == sum((boxes[:, 0] >= 0).sum() for boxes in held.truth)


def test_augmented_patches_have_their_own_boxes(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path)
    x, y = preview(dataset, chosen({"name": "flip"}), [48, 56], n=4, m=3)
    assert x.shape == (4, 4, 3, 48, 56)
    for row in y:
        assert len({len(boxes) for boxes in row}) == 1, "flips neither cut nor add boxes"
        sizes = [np.sort((boxes[:, 3:] - boxes[:, 1:3]).prod(axis=1)) for boxes in row]
        np.testing.assert_allclose(sizes, sizes[:1] * 4)
    assert len({len(row[0]) for row in y}) > 1


TRUTH = np.float32([[0, 0, 0, 10, 10], [1, 20, 20, 30, 30], [1, 40, 0, 60, 20], [-1, 70, 70, 90, 90]])
DECIDED = np.float32(
    [
        [0, 0.9, 0, 0, 10, 10],  # matched
        [0, 0.8, 0, 1, 10, 10],  # doubled
        [0, 0.7, 20, 20, 30, 30],  # confused
        [1, 0.6, 72, 72, 80, 80],  # ignored
        [1, 0.5, 0, 60, 10, 70],  # false
    ]
)


def test_confusion_and_sizes_by_hand() -> None:
    held = Held([TRUTH], [DECIDED], [DECIDED])
    #                                              found as 0, 1, missed
    np.testing.assert_array_equal(confused(held, 2), [[1, 0, 0], [1, 0, 1], [1, 1, 0]])
    sizes, hits = sizes_and_hits(held)
    assert sizes.tolist() == [10, 10, 20]
    assert hits.tolist() == [True, False, False]


def test_boxes_have_the_colour_of_their_fate() -> None:
    figure = Figure()
    column = figure.subplots(2)
    BoxPanels(["a", "b"]).draw(column, Example(np.zeros((1, 96, 96), np.uint8), TRUTH, DECIDED))
    found = {tuple(line.get_colors()[0][:3]): line.get_segments() for line in column[1].collections}
    corners = {"matched": (0, 0), "missed": (40, 0), "false": (0, 60), "confused": (20, 20), "doubled": (0, 1)}
    for kind, (row, column) in corners.items():
        (box,) = found[to_rgb(KINDS[kind][0])]
        assert box.min(axis=0).tolist() == [column - 0.5, row - 0.5], kind
    assert len({style for _, style in KINDS.values()}) >= 4, "kinds also differ in their lines"


def test_the_area_under_the_precision_recall_curve_is_ap50() -> None:
    found, truth = scenes(8, images=60, steps=1000)
    for matched in match_detections(found, truth, 3, (0.5,)):
        recall, precision = precision_recall(matched)
        area = np.trapezoid(precision, recall)
        assert area == pytest.approx(average_precision(np.ones((1, 60)), matched)[0, 0], abs=0.02)


def test_wilson_intervals_include_shares_of_0_and_1() -> None:
    """Values of statsmodels.stats.proportion.proportion_confint(method="wilson")."""
    np.testing.assert_allclose(wilson(0, 10), (0, 0.277533), atol=1e-5)
    np.testing.assert_allclose(wilson(7, 20), (0.181192, 0.567146), atol=1e-5)
