"""The chapter on what limits a network: from metrics.tsv and a user's reasons to words."""

from pathlib import Path

import pandas as pd
import pytest
from simulated_results import undrawn
from test_headline import write_metrics
from tiny import experiment

from biocnn.config.settings import Metrics, Report
from biocnn.report.blocks import Table, Text
from biocnn.report.diagnosis import diagnosis
from biocnn.report.figures import Gallery

SPLITS = ("train", "train_dev", "val", "test")


def section(folder: Path, errors: tuple[float | None, ...], noise: float = 0.01, n: int = 500, **settings) -> list:
    """Return the blocks for these errors (AUROC) of train, train-dev, val and test; None: no such split."""
    rows = [
        ("fold0-seed1", split, "CTCF", "auroc", "all", 1 - error, 1 - error - noise, 1 - error + noise, n)
        for split, error in zip(SPLITS, errors, strict=True)
        if error is not None
    ]
    results = write_metrics(folder / "ctcf", rows)
    pd.DataFrame({"id": [f"e{i}" for i in range(20)], "split": "test"}).to_csv(
        results.folder / "dataset" / "examples.tsv", sep="\t", index=False
    )
    with undrawn():
        return diagnosis(results, experiment(**settings), Gallery(folder)).blocks


def words(blocks: list) -> str:
    return " ".join(block.words for block in blocks if isinstance(block, Text))


@pytest.mark.parametrize(
    ("errors", "verdicts"),
    [
        ((0.01, 0.09, 0.10, 0.10), ["", "variance", "", ""]),
        ((0.01, 0.015, 0.10, 0.10), ["", "", "mismatch", ""]),
        ((0.10, 0.11, 0.12, 0.12), ["bias", "", "", ""]),
        ((0.10, 0.11, 0.20, 0.20), ["bias", "", "mismatch", ""]),
        ((0.01, None, 0.10, 0.10), ["", "variance or mismatch", ""]),
    ],
)
def test_verdicts_stand_beside_the_steps(tmp_path, errors, verdicts):
    blocks = section(tmp_path, errors)
    (found,) = (block for block in blocks if isinstance(block, Table))
    assert [row[-1] for row in found.rows] == verdicts
    assert [row[0] for row in found.rows] == [s.replace("_", "-") for s, e in zip(SPLITS, errors, strict=True) if e]
    assert ("train_dev: 0.1" in words(blocks)) == (errors[1] is None)
    assert ("No human level" in words(blocks)) == ("bias" in verdicts)
    assert "Small samples" not in words(blocks)


def test_without_training_metrics_there_is_no_chapter(tmp_path):
    assert section(tmp_path, (None, None, 0.1, 0.1)) == []


def test_noise_and_small_samples_are_stated(tmp_path):
    found = words(section(tmp_path, (0.05, None, 0.10, 0.15), noise=0.2, n=9))
    assert "No step from one split to the next is both large and larger than its noise" in found
    assert "Within noise, or too few groups to decide: the error rises by .050 ± .200, from .000 (no error) to" in found
    assert "from .100 (validation examples) to .150 (test examples)" in found
    assert "Small samples: 9 sampled training examples, 9 validation examples, 9 test examples." in found


def test_bias_is_measured_from_the_given_human_level(tmp_path):
    blocks = section(tmp_path, (0.10, 0.11, 0.20, 0.20), metrics=Metrics(human={"auroc": 0.905}))
    (found,) = (block for block in blocks if isinstance(block, Table))
    assert [row[-1] for row in found.rows] == ["", "", "", "mismatch", ""]
    assert found.rows[0][3] == ".095"


def test_reasons_show_what_fixing_them_gains(tmp_path):
    """Five percent of an error of 10%: 9.5% are left."""
    lines = [f"e{i}\t{'other' if i else 'blurred'}" for i in range(20)]
    (tmp_path / "mine.tsv").write_text("\n".join(["id\treason", *lines]))
    blocks = section(tmp_path, (0.01, None, 0.05, 0.10), report=Report(errors=tmp_path / "mine.tsv"))
    found = [block for block in blocks if isinstance(block, Table)][-1]
    assert found.rows == [["other", "19", "95%", ".005", ".095"], ["blurred", "1", "5%", ".095", ".005"]]
