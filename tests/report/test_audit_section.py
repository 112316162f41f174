"""Reports if baselines are as good as the network, and on the reliability of its probabilities."""

import json
import math
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from simulated_results import RUNS, coarse, undrawn, write_model, write_sequences
from tiny import sequence_facts

from biocnn.evaluation import image_baselines
from biocnn.evaluation.audit import COLUMNS, NETWORK
from biocnn.evaluation.baselines import BASELINES
from biocnn.metrics import ece
from biocnn.report import headline, write_report
from biocnn.report.audit import audit, by_metric
from biocnn.report.figures import Gallery, style
from biocnn.report.headline import caution, comparison, verdict
from biocnn.report.results import Results
from biocnn.report.vectors import classification
from biocnn.tasks.temperature import without_temperature


def row(baseline="6-mers", output="a", metric="auroc", value=0.8, network=0.9, half=0.02, split="test"):
    """Return one comparison, with a symmetric interval of the difference."""
    apart = network - value
    numbers = {"low": value - 0.01, "high": value + 0.01, "mean_of_runs": network, "sd_of_runs": math.nan, "n": 500}
    numbers |= {"difference": apart, "difference_low": apart - half, "difference_high": apart + half}
    where = {"baseline": baseline, "output": output, "metric": metric, "split": split}
    return {**where, "value": value, "network": network, **numbers}


def results_of(folder, rows, task="binary"):
    (folder / "dataset").mkdir(parents=True)
    (folder / "dataset" / "facts.json").write_text(json.dumps(sequence_facts(task=task).plain()))
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "audit.tsv", sep="\t", index=False)
    return Results(folder)


def test_baselines_have_a_name_in_sentences():
    every = (BASELINES, image_baselines.OF_VALUES, image_baselines.BASELINES, image_baselines.OF_BAGS)
    assert {name for found in every for name in found} <= set(headline.BASELINES)


def test_a_network_that_wins_needs_no_caution(tmp_path):
    assert caution(results_of(tmp_path, [row(name) for name in BASELINES])) == ""
    assert caution(Results(tmp_path / "none")) == ""


def test_the_network_alone_needs_no_caution_but_is_shown(tmp_path):
    rows = [row(name, metric=metric) for name in BASELINES for metric in ("auroc", "auprc")]
    rows += [row(NETWORK, metric=metric, value=0.91, network=0.9) for metric in ("auroc", "auprc")]
    results = results_of(tmp_path, rows)
    assert caution(results) == ""
    section = audit(results, Gallery(tmp_path))
    assert NETWORK in str(section.blocks[1])
    assert NETWORK in str(section.blocks[-1])


def test_a_few_examples_are_not_compared(tmp_path):
    rows = [row(name) | {"n": 4} for name in BASELINES]
    assert caution(results_of(tmp_path, rows)) == "Too few examples (4) to compare the network with baselines."


def test_the_caution_starts_with_the_baseline_that_is_not_beaten(tmp_path):
    results = results_of(tmp_path, [row(), row(metric="auprc"), row("GC content", value=0.871, network=0.8683)])
    assert verdict(results).startswith(
        "The network does not outperform GC content alone: "
        "AUROC .868 versus .871 (difference −.003, 95% CI −.023 to .017)."
    )


def test_a_difference_that_may_be_due_to_chance_is_reported_with_all_metrics(tmp_path):
    rows = [row(value=0.89), row(metric="auprc", value=0.5, network=0.7), row(split="val", value=0.99)]
    assert caution(results_of(tmp_path, rows)) == (
        "The network is not clearly better than a 6-mer model: AUROC .900 versus .890 (difference .010, 95% CI "
        "−.010 to .030), AUPRC .700 versus .500 (difference .200, 95% CI .180 to .220)."
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.78, "beats a 6-mer model by .120 AUROC"),
        (0.89, "not clearly better than a 6-mer model (+.010 AUROC)"),
        (0.95, "does not beat a 6-mer model (−.050 AUROC)"),
    ],
)
def test_the_best_baseline_decides_the_comparison(tmp_path, value, words):
    rows = [row("GC content", value=0.5), row(value=value), row(metric="auprc", value=0.2), row(NETWORK, value=0.99)]
    results = results_of(tmp_path, rows)
    assert comparison(results) == words
    assert ("The network beats" in verdict(results)) == words.startswith("beats")


def test_the_output_with_the_smallest_gain_decides_the_comparison(tmp_path):
    rows = [row(output=name, metric="auprc", value=value) for name, value in (("a", 0.6), ("b", 0.7))]
    results = results_of(tmp_path, rows, "multilabel")
    assert comparison(results) == "beats a 6-mer model by .200 AUPRC, or more, for each of 2 outputs"
    assert comparison(Results(tmp_path / "none")) == ""


@pytest.mark.parametrize(("task", "metric", "name"), [("multilabel", "auprc", "AUPRC"), ("regression", "pearson", "r")])
def test_the_worst_of_several_outputs_is_named_and_the_others_counted(tmp_path, task, metric, name):
    rows = [
        row(output=output, metric=metric, value=value) for output, value in zip("abc", (0.95, 0.97, 0.5), strict=True)
    ]
    text = caution(results_of(tmp_path, rows, task))
    assert text.startswith("The network does not outperform a 6-mer model for b (2 of 3 outputs are affected): ")
    assert f"{name} .900 versus .970" in text


