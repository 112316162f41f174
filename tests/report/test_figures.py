"""Figures show the data correctly."""

import base64
import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from biocnn.report.curves import discrimination, precision_points, roc_points
from biocnn.report.drawing import as_svg, data_uri, for_page
from biocnn.report.figures import Gallery, new_figure, style
from biocnn.report.findings import trimmed
from biocnn.report.images import display, outline
from biocnn.report.motifs import busiest


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    target = rng.integers(2, size=20_000)
    return target, rng.normal(target, 1.0)


def test_a_thinned_roc_keeps_its_area(scores):
    false, true = roc_points(*scores)
    assert len(false) < 500
    assert auc(false, true) == pytest.approx(roc_auc_score(*scores), abs=2e-4)


def test_a_thinned_precision_curve_keeps_its_area_and_ends(scores):
    recall, precision = precision_points(*scores)
    assert len(recall) < 500
    assert (recall[0], recall[-1]) == (1, 0)
    assert auc(recall, precision) == pytest.approx(average_precision_score(*scores), abs=2e-3)


def test_an_image_on_another_covers_it_on_the_page():
    figure = new_figure(1, 1)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for alpha in (1, 0.5):
        axes.imshow(np.eye(2), cmap="gray", alpha=alpha)
    found = re.findall(r"data:image/png;base64,\s*([^\"]+)", as_svg(figure, 144, vector=False))
    for data in found:
        drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
        assert drawn[::-1][36::72, 36::72].tolist() == [[255, 0], [0, 255]]  # matplotlib stores images upside down
    assert found


@pytest.mark.parametrize("number", [1, 3, 9])
def test_of_many_curves_no_legend_is_drawn(scores, number):
    figure = discrimination({str(i): [scores] for i in range(number)}, "0")
    assert (figure.axes[0].get_legend() is not None) == (number == 3)


def test_the_outline_of_one_pixel_is_a_square_around_it():
    labels = np.zeros((3, 3), int)
    labels[1, 1] = 7
    segments = outline(labels)
    assert len(segments) == 4
    assert segments.min() == 0.5
    assert segments.max() == 1.5


def test_touching_objects_have_separate_outlines_of_long_lines():
    assert outline(np.array([[1, 2], [1, 2]])).tolist() == [[[0.5, -0.5], [0.5, 1.5]]]


@given(arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 3)))
def test_outlines_cover_all_edges_and_rotate_with_the_image(labels):
    segments = outline(labels)
    edges = sum(np.count_nonzero(np.diff(labels, axis=axis)) for axis in (0, 1))
    assert np.abs(segments[:, 0] - segments[:, 1]).sum() == edges
    turned = outline(labels.T)[..., ::-1]
    assert sorted(map(tuple, turned.reshape(-1, 4))) == sorted(map(tuple, segments.reshape(-1, 4)))


def test_colour_photographs_are_shown_unchanged():
    image = np.random.default_rng(0).integers(256, size=(3, 4, 5)).astype(np.uint8)
    np.testing.assert_allclose(display(image) * 255, np.moveaxis(image, 0, -1))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_other_images_are_stretched_to_the_display_range(channels):
    image = np.random.default_rng(0).normal(3000, 800, (channels, 20, 30)).astype(np.float32)
    shown = display(image)
    assert shown.shape == (20, 30, 3)
    assert 0 <= shown.min() < 0.2
    assert 0.8 < shown.max() <= 1
    np.testing.assert_allclose(shown, display(image * 4 + 16), atol=1e-4)


def test_constant_images_are_black():
    assert not display(np.full((1, 4, 4), 9, np.uint16)).any()


def test_the_chosen_segment_has_the_largest_attributions():
    codes = np.zeros(1000, np.uint8)
    values = np.zeros((4, 1000))
    values[0, 700:720] = 1
    values[1, 100:200] = 5  # for an absent base
    first, last = busiest(codes, values)
    assert last - first == 110
    assert first <= 700
    assert last >= 720
    codes[50:] = 5
    assert busiest(codes, values) == (0, 50)


def test_style_ends_with_its_context(tmp_path):
    before = dict(mpl.rcParams)
    with style():
        figure = new_figure(1.0, 2.0)
        figure.subplots().plot([1, 2])
        picture = Gallery(tmp_path).add("line", figure, "a line", "Rises.")
    assert dict(mpl.rcParams) == before
    assert picture.source.startswith("<svg ")
    assert (tmp_path / "line.svg").read_text().startswith("<?xml")
    assert (tmp_path / "line.png").read_bytes()[:4] == b"\x89PNG"


def test_a_figure_of_an_image_has_words_as_vectors_and_pixels_as_they_are(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(6, 8, 3)).astype(np.uint8)
    with style():
        figure = new_figure(1.0, 2.0)
        axes = figure.subplots()
        axes.set_title("Title")
        axes.imshow(pixels)
        axes.plot([1, 2], [1, 2])
        picture = Gallery(tmp_path).add("image", figure, "<an image>", "Shown.", vector=False)
    assert 'aria-label="&lt;an image&gt;"' in picture.source
    assert "data:image/webp;base64," in picture.source
    assert "var(--ink, #1F2328)" in picture.source, "words have the colour of the page"
    used = re.findall(r'href="#([^"]+)"', picture.source)
    assert used
    assert all(f' id="{name}"' in picture.source for name in used)


def test_images_in_a_page_are_compressed_without_loss():
    pixels = np.random.default_rng(0).integers(256, size=(6, 8, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    svg = f'<svg viewBox="0 0 1 1"><image href="{data_uri(buffer.getvalue(), "image/png")}"/></svg>'
    found = re.search(r"image/webp;base64,([^\"]+)", for_page(svg, "name", "", {}))[1]
    np.testing.assert_array_equal(Image.open(io.BytesIO(base64.b64decode(found))).convert("RGBA"), pixels)


def test_the_white_around_thumbnails_is_not_drawn():
    image, mask = np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8), np.uint8)
    image[:3, :5], mask[2, 4] = 7, 1
    found = trimmed(image, mask, np.zeros((0, 5)))
    assert (found.image == 7).all()
    assert found.image.shape[:2] == found.mask.shape == (3, 5)
    assert trimmed(np.full_like(image, 255), mask, np.zeros((0, 5))).image.size
