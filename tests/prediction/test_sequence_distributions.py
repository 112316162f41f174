"""Regression of sequences with losses that predict distributions: values, intervals, scans and variants."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import experiment, sequences, stored

from biocnn.apply.variants.scoring import Ensemble, effects
from biocnn.data.dataset import Dataset
from biocnn.io.genome import Genome
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import save_model
from biocnn.training.runs import train_run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return sequences with two counts, which are larger with the motif."""
    raw = sequences(120, task="regression", outputs=["a", "b"])
    counts = np.random.default_rng(1).poisson(2 + 10 * np.clip(raw.y, 0, 1)).astype(np.float32)
    return stored(replace(raw, y=counts), tmp_path_factory.mktemp("counts"))


@pytest.fixture(scope="module", params=["poisson", "gaussian_nll", "quantiles"])
def model(request: pytest.FixtureRequest, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Model:
    network = {"name": "DeepBind", "channels": 8, "kernel_size": 7, "hidden": 0}
    train = {"epochs": 6, "batch_size": 16, "lr": 2e-2, "threads": 1}
    trained, _, meta = train_run(experiment(network, loss=request.param, train=train), dataset, 1)
    path = tmp_path_factory.mktemp(request.param) / "model.safetensors"
    save_model(path, trained, meta)
    return Model(path)


def test_values_lie_in_their_intervals_and_these_contain_most_counts(model: Model, dataset: Dataset) -> None:
    rows = dataset.rows("test")
    codes, y = dataset.windows(rows), dataset.y.stacked(rows)
    p, ends = model.predict(codes), model.predict_intervals(codes)
    assert p.shape == y.shape
    assert ends.shape == (*y.shape, 2)
    assert ((ends[..., 0] <= p) & (p <= ends[..., 1])).all()
    assert 0.75 < ((ends[..., 0] <= y) & (y <= ends[..., 1])).mean() <= 1
    assert np.corrcoef(p[:, 0], y[:, 0])[0, 1] > 0.3
    assert p.mean() == pytest.approx(y.mean(), rel=0.3)
    settled = np.stack([*model.predict_stored(dataset, rows)])
    np.testing.assert_allclose(settled[:, :2], p, rtol=1e-5)


def test_scans_and_variants_give_values(model: Model, dataset: Dataset) -> None:
    codes = dataset.windows(dataset.rows("test")[:2])
    genome = Genome(codes.ravel(), {"chr1": codes.size}, {}, "")
    (_, found), *_ = model.scan(genome, "chr1", stride=codes.shape[1])
    np.testing.assert_allclose(found, model.predict(codes), rtol=1e-4)
    ensemble, place = Ensemble([model]), codes.shape[1] // 2
    other = codes.copy()
    other[:, place] = (other[:, place] + 1) % 4
    found = effects(ensemble, *ensemble.pairs(codes, other, place))
    np.testing.assert_allclose(found["REF"], model.predict(codes), rtol=1e-4)
    np.testing.assert_allclose(found["ALT"], model.predict(other), rtol=1e-4)
    np.testing.assert_allclose(found["DELTA"], found["ALT"] - found["REF"], atol=1e-5)
