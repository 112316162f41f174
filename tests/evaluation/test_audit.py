"""The network compared with baselines: the same examples, a paired bootstrap, pooled folds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tiny import sequences, stored

from biocnn.data.dataset import Dataset
from biocnn.evaluation.audit import COLUMNS, NETWORK, audit, compare
from biocnn.evaluation.evaluate import Predictions
from biocnn.io.ragged import Ragged
from biocnn.metrics import auroc, pearson

NAMES = ["weak", "strong"]


def predicted(dataset: Dataset, path: Path, make, shuffled: int | None = None) -> Predictions:
    rows = dataset.rows("val", "test")
    rows = rows if shuffled is None else np.random.default_rng(shuffled).permutation(rows)
    Ragged.write(path, [make(i) for i in rows], np.float32)
    return Ragged(path), dataset.examples.iloc[rows][["id", "split"]].reset_index(drop=True)


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Dataset, list[Predictions], Predictions]:
    """Return two runs and two baselines of a data set with two outputs, each in its own order."""
    raw = sequences(400, outputs=("a", "b"), task="multilabel")
    raw.y[:, 1] = np.random.default_rng(2).integers(0, 2, 400)
    dataset, rng = stored(raw, tmp_path), np.random.default_rng(0)
    noise = rng.normal(size=(4, 400, 2))
    runs = [
        predicted(dataset, tmp_path / f"{run}.npy", lambda i, run=run: dataset.y[i] + 0.8 * noise[run, i], run)
        for run in range(2)
    ]
    simple = predicted(
        dataset,
        tmp_path / "simple.npy",
        lambda i: np.stack([dataset.y[i] + 9 * noise[2, i], dataset.y[i] + 0.1 * noise[3, i]]),
        7,
    )
    return dataset, runs, simple


def test_values_equal_those_of_scikit_learn_in_any_order(judged) -> None:
    dataset, runs, simple = judged
    table = audit(dataset, runs, simple, NAMES, 0, 1)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * 2 * 2 * 2
    p = {name: value for run in (*runs, simple) for value, name in zip(run[0], run[1]["id"], strict=True)}
    of_runs = [dict(zip(rows["id"], values, strict=True)) for values, rows in runs]
    names = dataset.examples["id"][dataset.rows("test")]
    y = dataset.y.stacked(dataset.rows("test"))
    for k, output in enumerate("ab"):
        for metric, oracle in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
            rows = table[(table["split"] == "test") & (table["output"] == output) & (table["metric"] == metric)]
            alone = [oracle(y[:, k], [run[name][k] for name in names]) for run in of_runs]
            both = oracle(y[:, k], np.mean([[run[name][k] for name in names] for run in of_runs], axis=0))
            np.testing.assert_allclose(rows["network"], both, rtol=1e-6)
            np.testing.assert_allclose(rows["mean_of_runs"], np.mean(alone))
            np.testing.assert_allclose(rows["sd_of_runs"], np.std(alone, ddof=1))
            for b, value in enumerate(rows["value"]):
                assert value == pytest.approx(oracle(y[:, k], [p[name][b, k] for name in names]), rel=1e-6)
            np.testing.assert_allclose(rows["difference"], rows["network"] - rows["value"])


def test_the_clear_winner_is_certain(judged) -> None:
    dataset, runs, simple = judged
    table = audit(dataset, runs, simple, NAMES, 300, 1)
    weak, strong = (table[table["baseline"] == name] for name in NAMES)
    assert (weak["difference_low"] > 0).all()
    assert (strong["difference_high"] < 0).all()
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()
    pd.testing.assert_frame_equal(table, audit(dataset, runs, simple, NAMES, 300, 1))


def test_one_run_has_no_spread(judged) -> None:
    dataset, runs, simple = judged
    table = audit(dataset, runs[:1], simple, NAMES, 0, 1)
    assert table["sd_of_runs"].isna().all()
    np.testing.assert_array_equal(table["network"], table["mean_of_runs"])


def test_the_bootstrap_is_paired() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    one = y + rng.normal(size=300)
    same = compare(pearson, one, one, y, 200, 1)
    assert same["difference"] == same["difference_low"] == same["difference_high"] == 0
    near = compare(pearson, one, one + 0.02 * rng.normal(size=300), y, 200, 1)
    assert near["difference_high"] - near["difference_low"] < 0.1 * (near["high"] - near["low"])


def test_the_paired_interval_has_the_stated_coverage() -> None:
    """For two equally good scores, 95% of the intervals of their difference contain 0."""
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y = np.repeat([0, 1], 60)
        shared = y + rng.normal(size=120)
        one, other = (shared + rng.normal(size=120) for _ in range(2))
        found = compare(auroc, one, other, y, 200, seed)
        held += found["difference_low"] <= 0 <= found["difference_high"]
    assert 180 <= held <= 199


def test_the_network_alone_is_compared_too(judged) -> None:
    dataset, runs, simple = judged
    table = audit(dataset, runs, simple, NAMES, 0, 1, alone=runs[:1])
    plain = audit(dataset, runs, simple, NAMES, 0, 1)
    pd.testing.assert_frame_equal(table[table["baseline"] != NETWORK].reset_index(drop=True), plain)
    first = audit(dataset, runs[:1], simple, NAMES, 0, 1)
    values = [
        frame[frame["baseline"] == name][key]
        for frame, name, key in ((table, NETWORK, "value"), (first, "weak", "network"))
    ]
    np.testing.assert_allclose(*values)
