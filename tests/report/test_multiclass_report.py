"""Reports on classifiers of whole images: confusion, curves, calibration, and images with their predictions."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from simulated_results import coarse, undrawn, write_model
from sklearn.metrics import confusion_matrix
from tiny import experiment, labelled, stored

from biocnn.config.settings import Metrics, Settings
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.evaluation.evaluate import evaluate
from biocnn.io.ragged import Ragged
from biocnn.report import write_report
from biocnn.report.figures import Gallery
from biocnn.report.headline import number
from biocnn.report.image_gallery import best_and_worst
from biocnn.report.images import plane
from biocnn.report.multiclass import one_against_all
from biocnn.report.reliability import reliability
from biocnn.report.results import Results
from biocnn.report.vectors import held_out
from biocnn.tasks.temperature import classes_without_temperature

NAMES = ["round & smooth", "granular", "分葉核", "tiny"]
RUNS = ("fold0-seed1", "fold0-seed2")


def predicted(dataset: Dataset, folder: Path, make) -> Settings:
    """Write predictions ``make(row, rng)`` of two runs, and their metrics."""
    rows, found = dataset.rows("val", "test"), {}
    for seed, run in enumerate(RUNS):
        rng = np.random.default_rng(seed)
        path = folder / "runs" / run / "predictions"
        path.mkdir(parents=True)
        Ragged.write(path / "probability.npy", [make(i, rng) for i in rows], np.float32)
        about = dataset.examples.iloc[rows][["id", "split"]].reset_index(drop=True)
        about.to_csv(path / "examples.tsv", sep="\t", index=False)
        found[run] = Ragged(path / "probability.npy"), about
    table = evaluate(dataset, found, {}, Metrics(resamples=20), 1).metrics
    table.to_csv(folder / "metrics.tsv", sep="\t", index=False)
    return experiment("ResNet", data="LabelledImages", augment="default")


def some_classes(folder: Path, n: int = 240) -> tuple[Dataset, Settings]:
    dataset = stored(labelled(n, sizes=((16, 16), (20, 18)), classes=NAMES, channels=3), folder)

    def make(row: int, rng: np.random.Generator) -> np.ndarray:
        p = np.exp(rng.normal(0, 1, 4) + 1.5 * dataset.y[row])
        return p / p.sum()

    settings = predicted(dataset, folder, make)
    trained = {"model": {"name": "ResNet"}, "train": {"size": [16, 16], "fit": "stretch"}}
    for run in RUNS:
        write_model(folder, run, experiment=trained, versions={"biocnn": "0.1.0"}, temperature=[1.6])
    return dataset, settings


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> tuple[Path, Dataset, str]:
    folder = tmp_path_factory.mktemp("results") / "cells"
    dataset, settings = some_classes(folder)
    with coarse():
        write_report(folder, settings, folder / "report.html", folder / "figures")
    text = (folder / "report.html").read_text(encoding="utf-8")
    return folder, dataset, re.sub("</?abbr[^>]*>", "", text)


def test_the_page_has_a_table_of_classes_and_every_figure(page) -> None:
    folder, _, text = page
    for name in ("examples", "augmentation", "confusion", "curves", "reliability", "gallery"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 1_000
    assert "Each class on the test split (ensemble)" in text
    assert "round &amp; smooth" in text
    assert "of the likeliest class" in text
    assert "Training images as the network sees them" in text
    assert "Thick: mean of all classes. #1: 分葉核." in text, "the font of the figures has no such letters"


def test_the_first_line_is_of_all_classes_together(page) -> None:
    folder, _, text = page
    table = pd.read_csv(folder / "metrics.tsv", sep="\t")
    where = (table["run"] == "ensemble") & (table["split"] == "test") & (table["output"] == "all")
    value = table[where & (table["metric"] == "accuracy")]["value"].item()
    first = text.split('<p class="verdict">')[1].split("</p>")[0]
    assert first.strip().startswith(f"Test accuracy = {f'{value:.3f}'.removeprefix('0')} (95%")
    assert ", AUROC = ." in first
    runs = text.split("Performance by")[1].split("</table>")[0]
    assert "granular" not in runs, "classes have a table of their own"


def test_the_confusion_matrix_is_that_of_the_stored_predictions(page) -> None:
    folder, dataset, _ = page
    found = pd.read_csv(folder / "figures" / "confusion.tsv", sep="\t", index_col=0)
    assert list(found.index) == list(found.columns) == NAMES
    rows = np.concatenate([dataset.rows("val"), dataset.rows("test")])
    mean = np.mean(
        [
            Ragged(folder / "runs" / run / "predictions" / "probability.npy").stacked(np.arange(len(rows)))
            for run in RUNS
        ],
        axis=0,
    )
    about = pd.read_csv(folder / "runs" / RUNS[0] / "predictions" / "examples.tsv", sep="\t")
    test = (about["split"] == "test").to_numpy()
    y = np.stack([dataset.y[int(name[1:])] for name in about["id"][test]]).argmax(axis=1)
    np.testing.assert_array_equal(found.to_numpy(), confusion_matrix(y, mean[test].argmax(axis=1)))


@pytest.mark.parametrize(("sizes", "outputs"), [
    (((16, 16),), ["sick"]), (((6, 12, 12), (8, 10, 12)), ["sick"]), (((16, 16),), ["cyst", "scar"])
])  # fmt: skip
def test_labels_of_0_and_1_have_a_gallery_too(tmp_path: Path, sizes, outputs: list[str]) -> None:
    raw, k = labelled(48, sizes=sizes, classes=("a", "b")), len(outputs)
    told = {"task": "binary" if k == 1 else "multilabel", "outputs": outputs, "out_channels": k}
    dataset = stored(Raw(raw.examples, raw.x, raw.y[:, -k:], raw.facts.model_copy(update=told)), tmp_path)
    settings = predicted(dataset, tmp_path, lambda row, rng: np.clip(dataset.y[row] + rng.normal(0, 0.4, k), 0, 1))
    with undrawn():
        write_report(tmp_path, settings, tmp_path / "report.html", tmp_path / "figures")
    text = (tmp_path / "report.html").read_text()
    assert "Most surprising: wrong with the highest probability" in text
    assert ("Of volumes, the middle slice" in text) == (len(sizes[0]) == 3)


def test_the_gallery_shows_right_and_wrong_decisions_in_order(tmp_path: Path) -> None:
    dataset = stored(labelled(96, classes=NAMES), tmp_path)
    rows = dataset.rows("test")
    y = dataset.y.stacked(rows)
    p = np.random.default_rng(0).dirichlet(np.ones(4), len(rows)) + y / 3
    p /= p.sum(axis=1, keepdims=True)
    titles = []

    class Seen(Gallery):
        def add(self, name, figure, alt, caption, *, vector=True):
            titles.extend(axes.get_title(loc="left") for axes in figure.axes if axes.get_visible())

    mean, truth = (pd.DataFrame(values, index=dataset.examples["id"].iloc[rows]) for values in (p, y))
    best_and_worst(Results(tmp_path), Seen(tmp_path / "figures"), mean, truth)
    right, first = p.argmax(axis=1) == y.argmax(axis=1), p.max(axis=1)
    assert 0 < right.sum() < len(rows)
    best, wrong = np.flatnonzero(right)[first[right].argmax()], np.flatnonzero(~right)[first[~right].argmax()]
    name, surprise, true = NAMES[p[best].argmax()], NAMES[p[wrong].argmax()], NAMES[y[wrong].argmax()]
    assert titles[0] == f"{name} {number(first[best], 2)}"
    assert len({title.rsplit(" ", 1)[0] for title in titles[:4]}) == len(set(p.argmax(axis=1)[right])), (
        "each class once"
    )
    assert titles[12] == f"{surprise} {number(first[wrong], 2)}\ntrue: {true}"
    assert all("true: " in title for title in titles[12:])


@pytest.mark.parametrize(
    ("task", "cells", "why"),
    [
        ("multiclass", 5, "–: no example of the class, or, for precision, none predicted."),
        ("ordinal", 3, "–: no example of the grade."),
    ],
)
def test_a_class_without_test_images_has_no_values_and_a_reason(tmp_path: Path, task, cells, why) -> None:
    raw = labelled(60, classes=NAMES, task=task)
    split = np.repeat(["train", "val", "test"], 20)
    raw.examples["split"] = split
    raw.y[(split == "test") & (raw.y[:, 3] == 1)] = np.eye(4)[0]
    dataset = stored(raw, tmp_path)
    settings = predicted(dataset, tmp_path, lambda row, rng: rng.dirichlet(1 + 3 * dataset.y[row]))
    with undrawn():
        write_report(tmp_path, settings, tmp_path / "report.html", tmp_path / "figures")
    text = re.sub("</?abbr[^>]*>", "", (tmp_path / "report.html").read_text())
    first = text.split('<p class="verdict">')[1].split("</p>")[0]
    assert "Only 20 test images: other examples may give different numbers." in first
    assert "The test split has none of tiny." in first
    assert why in text
    row = text.split("<td>tiny</td>")[1] if "<td>tiny</td>" in text else text.split(">tiny</td>")[1]
    assert row.split("</tr>")[0].count(">–") >= cells - 1
    counts = pd.read_csv(tmp_path / "figures" / "confusion.tsv", sep="\t", index_col=0)
    assert counts.loc["tiny"].sum() == 0
    assert counts.to_numpy().sum() == 20


def test_calibration_is_of_the_likeliest_class(tmp_path: Path) -> None:
    some_classes(tmp_path)
    results = Results(tmp_path)
    with undrawn():
        (picture,) = reliability(results, Gallery(tmp_path / "figures"), *held_out(results))
    assert "temperature (1.60, mean of the runs)" in picture.caption


def test_the_mean_precision_is_that_of_alike_classes() -> None:
    """Precision falls from 1 to 1/2 at a recall of 1/2, where the curve has two points."""
    alike = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    mean = one_against_all({"a": alike, "b": alike}).axes[1].lines[-1]
    recall, precision = map(np.asarray, mean.get_data())
    assert (precision[recall < 0.5] == 1).all()
    assert precision[-2] == pytest.approx(2 / 3, abs=0.01)


def test_few_images_have_no_reliability_diagram(tmp_path: Path) -> None:
    some_classes(tmp_path, 48)
    results = Results(tmp_path)
    (text,) = reliability(results, Gallery(tmp_path / "figures"), *held_out(results))
    assert "too few for a reliability diagram" in text.words


def test_classes_without_temperature() -> None:
    z = np.random.default_rng(0).normal(0, 2, (9, 4))
    found = classes_without_temperature(softmax(z / 1.7, axis=1), [1.7])
    np.testing.assert_allclose(found, softmax(z, axis=1), rtol=1e-6)


def test_plane_of_a_volume() -> None:
    image = np.zeros((1, 5, 4, 4))
    assert plane(image[:, 0]) is not None
    image[0, 1, 2, 2] = 1
    assert plane(image)[0, 2, 2] == 1, "the middle slice is empty"
    image[0, 2, 0, 0] = 2
    assert plane(image)[0, 2, 2] == 0
    assert plane(image)[0, 0, 0] == 2
