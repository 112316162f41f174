"""Numbers in readable form, and the sentence that summarises an experiment."""

import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest
from tiny import sequence_facts

from biocnn.report.headline import (
    best_rows,
    headline,
    interval,
    metric_name,
    number,
    probability,
    rival,
    threshold,
    top_motif,
    verdict,
)
from biocnn.report.results import Results


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9534, ".953"), (-0.1, "−.100"), (1, "1.000"), (12.34, "12.3"), (1234.5, "1,234"), (math.nan, "–"), (None, "–")],
)
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.31e-8, "1.3 × 10⁻⁸"), (-0.0004, "−.0004"), (4.7841, "4.78"), (0.0005, ".001"), (0.0, ".000")]
)
def test_small_numbers_are_not_written_as_zero(value, text):
    """An error of 1e-8 in the unit of the targets is not 0."""
    assert number(value).replace("\u00a0", " ") == text


def test_baselines_with_covariates_are_named_in_sentences():
    assert rival("intensities + covariates") == "a linear model of intensities with covariates"
    assert rival("covariates") == "a linear model of covariates"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, ".012"), (2.13e-12, "2.1 × 10⁻¹²"), (0.0, "< 10⁻³⁰⁰"), (math.nan, "–")]
)
def test_p_values(value, text):
    assert probability(value).replace("\u00a0", " ") == text


def test_unknown_intervals_are_omitted():
    assert interval(0.94, 0.96) == ".940–.960"
    assert interval(math.nan, 0.96) == ""


def test_thresholds_are_read_from_metric_names():
    assert threshold("average_precision_iou_0.5") == 0.5
    assert threshold("average_precision_iou") is None
    assert metric_name("average_precision_iou_0.5") == "AP at IoU .5"
    assert metric_name("hausdorff95") == "HD95"


def write_metrics(folder, rows, **facts):
    lines = ["run\tsplit\toutput\tmetric\tover\tvalue\tlow\thigh\tn", *("\t".join(map(str, row)) for row in rows)]
    folder.mkdir(parents=True)
    (folder / "metrics.tsv").write_text("\n".join(lines) + "\n")
    (folder / "dataset").mkdir()
    (folder / "dataset" / "facts.json").write_text(json.dumps(sequence_facts(**facts).plain()))
    return Results(folder)


def test_the_headline_is_that_of_the_ensemble_on_the_test_split(tmp_path):
    rows = [
        ("fold0-seed1", "test", "CTCF", "auroc", "all", 0.90, 0.88, 0.92, 50),
        ("ensemble", "val", "CTCF", "auroc", "all", 0.99, 0.98, 1.0, 50),
        ("ensemble", "test", "CTCF", "auroc", "all", 0.953, 0.94, 0.96, 50),
        ("ensemble", "test", "CTCF", "accuracy", "all", 0.9, "", "", 50),
    ]
    results = write_metrics(tmp_path / "ctcf", rows)
    assert headline(results)["metric"].tolist() == ["auroc"]
    assert verdict(results).replace("\u00a0", " ") == "Test AUROC = .953 (95% CI .940–.960)."


def test_several_runs_or_outputs_without_ensemble_are_averaged_and_have_no_interval(tmp_path):
    rows = [(run, "val", "x", "auroc", "all", value, 0.1, 0.2, 9) for run, value in (("a", 0.8), ("b", 0.9))]
    results = write_metrics(tmp_path / "two", rows)
    row = headline(results).iloc[0]
    assert row["value"] == pytest.approx(0.85)
    assert row["run"] == "mean of 2"
    assert math.isnan(row["low"])
    assert verdict(results) == "Validation AUROC = .850."


@pytest.mark.parametrize(("number", "main"), [(9, ["mae"]), (10, ["pearson", "spearman"])])
def test_errors_replace_correlations_of_few_examples(tmp_path, number, main):
    metrics = ("pearson", "spearman", "mse", "mae")
    rows = [("a", "test", "size", metric, "all", 0.5, "", "", number) for metric in metrics]
    assert headline(write_metrics(tmp_path / "few", rows, task="regression"))["metric"].tolist() == main


def test_errors_in_several_units_are_not_averaged(tmp_path):
    pairs = [("area", 184), ("share", 0.04)]
    metrics = ("pearson", "mae")
    rows = [("a", "test", name, metric, "all", value, "", "", 8) for name, value in pairs for metric in metrics]
    results = write_metrics(tmp_path / "cells", rows, task="regression", outputs=["area", "share"])
    found = headline(results)
    assert dict(zip(found["metric"], found["value"], strict=True)) == {"mae of area": 184, "mae of share": 0.04}
    assert "mean absolute error of area = 184, mean absolute error of share = .040" in verdict(results)


def test_errors_of_a_part_replace_its_correlations_alone(monkeypatch):
    metrics = ["auroc of bound", "r2 of size", "mae of size", "mae of age"]
    rows = pd.DataFrame({"metric": metrics, "part": ["bound", "size", "size", "age"], "n": 9})
    monkeypatch.setattr("biocnn.report.headline.best_rows", lambda results: rows)
    found = headline(SimpleNamespace(headline=("auroc of bound", "r2 of size")))
    assert found["metric"].tolist() == ["auroc of bound", "mae of size"]


def test_objects_of_which_none_was_found_are_the_first_sentence(tmp_path):
    rows = [("a", "test", "objects", "average_precision_iou_0.5", "pooled", 0.0, "", "", 9)]
    results = write_metrics(tmp_path / "cells", rows, spatial_dims=2, task="instances")
    (results.folder / "matches.tsv").write_text("run\tsplit\tkind\na\tval\tmatched\na\ttest\tmissed\n")
    assert verdict(results) == "The network found no object in the test images. Test AP at IoU .5 = .000 pooled."


def test_without_results_there_is_no_sentence(tmp_path):
    assert verdict(Results(tmp_path)) == ""


def test_an_output_that_is_unknown_in_the_whole_split_has_no_headline(tmp_path):
    results = write_metrics(tmp_path / "bare", [("a", "test", "size", "mae", "all", "", "", "", 0)])
    assert best_rows(results)["metric"].tolist() == []


def test_the_first_similar_motif_is_named(tmp_path):
    (tmp_path / "explain").mkdir()
    table = "motif\trank\ttarget_name\tp_value\tq_value\tsimilarity\nk0\t1\tFOX\t.02\t.6\t.9\n"
    table += "flat\t1\tCTCF\t1e-9\t1e-7\t.3\nk1\t2\tREB1\t1e-9\t1e-7\t.8\nk2\t3\tCTCF\t1e-12\t1e-9\t.9\n"
    (tmp_path / "explain" / "matches.tsv").write_text(table)
    assert top_motif(Results(tmp_path))["motif"] == "k1"
    (tmp_path / "explain" / "matches.tsv").write_text(table.replace("1e-7", ".3").replace("1e-9", ".4"))
    assert top_motif(Results(tmp_path)) is None
