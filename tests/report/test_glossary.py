"""Explanations of words and columns."""

from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from biocnn.report.glossary import METRICS, Explainer, meaning
from biocnn.report.headline import NAMES, metric_name


def test_every_metric_is_explained_and_every_explanation_is_of_a_metric():
    assert all(meaning(name) for name in NAMES.values())
    assert {*NAMES.values()} <= {*METRICS}
    for column in ("AP at IoU .75", "Val. AUROC", "AUROC of stage", "RMSE (kb)", "Val. AUPRC (mixture)", "1 − AUROC"):
        assert meaning(column), column
    assert not meaning("peak height")
    assert metric_name("average_precision_iou_0.5").startswith("AP at IoU")


def test_words_are_explained_where_they_occur_first(tmp_path):
    explain = Explainer(tmp_path)
    assert explain.text("ECE & ECE").count("<abbr") == 1
    assert "&amp; ECE" in explain.text("ECE & ECE")
    assert "<abbr" not in explain.text("RECEIVED, ECEs")
    explain.header("Val. Dice")
    assert [word for word, _ in explain.glossary()] == ["Dice", "ECE"], "in print, names of columns explain nothing"


def test_no_line_break_divides_a_name_of_a_metric(tmp_path):
    explain = Explainer(tmp_path)
    assert explain.header("Pearson r within windows").endswith(">Pearson\u00a0r within windows</abbr>")
    assert explain.text("AP at IoU .5").endswith(">AP at IoU</abbr>\u00a0.5")
    assert "Cohen&#39;s\u00a0κ" in explain.text("Cohen's κ")
    assert "\u00a0" not in explain.text("An IoU of .5, quadratic programming")


def test_only_files_beside_the_page_are_linked(tmp_path):
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "peaks 1.bed").write_text("")
    (tmp_path / "scan" / "peaks.bed").write_text("")
    found = Explainer(tmp_path).text("In scan/peaks.bed, scan/lost.bed and /scan/peaks.bed.")
    assert found == 'In <a href="scan/peaks.bed">scan/peaks.bed</a>, scan/lost.bed and /scan/peaks.bed.'


@given(st.text() | st.lists(st.sampled_from(["ECE", " < ", "a.tsv", "&", "95% CI"])).map("".join))
def test_any_text_is_shown_as_it_is(text):
    shown = []
    parser = HTMLParser()
    parser.handle_data = shown.append
    parser.feed(f"<p>{Explainer(Path('nowhere')).text(text)}</p>")
    assert "".join(shown) == text
