"""Unknown labels are used neither in training nor in evaluation; examples without any label are dropped and counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import experiment, sequences, stored

from biocnn import metrics
from biocnn.config.settings import Metrics, Train
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.intervals import Intervals
from biocnn.data.sequences import Sequences
from biocnn.evaluation.audit import audit, compare
from biocnn.evaluation.baselines import BASELINES, fit_sequences
from biocnn.evaluation.evaluate import evaluate
from biocnn.explain import explain_sequences
from biocnn.io.ragged import Ragged
from biocnn.losses import bce, mse
from biocnn.tasks.multilabel import Multilabel
from biocnn.training.batches import make
from biocnn.training.forward import predict_batches
from biocnn.training.linear import PENALTIES, fit
from biocnn.training.runs import train_run


def read(tmp_path: Path, text: str, **settings):
    checks = Checks()
    (tmp_path / "t.tsv").write_text(text)
    return Sequences(table=tmp_path / "t.tsv", **settings).read(1, checks), checks.frame()


@pytest.mark.parametrize("word", ["", "NA", "NaN", "n/a", "null", "None", "."])
def test_missing_labels_of_a_table(tmp_path: Path, word: str) -> None:
    text = f"sequence\tlabel_a\tlabel_b\nACGTA\t1\t{word}\nACCTA\t{word}\t0\nAGGTA\t{word}\t{word}\nAGCCA\t0\t1\n"
    raw, checks = read(tmp_path, text)
    np.testing.assert_array_equal(raw.y, [[1, np.nan], [np.nan, 0], [0, 1]])
    assert raw.facts.task == "multilabel"
    assert raw.examples["id"].tolist() == ["line2", "line3", "line5"]
    dropped = checks[checks["outcome"] == "dropped"]
    assert dropped[["reason", "count", "example"]].to_numpy().tolist() == [["no known label", 1, "line4"]]
    notes = checks[checks["outcome"] == "note"]
    assert notes[["reason", "count"]].to_numpy().tolist() == [
        [f"label_{k} is missing: not used in training and evaluation", 1] for k in "ab"
    ]


def test_numbers_may_be_missing_even_in_the_first_row(tmp_path: Path) -> None:
    raw, _ = read(tmp_path, "sequence\tx\ty\ttext\nACGTA\tNA\t0.5\tNA\nACCTA\t2\t\tw\nAGGTA\t-1.5\t3\tw\n")
    assert raw.facts.outputs == ["x", "y"]
    assert raw.facts.task == "regression"
    np.testing.assert_allclose(raw.y, [[np.nan, 0.5], [2, np.nan], [-1.5, 3]])


@pytest.mark.parametrize("word", ["-", "inf", "unknown", "1,5"])
def test_a_column_of_numbers_with_text_in_the_first_row_is_not_overlooked(tmp_path: Path, word: str) -> None:
    text = f"sequence\tx\ty\ttext\nACGTA\t1\t{word}\t7\nACCTA\t2\t1\tw\nAGGTA\t3\t2\tw\n"
    with pytest.raises(InputError, match=f"line 2: y is '{word}'"):
        read(tmp_path, text)
    raw, _ = read(tmp_path, text, targets=["x"])
    assert raw.facts.outputs == ["x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sequence\tlabel\nACGT\t1\nACCT\tNA\n", "line 3: label is 'NA'"),
        ("sequence\tlabel\nACGT\t1\nACCT\tyes\n", "line 3: label is 'yes'"),
        ("sequence\tlabel\nACGT\t1\nACCT\tinf\n", "line 3: label is 'inf'"),
        ("sequence\tlabel\nACGT\t1\nACCT\t1e60\n", "line 3: label is '1e60'"),
        ("sequence\tlabel_a\tlabel_b\nACGT\t1\tNA\nACCT\t0\t\n", "column label_b"),
    ],
)
def test_labels_that_are_not_numbers_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(("values", "number"), [("-1 1 1", 1), ("1 2 2", 1), ("0 1 1", 0), ("0.5 1 2", 0)])
def test_two_classes_other_than_0_and_1_are_learned_as_numbers_and_reported(
    tmp_path: Path, values: str, number: int
) -> None:
    rows = "".join(f"ACG{x}\t{v}\n" for x, v in zip("ACG", values.split(), strict=True))
    _, checks = read(tmp_path, "sequence\tlabel\n" + rows)
    assert checks["reason"].str.contains("label has two values: treated as numbers").sum() == number


@pytest.mark.parametrize(("scale", "offset"), [(1, 1e9), (1, -1e5), (1e-46, 0)])
def test_numbers_that_become_equal_in_float32_are_refused(tmp_path: Path, scale: float, offset: float) -> None:
    values = offset + scale * np.array([1.1, 1.2, 1.3])
    text = "sequence\tlabel_a\tlabel_b\n" + "".join(
        f"ACG{x}\tNA\t{v:.17g}\n" for x, v in zip("ACG", values, strict=True)
    )
    with pytest.raises(InputError, match="label_b differ too little"):
        read(tmp_path, text.replace("NA", "5"))
    (tmp_path / "g.fa").write_text(">c\n" + "ACGTTGCATT" * 20 + "\n")
    lines = [f"c\t{60 * i}\t{60 * i + 9}\ta\t{value:.17g}\n" for i, value in enumerate(values)]
    (tmp_path / "p.bed").write_text("".join(lines))
    settings = {"genome": tmp_path / "g.fa", "intervals": tmp_path / "p.bed", "window": 20}
    with pytest.raises(InputError, match="s differ too little"):
        Intervals(targets={"s": 5}, **settings).read(1, Checks())


def test_columns_of_intervals(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">c\n" + "ACGTTGCATT" * 20 + "\n")
    lines = ["c\t20\t30\ta\t1.5\t+", "c\t60\t70\tb\t.\t+", "c\t90\t100\tc\tNA\t+", "c\t120\t130\td\t7\t+"]
    (tmp_path / "p.bed").write_text("\n".join(lines) + "\n")
    checks = Checks()
    settings = {"genome": tmp_path / "g.fa", "intervals": tmp_path / "p.bed", "window": 20}
    with pytest.raises(InputError, match=r"s of c:55-75\(\+\) is missing \(2 such examples\)"):
        Intervals(targets={"s": 5}, **settings).read(1, Checks())
    raw = Intervals(targets={"s": 5, "t": 5}, **settings).read(1, checks)
    assert raw.y.tolist() == [[1.5, 1.5], [7, 7]]
    assert [len(raw.x(row)) for row in range(2)] == [52, 52]
    assert checks.frame().query("reason == 'no known label'")["count"].tolist() == [2]


@pytest.fixture(scope="module")
def two_outputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, np.ndarray]:
    """Return two outputs; the second is unknown for every third example, and has no positive in the val split."""
    raw = sequences(120, outputs=("a", "b"), task="multilabel")
    raw.y[:, 1] = np.random.default_rng(0).random(120) < 0.5
    raw.y[::3, 1] = np.nan
    part = np.array([group in ("g0", "g1", "g2", "g3") for group in raw.examples["group"]])
    raw.y[part & (raw.y[:, 1] == 1), 1] = 0
    folder = tmp_path_factory.mktemp("some")
    return stored(raw, folder, val=["g0", "g1", "g2", "g3"], test=["g4", "g5", "g6", "g7"]), raw.y


def test_facts_count_known_labels(two_outputs: tuple[Dataset, np.ndarray]) -> None:
    dataset, y = two_outputs
    train = y[dataset.rows("train")]
    assert dataset.facts.n_known.train == (~np.isnan(train)).sum(axis=0).tolist()
    assert dataset.facts.positives == pytest.approx(np.nanmean(train, axis=0).tolist())
    checks = pd.read_csv(dataset.folder / "checks.tsv", sep="\t")
    (row,) = checks[checks["reason"].str.contains("excluded from its metrics")].to_dict("records")
    assert row["example"] == "b"
    assert row["reason"].startswith("the val split has only one class (0)")


def test_baselines_of_an_output_with_one_class_in_validation_use_the_strongest_penalty(two_outputs) -> None:
    simple, about, _ = fit_sequences(two_outputs[0], "single")
    assert np.isfinite(simple).all()
    assert about.groupby("output")["auprc"].count().to_dict() == {"a": 3, "b": 0}
    assert about.groupby("output")["penalty"].max()["b"] == PENALTIES[0]


def test_an_output_with_nothing_to_learn_is_refused(tmp_path: Path) -> None:
    raw = sequences(60, outputs=("a", "b", "c"), task="multilabel")
    raw.y[:, 1] = 0
    raw.y[:, 2] = np.nan
    message = "the train split has only one class \\(0\\) of 'b'; no known value of 'c'"
    with pytest.raises(InputError, match=message):
        stored(raw, tmp_path)


def test_training_uses_only_known_labels(two_outputs: tuple[Dataset, np.ndarray], tmp_path: Path) -> None:
    """Gradients depend only on known labels, whatever is stored for unknown ones."""

    logits = torch.randn(50, 2, generator=torch.Generator().manual_seed(1), requires_grad=True)
    target = torch.from_numpy(two_outputs[1][:50])
    known = ~target.isnan()
    for loss in (bce, mse):
        value = loss(logits, target)
        (gradient,) = torch.autograd.grad(value, logits)
        alone = loss(logits[known][:, None], target[known][:, None])
        torch.testing.assert_close(value, alone)
        torch.testing.assert_close(gradient, torch.autograd.grad(alone, logits)[0])
        assert loss(logits, torch.full_like(logits, torch.nan)).item() == 0


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_all_steps_accept_missing_labels(tmp_path: Path, task: str) -> None:
    """Train, calibrate, compare and explain; all numbers come from known labels only."""

    raw = sequences(240, outputs=("a", "b"), task=task)
    rng = np.random.default_rng(0)
    raw.y[:, 1] = rng.random(240) < 0.5 if task == "multilabel" else rng.normal(size=240)
    raw.y[rng.random(240) < 0.3, 0] = np.nan
    raw.y[rng.random(240) < 0.3, 1] = np.nan
    raw.y[np.isnan(raw.y).all(axis=1)] = 1
    dataset = stored(raw, tmp_path)
    model = {"name": "DeepBind", "channels": 4, "kernel_size": 8}
    train = Train(epochs=2, threads=1, class_weights="balanced" if task == "multilabel" else "none")
    network, history, meta = train_run(experiment(model, train=train), dataset, 1)
    assert np.isfinite(history[["train_loss", "val_loss"]].to_numpy()).all()
    assert np.isfinite(meta.temperature).all()
    for levels, column in zip(meta.recall or [], raw.y[dataset.rows("val")].T, strict=False):
        assert np.shape(levels) == (101,)
        assert (np.diff(levels) >= 0).all()
        assert (column == 1).any()

    rows = dataset.rows("val", "test")
    parts = make(dataset, rows, next(network.parameters()).device)
    p = np.stack(list(predict_batches(network, parts, dataset.task)))
    Ragged.write(tmp_path / "p.npy", p, np.float32)
    table = dataset.examples.iloc[rows][["id", "split"]]
    predictions = Ragged(tmp_path / "p.npy"), table
    found = evaluate(dataset, {"run": predictions}, {}, Metrics(resamples=50), 1).metrics
    test = (table["split"] == "test").to_numpy()
    metric = metrics.auroc if task == "multilabel" else metrics.pearson
    for k, output in enumerate("ab"):
        y = raw.y[rows][test, k]
        known = ~np.isnan(y)
        (row,) = found.query(f"split == 'test' and output == '{output}' and metric == '{metric.__name__}'").to_dict(
            "records"
        )
        assert row["value"] == pytest.approx(metric(p[test, k][known], y[known]))
        assert row["n"] == known.sum()
        assert row["low"] <= row["value"] <= row["high"]
    simple, about, _ = fit_sequences(dataset, "single")
    assert np.isfinite(simple).all()
    assert about["auprc" if task == "multilabel" else "pearson"].notna().all()
    Ragged.write(tmp_path / "b.npy", simple, np.float32)
    compared = audit(dataset, [predictions], (Ragged(tmp_path / "b.npy"), table), list(BASELINES), 20, 1)
    assert compared["difference"].notna().all()
    explained = explain_sequences(
        network, dataset.windows(rows), raw.y[rows], p, table["id"].tolist(), None, Checks(), outputs=["a", "b"]
    )
    effects = explained.matches["effect"]
    assert effects.notna().all()
    assert len(effects)


def test_baselines_are_fitted_to_known_labels() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), (rng.random((60, 2)) < 0.5).astype(float)
    missing = rng.random((60, 2)) < 0.3
    both = fit(x, np.where(missing, np.nan, y), 0.1, np.zeros((4, 2)), Multilabel)
    for k in range(2):
        known = ~missing[:, k]
        one = fit(x[known], y[known, k : k + 1], 0.1, np.zeros((4, 1)), Multilabel)
        np.testing.assert_allclose(both[:, k], one[:, 0], atol=1e-3)


def test_paired_comparisons_resample_whole_groups() -> None:
    rng = np.random.default_rng(0)
    y, noise = np.arange(200) % 2, rng.normal(size=(200, 2))
    network, baseline = y + noise.T

    plain = compare(metrics.auroc, network, baseline, y, 200, 1)
    four = [np.repeat(values, 4) for values in (network, baseline, y)]
    copies = compare(metrics.auroc, *four, 200, 1, np.repeat(np.arange(200), 4))
    feigned = compare(metrics.auroc, *four, 200, 1)
    for key in ("low", "high", "difference_low", "difference_high"):
        assert copies[key] == pytest.approx(plain[key])  # four copies of an example carry no more information than one
    assert feigned["high"] - feigned["low"] < 0.7 * (plain["high"] - plain["low"])
