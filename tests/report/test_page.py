"""The page of an experiment: complete, self-contained, escaped, and without empty chapters."""

import re
import shutil
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from page import Page
from simulated_results import RUNS, coarse, undrawn, write_images, write_model, write_sequences
from tiny import experiment

from biocnn.report import sections, write_report
from biocnn.report.figures import Gallery
from biocnn.report.page import render
from biocnn.report.results import Results

TASKS = [(write_sequences, task) for task in ("binary", "multilabel", "regression")]
TASKS += [(write_images, task) for task in ("instances", "mask", "classes")]
DRAWN = {"binary": coarse, "instances": nullcontext}  # other tests draw the figures of the other tasks


@pytest.fixture(scope="module", params=TASKS, ids=lambda pair: pair[1])
def report(request, tmp_path_factory):
    make, task = request.param
    folder = tmp_path_factory.mktemp("results") / f"my_{task}"
    settings = make(folder, task)
    with DRAWN.get(task, undrawn)():
        write_report(folder, settings, folder / "report.html", folder / "figures")
    return folder, settings, (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_is_complete_and_self_contained(report):
    folder, _, text = report
    page = Page(text)
    assert not {"link", "iframe", "object", "img"} & set(page.tags)
    assert page.tags.count("script") == 1
    assert not re.search(r"url\((?!#)|@import|src=", text)
    targets = [attributes["href"] for tag, attributes in page.attributes if tag == "a"]
    assert all(
        (folder / target).is_file() for target in targets if not target.startswith(("#", "../index.html", "figures/"))
    )
    assert {target[1:] for target in targets if target.startswith("#")} == {*page.headings()}
    assert page.tags.count("figcaption") == page.tags.count("figure") > 3
    assert page.tags.count("caption") == page.tags.count("table")
    assert len(text) < 5_000_000
    assert f"my_{folder.name[3:]}" in page.text


def test_every_figure_is_also_a_file(report):
    folder, _, text = report
    files = [path for path in (folder / "figures").rglob("*") if path.is_file()]
    names = {path.relative_to(folder / "figures").as_posix() for path in files}
    shown = {name for name in names if not name.startswith("motifs/")}  # each is linked in a table of at most 12
    assert all(f'href="figures/{name}"' in text for name in shown - {"thumbnail.png"})
    assert set(re.findall(r'href="figures/(motifs/[^"]+)"', text)) <= names
    assert {path.suffix for path in files} <= {".png", ".svg", ".meme"}
    assert "thumbnail.png" in names


def test_training_patches_are_shown_as_the_experiment_augments_them(report):
    _, settings, text = report
    assert ("gamma, noise. Outlines" in text) == (settings.data.name == "Images")
    assert ("figures/augmentation.png" in text) == (settings.data.name == "Images")


def test_text_from_files_is_escaped(report):
    text = report[2]
    assert "contig &lt;chrM&gt; is not listed" in text
    assert "<chrM>" not in text


def test_the_chapters_show_metrics_and_settings(report):
    folder, _, text = report
    page = Page(text)
    expected = ["performance", "explanation", "objects", "data", "training", "methods", "reproduce", "glossary"]
    assert page.headings() == [name for name in expected if name != "objects" or (folder / "apply").is_dir()]
    value = pd.read_csv(folder / "metrics.tsv", sep="\t").query("split == 'test'")["value"].iloc[0]
    assert f"{value:.3f}".lstrip("0") in page.text
    if folder.name[3:] in ("binary", "multilabel", "regression"):
        scale, other = ("value", "logit") if folder.name == "my_regression" else ("logit", "value")
        for caption in ("from the difference in {} between", "contribution to the {};", "change of the {} by each"):
            assert caption.format(scale) in page.text
            assert caption.format(other) not in page.text
    for words in ("lr: 0.001", "2.13.0", "abab", "biocnn run FILE.yaml --cores all", "abc1234", "1,234", "0.1.0"):
        assert words in page.text


def test_new_images_that_were_skipped_are_listed(report):
    folder, _, text = report
    assert ("d.tif: damaged TIFF" in Page(text).text) == (folder / "apply").is_dir()


def test_absent_results_leave_no_heading(tmp_path):
    folder = tmp_path / "partial"
    settings = write_sequences(folder)
    for name in ("explain", "runs"):
        shutil.rmtree(folder / name)
    (folder / "metrics.tsv").unlink()
    write_report(folder, settings, folder / "report.html", folder / "figures")
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.headings() == ["data", "reproduce", "glossary"]
    assert "figure" not in page.tags


def test_an_empty_folder_still_shows_the_settings(tmp_path):
    write_report(tmp_path / "none", experiment(), tmp_path / "report.html", tmp_path / "figures")
    assert Page((tmp_path / "report.html").read_text(encoding="utf-8")).headings() == ["reproduce", "glossary"]


@coarse()
def test_images_with_ignored_pixels_and_one_test_image(tmp_path):
    folder = tmp_path / "few"
    settings = write_images(folder, "mask", n=5)
    y = np.load(folder / "dataset" / "y.npy", mmap_mode="r+")
    y[::7] = 255
    y.flush()
    write_report(folder, settings, folder / "report.html", folder / "figures")
    assert (folder / "figures" / "predictions.png").is_file()


@undrawn()
def test_runs_left_over_from_earlier_settings_are_not_reported(tmp_path):
    folder = tmp_path / "seeds"
    settings = write_sequences(folder)
    shutil.copytree(folder / "runs" / "fold0-seed1", folder / "runs" / "fold0-seed99")
    write_report(folder, settings, folder / "report.html", folder / "figures")
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "seed2" in text
    assert "seed99" not in text


def test_unusual_trainings_are_reported(tmp_path):
    folder = tmp_path / "few"
    write_sequences(folder, "multilabel")
    numbers = {"train": "float32", "predict": "float32", "asked": "bfloat16", "reason": "it is slow there"}
    words = {"strands": "both", "share": [0.6, 1, 1], "metric": "val_auprc", "network": [0.8, 0.9, 0.9], "n": 9}
    words |= {"mixture": [0.85, 0.9, 0.9], "penalty": [0.1] * 3}
    more = {"stopped": "stopped by hand in epoch 3 of 24"}
    write_model(folder, RUNS[0], temperature=[1.3, 1.0, 0.1], precision=numbers, words=words, **more)
    blocks = sections.training(Results(folder), Gallery(tmp_path)).blocks
    tables = [block for block in blocks if block.kind == "table"]
    assert tables[-1].rows == [["fold0-seed1", "one", "40%", ".800", ".850"]]
    assert [block.words for block in blocks if block.kind == "text"] == [
        "fold0-seed1 was stopped by hand in epoch 3 of 24.",
        "fold0-seed1 was trained in float32, not in bfloat16 (train.precision): it is slow there.",
        "Temperature of fold0-seed1, two: 1.00, not fitted: the validation split lacks one or both classes.",
        "Temperature of fold0-seed1, three: .10, the lower bound of the search (0.1).",
    ]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@undrawn()
def test_an_output_without_a_metric_is_named_and_excluded_from_means(tmp_path):
    folder = tmp_path / "missing"
    settings = write_sequences(folder, "multilabel")
    examples = pd.read_csv(folder / "dataset" / "examples.tsv", sep="\t")
    examples.loc[examples["split"] == "test", "y_1"] = 0.0
    examples.loc[::7, "y_2"] = np.nan
    examples.to_csv(folder / "dataset" / "examples.tsv", sep="\t", index=False)
    table = pd.read_csv(folder / "metrics.tsv", sep="\t")
    table.loc[(table["output"] == "two") & (table["split"] == "test"), ["value", "low", "high"]] = np.nan
    table.to_csv(folder / "metrics.tsv", sep="\t", index=False)
    write_report(folder, settings, folder / "report.html", folder / "figures")
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert "No value for two: only one class, or no known label, in this split." in text
    known = table.query("split == 'test' and run == 'ensemble' and metric == 'auroc' and output != 'two'")["value"]
    assert f"AUROC = {known.mean():.3f}".replace("0.", ".") in text


@undrawn()
def test_a_scan_is_summarised_and_its_highest_peaks_are_shown(tmp_path):
    folder = tmp_path / "scanned"
    settings = write_sequences(folder)
    (folder / "scan").mkdir()
    rows = [
        ("scan", "read", "windows of 101 bp, every 10 bp", 1500, ""),
        ("scan", "dropped", "more than 50% unknown bases", 7, ""),
        ("scan", "note", "sites of REB1 expected", 3, ""),
    ]
    columns = ["source", "outcome", "reason", "count", "example"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "scan" / "counts.tsv", sep="\t", index=False)
    peaks = "chrI\t100\t210\tREB1-2\t700\t.\t0.7\t-1\t0.30103\t50\nchrI\t900\t1001\tREB1-1\t990\t.\t0.99\t-1\t1\t9\n"
    (folder / "scan" / "peaks.narrowPeak").write_text(peaks)
    write_report(folder, settings, folder / "report.html", folder / "figures")
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    words = "1,500 windows of 101 bp, every 10 bp; 7 excluded (more than 50% unknown bases); 3 sites of REB1 expected."
    assert words in text
    assert "1 chrI:910 101 .990 .90 2 chrI:151 110 .700 .50" in text


@pytest.mark.parametrize("report", TASKS[:1], ids=["binary"], indirect=True)
def test_a_second_report_has_the_same_bytes_and_a_failure_does_not_change_them(report, monkeypatch):
    folder, settings, _ = report
    before = contents(folder)
    with coarse():
        write_report(folder, settings, folder / "report.html", folder / "figures")
    assert contents(folder) == before

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("biocnn.report.page.render", full)
    with undrawn(), pytest.raises(OSError, match="No space"):
        write_report(folder, settings, folder / "report.html", folder / "figures")
    assert contents(folder) == before


def test_templates_name_what_is_missing():
    with pytest.raises(Exception, match="'sections' is undefined"):
        render("page.html.j2")