def test_without_resamples_only_the_values_count(tmp_path):
    rows = [row(), row("dinucleotides", value=0.95)]
    for one in rows:
        one["difference_low"] = one["difference_high"] = math.nan
        one["low"] = one["high"] = math.nan
    results = results_of(tmp_path, rows)
    assert caution(results) == (
        "The network does not outperform a dinucleotide model: AUROC .900 versus .950 (difference −.050)."
    )
    with undrawn():
        *_, table = audit(results, Gallery(tmp_path / "figures")).blocks
    assert [(cells[2], cells[-1]) for cells in table.rows] == [(".800", ".100"), (".950", "−.050")]


@pytest.fixture(scope="module", params=["binary", "multilabel", "regression"])
def page(request, tmp_path_factory):
    """Return a report with an audit and with runs that have temperatures."""
    folder, task = tmp_path_factory.mktemp("results") / request.param, request.param
    settings = write_sequences(folder, task)
    shutil.rmtree(folder / "explain")  # a separate chapter, which takes longest
    outputs = ["REB1"] if task == "binary" else ["one", "two", "three"]
    names = ("pearson", "spearman") if task == "regression" else ("auroc", "auprc")
    rows = [row(b, o, m, value=0.9) for o in outputs for m in names for b in BASELINES]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "audit.tsv", sep="\t", index=False)
    sizes = {"n": 50, "n_train": 100 if task == "regression" else 50}
    fitted = [
        {"baseline": b, "output": o, "features": 9, "strands": "both"} | sizes for b in BASELINES for o in outputs
    ]
    (folder / "baselines").mkdir()
    pd.DataFrame(fitted).to_csv(folder / "baselines" / "baselines.tsv", sep="\t", index=False)
    if task != "regression":
        for run in RUNS:
            write_model(folder, run, versions={"biocnn": "0.1.0"}, temperature=[1.8] * len(outputs))
    with coarse():
        write_report(folder, settings, folder / "report.html", folder / "figures")
    return folder, task, (folder / "report.html").read_text(encoding="utf-8")


def test_numbers_of_examples_that_are_no_metrics_are_not_compared(tmp_path):
    results = results_of(tmp_path, [row(), row(metric="true_count", value=8, network=8)])
    found = pd.DataFrame({"run": "r", "split": "test", "output": ["a"], "metric": "auroc", "over": "all", "value": 0.9})
    found.assign(low=0.8, high=1.0, n=500, unit="").to_csv(tmp_path / "metrics.tsv", sep="\t", index=False)
    with style():
        shown = audit(results, Gallery(tmp_path / "figures")).blocks
    [compared] = [block for block in shown if hasattr(block, "rows")]
    assert [cells[0] for cells in compared.rows] == ["AUROC"]


def test_a_baseline_without_one_metric_keeps_its_line_in_all_panels():
    rows = [row("GC content", metric="auroc"), row("6-mers", metric="auroc"), row("6-mers", metric="auprc")]
    with style():
        figure = by_metric(pd.DataFrame(rows).assign(gain_low=0.1))
        figure.draw_without_rendering()
    first, second, apart = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["GC content", "6-mers", "network"]
    assert [line.get_ydata()[0] for line in second.lines if line.get_marker() == "o"] == [1]
    assert apart.get_legend() is not None
    assert apart.title.get_window_extent().x1 <= figure.bbox.width


def test_the_chapter_compares_and_the_headline_states_it(page):
    folder, task, text = page
    assert '<section id="audit">' in text
    assert (folder / "figures" / "audit.png").stat().st_size > 1_000
    text = re.sub("</?abbr[^>]*>", "", text)
    first = text.split('<p class="verdict">')[1].split("</p>")[0]
    assert first.startswith("The network does not outperform GC content alone")
    assert ("of 3 outputs" in first) == (task != "binary")
    assert "k-mer and its reverse complement count as one" in text
    assert ("they were fitted on 50 of 100 training examples" in text) == (task == "regression")


def test_reliability_is_shown_before_and_after_calibration(page):
    folder, task, text = page
    assert (folder / "figures" / "reliability.png").exists() == (task != "regression")
    if task == "regression":
        return
    assert "1.80, mean of the runs" in text
    assert "mean of runs" in text
    results = Results(folder)
    before = [without_temperature(results.vectors(run, "test").to_numpy(), [1.8]) for run in RUNS]
    truth = results.examples.set_index("id").loc[results.vectors(RUNS[0], "test").index, "y_0"]
    assert 0 < ece(np.mean(before, axis=0)[:, 0], truth.to_numpy()) < 0.5


@pytest.mark.parametrize(("temperature", "shown"), [([1.8, 1.4, 1.2], "1.80, 1.40, 1.20,"), ([1.8], "(1.80, mean")])
def test_outputs_may_share_a_temperature(tmp_path, temperature, shown):
    write_sequences(tmp_path, "multilabel")
    for run in RUNS:
        write_model(tmp_path, run, temperature=temperature)
    pictures = classification(Results(tmp_path), Gallery(tmp_path / "figures"))
    assert shown in pictures[-1].caption
