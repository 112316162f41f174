"""The overview of several experiments."""

import math
from html.parser import HTMLParser

import pandas as pd
import pytest
from simulated_results import undrawn, write_images, write_sequences

from biocnn.report import write_report, write_summary


@pytest.fixture(scope="module")
def overview(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    for name, make in (("reb1 & co", write_sequences), ("nuclei", write_images)):
        experiment = make(root / name)
        with undrawn():
            write_report(root / name, experiment, root / name / "report.html", root / name / "figures")
    (root / "unborn").mkdir()
    (root / "reb1 & co" / "benchmarks").mkdir()
    for step, seconds in (("check", 2.5), ("train", 10)):
        (root / "reb1 & co" / "benchmarks" / f"{step}.tsv").write_text(f"s\th:m:s\n{seconds}\t0:00:10\n")
    for name, text in (("earlier/experiment.json", "{}"), ("other/notes.txt", "")):
        (root / name).parent.mkdir()
        (root / name).write_text(text)
    write_summary(
        [root / "nuclei", root / "reb1 & co", root / "unborn"],
        root / "summary.tsv",
        root / "index.html",
        root / "runs.tsv",
    )
    return root


def test_the_table_has_a_row_for_each_experiment_and_metric_in_order(overview):
    table = pd.read_csv(overview / "summary.tsv", sep="\t")
    first = table.drop_duplicates("experiment")
    assert first["experiment"].tolist() == ["nuclei", "reb1 & co", "unborn", "earlier"]
    assert first["state"].tolist() == ["done", "done", "not started", "unfinished"]
    assert first["date"].str.match(r"20\d\d-\d\d-\d\d \d\d:\d\d$").tolist() == [True, True, False, True]
    assert first["examples"].tolist() == [18, 600, 0, 0]
    assert first["seconds"].tolist() == pytest.approx([math.nan, 12.5, math.nan, math.nan], nan_ok=True)
    assert first["metric"].isna().tolist() == [False, False, True, True]
    assert not table.duplicated(["experiment", "metric"]).any()
    metrics = pd.read_csv(overview / "reb1 & co" / "metrics.tsv", sep="\t")
    chosen = metrics.query("run == 'ensemble' and split == 'test' and metric == 'auroc'").iloc[0]
    row = table[(table["experiment"] == "reb1 & co") & (table["metric"] == "auroc")].iloc[0]
    assert (row["value"], row["low"]) == pytest.approx((chosen["value"], chosen["low"]))
    assert (row["split"], row["run"], row["headline"], row["target_name"]) == ("test", "ensemble", True, "REB1")
    assert set(table[table["headline"] == True]["metric"]) >= {"auroc", "auprc", "average_precision_iou_0.5"}  # noqa: E712


def test_links_are_relative_and_point_to_reports(overview):
    links = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: links.append(dict(attributes)["href"]) if tag == "a" else None
    text = (overview / "index.html").read_text(encoding="utf-8")
    parser.feed(text)
    assert sorted(links) == ["nuclei/report.html", "reb1%20%26%20co/report.html", "runs.tsv", "summary.tsv"]
    assert "reb1 &amp; co" in text
    assert text.count("data:image/png;base64,") == 2
    assert text.count("<td>done</td>") == 2
    assert text.count("12 s</td>") == 1
    assert text.index("Sequences: classification") < text.index("Images: objects") < text.index("unborn")
