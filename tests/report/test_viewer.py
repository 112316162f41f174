"""New images in the report: pictures with outlines, and in a browser zoom, switches, and links with rows."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import needs_chromium, run_in_browser
from tiny import image_facts

from biocnn.apply.exports.shapes import box_shapes, object_shapes
from biocnn.apply.overlay import Picture, write_svg, write_thumbnail
from biocnn.prediction.images import InMemory
from biocnn.report.blocks import Files, Section, Text, Viewer
from biocnn.report.blocks import Picture as BlockPicture
from biocnn.report.figures import Gallery
from biocnn.report.glossary import Explainer
from biocnn.report.new_images import counts, objects, predictions
from biocnn.report.overlays import SHOWN
from biocnn.report.page import render
from biocnn.report.results import Results

NAMES = [f"plate_{'x' * 40}_{row}1.tif" for row in "ABCDEF"]  # equal where they are shortened
SCRIPT = """
const figure = document.querySelector("figure.viewer"), pictures = all(".pane svg", figure);
const view = () => pictures.map((picture) => picture.getAttribute("viewBox"));
const press = (label) => all("button", figure).find((one) => one.textContent === label).click();
const chosen = () => all(".chosen", figure).map((one) => one.querySelector("title, td").textContent);
const bar = figure.querySelector(".bar");
found.start = [view(), bar.textContent, parseFloat(bar.style.width), chosen(), figure.querySelector("details").open];
press("+");
found.larger = [view(), bar.textContent, parseFloat(bar.style.width)];
press("Whole");
found.whole = view();
const marks = figure.querySelector(".marks"), shown = () => getComputedStyle(marks).display !== "none";
found.marks = [shown()];
press("Hide outlines"); found.marks.push(shown());
press("Show outlines"); found.marks.push(shown());
const path = all("path", marks).find((one) => one.textContent === "cell 2");
const at = path.getBoundingClientRect();
found.hit = document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2) === path;
path.dispatchEvent(new MouseEvent("click", { bubbles: true }));
found.row = [chosen(), figure.querySelector("details").open];
all("tbody tr", figure)[0].click();
found.outline = [chosen(), view()];
press("Whole");
const [raw, drawn] = pictures.map((picture) => picture.getBoundingClientRect());
found.aligned = [raw.top === drawn.top, raw.width === drawn.width, raw.height === drawn.height, raw.width > 300];
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return results with six new images of 40 x 20 pixels, with 0 to 5 objects."""
    folder, rng = tmp_path_factory.mktemp("viewer"), np.random.default_rng(1)
    rows, images = [], []
    for n, name in enumerate(NAMES):
        labels = np.zeros((20, 40), np.int32)
        for k in range(n):
            labels[2 + 2 * k : 6 + 2 * k, 2 + 7 * k : 8 + 7 * k] = k + 1
        image = InMemory(rng.integers(0, 4000, (2, 20, 40)).astype(np.uint16))
        picture = Picture(image, [0.5, 0.5], "um", ["DAPI", "Actin"])
        shapes = object_shapes(labels, (0, 0), np.arange(1, n + 1), np.zeros(n, int), np.full(n, 0.9))
        path = folder / "apply/overlays" / f"new{n}.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_svg(picture, path, [(f"cell ({n})", "#F0E442")], shapes=shapes, colours=["#F0E442"], outputs=["cell"])
        images.append({"image": f"new{n}", "path": name, "class": "cell", "n_objects": n, "skipped": ""})
        rows += [
            {"image": f"new{n}", "path": name, "label": k + 1, "class": "cell", "area_um2": 6.0, "score": 0.9}
            for k in range(n)
        ]
    pd.DataFrame(images).to_csv(folder / "apply/images.csv", index=False)
    pd.DataFrame(rows).to_csv(folder / "apply/objects.csv", index=False)
    return Results(folder)


@pytest.fixture(scope="module")
def section(results: Results) -> Section:
    return objects(results, Gallery(results.folder / "figures"))


def test_a_few_images_are_shown_from_few_objects_to_many(section: Section) -> None:
    shown = [block for block in section.blocks if isinstance(block, Viewer)]
    assert [len(block.marks) for block in shown] == [0, 2, 3, 5]
    assert [block.name for block in shown] == [NAMES[i] for i in (0, 2, 3, 5)], "in full"
    (files,) = [block for block in section.blocks if isinstance(block, Files)]
    assert len(files.files) == len(NAMES) > SHOWN
    assert any("15 objects in 6 new images" in str(block) for block in section.blocks)


def test_a_viewer_explains_its_colours_and_size(section: Section) -> None:
    *_, last = [block for block in section.blocks if isinstance(block, Viewer)]
    assert last.key == [("DAPI", "#56B4E9"), ("Actin", "#F0E442"), ("cell (5)", "#F0E442")]
    assert (last.width, last.height, last.about) == (40, 20, "40 × 20 pixels")
    assert (last.field_width, last.bar, last.unit) == (20.0, 5.0, "µm")
    assert last.marks[1].name == last.rows[1][0] == "cell 2"
    assert last.marks[1].drawn == "M9 4h6v4h-6z"
    assert last.header == ["Object", "Area (µm²)", "Score"]


def test_large_images_are_reduced_for_the_page(tmp_path) -> None:
    picture = Picture(InMemory(np.random.default_rng(0).integers(0, 255, (3, 1000, 1700)).astype(np.uint8)))
    boxes = box_shapes(np.float32([[0, 0.5, 100, 170, 300, 510]]))
    write_svg(picture, tmp_path / "a.svg", [], shapes=boxes, colours=["#0072B2"], outputs=["cell"])
    text = (tmp_path / "a.svg").read_text()
    assert 'viewBox="0 0 800 471"' in text
    assert 'd="M80 47.1h160v94.2h-160z"' in text
    assert "image/jpeg" in text
    assert len(text) < 600_000


def test_counts_are_shown_as_colours(tmp_path) -> None:
    rng = np.random.default_rng(0)
    picture = Picture(InMemory(rng.integers(0, 255, (1, 20, 30)).astype(np.uint8)))
    (tmp_path / "apply/overlays").mkdir(parents=True)
    write_svg(picture, tmp_path / "apply/overlays/a.svg", [("cell: 3.0", "#0072B2")], over=picture.pixels)
    row = {"image": "a", "path": "a.tif", "class": "cell", "count": 3.0, "low": 2.0, "high": 4.0, "skipped": ""}
    pd.DataFrame([row]).to_csv(tmp_path / "apply/counts.csv", index=False)
    (shown,) = [block for block in counts(Results(tmp_path)).blocks if isinstance(block, Viewer)]
    assert shown.over.startswith("data:image/png")
    assert shown.rows == [["cell", "3.00", "2.00", "4.00"]]


@pytest.mark.parametrize("several", [True, False])
def test_the_least_and_the_most_certain_images_are_shown(several: bool, tmp_path) -> None:
    rng, rows = np.random.default_rng(0), []
    for i, name in enumerate(NAMES):
        write_thumbnail(InMemory(rng.integers(0, 255, (1, 20, 30)).astype(np.uint8)), tmp_path / "apply", f"new{i}")
        row = {"class": "a", "probability_a": 0.9 - 0.05 * i, "probability_b": 0.1 + 0.05 * i, "uncertainty": 0.1 * i}
        rows.append({"image": f"new{i}", "path": name, **(row if several else {"value_a": float(i)}), "skipped": ""})
    pd.DataFrame(rows).to_csv(tmp_path / "apply/predictions.csv", index=False)
    (tmp_path / "dataset").mkdir()
    facts = image_facts(task="multiclass" if several else "regression", outputs=["a", "b"] if several else ["a"])
    (tmp_path / "dataset/facts.json").write_text(json.dumps(facts.plain()))
    blocks = predictions(Results(tmp_path), Gallery(tmp_path / "figures")).blocks
    assert any(isinstance(block, BlockPicture) and block.name == "new_images" for block in blocks)
    drawn = (tmp_path / "figures/new_images.svg").read_text()
    for words in ("Least certain", "Most certain", "a .90") if several else ("Highest", "Lowest", "a 5.00"):
        assert words in drawn


@pytest.fixture(scope="module")
def found(results: Results, section: Section) -> dict:
    only = Section("objects", "Objects", [block for block in section.blocks if isinstance(block, Viewer)][-1:])
    page = {"title": "cells", "verdict": "", "tiles": [], "origin": "", "explain": Explainer(results.folder)}
    path = results.folder / "report.html"
    path.write_text(render("page.html.j2", **page, sections=[only]), encoding="utf-8")
    return run_in_browser(path, SCRIPT)


@needs_chromium
def test_no_script_of_the_viewer_fails(found: dict) -> None:
    assert "error" not in found, found
    assert found["aligned"] == [True] * 4


@needs_chromium
def test_both_pictures_zoom_with_their_scale_bar(found: dict) -> None:
    assert found["start"] == [["0 0 40 20"] * 2, "5 µm", 25, [], False]
    assert found["larger"] == [["10 5 20 10"] * 2, "2 µm", 20]
    assert found["whole"] == ["0 0 40 20"] * 2


@needs_chromium
def test_outlines_are_hidden_and_shown(found: dict) -> None:
    assert found["marks"] == [True, False, True]


@needs_chromium
def test_outlines_and_rows_choose_each_other(found: dict) -> None:
    assert found["hit"], "the inside of an outline answers to the pointer"
    assert found["row"] == [["cell 2", "cell 2"], True]
    names, (view, _) = found["outline"]
    assert names == ["cell 1", "cell 1"]
    x, y, width, height = map(float, view.split())
    assert x < 5 < x + width, "the object is in view"
    assert y < 4 < y + height
    assert width < 40


def test_pages_without_new_images_have_no_viewer_script(tmp_path) -> None:
    page = {"title": "cells", "verdict": "", "tiles": [], "origin": "", "explain": Explainer(tmp_path), "sections": []}
    text = render("page.html.j2", **page)
    assert not re.search("function viewer|[.]pane", text)


def test_new_images_without_objects_are_named(tmp_path: Path) -> None:
    (tmp_path / "apply").mkdir()
    (tmp_path / "apply" / "objects.csv").write_text("image,label,area,class\n")
    (tmp_path / "apply" / "images.csv").write_text("image,path,class,n_objects,notes,skipped\na,a.png,object,0,,\n")
    section = objects(Results(tmp_path), Gallery(tmp_path / "figures"))
    assert section.blocks[0] == Text("No objects were found in 1 new image.")
