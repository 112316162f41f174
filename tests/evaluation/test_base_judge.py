"""Classes of bases: metrics over all bases, and the baselines that a network is compared with."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from tiny import annotated, experiment, stored

from biocnn.config.settings import Metrics
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.evaluation.audit import COLUMNS
from biocnn.evaluation.base_judge import BaseJudge
from biocnn.evaluation.baselines import write_baselines
from biocnn.evaluation.per_base_baselines import KMERS, RATE, compare, linear_map
from biocnn.nn.kmers import kmer_counts
from biocnn.prediction.stored_predictions import read_predictions
from biocnn.training.linear import linear


@pytest.fixture(scope="module", params=[1, 2])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(annotated(48, classes=request.param), tmp_path_factory.mktemp("annotated"))


def maps(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return probabilities (N, K, L) that float16 holds exactly, better than chance."""
    rng, outputs = np.random.default_rng(1), len(dataset.task.outputs)
    true = np.stack([dataset.y[row][0] == k for row in rows for k in (range(outputs) if outputs > 1 else [1])])
    z = torch.from_numpy(rng.normal(2.0 * true)).view(len(rows), outputs, -1)
    return dataset.task.probability(z).numpy().astype(np.float16).astype(np.float32)


def test_metrics_are_of_all_known_bases_together(dataset: Dataset) -> None:
    rows = dataset.rows("test")
    p = maps(dataset, rows)
    table, each, _ = BaseJudge(dataset, Metrics(resamples=50), "group", 1).judge(p.__getitem__, range(len(rows)), rows)
    assert set(each["metric"]) == {"base_error"}
    y = np.stack([dataset.y[row][0] for row in rows])
    known = y != 255
    decided = p.argmax(1) if p.shape[1] > 1 else p[:, 0] > 0.5
    for output, k in dataset.task.classes().items():
        found = table[table["output"] == output].set_index("metric")
        score, truth = p[:, k if p.shape[1] > 1 else 0][known], y[known] == k
        assert found["value"]["auprc"] == pytest.approx(average_precision_score(truth, score), abs=1e-6)
        assert found["value"]["auroc"] == pytest.approx(roc_auc_score(truth, score), abs=1e-6)
        both, either = (truth & (decided[known] == k)).sum(), truth.sum() + (decided[known] == k).sum()
        assert found["value"]["dice"] == pytest.approx(2 * both / either)
        assert found["value"]["sensitivity"] == pytest.approx(both / truth.sum())
        assert (found["low"] < found["value"]).all()
        assert (found["value"] < found["high"]).all()
        assert (found["n"] == len(rows)).all()
        wrong = ((decided == k) != (y == k)) & known
        errors = dict(zip(dataset.examples["id"].iloc[rows], wrong.sum(1) / known.sum(1), strict=True))
        of_output = each[each["output"] == output].set_index("id")["value"]
        assert of_output.to_dict() == pytest.approx({name: error for name, error in errors.items() if error})


def test_the_score_of_validation_is_that_of_the_judge(dataset: Dataset) -> None:
    rows = dataset.rows("val")
    p, score = maps(dataset, rows), dataset.task.score()
    for row, one in zip(rows, p, strict=True):
        score.add(torch.from_numpy(one)[None], torch.tensor(dataset.y[row])[None])
    table, *_ = BaseJudge(dataset, Metrics(resamples=0), "group", 1).judge(p.__getitem__, range(len(rows)), rows)
    means = table.groupby("metric")["value"].mean()
    assert score.value() == pytest.approx({name: means[name] for name in ("auprc", "dice")})


def test_metrics_that_need_outlines_are_refused(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="'surface_dice' is not a metric of the task"):
        BaseJudge(dataset, Metrics(also=["surface_dice"]), "group", 1)


@pytest.mark.parametrize("strands", ["single", "both"])
def test_the_linear_map_is_the_linear_model_of_the_window_around_each_base(strands: str) -> None:
    rng, reach = np.random.default_rng(2), 8
    codes = rng.integers(0, 4, 50).astype(np.uint8)
    codes[20] = 4
    width = kmer_counts(codes[None], range(6, 7), strands=strands).shape[1]
    weights = rng.normal(size=(width + 1, 2))
    padded = np.pad(codes, reach, constant_values=4)
    windows = np.stack([padded[at : at + 2 * reach + 1] for at in range(len(codes))])
    wanted = linear(kmer_counts(windows, range(6, 7), strands=strands), weights)
    np.testing.assert_allclose(linear_map(codes, weights, reach, strands), wanted.T, atol=1e-5)
    if strands == "both":
        other = linear_map(np.where(codes < 4, 3 - codes, codes)[::-1], weights, reach, strands)
        np.testing.assert_allclose(other[:, ::-1], wanted.T, atol=1e-5)


def test_baselines_are_compared_with_the_network_on_the_same_bases(dataset: Dataset, tmp_path: Path) -> None:
    lines = write_baselines(dataset.folder, experiment("UNet", data="AnnotatedGenome"), tmp_path)
    assert [line.split(":")[1].strip() for line in lines] == [RATE, KMERS]
    values, table = read_predictions(tmp_path)
    shares = dataset.facts.class_shares
    np.testing.assert_allclose(values[0][0][:, 0], shares if len(shares) > 2 else shares[1:], rtol=1e-5)
    network = (maps(dataset, dataset.rows("val", "test")), table)
    found = pd.DataFrame(compare(dataset, [network], (values, table), [RATE, KMERS], 20, 1), columns=COLUMNS)
    found = found[(found["split"] == "test") & (found["metric"] == "auprc")]
    rate, kmers = (found[found["baseline"] == name].set_index("output") for name in (RATE, KMERS))
    y = np.stack([dataset.y[row][0] for row in dataset.rows("test")])
    for output, k in dataset.task.classes().items():
        assert rate["value"][output] == pytest.approx((y == k).sum() / (y != 255).sum())
        assert kmers["value"][output] > 2 * rate["value"][output], "the motif is a 7-mer"
    assert found["network"].gt(rate["value"].max()).all()
    assert (found["difference_low"] <= found["difference"]).all()
