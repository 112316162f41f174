"""Reports on numbers and grades of images: agreement with intervals, residuals, baselines, best and worst images."""

from pathlib import Path

import numpy as np
import pytest
from simulated_results import coarse
from test_headline import write_metrics
from test_multiclass_report import RUNS, predicted
from tiny import labelled, stored, valued

from biocnn.config.settings import Settings
from biocnn.evaluation.audit import audit_stored
from biocnn.evaluation.baselines import write_baselines
from biocnn.report import write_report
from biocnn.report.figures import Gallery
from biocnn.report.headline import verdict
from biocnn.report.performance import performance
from biocnn.report.results import Results
from biocnn.tasks.conformal import conformal_margin

GRADES = ["none", "mild", "moderate", "severe"]


def of_values(folder: Path, n: int = 60, noise: float = 0.3) -> Settings:
    """Write results of numbers, predicted with an error, and return their settings."""
    dataset = stored(valued(n), folder, val=0.3, test=0.3)

    def make(row: int, rng: np.random.Generator) -> np.ndarray:
        value = np.nan_to_num(dataset.y[row], nan=5.0) + rng.normal(0, noise, 2)
        return np.concatenate([value, value - 2 * noise, value + 2 * noise])

    settings = predicted(dataset, folder, make)
    (folder / "baselines").mkdir()
    write_baselines(dataset.folder, settings, folder / "baselines")
    audit = audit_stored(dataset, [folder / "runs" / run for run in RUNS], folder / "baselines", 20, 1)
    audit.to_csv(folder / "audit.tsv", sep="\t", index=False)
    return settings


def page(folder: Path, settings: Settings) -> str:
    write_report(folder, settings, folder / "report.html", folder / "figures")
    return (folder / "report.html").read_text(encoding="utf-8")


def of_grades(folder: Path, n: int = 72) -> Settings:
    """Write results of grades, often one grade off, and return their settings."""
    dataset = stored(labelled(n, classes=GRADES, task="ordinal"), folder)

    def make(row: int, rng: np.random.Generator) -> np.ndarray:
        p = np.exp(-np.abs(np.arange(4) - dataset.y[row].argmax() - rng.normal(0, 0.7)))
        return p / p.sum()

    return predicted(dataset, folder, make)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def test_numbers_are_shown_with_intervals_errors_and_baselines(folder: Path) -> None:
    with coarse():
        text = page(folder / "numbers", of_values(folder / "numbers"))
    for words in (
        "intervals that are to contain 90% of measured values", "mean absolute error", "coverage of 90% intervals",
        "smallest and the largest errors of bright", "brightness", "constant",
    ):  # fmt: skip
        assert words in text, words
    assert (folder / "numbers/figures/agreement.png").is_file()
    assert verdict(Results(folder / "numbers")).startswith("Test R² = "), "better than all baselines"


def test_missing_values_and_intervals_have_their_own_reasons(tmp_path: Path) -> None:
    rows = [("a", "test", "size", "coverage90", "all", "", "", "", 0), ("a", "test", "age", "r2", "all", "", "", "", 1)]
    results = write_metrics(tmp_path / "few", rows, task="regression", outputs=["size", "age"])
    (results.folder / "dataset/examples.tsv").write_text("id\tsplit\tgroup\na\ttest\tg\nb\ttest\th\n")
    caption = performance(results, Gallery(tmp_path / "figures")).blocks[0].caption
    assert "There are no confidence intervals, because the split has fewer than five loci" in caption
    assert "No 90% intervals for size: fewer than 9 validation examples with a known value." in caption
    assert "No value for age: no known values in this split, or all the same." in caption
    assert conformal_margin([1.0] * 8) is None
    assert conformal_margin([1.0] * 9) == 1


def test_a_report_begins_with_a_network_that_is_no_better_than_brightness(tmp_path: Path) -> None:
    of_values(tmp_path / "numbers", noise=4)
    first = verdict(Results(tmp_path / "numbers"))
    assert first.startswith("The network does not outperform a l"), first
    assert "for bright (" in first
    assert "R²" in first


def test_grades_are_shown_in_their_order_with_the_distance_of_errors(folder: Path) -> None:
    with coarse():
        text = page(folder / "grades", of_grades(folder / "grades"))
    for words in ("At most one grade off", "quadratic κ", "True against predicted grades", "Grade"):
        assert words in text, words
    places = [text.index(f">{name}<") for name in GRADES]
    assert places == sorted(places)
    assert "Reliability" not in text
