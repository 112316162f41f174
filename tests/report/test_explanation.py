"""The chapter on explanation: motifs, their matches and places."""

import numpy as np
import pandas as pd
from matplotlib.text import Text
from page import Page
from simulated_results import undrawn, write_sequences

from biocnn.io.meme import read_meme
from biocnn.report import write_report
from biocnn.report.blocks import Picture
from biocnn.report.explanation import explanation
from biocnn.report.figures import Gallery
from biocnn.report.results import Results


@undrawn()
def test_without_its_database_only_logos_are_missing(tmp_path):
    folder = tmp_path / "moved"
    settings = write_sequences(folder)
    (folder / "database.meme").unlink()
    write_report(folder, settings, folder / "report.html", folder / "figures")
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert "REB1" in text
    assert "last column" not in text


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
def test_the_absence_of_motifs_is_stated(tmp_path):
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
    assert [row[2].split("\n")[0] for row in kernels.rows] == ["REB1", *["no\u00a0match"] * 6]
    assert kernels.rows[1][1].svg.count("<g fill") <= 4
    names = {path.name for path in (tmp_path / "figures" / "motifs").iterdir()}
    assert names == {f"{name}.{kind}" for name in ("seqlets1", "kernel0", *(f"kernel{i}" for i in range(2, 8)))
                     for kind in ("svg", "meme")}  # fmt: skip
    every = read_meme(results.folder / "explain" / "motifs.meme")
    (alone,) = read_meme(tmp_path / "figures" / "motifs" / "kernel3.meme").values()
    np.testing.assert_array_equal(alone.pfm, every["kernel3"].pfm)
    assert alone.nsites == every["kernel3"].nsites


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
