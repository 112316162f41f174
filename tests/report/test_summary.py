"""The overview of several experiments."""

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
    for name, text in (("earlier/experiment.json", "{}"), ("other/notes.txt", "")):
        (root / name).parent.mkdir()
        (root / name).write_text(text)
    write_summary([root / "nuclei", root / "reb1 & co", root / "unborn"], root / "summary.tsv", root / "index.html")
    return root


def test_the_table_has_a_row_for_each_experiment_in_order(overview):
    table = pd.read_csv(overview / "summary.tsv", sep="\t")
    assert table["experiment"].tolist() == ["nuclei", "reb1 & co", "unborn", "earlier"]
    assert table["state"].tolist() == ["done", "done", "not started", "unfinished"]
    assert table["date"].str.match(r"20\d\d-\d\d-\d\d \d\d:\d\d$").tolist() == [True, True, False, True]
    assert table["examples"].tolist() == [18, 600, 0, 0]
    metrics = pd.read_csv(overview / "reb1 & co" / "metrics.tsv", sep="\t")
    chosen = metrics.query("run == 'ensemble' and split == 'test' and metric == 'auroc'").iloc[0]
    row = table.iloc[1]
    assert (row["auroc"], row["auroc_low"]) == pytest.approx((chosen["value"], chosen["low"]))
    assert row["target_name"] == "REB1"
    assert table["average_precision_iou_0.5"].notna().tolist() == [True, False, False, False]


def test_links_are_relative_and_point_to_reports(overview):
    links = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: links.append(dict(attributes)["href"]) if tag == "a" else None
    text = (overview / "index.html").read_text(encoding="utf-8")
    parser.feed(text)
    assert sorted(links) == ["nuclei/report.html", "reb1%20%26%20co/report.html"]
    assert "reb1 &amp; co" in text
    assert text.count("data:image/png;base64,") == 2
    assert text.count("· done ·") == 2
    assert text.index("Sequences: classification") < text.index("Images: objects") < text.index("unborn")
