"""The learning curve in the chapter on diagnosis."""

import pandas as pd
import pytest
from simulated_results import undrawn
from test_headline import write_metrics
from tiny import experiment

from biocnn.evaluation.learning_curve import Trend
from biocnn.report.blocks import Table, Text
from biocnn.report.diagnosis import diagnosis
from biocnn.report.figures import Gallery
from biocnn.report.learning_curve import verdict

ERRORS = {(0.25, 100): (0.02, 0.3), (0.5, 200): (0.05, 0.2), (1.0, 400): (0.07, 0.12)}


def section(folder, runs: int) -> list:
    rows = [("fold0-seed1", split, "a", "auroc", "all", 0.9, 0.88, 0.92, 100) for split in ("train", "test")]
    results = write_metrics(folder / "it", rows)
    table = [
        (share, n, f"fold0-seed{run}", split, "a", "auroc", "all", 1 - error - 0.001 * run)
        for (share, n), pair in ERRORS.items()
        for split, error in zip(("train", "test"), pair, strict=True)
        for run in range(runs)
    ]
    columns = ["share", "n_train", "run", "split", "output", "metric", "over", "value"]
    pd.DataFrame(table, columns=columns).to_csv(results.folder / "learning_curve.tsv", sep="\t", index=False)
    with undrawn():
        return diagnosis(results, experiment(), Gallery(folder)).blocks


def test_a_falling_curve_asks_for_more_examples(tmp_path) -> None:
    blocks = section(tmp_path, 3)
    words = " ".join(block.words for block in blocks if isinstance(block, Text))
    assert "More training examples would still help. From 200 to 400 training examples the test error falls" in words
    table = [block for block in blocks if isinstance(block, Table)][-1]
    assert [row[:3] for row in table.rows] == [["100", "25%", "3"], ["200", "50%", "3"], ["400", "100%", "3"]]
    assert table.rows[-1][-1].startswith(".121")


@pytest.mark.parametrize("runs", [1])
def test_one_run_asks_for_seeds(tmp_path, runs: int) -> None:
    words = " ".join(block.words for block in section(tmp_path, runs) if isinstance(block, Text))
    assert "set train: {seeds: [1, 2, 3]}" in words


@pytest.mark.parametrize(
    ("after", "most", "words"),
    [
        (0.168, 0.0065, "rises by .024 ± .037, from .144 to .168, within noise. At this rate, twice as many of the "
         "same kind would lower the error by at most .006 (95% confidence over runs)."),
        (0.244, -0.03, "would not lower the error (95% confidence over runs)."),
    ],
)  # fmt: skip
def test_a_curve_that_rises_bounds_the_gain(after: float, most: float, words: str) -> None:
    found = Trend(48, 200, 0.144, after, 0.037, (0.144 - after) / 2, most, "little")
    assert verdict(found, "test").endswith(words)
