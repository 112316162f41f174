"""Names of outputs, examples and contigs: any text, long or short."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from page import Page
from simulated_results import coarse, write_images, write_sequences

from biocnn.report import write_report
from biocnn.report.blocks import short, wrapped
from biocnn.report.drawing import as_svg as SVG

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


def test_long_names_are_shortened_if_they_would_overlap():
    assert short("well_01", 14) == "well_01"
    assert short("a0afead3b4fe393f", 9) == "a0af…393f"
    assert short("hippocampus_173", 10) == "hippo…_173"
    assert short(7, 3) == "7"
    assert wrapped("immature granulocyte (true)", 21) == "immature granulocyte\n(true)"
