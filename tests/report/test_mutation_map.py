"""Mutation maps: letters and cells show the numbers, a variant is framed, and long sequences are cropped around it."""

import re
from html import escape

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle

from biocnn.report.figures import Gallery
from biocnn.report.headline import number
from biocnn.report.mutation_map import hints, importance, mutation_maps, shown


def example(length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes, change = rng.integers(0, 4, length).astype(np.uint8), rng.normal(size=(4, length))
    change[codes, np.arange(length)] = 0
    return codes, change


def test_importance_of_a_linear_model_is_its_weight_against_the_mean_of_the_others() -> None:
    codes, _ = example(12)
    weight = np.random.default_rng(1).normal(size=(4, 12))
    there = weight[codes, np.arange(12)]
    others = (weight.sum(axis=0) - there) / 3
    np.testing.assert_allclose(importance(weight - there), there - others)


def test_cells_show_the_changes_and_the_variant_is_framed() -> None:
    codes, change = example(30)
    figure = mutation_maps([codes], [change], [""], "ACGT", "logit", [7])
    cells = figure.axes[1]
    (mesh,) = [c for c in cells.collections if isinstance(c, QuadMesh)]
    np.testing.assert_allclose(np.ma.getdata(mesh.get_array()), change)
    assert mesh.norm(0.0) == 0.5
    assert [label.get_text() for label in cells.get_yticklabels()] == list("ACGT")
    (frame,) = [patch for patch in cells.patches if isinstance(patch, Rectangle)]
    assert (frame.get_x(), frame.get_width()) == (6.5, 1)
    dots = next(c for c in cells.collections if not isinstance(c, QuadMesh)).get_offsets()
    np.testing.assert_array_equal(dots[:, 1], codes)


@pytest.mark.parametrize(("mark", "first"), [(0, 0), (150, 95), (399, 290)])
def test_long_sequences_are_cropped_around_the_variant(mark: int, first: int) -> None:
    codes, change = example(400)
    assert shown(codes, change, mark) == (first, first + 110)


def test_without_a_variant_the_segment_of_largest_change_is_shown_without_padding() -> None:
    codes, change = example(400)
    change[:, 210:240] *= 50
    first, last = shown(codes, change, None)
    assert first <= 210
    assert last >= 240
    codes[60:] = 5
    assert shown(codes, change, None) == (0, 60)


def test_unknown_bases_and_flat_sequences_are_drawn() -> None:
    codes, change = example(20)
    codes[3:5] = 4
    figure = mutation_maps([codes, codes], [change, 0 * change], ["one", "two"], "ACGU", "log rate")
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]
    assert {"one", "two"} <= set(titles)
    assert "Change of\nthe log rate" in {axes.get_ylabel() for axes in figure.axes}


def test_cells_of_the_page_have_words_in_their_place(tmp_path) -> None:
    codes, change = example(12)
    codes[5] = 4
    figure = mutation_maps([codes], [change], [""], "ACGU", "logit")
    words = hints([codes], [change], "ACGU", [("chr2", 99, 111, "-")])
    page = Gallery(tmp_path).add("map", figure, "alt", "caption", hints=words).source
    cells = re.findall(r'<path d="M([\d.]+) ([\d.]+)h([\d.]+)[^"]+" fill="(#\w+)"><title>([^<]+)</title></path>', page)
    assert [escape(word) for word in words["map-0"]] == [title for *_, title in cells]
    assert len(starts := {x for x, *_ in cells}) == 12
    assert len(starts & {f"{float(x) + float(width):.2f}" for x, _, width, *_ in cells}) == 11, "there are no gaps"
    assert len({y for _, y, *_ in cells}) == 4
    assert words["map-0"][0].startswith(f"chr2:111 (−) {'ACGU'[codes[0]]}")
    assert words["map-0"][11].startswith("chr2:100 (−)")
    assert words["map-0"][2 * 12 + 5] == f"chr2:106 (−) N>G {number(change[2, 5])}"
    assert hints([codes], [change], "ACGU", [None])["map-0"][3].startswith("position 4 ")
    reddest = max(range(48), key=lambda i: change.flat[i])
    assert int(cells[reddest][3][1:3], 16) > int(cells[reddest][3][5:7], 16), "increases are red"
    assert "<title>" not in (tmp_path / "map.svg").read_text()
