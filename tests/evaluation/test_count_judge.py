"""Counts are judged like by hand, for each class, with the factor and the intervals of the model."""

import numpy as np
import pytest
from tiny import counted, stored

from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation.evaluate import evaluate
from biocnn.io.ragged import Ragged

OUTPUTS = ("a", "b")
POSTPROCESS = {"scale": [1.25, 1.0], "margin": [1.0, None]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(counted(40, size=(24, 24), outputs=OUTPUTS), tmp_path_factory.mktemp("counted"), test=0.4)


@pytest.fixture(scope="module")
def found(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory):
    """Return the evaluation of the true density of class a, too small, and of class b with two objects too many."""
    rows = dataset.rows("val", "test")
    p = [np.stack([0.8 * dataset.y[row][0], dataset.y[row][1] + 2 / 24**2]) for row in rows]
    path = tmp_path_factory.mktemp("predictions") / "p.npy"
    Ragged.write(path, p, np.float32)
    table = dataset.examples.iloc[rows][["id", "split"]].reset_index(drop=True)
    return evaluate(dataset, {"run": (Ragged(path), table)}, {"run": POSTPROCESS}, Metrics(resamples=50), 1)


def test_metrics_of_each_class(found) -> None:
    test = found.metrics[found.metrics["split"] == "test"].set_index(["output", "metric"])["value"]
    wanted = {
        "a": {"count_mae": 0, "count_rmse": 0, "count_bias": 0, "pearson": 1, "game2": 0, "coverage90": 1},
        "b": {"count_mae": 2, "count_rmse": 2, "count_bias": 2, "pearson": 1, "game1": 2, "game2": 2},
    }
    for output, metrics in wanted.items():
        for name, value in metrics.items():
            assert test[output, name] == pytest.approx(value, abs=1e-3)
    assert np.isnan(test["b", "coverage90"])
    assert found.matches.empty


def test_numbers_of_each_image(dataset: Dataset, found) -> None:
    table = found.per_example[(found.per_example["output"] == "a") & (found.per_example["split"] == "test")]
    of_images = table.pivot(index="id", columns="metric", values="value")
    true = dataset.examples.set_index("id")["y_0"].loc[of_images.index]
    np.testing.assert_array_equal(of_images["true_count"], true)
    np.testing.assert_allclose(of_images["count"], true, rtol=1e-4)
    np.testing.assert_allclose(of_images["high"], true + np.sqrt(true), rtol=1e-4)
    assert (of_images["low"] >= 0).all()


def test_groups_are_resampled(found) -> None:
    test = found.metrics[found.metrics["split"] == "test"].set_index(["output", "metric"])
    line = test.loc[("b", "relative_error")]
    assert line["low"] < line["value"] < line["high"]
