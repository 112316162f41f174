"""Reports on outputs of several kinds: an overview, and the chapters of each part as if it were alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_results import undrawn, write_model
from test_multiclass_report import RUNS, predicted
from tiny import several, stored

from biocnn.evaluation.audit import audit_stored
from biocnn.evaluation.baselines import write_baselines
from biocnn.report import write_report, write_summary
from biocnn.report.headline import caution, verdict
from biocnn.report.page import tiles
from biocnn.report.results import Results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of four outputs, of which the number is predicted badly."""
    folder = tmp_path_factory.mktemp("results") / "cells"
    dataset = stored(several(120), folder)

    def make(row: int, rng: np.random.Generator) -> np.ndarray:
        y = np.nan_to_num(dataset.y[row], nan=0.5)
        p = np.exp(rng.normal(0, 1, 8) + 4 * y)
        value = rng.uniform(1, 9)
        return np.array([*p[:3] / p[:3].sum(), p[3] / (p[3] + 4), *p[4:7] / p[4:7].sum(), value, value - 3, value + 3])

    settings = predicted(dataset, folder, make)
    channels = 7
    trained = {"model": {"name": "ResNet"}, "train": {"size": [16, 16], "fit": "stretch"}}
    facts = dataset.task.facts_with(None)
    for run in RUNS:
        write_model(folder, run, experiment=trained, facts=facts, temperature=[1.5, 1.5, 1.5, 2, 1.2, 1.2, 1])
        assert facts.out_channels == channels
    (folder / "baselines").mkdir()
    write_baselines(dataset.folder, settings, folder / "baselines")
    audit_stored(dataset, [folder / "runs" / run for run in RUNS], folder / "baselines", 20, 1).to_csv(
        folder / "audit.tsv", sep="\t", index=False
    )
    (folder / "apply").mkdir()
    described = [dataset.task.describe(make(row, np.random.default_rng(row))[None]) for row in range(6)]
    images = pd.DataFrame({"image": [f"{k}.png" for k in range(6)], "path": "x", "skipped": np.nan})
    pd.concat([images, pd.DataFrame(described)], axis=1).to_csv(folder / "apply" / "predictions.csv", index=False)
    with undrawn():
        write_report(folder, settings, folder / "report.html", folder / "figures")
    return folder


def test_each_part_has_its_own_chapters(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    for words in (
        "What one network predicts", "kind: performance", "kind: shortcuts", "stage: performance",
        "At most one grade off", "size: performance", "size known", "Output kind.", "Predicted grades.",
        "figures/kind/confusion.tsv", "figures/stage/confusion.tsv", "minimize the mean of the losses of its outputs",
    ):  # fmt: skip
        assert words in text, words
    assert (folder / "figures/kind/confusion.tsv").is_file()


def test_a_part_sees_only_its_own_metrics_examples_and_temperatures(folder: Path) -> None:
    whole = Results(folder)
    kind, _, stage, size = whole.parts
    assert kind.outputs == ["a", "b", "c"]
    assert set(size.metrics["output"]) == {"size"}
    assert len(kind.examples) == (np.arange(120) % 7 > 0).sum()
    assert [name for name in stage.examples if name.startswith("y_")] == ["y_0", "y_1", "y_2"]
    assert set(stage.vectors(RUNS[0], "test").index) <= set(stage.examples["id"])
    assert size.vectors(RUNS[0], "test").shape[1] == 3
    temperatures = [part.metadata(RUNS[0]).temperature for part in whole.parts]
    assert temperatures == [[1.5], [2], [1.2], []]


def test_the_headline_has_a_number_for_each_part_and_names_those_that_fail(folder: Path, tmp_path: Path) -> None:
    whole = Results(folder)
    assert [tile["name"] for tile in tiles(whole)] == [
        "accuracy of kind", "AUROC of lit", "quadratic κ of stage", "mean absolute error of size",
    ]  # fmt: skip
    assert "size" in caution(whole)
    assert "accuracy of kind = " in verdict(whole)
    write_summary([folder], tmp_path / "summary.tsv", tmp_path / "index.html", tmp_path / "runs.tsv")
    values = pd.read_csv(tmp_path / "summary.tsv", sep="\t").set_index("metric")["value"]
    assert values["auroc of lit"] > 0.5
    assert "quadratic\u00a0κ of stage" in (tmp_path / "index.html").read_text()
