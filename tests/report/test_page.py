"""The page of an experiment: complete, self-contained, escaped, and without empty chapters."""

import json
import re
import shutil
from contextlib import nullcontext
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from simulated_results import RUNS, coarse, undrawn, write_images, write_model, write_sequences
from tiny import experiment

from biocnn.io.meme import read_meme
from biocnn.report import sections, write_report
from biocnn.report.blocks import Picture, short, wrapped
from biocnn.report.drawing import as_svg as SVG
from biocnn.report.explanation import explanation
from biocnn.report.figures import Gallery
from biocnn.report.page import render
from biocnn.report.results import Results

INLINE = {"a", "abbr"}
VOID = {"meta", "img", "br", "link", "hr", "input"}
TASKS = [(write_sequences, task) for task in ("binary", "multilabel", "regression")]
TASKS += [(write_images, task) for task in ("instances", "mask", "classes")]
DRAWN = {"binary": coarse, "instances": nullcontext}  # other tests draw the figures of the other tasks


class Page(HTMLParser):
    """Collects the content of a page, and checks that its elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.words += [" "] * (tag not in INLINE)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.words += [" "] * (tag not in INLINE)

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def headings(self):
        return [attributes["id"] for tag, attributes in self.attributes if tag == "section"]


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


ODD = ["$\\frac$_^{ %s{}\\", "$\nb\t\x00Ωμ\u4e2d\u05d0é", "x" * 300]


class Odd(dict):
    """Maps each new name to one of the odd endings, in turn."""

    def __missing__(self, name):
        self[name] = ODD[len(self) % len(ODD)]
        return self[name]

    def id(self, name):
        """Return an odd id without NUL, because it names arrays in an archive."""
        return f"{name}{self[name]}".replace("\x00", "")


def renamed(path, odd):
    """Append odd text to all names of outputs, examples, groups and contigs in a table or in facts.json."""
    if path.suffix == ".tsv":
        frame = pd.read_csv(path, sep="\t", keep_default_na=False)
        for column in {"output", "id", "chrom", "target_name"} & set(frame.columns):
            end = {"id": odd.id, "target_name": lambda name: f"{name}{' '.join(odd[name].split())}"}.get(
                column, lambda name: f"{name}{odd[name]}"
            )
            frame[column] = [end(str(value)) if value else value for value in frame[column]]
        frame.to_csv(path, sep="\t", index=False)
    elif path.suffix == ".npz":
        with np.load(path) as stored:
            values = dict(stored)
        values |= {key: np.array([odd.id(v) for v in values[key]]) for key in ("id",) if key in values}
        if path.name == "decided.npz":  # arrays are named id.split
            parts = {key: key.rsplit(".", 1) for key in values}
            values = {f"{odd.id(parts[key][0])}.{parts[key][1]}": array for key, array in values.items()}
        np.savez(path, **values)
    else:
        facts = json.loads(path.read_text())
        facts["outputs"] = [f"{name}{odd[name]}" for name in facts["outputs"]]
        path.write_text(json.dumps(facts))


@pytest.mark.parametrize(("make", "task"), [(write_sequences, "multilabel"), (write_images, "classes")])
def test_names_from_data_are_plain_text_in_figures(tmp_path, make, task, monkeypatch):
    drawn, odd = [], Odd()
    monkeypatch.setattr("biocnn.report.figures.as_svg", lambda figure, *how: drawn.append(figure) or SVG(figure, *how))
    folder = tmp_path / "odd"
    settings = make(folder, task)
    archives = [*folder.glob("explain/[acgm]*.npz"), *folder.glob("decided.npz")]
    for path in [folder / "dataset/facts.json", *folder.rglob("*.tsv"), *archives]:
        renamed(path, odd)
    with coarse():
        write_report(folder, settings, folder / "report.html", folder / "figures")
    Page((folder / "report.html").read_text(encoding="utf-8"))
    words = [text.get_text() for figure in drawn for text in figure.findobj(Text)]
    for ending in ODD:
        assert any(short(ending, 80)[:4] in text for text in words), "the unchanged names must be in some figure"
    assert max(len(line) for text in words for line in text.split("\n")) < 130


def test_the_chapters_show_metrics_and_settings(report):
    folder, _, text = report
    page = Page(text)
    expected = ["performance", "explanation", "objects", "data", "training", "methods", "reproduce", "glossary"]
    assert page.headings() == [name for name in expected if name != "objects" or (folder / "apply").is_dir()]
    value = pd.read_csv(folder / "metrics.tsv", sep="\t")["value"].iloc[0]
    assert f"{value:.3f}".lstrip("0") in page.text
    if folder.name[3:] in ("binary", "multilabel", "regression"):
        scale, other = ("value", "logit") if folder.name == "my_regression" else ("logit", "value")
        for caption in ("from the difference in {} between", "contribution to the {};", "change of the {} by each"):
            assert caption.format(scale) in page.text
            assert caption.format(other) not in page.text
    for words in ("lr: 0.001", "2.13.0", "abab", "snakemake --cores all", "abc1234", "1,234", "0.1.0"):
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
    write_model(folder, RUNS[0], temperature=[1.3, 1.0, 0.1], precision=numbers, words=words)
    blocks = sections.training(Results(folder), Gallery(tmp_path)).blocks
    tables = [block for block in blocks if block.kind == "table"]
    assert tables[-1].rows == [["fold0-seed1", "one", "40%", ".800", ".850"]]
    assert [block.words for block in blocks if block.kind == "text"] == [
        "fold0-seed1 was trained in float32, not in bfloat16 (train.precision): it is slow there.",
        "Temperature of fold0-seed1, two: 1.00, not fitted: the validation split lacks one or both classes.",
        "Temperature of fold0-seed1, three: .10, the lower bound of the search (0.1).",
    ]


@undrawn()
def test_without_its_database_only_logos_are_missing(tmp_path):
    folder = tmp_path / "moved"
    settings = write_sequences(folder)
    (folder / "database.meme").unlink()
    write_report(folder, settings, folder / "report.html", folder / "figures")
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert "REB1" in text
    assert "last column" not in text


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@undrawn()
def test_motifs_that_were_compared_with_nothing_are_reported(tmp_path):
    folder = tmp_path / "alone"
    settings = write_sequences(folder)
    for path in (folder / "explain").glob("*matches.tsv"):
        found = pd.read_csv(path, sep="\t")
        found.assign(**dict.fromkeys(found.loc[:, "target_id":"q_value"], np.nan)).to_csv(path, sep="\t", index=False)
    write_report(folder, settings, folder / "report.html", folder / "figures")
    assert "explanation" in Page((folder / "report.html").read_text(encoding="utf-8")).headings()


@undrawn()
def test_without_motifs_the_report_says_so(tmp_path):
    folder = tmp_path / "few"
    settings = write_sequences(folder)
    for path in (folder / "explain").glob("*matches.tsv"):
        pd.read_csv(path, sep="\t").iloc[:0].to_csv(path, sep="\t", index=False)
    (folder / "explain" / "similar_motifs.tsv").write_text("motif\ttarget_id\ttarget_name\n")
    counts = [("explain", "dropped", "kernels with fewer than 10 sites", 16, "")]
    columns = ["source", "outcome", "reason", "count", "example"]
    pd.DataFrame(counts, columns=columns).to_csv(folder / "explain" / "counts.tsv", sep="\t", index=False)
    write_report(folder, settings, folder / "report.html", folder / "figures")
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert "no motif and no seqlet. Excluded: kernels with fewer than 10 sites (16)." in text


def test_motifs_are_shown_with_their_output_and_only_in_examples_of_it(tmp_path, monkeypatch):
    drawn = {}

    def add(self, name, figure, alt, caption, hints=None):
        drawn[name] = figure, hints
        return Picture(name, "", alt, caption, 900)

    monkeypatch.setattr(Gallery, "add", add)
    settings = write_sequences(tmp_path / "several", "multilabel")
    results = Results(tmp_path / "several")
    archive = dict(np.load(results.folder / "explain" / "attributions.npz"))
    output = np.arange(len(archive["id"])) % 2
    np.savez(results.folder / "explain" / "attributions.npz", **archive | {"output": output})
    blocks = explanation(results, settings, Gallery(tmp_path)).blocks
    words = {name: [text.get_text() for text in figure.findobj(Text)] for name, (figure, _) in drawn.items()}
    labelled = ((archive["target"][:, 0] > 0.5) & (output == 0))[:6].sum()
    assert [word.startswith("seqlets1 (REB1)") for word in words["attributions"]].count(True) == labelled > 0
    assert "one: seqlets1, 812 sites" in words["seqlet_motifs"]
    header = next(block for block in blocks if block.kind == "table").header
    assert header[:5] == ["Motif", "Logo", "Best match", "q", "Output"]


def test_places_are_those_of_the_genome_in_views_and_mutation_maps(tmp_path, monkeypatch):
    drawn = {}

    def add(self, name, figure, alt, caption, hints=None):
        drawn[name] = figure, hints, caption
        return Picture(name, "", alt, caption, 900)

    monkeypatch.setattr(Gallery, "add", add)
    settings = write_sequences(tmp_path / "one")
    results = Results(tmp_path / "one")
    section = explanation(results, settings, Gallery(tmp_path))
    codes = np.load(results.folder / "explain" / "attributions.npz")["codes"].astype(int)
    (first, forward), (second, backward) = zip([560, 561], codes[:2], strict=True)
    letters = ["ACGT"[code] for code in (forward[0], backward[0])]
    maps = drawn["mutation_maps"][1]
    starts = [maps[name][row * 101] for name, code in (("map-0", forward), ("map-1", backward)) for row in [code[0]]]
    assert starts == [f"chrIV:{500 * first + 1:,} {letters[0]}", f"chrIV:{500 * second + 101:,} (−) {letters[1]}"]
    assert all(f" {letters[0]}>" in maps["map-0"][row * 101] for row in range(4) if row != forward[0])
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in drawn["genome_view"][0].axes]
    assert titles[::2] == [f"chrIV:{500 * i + 1:,}–{500 * i + 101:,}" for i in (first, second)]
    targets = np.load(results.folder / "explain" / "attributions.npz")["target"][:, 0] > 0.5
    positives = targets.sum()
    assert (
        f"0 of the {40 - positives} negatives and in {positives} of the {positives} positives" in drawn["mistakes"][2]
    )
    listed = next(block for block in section.blocks if block.kind == "table" and "browsers" in block.caption)
    assert listed.rows == [["explain/predictions.bed", "predictions", "40", "3 more have no genome coordinates"]]


def test_motifs_are_drawn_above_their_match_and_written_as_files(tmp_path):
    settings = write_sequences(tmp_path / "one")
    results = Results(tmp_path / "one")
    with undrawn():
        blocks = explanation(results, settings, Gallery(tmp_path / "figures")).blocks
    seqlets, kernels = (block for block in blocks if block.kind == "table" and "Logo" in block.header)
    logo = seqlets.rows[0][1]
    assert logo.links == [("SVG", "figures/motifs/seqlets1.svg"), ("MEME", "figures/motifs/seqlets1.meme")]
    assert 'aria-label="Logo of seqlets1 above REB1"' in logo.svg
    assert kernels.rows[0][0] == "kernel0\nand 1 similar; like seqlets1"
    assert [row[2].split("\n")[0] for row in kernels.rows] == ["REB1", *["no match"] * 6]
    assert kernels.rows[1][1].svg.count("<g fill") <= 4
    names = {path.name for path in (tmp_path / "figures" / "motifs").iterdir()}
    assert names == {f"{name}.{kind}" for name in ("seqlets1", "kernel0", *(f"kernel{i}" for i in range(2, 8)))
                     for kind in ("svg", "meme")}  # fmt: skip
    every = read_meme(results.folder / "explain" / "motifs.meme")
    (alone,) = read_meme(tmp_path / "figures" / "motifs" / "kernel3.meme").values()
    np.testing.assert_array_equal(alone.pfm, every["kernel3"].pfm)
    assert alone.nsites == every["kernel3"].nsites


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
    assert "No value, because the split has only one class or no known value: two." in text
    known = table.query("split == 'test' and run == 'ensemble' and metric == 'auroc' and output != 'two'")["value"]
    assert f"AUROC = {known.mean():.3f}".replace("0.", ".") in text


@undrawn()
def test_a_scan_is_summarised_and_its_highest_peaks_are_shown(tmp_path):
    folder = tmp_path / "scanned"
    settings = write_sequences(folder)
    (folder / "scan").mkdir()
    rows = [
        ("scan", "read", "windows of 101 bp, every 10 bp", 1500, ""),
        ("scan", "note", "sites of REB1 expected", 3, ""),
    ]
    columns = ["source", "outcome", "reason", "count", "example"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "scan" / "counts.tsv", sep="\t", index=False)
    peaks = "chrI\t100\t210\tREB1-2\t700\t.\t0.7\t-1\t0.30103\t50\nchrI\t900\t1001\tREB1-1\t990\t.\t0.99\t-1\t1\t9\n"
    (folder / "scan" / "peaks.narrowPeak").write_text(peaks)
    write_report(folder, settings, folder / "report.html", folder / "figures")
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert "1,500 windows of 101 bp, every 10 bp; 3 sites of REB1 expected." in text
    assert "1 chrI:910 101 .990 .90 2 chrI:151 110 .700 .50" in text


@undrawn()
def test_names_of_digits_and_NA_stay_names(tmp_path):
    folder = tmp_path / "digits"
    settings = write_sequences(folder)
    for path in (folder / "explain").glob("*matches.tsv"):
        found = pd.read_csv(path, sep="\t").assign(target_id="0363", target_name="NA")
        found.to_csv(path, sep="\t", index=False)
    write_report(folder, settings, folder / "report.html", folder / "figures")
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert "best motif matches NA" in text
    assert "NA 0363" in text


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


def test_long_names_are_shortened_if_they_would_overlap():
    assert short("well_01", 14) == "well_01"
    assert short("a0afead3b4fe393f", 9) == "a0af…393f"
    assert short("hippocampus_173", 10) == "hippo…_173"
    assert short(7, 3) == "7"
    assert wrapped("immature granulocyte (true)", 21) == "immature granulocyte\n(true)"
