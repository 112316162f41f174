"""Paired comparison of two experiments."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_results import write_images, write_sequences

from biocnn.config.settings import Settings
from biocnn.core.errors import InputError
from biocnn.evaluation.comparison import COLUMNS, compare_experiments


def sequences(folder: Path) -> Settings:
    """Write results of sequences, of which evaluation judges no single examples."""
    settings = write_sequences(folder)
    (folder / "metrics_per_example.tsv").write_text("run\tsplit\tid\toutput\tmetric\tvalue\tunit\n")
    return settings


@pytest.mark.parametrize("write", [sequences, write_images])
def test_an_experiment_equals_itself(tmp_path: Path, write: Callable[[Path], Settings]) -> None:
    settings = write(tmp_path / "a")
    table = compare_experiments(tmp_path / "a", tmp_path / "a", settings)
    assert list(table) == COLUMNS
    assert len(table)
    assert (table["difference"] == 0).all()
    assert table["low"].dropna().eq(0).all()


def test_differences_are_second_minus_first_on_shared_examples(tmp_path: Path) -> None:
    settings = sequences(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for path in (tmp_path / "b").glob("runs/*/predictions/probability.npy"):
        np.save(path, np.random.default_rng(1).random(np.load(path).shape, np.float32))
    table = compare_experiments(tmp_path / "a", tmp_path / "b", settings).set_index("metric")
    whole = pd.read_csv(tmp_path / "a/metrics.tsv", sep="\t").query("run == 'ensemble' and split == 'test'")
    assert table.loc["auroc", "a"] == pytest.approx(whole.set_index("metric").loc["auroc", "value"], abs=1e-5)
    assert table.loc["auroc", "difference"] == table.loc["auroc", "b"] - table.loc["auroc", "a"]
    assert table.loc["auroc", "high"] < 0, "random predictions are worse"


def test_runs_that_were_not_evaluated_do_not_count(tmp_path: Path) -> None:
    settings = sequences(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b/runs/fold0-seed99/predictions").mkdir(parents=True)  # of earlier settings
    assert (compare_experiments(tmp_path / "a", tmp_path / "b", settings)["difference"] == 0).all()
    (tmp_path / "b/metrics_per_example.tsv").unlink()
    with pytest.raises(InputError, match=r"metrics_per_example.tsv: no such file"):
        compare_experiments(tmp_path / "a", tmp_path / "b", settings)


def test_other_tasks_are_refused(tmp_path: Path) -> None:
    settings = sequences(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    facts = tmp_path / "b/dataset/facts.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"task": "regression"}))
    with pytest.raises(InputError, match="differ in task: binary and regression"):
        compare_experiments(tmp_path / "a", tmp_path / "b", settings)
