"""Values of bases: metrics, and the baselines that a network is compared with."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import r2_score
from tiny import experiment, profiled, stored

from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation import profile_judge
from biocnn.evaluation.audit import COLUMNS
from biocnn.evaluation.baselines import write_baselines
from biocnn.evaluation.mistakes import worst_examples
from biocnn.evaluation.profile_baselines import KMERS, MEAN, compare
from biocnn.evaluation.profile_judge import ProfileJudge
from biocnn.metrics.profiles import pearson_of, products, shape_distance
from biocnn.prediction.stored_predictions import read_predictions


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(profiled(48), tmp_path_factory.mktemp("profiled"))


def maps(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return predictions (N, K, L), better than chance."""
    y = np.stack([dataset.y[row] for row in rows])
    return (np.random.default_rng(1).gamma(1, size=y.shape) + np.nan_to_num(y) / 3).astype(np.float32)


def test_metrics_are_those_of_scipy_and_sklearn(dataset: Dataset) -> None:
    rows = dataset.rows("test")
    p, y = maps(dataset, rows), np.stack([dataset.y[row] for row in rows])
    table, each, _ = ProfileJudge(dataset, Metrics(resamples=50), "group", 1).judge(p.__getitem__, range(len(p)), rows)
    for k, output in enumerate(dataset.task.outputs):
        found = table[table["output"] == output].set_index("metric")
        known = ~np.isnan(y[:, k])
        a, b = np.log1p(p[:, k][known]), np.log1p(y[:, k][known])
        assert found["value"]["pearson"] == pytest.approx(pearsonr(a, b)[0])
        assert found["value"]["spearman"] == pytest.approx(spearmanr(a, b)[0])
        windows = [(p[n, k][known[n]], y[n, k][known[n]]) for n in range(len(p))]
        windows = [pair for pair in windows if pair[1].any()]
        assert found["value"]["window_pearson"] == pytest.approx(np.mean([pearsonr(*np.log1p(w))[0] for w in windows]))
        assert found["value"]["window_spearman"] == pytest.approx(np.mean([spearmanr(*w)[0] for w in windows]))
        distances = [jensenshannon(*pair, base=2) for pair in windows]
        assert found["value"]["shape_distance"] == pytest.approx(np.mean(distances))
        assert found["n"]["shape_distance"] == len(windows)
        totals = [np.log1p(np.where(known, one[:, k], 0).sum(axis=1)) for one in (y, p)]
        assert found["value"]["total_r2"] == pytest.approx(r2_score(*totals), abs=1e-6)
        assert (found["low"] < found["value"]).all()
        assert (found["value"] < found["high"]).all()
    assert set(each["metric"]) >= {"rmse", "total", "true_total", "shape_distance"}


def test_ranks_may_be_those_of_some_bases(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = dataset.rows("test")
    p = maps(dataset, rows)
    monkeypatch.setattr(profile_judge, "RANKED", 200)
    table, *_ = ProfileJudge(dataset, Metrics(resamples=0), "group", 1).judge(p.__getitem__, range(len(p)), rows)
    assert table[table["metric"] == "spearman"]["value"].between(0.01, 0.9).all()


def test_constants_have_no_correlation() -> None:
    same, rising = np.full(1000, np.log1p(0.1)), np.arange(1000.0)
    assert np.isnan(pearson_of(products(same, rising)))
    assert np.isnan(pearson_of(products(rising, same)))
    assert pearson_of(products(rising, -rising)) == pytest.approx(-1)


def test_shapes_are_alike_whatever_their_totals() -> None:
    assert shape_distance(np.array([1.0, 2, 3]), np.array([2.0, 4, 6])) == pytest.approx(0, abs=1e-6)
    assert shape_distance(np.array([1.0, 0]), np.array([0.0, 7])) == 1
    assert np.isnan(shape_distance(np.zeros(2), np.ones(2)))


def test_baselines_are_compared_with_the_network_on_the_same_bases(dataset: Dataset, tmp_path: Path) -> None:
    lines = write_baselines(dataset.folder, experiment("UNet", data="GenomeTracks"), tmp_path)
    assert [line.split(":")[1].strip() for line in lines] == [MEAN, KMERS]
    values, table = read_predictions(tmp_path)
    y = np.stack([dataset.y[row][:, 10] for row in dataset.rows("train")])
    np.testing.assert_allclose(values[0][0][:, 10], np.expm1(np.log1p(y).mean(axis=0)), rtol=1e-5)
    network = (maps(dataset, dataset.rows("val", "test")), table)
    found = pd.DataFrame(compare(dataset, [network], (values, table), [MEAN, KMERS], 20, 1), columns=COLUMNS)
    found = found[(found["split"] == "test") & (found["metric"] == "pearson")]
    mean, kmers = (found[found["baseline"] == name].set_index("output")["value"] for name in (MEAN, KMERS))
    assert (kmers > mean + 0.1).all(), "reads lie beside a 7-mer"
    assert (found["difference_low"] <= found["difference"]).all()


def test_the_worst_windows_have_the_largest_errors(dataset: Dataset, tmp_path: Path) -> None:
    rows = dataset.rows("test")
    _, each, _ = ProfileJudge(dataset, Metrics(resamples=0), "group", 1).judge(
        maps(dataset, rows).__getitem__, range(len(rows)), rows
    )
    run = tmp_path / "fold0-seed1"
    worst = worst_examples(dataset, [run], each.assign(run=run.name, split="test"))
    assert set(worst["metric"]) == {"rmse"}
    assert worst["value"].is_monotonic_decreasing
    assert len(worst) == len(rows)
