"""The chapters on calibration, folds and leakage agree with the tables."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import experiment, sequences, stored

from biocnn.config.search_space import Calibrate
from biocnn.core.errors import InputError
from biocnn.report.blocks import Table, Text
from biocnn.report.calibration import against_settings, calibration
from biocnn.report.figures import Gallery, style
from biocnn.report.results import Results
from biocnn.report.splits import folds, leakage
from biocnn.training.calibrate import rank_trials

DRAW = {
    "train.lr": {"log_uniform": [1e-3, 1e-1]},
    "model.hidden": {"choice": [0, 32]},
    "model.channels": {"choice": [[8, 16], [16, 32]]},
}
EXPERIMENT = experiment(calibrate=Calibrate(trials=12, folds=2, draw=DRAW))


def ranked(seed: int = 0, failed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    records = []
    for trial in range(13):
        values = {"train.lr": 10 ** rng.uniform(-3, -1), "model.hidden": 32 * (trial % 2), "model.channels": [8, 16]}
        for part in range(2):
            value = None if 0 < trial <= failed else 0.7 + 0.01 * trial + rng.normal(0, 0.001)
            more = {"metric": "auprc", "score": value, "tie": 0.0, "best_epoch": 3, "seconds": 1.0}
            more |= {"round": 1, "resampled": [], "folds": []}
            records.append({"trial": trial, "part": part, "settings": values, "value": value, **more})
    return rank_trials(records)[0]


def write(folder: Path, **tables: pd.DataFrame) -> Results:
    for fold, table in tables.items():
        (folder / "calibrate" / fold).mkdir(parents=True)
        table.to_csv(folder / "calibrate" / fold / "trials.tsv", sep="\t", index=False)
    return Results(folder)


def test_the_best_trials_and_that_of_the_file(tmp_path: Path) -> None:
    with style():
        text, table, picture = calibration(
            write(tmp_path, fold0=ranked(failed=1)), EXPERIMENT, Gallery(tmp_path / "figures")
        ).blocks
    assert "12 random settings" in text.words
    assert re.search(r"It is \.1[12]\d above that of the settings of the file\.", text.words)
    assert "1 trial diverged" in text.words
    assert [row[:2] for row in table.rows[:2]] == [["1", "12"], ["2", "11"]]
    assert table.rows[-1][1] == "file"
    assert len(table.rows) == 11
    assert table.header == ["Rank", "Trial", "AUPRC", *DRAW, "Time"]
    assert (tmp_path / "figures/calibration.png").exists()
    assert "train.lr" in picture.alt


def test_each_fold_chooses_separately(tmp_path: Path) -> None:
    data = stored(sequences(90), tmp_path, val=None, test=None, folds=3)
    results = write(tmp_path, **{f"fold{i}": ranked(i) for i in range(3)})
    assert len(data.examples) == 90
    with style():
        text, table, _ = calibration(results, EXPERIMENT, Gallery(tmp_path / "figures")).blocks
    assert "separately for each fold" in text.words
    assert [row[0] for row in table.rows] == ["0"] * 3 + ["1"] * 3 + ["2"] * 3
    assert table.header[:3] == ["Fold", "Rank", "Trial"]


def test_values_are_in_their_columns() -> None:
    trials = ranked().assign(fold=0)
    with style():
        lr, hidden, channels = against_settings(trials, DRAW, "AUPRC").axes[:3]
    assert lr.get_xscale() == "log"
    drawn = np.concatenate([line.get_xdata() for line in lr.lines if len(line.get_xdata())])
    assert set(np.round(drawn, 6)) >= set(np.round(trials["train.lr"], 6))
    for axes, labels in ((hidden, ["0", "32"]), (channels, ["[8, 16]", "[16, 32]"])):
        assert [label.get_text() for label in axes.get_xticklabels()] == labels
    places = np.concatenate([line.get_xdata() for line in hidden.lines[-3:-1]])
    assert sorted(np.round(places)) == [0] * 7 + [1] * 6


def test_without_trials_there_is_no_chapter(tmp_path: Path) -> None:
    assert not calibration(Results(tmp_path), experiment(), Gallery(tmp_path / "f")).blocks


def test_trials_of_another_version_are_refused(tmp_path: Path) -> None:
    results = write(tmp_path, fold0=ranked().drop(columns="round"))
    with pytest.raises(InputError, match=r"trials\.tsv: no column round") as caught:
        calibration(results, EXPERIMENT, Gallery(tmp_path / "f"))
    assert "biocnn calibrate" in caught.value.remedy


@pytest.mark.parametrize("test", [None, ["g0", "g1"]])
def test_a_table_of_folds(tmp_path: Path, test: list[str] | None) -> None:
    stored(sequences(96), tmp_path, val=None, test=test, folds=3)
    (table,) = folds(Results(tmp_path))
    assert [row[0] for row in table.rows] == ["0", "1", "2"]
    assert {row[1] for row in table.rows} <= {"30", "33"}
    assert ("the test split is in no fold" in table.caption) == (test is not None)
    assert not folds(Results(tmp_path / "nowhere"))


def test_leaks_are_listed_by_pair_of_splits(tmp_path: Path) -> None:
    raw = sequences(60)
    x = raw.x
    raw.x = lambda i: x(0) if i == 57 else x(i)
    for remove, outcome in ((False, "kept"), (True, "removed")):
        stored(raw, tmp_path / outcome, val=["g18"], test=["g19", "g17"], remove_leaks=remove)
        (table,) = leakage(Results(tmp_path / outcome))
        assert isinstance(table, Table)
        assert table.rows == [["test in train", "1", "0", "1", outcome]]
        assert ("remove_leaks" in table.caption) != remove


def test_a_sentence_states_that_there_is_no_leak(tmp_path: Path) -> None:
    stored(sequences(60), tmp_path)
    (text,) = leakage(Results(tmp_path))
    assert isinstance(text, Text)
    assert text.words.startswith("Leakage: none.")
    assert not leakage(Results(tmp_path / "nowhere"))


def test_candidates_are_listed_by_rank(tmp_path: Path) -> None:
    candidates = [
        {"model": {"name": "DeepBind", "channels": 8}, "train.lr": 0.01},
        {"model": {"name": "DanQ"}},
        {"model": {"name": "Basset"}, "train.lr": 0.001},
    ]
    more = {"part": 0, "metric": "auprc", "tie": -0.3, "resampled": [], "folds": [], "best_epoch": 3, "seconds": 1.0}
    records = [
        {"trial": trial, "settings": values, "value": value, "score": value, "round": 1 + (trial < 2), **more}
        for trial, (values, value) in enumerate(zip(candidates, (0.7, 0.8, None), strict=True))
    ]
    plan = experiment(calibrate=Calibrate(candidates=candidates))
    section = calibration(write(tmp_path, fold0=rank_trials(records)[0]), plan, Gallery(tmp_path / "figures"))
    text, table = section.blocks
    assert section.title == "Choice of the network"
    assert "3 candidates were trained briefly and compared on the validation split" in text.words
    assert "The best two were close and trained once more, for longer." in text.words
    assert table.header == ["Rank", "Network", "Settings", "Round", "AUPRC", "Loss", "Time"]
    assert [row[1:6] for row in table.rows] == [
        ["DanQ", "", "2", ".800", ".300"],
        ["DeepBind", "channels 8, lr 0.01", "2", ".700", ".300"],
        ["Basset", "lr 0.001", "1", "", ".300"],
    ]
