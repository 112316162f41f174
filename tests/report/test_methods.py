"""The paragraph of methods, and the drawing of the network."""

import re

import pandas as pd
import pytest
from simulated_results import RUNS, write_images, write_model, write_sequences
from torch import nn

from biocnn.config.registry import REGISTRY
from biocnn.models import UNet
from biocnn.nn.summary import summary
from biocnn.report.citations import REFERENCES, Citations
from biocnn.report.figures import Gallery, style
from biocnn.report.methods import LOSSES, methods
from biocnn.report.network import figure_of, stages
from biocnn.report.results import Results


def text_of(folder, settings):
    [quote] = methods(Results(folder), settings, Gallery(folder / "figures")).blocks
    return " ".join(quote.paragraphs), quote.references


def test_methods_are_those_that_were_used(tmp_path):
    settings = write_sequences(tmp_path / "reb1")
    write_model(tmp_path / "reb1", RUNS[1], stopped="stopped by hand in epoch 3 of 24")
    text, references = text_of(tmp_path / "reb1", settings)
    assert "The training of fold0-seed2 was stopped by hand in epoch 3 of 24." in text
    assert "600 sequences of 101 bp" in text
    assert "(300 / 100 / 200;" in text
    assert "AdamW [" in text
    assert "PyTorch 2.13.0 [" in text
    cited = list(dict.fromkeys(map(int, re.findall(r"\[(\d+)\]", text))))
    assert cited == list(range(1, len(references) + 1)), "numbers are in the order of the text"
    assert not any("Grad-CAM" in reference for reference in references)
    assert "Tomtom" in text


def test_motifs_that_were_compared_with_nothing_cite_no_comparison(tmp_path):
    settings = write_sequences(tmp_path / "reb1")
    for path in (tmp_path / "reb1" / "explain").glob("*matches.tsv"):
        pd.read_csv(path, sep="\t").assign(target_id=None).to_csv(path, sep="\t", index=False)
    text, _ = text_of(tmp_path / "reb1", settings)
    assert "Tomtom" not in text


def test_activation_maps_of_images_are_cited(tmp_path):
    text, references = text_of(tmp_path / "cells", write_images(tmp_path / "cells"))
    assert "Grad-CAM [" in text
    assert "DeepLIFT" not in text
    assert any(reference.endswith(REFERENCES["cam"]) for reference in references)


def test_without_runs_there_is_no_section(tmp_path):
    settings = write_sequences(tmp_path / "reb1")
    assert not methods(Results(tmp_path / "none"), settings, Gallery(tmp_path / "figures")).blocks


def test_every_loss_is_named_in_words():
    assert {*REGISTRY["losses"]} == {*LOSSES}


def test_every_network_of_the_literature_is_cited():
    assert {*REGISTRY["models"]} - {*REFERENCES} == {"SlideNet"}


def test_a_reference_has_one_number():
    cite = Citations()
    assert [cite(key) for key in ("UNet", "adamw", "UNet", "MyNet", "BPNet", "DilatedResNet")] == [
        " [1]", " [2]", " [1]", "", " [3]", " [3]",
    ]  # fmt: skip
    assert [line.partition(" ")[0] for line in cite.listed] == ["1.", "2.", "3."]


@pytest.mark.parametrize(
    ("network", "size", "expected"),
    [
        (
            UNet(2, 1, 3, channels=[2, 4]),
            16,
            [
                ("stem", (2, 16, 16), set()),
                ("down", (4, 8, 8), {0}),
                ("up", (2, 16, 16), {0, 1}),  # with a skip connection
                ("head", (3, 16, 16), {2}),
            ],
        ),
        (nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU()), 10, [("0", (8, 8), set()), ("1", (8, 8), {0})]),
    ],
)
def test_the_stages_have_all_weights_the_shapes_of_their_last_layers_and_their_sources(network, size, expected):
    found = summary(network, size)
    joined = stages(found)
    assert [(stage.name, stage.shape, stage.sources) for stage in joined] == expected
    assert sum(stage.weights for stage in joined) == found.weights
    with style():
        words = [text.get_text() for axes in figure_of(joined, (1, 16, 16)).axes for text in axes.texts]
    assert " × ".join(map(str, expected[-1][1])) in words
