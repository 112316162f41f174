"""The worst examples are listed, and reasons written for them are counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import log_loss
from tiny import images, labelled, sequences, stored

from biocnn.core.errors import InputError
from biocnn.evaluation.mistakes import read_reasons, shares, worst_examples
from biocnn.io.ragged import Ragged

IDS = pd.Series(["a", "b", "c"])


def predicted(dataset, folder: Path, p: np.ndarray) -> Path:
    """Write the predictions of a run for all test examples."""
    rows = dataset.rows("test")
    (folder / "run" / "predictions").mkdir(parents=True)
    Ragged.write(folder / "run" / "predictions" / "probability.npy", list(p[rows]), np.float32)
    table = dataset.examples.iloc[rows][["id", "split"]]
    table.to_csv(folder / "run" / "predictions" / "examples.tsv", sep="\t", index=False)
    return folder / "run"


@pytest.mark.parametrize("raw", [sequences(90), labelled(36)], ids=["binary", "multiclass"])
def test_vectors_are_listed_by_their_loss(raw, tmp_path):
    dataset = stored(raw, tmp_path)
    y = dataset.y.stacked(np.arange(len(dataset.y)))
    p = np.random.default_rng(1).dirichlet(np.ones(y.shape[1]), len(y)) if y.shape[1] > 1 else (y * 0.4 + 0.3)
    p = p + np.linspace(0, 1e-3, len(y))[:, None]
    found = worst_examples(dataset, [predicted(dataset, tmp_path, p)], pd.DataFrame())
    assert found["value"].is_monotonic_decreasing
    assert (found["reason"] == "").all()
    row = dict(zip(dataset.examples["id"], range(len(y)), strict=True))[found["id"].iloc[0]]
    truth = y[row].argmax() if y.shape[1] > 1 else y[row, 0]
    likelihoods = p[row] if y.shape[1] > 1 else [1 - p[row, 0], p[row, 0]]
    assert found["value"].iloc[0] == pytest.approx(-np.log(likelihoods[int(truth)]), rel=1e-4)
    assert found["target"].iloc[0] == dataset.task.words(y[row])
    known = len(dataset.rows("test")) - np.isnan(y[dataset.rows("test")]).any(axis=1).sum()
    assert len(found) == known
    if y.shape[1] == 1:
        test = dataset.rows("test")
        assert found["value"].mean() == pytest.approx(log_loss(y[test, 0], p[test, 0]), rel=1e-4)


def test_values_are_listed_by_their_squared_error(tmp_path):
    dataset = stored(sequences(60, task="regression"), tmp_path)
    y = dataset.y.stacked(np.arange(len(dataset.y)))
    found = worst_examples(dataset, [predicted(dataset, tmp_path, 0 * y)], pd.DataFrame())
    test = y[dataset.rows("test"), 0]
    assert found["value"].iloc[0] == pytest.approx(np.square(test).max() / stats.tvar(test, ddof=0), rel=1e-4)


def test_images_are_listed_by_the_main_metric(tmp_path):
    dataset = stored(images(8, size=(16, 16), task="mask"), tmp_path)
    rows = [("test", "a", "dice", 0.9), ("test", "b", "dice", 0.2), ("val", "c", "dice", 0.1), ("test", "c", "iou", 0)]
    table = pd.DataFrame(rows, columns=["split", "id", "metric", "value"]).assign(run="run", output="x")
    found = worst_examples(dataset, [Path("run")], table)
    assert found["id"].tolist() == ["b", "a"]
    assert list(found) == ["id", "metric", "value", "reason"]


def test_maps_without_metrics_of_examples_have_an_empty_list(tmp_path):
    dataset = stored(images(8, size=(16, 16), task="mask"), tmp_path)
    found = worst_examples(dataset, [Path("run")], pd.DataFrame(columns=["run", "split", "id", "metric", "value"]))
    assert list(found) == ["id", "metric", "value", "reason"]
    assert found.empty


def test_reasons_are_counted(tmp_path):
    (tmp_path / "mine.csv").write_text("id,value,reason\na,1,Blurred; small\nb,1,blurred;\nc,1, ; \n")
    found = shares(read_reasons(tmp_path / "mine.csv", IDS))
    assert found.to_dict("list") == {"reason": ["Blurred", "small"], "number": [2, 1], "share": [1, 0.5]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\treason\nd\tx\n", "line 2: no example 'd'"),
        ("id\treason\na\tx\na\ty\n", "line 3: duplicate id 'a'"),
        ("id\treason\na\t\n", "the column reason is empty"),
        ("id\treason\na\t;\n", "the column reason is empty"),
        ("id\twhy\na\tx\n", "line 1: no column 'reason'"),
    ],
)
def test_faults_of_the_file_are_named(text, message, tmp_path):
    (tmp_path / "mine.tsv").write_text(text)
    with pytest.raises(InputError, match="report\\.errors") as found:
        read_reasons(tmp_path / "mine.tsv", IDS)
    assert message in found.value.message
    assert found.value.remedy
