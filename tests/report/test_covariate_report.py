"""The report shows values of covariates, differences between splits, and what is lost by shuffling each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tiny import accompanied, labelled, stored

from biocnn.report.covariates import _importance, covariates, shifts
from biocnn.report.figures import Gallery, style
from biocnn.report.results import Results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    raw = accompanied(labelled(60))
    raw.examples["split"] = ["train"] * 30 + ["val"] * 14 + ["test"] * 16
    dose = raw.examples["covariate_dose"] + np.where(raw.examples["split"] == "test", 40.0, 0)
    stored(replace(raw, examples=raw.examples.assign(covariate_dose=dose)), tmp_path, val=None, test=None)
    (tmp_path / "explain").mkdir()
    lost = {"covariate": ["dose", "cells"], "output": "all", "metric": "auroc", "value": 0.9, "shuffled": [0.6, 0.9]}
    table = pd.DataFrame(lost | {"sd": 0.01, "loss": [0.3, 0.0], "shuffles": 10})
    table.to_csv(tmp_path / "explain" / "covariates.tsv", sep="\t", index=False)
    return Results(tmp_path)


def test_values_shifts_and_losses_are_shown(results: Results, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    with style():
        values, warning, picture, losses = covariates(results, Gallery(tmp_path / "figures")).blocks
    assert [row[0] for row in values.rows] == ["dose", "", "cells", "", ""]
    assert [row[1] for row in values.rows] == ["mean ± s.d.", "missing", "hela", "k562", "u2os"]
    train = results.dataset.examples["covariate_dose"][:30]
    assert values.rows[0][2].startswith(f"{train.mean():.3g}"[:2])
    assert values.rows[1][2] == f"{train.isna().sum()} ({train.isna().mean():.1%})"
    assert warning.words.startswith("Warning: “dose” is higher in test by")
    assert "shuffled 10 times" in picture.caption
    assert losses.rows == [["dose", "AUROC", ".900", ".600", ".300"], ["cells", "AUROC", ".900", ".900", ".000"]]


def test_metrics_of_different_outputs_have_panels_of_their_own() -> None:
    outputs, metrics = ["type", "labels: a", "labels: b", "size", "age"], ["accuracy", "auroc", "auroc", "mae", "mae"]
    rows = [
        (c, o, m, k + 2 * i) for i, c in enumerate("xy") for k, (o, m) in enumerate(zip(outputs, metrics, strict=True))
    ]
    lost = pd.DataFrame(rows, columns=["covariate", "output", "metric", "loss"])
    blocks = _importance(lost.assign(value=1.0, shuffled=0.0, sd=0.1, shuffles=2), picture := Shown())
    assert [axes.get_xlabel() for axes in picture.figure.axes] == [
        "Loss of accuracy\nof type", "Loss of AUROC", "Loss of mean absolute error\nof size",
        "Loss of mean absolute error\nof age",
    ]  # fmt: skip
    assert [bar.get_width() for bar in picture.figure.axes[1].patches] == [3.5, 1.5]  # mean of a and b, y first
    assert "Loss of metrics" in picture.caption
    assert "mean over outputs where none is named" in picture.caption
    assert len(blocks[1].rows) == 10


class Shown:
    """Remembers the figure that is added."""

    def add(self, name: str, figure: Figure, alt: str, caption: str) -> None:
        self.figure, self.caption = figure, caption


def test_chance_differences_between_splits_are_no_warning(tmp_path: Path) -> None:
    assert list(shifts(stored(accompanied(labelled(60)), tmp_path))) == []


def test_there_is_no_section_without_covariates(tmp_path: Path) -> None:
    stored(labelled(), tmp_path)
    assert covariates(Results(tmp_path), Gallery(tmp_path)).blocks == []
