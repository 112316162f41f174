"""Baselines: equal to those of scikit-learn, good if composition is informative, useless if only order is."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from tiny import experiment, sequence_facts, sequences, stored, task_of

from biocnn.config.settings import Split
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.data.storing import write
from biocnn.evaluation.baselines import BASELINES, dinucleotides, fit_sequences, gc_content, write_baselines
from biocnn.io.fasta import encode, read_fasta
from biocnn.io.ragged import Ragged
from biocnn.metrics import auprc, auroc
from biocnn.tasks import make_task
from biocnn.training.linear import PENALTIES, fit, fit_path
from biocnn.training.word_counts import log_counts, strands_of

MULTILABEL = task_of("multilabel", outputs=["a", "b"])
REGRESSION = make_task(sequence_facts(task="regression"))


def problem(task: str, n: int = 300, features: int = 8, outputs: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, features))
    score = x @ rng.normal(size=(features, outputs)) + rng.normal(size=(n, outputs))
    return x, score if task == "regression" else (score > 0.5).astype(float)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_logistic_regression_equals_that_of_scikit_learn(penalty: float, sparse: bool) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = problem("multilabel")
    found = fit(csr_matrix(x) if sparse else x, y, penalty, np.zeros((9, 2)), MULTILABEL)
    for k in range(2):
        oracle = LogisticRegression(C=1 / (penalty * len(y)), tol=1e-8, max_iter=1000).fit(x, y[:, k])
        np.testing.assert_allclose(found[:-1, k], oracle.coef_[0], atol=2e-3)
        assert found[-1, k] == pytest.approx(oracle.intercept_.item(), abs=2e-3)


@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_ridge_regression_equals_that_of_scikit_learn(penalty: float) -> None:
    from sklearn.linear_model import Ridge

    x, y = problem("regression")
    found = fit(x, y, penalty, np.zeros((9, 2)), REGRESSION)
    oracle = Ridge(alpha=penalty * len(y)).fit(x, y)
    np.testing.assert_allclose(found[:-1], oracle.coef_.T, atol=2e-3)
    np.testing.assert_allclose(found[-1], oracle.intercept_, atol=2e-3)


def test_the_penalty_is_chosen_on_the_validation_split() -> None:
    """With many useless features, the smallest penalty fits the train split best and the val split badly."""
    rng = np.random.default_rng(1)
    x, val = rng.normal(size=(80, 60)), rng.normal(size=(2000, 60))
    y, val_y = ((part[:, :1] + 1.5 * rng.normal(size=(len(part), 1)) > 0).astype(float) for part in (x, val))
    fitted = fit_path(x, y, val, val_y, MULTILABEL)
    loose = fit(x, y, 1e-5, np.zeros((61, 1)), MULTILABEL)
    assert fitted.penalty[0] > 1e-2
    assert fitted.validation_score[0] == pytest.approx(auprc(fitted.predict(val, MULTILABEL)[:, 0], val_y[:, 0]))
    assert fitted.validation_score[0] > auprc((val @ loose[:-1])[:, 0], val_y[:, 0]) + 0.01


def test_likelihood_decides_between_penalties_with_equal_auprc() -> None:
    """The strongest penalty has the same AUPRC, but all probabilities are 0.5."""
    y = np.repeat([0.0, 1.0], 20)[:, None]
    x = np.where(y == 1, 1.0, -1.0) + 0.1 * np.random.default_rng(1).normal(size=(40, 3))
    fitted = fit_path(x, y, x, y, MULTILABEL)
    strong = fit(x, y, PENALTIES[0], np.zeros((4, 1)), MULTILABEL)
    assert auprc((x @ strong[:-1])[:, 0], y[:, 0]) == fitted.validation_score[0] == 1
    assert np.abs(fitted.predict(x, MULTILABEL) - y).max() < 0.05


@pytest.mark.parametrize("known", [np.nan, 1.0], ids=["no known label", "one class"])
def test_an_output_without_a_metric_still_has_a_model(known: float) -> None:
    x, y = problem("binary")
    val_y = np.column_stack([np.full(len(y), known), y[:, 1]])
    fitted = fit_path(x, y, x, val_y, MULTILABEL)
    assert np.isnan(fitted.validation_score[0])
    assert fitted.validation_score[1] > 0.8
    assert auprc(fitted.predict(x, MULTILABEL)[:, 0], y[:, 0]) > 0.8


def test_values_keep_their_unit() -> None:
    x, y = problem("regression")
    fitted = fit_path(x, 1000 * y + 5e4, x, 1000 * y + 5e4, REGRESSION)
    p = fitted.predict(x, REGRESSION)
    np.testing.assert_allclose(p.mean(axis=0), 1000 * y.mean(axis=0) + 5e4, rtol=1e-3)
    assert np.corrcoef(p[:, 0], y[:, 0])[0, 1] > 0.8


def test_features_by_hand() -> None:
    codes = np.stack([encode("GGCAN"), encode("AAAAA"), encode("NNNNN")])
    np.testing.assert_allclose(gc_content(codes, "single")[:, 0], [0.75, 0, 0])
    found = dinucleotides(codes, "single")
    assert found.shape == (3, 20)
    assert found[0, 2] == 0.5, "G"
    assert found[0, 4 + 10] == pytest.approx(1 / 3), "GG"
    assert found[1, 4] == 1, "AA"
    assert not found[2].any()
    counts = log_counts(codes, "single").toarray()
    assert counts[1, 0] == pytest.approx(np.log1p(5)), "five times A"
    assert log_counts(codes, "both").shape == (3, 2772)


def test_strands_follow_the_network() -> None:
    dna, rna = sequence_facts(alphabet="ACGT"), sequence_facts(alphabet="ACGU")
    turns = experiment("DanQ", augment=["reverse_complement"])
    both = experiment({"name": "DeepBind", "strands": "both"})
    single = experiment({"name": "DeepBind", "strands": "single"}, augment=[{"name": "shift", "max": 5}])
    assert [strands_of(settings, dna) for settings in (turns, both, single)] == ["both", "both", "single"]
    assert strands_of(turns, rna) == strands_of(both, rna) == "single"


def test_each_baseline_learns_only_what_its_features_contain(tmp_path: Path) -> None:
    """A planted motif is visible in 6-mers, but not in GC content."""
    dataset = stored(sequences(900, window=40), tmp_path)
    p, table, _ = fit_sequences(dataset, "single")
    rows = dataset.rows("val", "test")
    test = (dataset.examples["split"].to_numpy()[rows] == "test").nonzero()[0]
    y = dataset.y.stacked(rows)[test, 0]
    found = dict(zip(BASELINES, (auroc(p[test, b, 0], y) for b in range(3)), strict=True))
    assert found["6-mers"] > 0.97
    assert 0.35 < found["GC content"] < 0.7
    assert list(table["baseline"]) == list(BASELINES)
    assert table["n"].eq(dataset.facts.n.train).all()
    np.testing.assert_array_equal(p, fit_sequences(dataset, "single")[0])


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_all_kinds_of_outputs_and_lengths(tmp_path: Path, task: str) -> None:
    dataset = stored(sequences(lengths=range(20, 220), outputs=("a", "b"), task=task), tmp_path)
    p, table, _ = fit_sequences(dataset, "both")
    assert p.shape == (len(dataset.rows("val", "test")), 3, 2)
    assert np.isfinite(p).all()
    assert len(table) == 6


def test_very_many_examples_are_subsampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = stored(sequences(90), tmp_path)
    monkeypatch.setattr("biocnn.evaluation.baselines.MOST_LETTERS", 32 * dataset.facts.n.train // 2)
    assert fit_sequences(dataset, "single")[1]["n"].eq(-(-dataset.facts.n.train // 2)).all()


def test_every_fold_has_its_own_baselines(tmp_path: Path) -> None:
    write(sequences(120), Split(folds=3), 1, tmp_path / "dataset")
    settings = experiment({"name": "DeepBind", "strands": "single"})
    lines = write_baselines(tmp_path / "dataset", settings, tmp_path)
    assert len(lines) == 9
    rows = pd.read_csv(tmp_path / "examples.tsv", sep="\t")
    assert rows["split"].value_counts().to_dict() == {"val": 120, "test": 120}
    p = Ragged(tmp_path / "probability.npy")
    assert len(p) == 240
    last = Dataset(tmp_path / "dataset", 2)
    wanted, *_ = fit_sequences(last, "single")
    np.testing.assert_array_equal(np.stack([p[i] for i in range(len(p))])[-len(wanted) :], wanted)


@pytest.mark.data
def test_a_6_mer_model_of_real_sequences_is_as_good_as_published(data_root: Path, tmp_path: Path) -> None:
    """QKI in CLIP: AUROC 0.80 from GC content alone, 0.947 from 6-mers of 30,000 sequences; here 5,000 are used."""
    folder, parts, y = data_root / "genomics/clip31/24_QKI", [], []
    for part in ("train", "test"):
        parts.append([record.codes for record in read_fasta(folder / f"{part}_5000.fa.gz")])
        with gzip.open(folder / f"{part}_5000.labels.tsv.gz", "rt") as handle:
            y.append(pd.read_csv(handle, sep="\t")["label"].to_numpy(np.float32))
    n = [len(part) for part in parts]
    codes, labels = [*parts[0], *parts[1]], np.concatenate(y)[:, None]
    table = pd.DataFrame({"id": [f"s{i}" for i in range(sum(n))], "group": [f"s{i}" for i in range(sum(n))]})
    table["split"] = ["train"] * n[0] + ["test"] * n[1]
    facts = sequence_facts(outputs=["QKI"], alphabet="ACGU", window=101)
    write(Raw(table, codes.__getitem__, labels, facts), Split(val=0.15), 1, tmp_path / "dataset")
    dataset = Dataset(tmp_path / "dataset")
    p, *_ = fit_sequences(dataset, "single")
    test = p[dataset.examples["split"].to_numpy()[dataset.rows("val", "test")] == "test"]
    found = [auroc(test[:, b, 0], y[1]) for b in range(3)]
    assert found[0] == pytest.approx(0.80, abs=0.03)
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.93
