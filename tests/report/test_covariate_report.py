"""The report tells values of covariates, differences between splits, and what is lost by shuffling each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import accompanied, labelled, stored

from biocnn.report.covariates import covariates, shifts
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


def test_chance_differences_between_splits_are_no_warning(tmp_path: Path) -> None:
    assert list(shifts(stored(accompanied(labelled(60)), tmp_path))) == []


def test_there_is_no_section_without_covariates(tmp_path: Path) -> None:
    stored(labelled(), tmp_path)
    assert covariates(Results(tmp_path), Gallery(tmp_path)).blocks == []
