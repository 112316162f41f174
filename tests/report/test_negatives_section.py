"""The report states how the network does against other kinds of negatives, first of all if it does much worse."""

from pathlib import Path

import pandas as pd

from biocnn.config.registry import REGISTRY
from biocnn.evaluation.negatives import COLUMNS, LABELLED
from biocnn.report.blocks import Table, Text
from biocnn.report.headline import NEGATIVES, hardest, verdict
from biocnn.report.negatives import negatives
from biocnn.report.results import Results


def row(
    kind: str, value: float, own: bool = False, output: str = "a", model: str = "network", half: float = 0.01
) -> dict:
    numbers = {
        "metric": "auroc",
        "value": value,
        "low": value - half,
        "high": value + half,
        "positives": 100,
        "n": 1300,
    }
    return {"negatives": kind, "own": own, "output": output, "model": model, **numbers}


def results_of(folder: Path, *rows: dict) -> Results:
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "negatives.tsv", sep="\t", index=False)
    return Results(folder)


def test_all_kinds_have_names() -> None:
    assert set(NEGATIVES) == {*REGISTRY["negatives"], LABELLED}


def test_a_network_of_shuffling_artefacts_is_named_first(tmp_path: Path) -> None:
    rows = [row("dinucleotide_shuffled", 0.99, own=True), row("gc_matched", 0.71), row("flanking", 0.8)]
    results = results_of(tmp_path, *rows, row("gc_matched", 0.5, model="6-mers"))
    sentence = hardest(results)
    assert sentence == (
        "AUROC falls from .990 against dinucleotide shuffles, as in training, to .710 (95% CI .700–.720) against "
        "GC-matched windows."
    )
    assert verdict(results).startswith(sentence)
    text, table = negatives(results)
    assert isinstance(text, Text)
    assert sentence in text.words
    assert isinstance(table, Table)
    assert table.header == ["Kind of negatives", "Positives", "Negatives", "Network", "6-mers"]
    assert [cells[0] for cells in table.rows] == [
        "Dinucleotide shuffles (as in training)", "GC-matched windows", "Flanking windows",
    ]  # fmt: skip
    assert table.rows[1] == ["GC-matched windows", "100", "1,200", ".710\n.700–.720", ".500\n.490–.510"]


def test_a_small_or_unclear_difference_is_no_caution(tmp_path: Path) -> None:
    for value, half, words in (
        (0.92, 0.01, "falls from .990"),
        (0.8, 0.3, "not clearly lower"),
        (0.995, 0.01, "not cl"),
    ):
        results = results_of(tmp_path, row("random", 0.99, own=True), row("flanking", value, half=half))
        assert words in hardest(results)
        assert verdict(results) == ""


def test_the_output_with_the_largest_difference_is_named(tmp_path: Path) -> None:
    rows = [row("given", 0.9, own=True), row("random", 0.85), row("given", 0.8, own=True, output="b")]
    results = results_of(tmp_path, *rows, row("random", 0.6, output="b"))
    assert hardest(results).startswith("AUROC of b falls from .800 against given negatives")
    assert [cells[:2] for cells in negatives(results)[1].rows] == [
        ["a", "Given negatives (as in training)"], ["a", "Random windows"],
        ["b", "Given negatives (as in training)"], ["b", "Random windows"],
    ]  # fmt: skip


def test_no_other_negatives_no_words(tmp_path: Path) -> None:
    for results in (
        Results(tmp_path),
        results_of(tmp_path),
        results_of(tmp_path, row("mine:negatives", 0.9, own=True)),
    ):
        assert negatives(results) == []
        assert hardest(results) == ""
    results = results_of(tmp_path, row("mine:negatives", 0.9, own=True), row("random", 0.5))
    assert "against mine:negatives, as in training" in hardest(results)
