"""Baselines of whole images: equal to scikit-learn's, and each learns only what its features contain."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import accompanied, experiment, image_facts, images, labelled, sequences, stored, task_of

from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.evaluation.audit import audit, audit_stored
from biocnn.evaluation.baselines import of_sequences, write_baselines
from biocnn.evaluation.image_baselines import intensities, of_images, thumbnail
from biocnn.io.ragged import Ragged
from biocnn.metrics import class_accuracy, macro_auroc
from biocnn.prediction.stored_predictions import read_predictions
from biocnn.training.linear import fit, fit_path

MULTICLASS = task_of("multiclass", outputs=["a", "b", "c"])


def classes(n: int = 400, features: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return features, and the class of each example, one-hot."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, features))
    logits = x @ rng.normal(size=(features, 3)) + rng.gumbel(size=(n, 3))
    return x, np.eye(3)[logits.argmax(axis=1)]


@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_regression_on_classes_equals_that_of_scikit_learn(penalty: float) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = classes()
    found = fit(x, y, penalty, np.zeros((7, 3)), MULTICLASS)
    oracle = LogisticRegression(C=1 / (penalty * len(y)), tol=1e-8, max_iter=1000).fit(x, y.argmax(axis=1))
    np.testing.assert_allclose(found[:-1], oracle.coef_.T, atol=3e-3)
    intercepts = found[-1] - found[-1].mean()  # only differences between classes matter
    np.testing.assert_allclose(intercepts, oracle.intercept_ - oracle.intercept_.mean(), atol=3e-3)


def test_unknown_classes_change_nothing_and_one_penalty_is_chosen_for_all() -> None:
    x, y = classes()
    known = np.arange(len(x)) % 3 > 0
    half = fit(x, np.where(known[:, None], y, np.nan), 0.1, np.zeros((7, 3)), MULTICLASS)
    np.testing.assert_allclose(half, fit(x[known], y[known], 0.1, np.zeros((7, 3)), MULTICLASS), atol=1e-3)
    found = fit_path(x[:200], y[:200], x[200:], y[200:], MULTICLASS)
    p = found.predict(x[200:], MULTICLASS)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found.validation_score, macro_auroc(p, y[200:]), rtol=1e-5)
    assert len(set(found.penalty)) == 1


def test_features_by_hand() -> None:
    image = np.stack([np.full((16, 24), 3.0), np.arange(384.0).reshape(16, 24)])
    found = intensities(image)
    assert found.shape == (2 * 9 + 2,)
    np.testing.assert_allclose(found[[0, 2]], [3, 0])
    assert found[1] == found[11] == 191.5, "mean and median"
    np.testing.assert_allclose(np.exp(found[-2:]), [16, 24])
    small = thumbnail(image).reshape(2, 8, 8)
    np.testing.assert_allclose(small[0], 3)
    assert (np.diff(small[1], axis=1) > 2).all()
    assert thumbnail(np.zeros((1, 9, 30, 12))).shape == (64,)


def halves(n: int, task: str, folder: Path, **split: float) -> Dataset:
    """Store images of varying size that differ only in which half is bright: that above or that below."""
    rng, kinds, x = np.random.default_rng(1), np.arange(n) % 2, []
    for kind in kinds:
        height, width = 2 * rng.integers(9, 14), rng.integers(20, 30)
        bright = np.arange(height) // (height // 2) == kind
        x.append((rng.integers(0, 90, (1, height, width)) + 100 * bright[:, None]).astype(np.uint8))
    y = np.eye(2, dtype=np.float32)[kinds] if task.startswith("multi") else kinds[:, None].astype(np.float32)
    y = y + rng.normal(0, 0.1, y.shape).astype(np.float32) if task == "regression" else y
    facts = image_facts(task=task, outputs=["above", "below"] if task.startswith("multi") else ["below"])
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)]})
    return stored(Raw(examples, x.__getitem__, y, facts), folder, **split)


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "binary", "regression"])
def test_each_baseline_learns_only_what_its_features_contain(tmp_path: Path, task: str) -> None:
    dataset = halves(160, task, tmp_path)
    every, table, _ = of_images(dataset, experiment("ResNet"))
    p, names = every[:, -2:], ["constant", "brightness"] if task == "regression" else []
    y = dataset.y.stacked(dataset.rows("val", "test"))
    found = [((p[:, b, -1] > 0.5) == (y[:, -1] > 0.5)).mean() for b in range(2)]
    assert found[1] == 1, "a thumbnail shows which half is bright"
    assert 0.3 < found[0] < 0.7, "intensities are the same"
    outputs = ["all"] if task == "multiclass" else dataset.facts.outputs
    assert [*zip(table["baseline"], table["output"], strict=True)] == [
        (name, output) for name in (*names, "intensities", "thumbnail") for output in outputs
    ]
    np.testing.assert_array_equal(every, of_images(dataset, experiment("ResNet"))[0])


def test_volumes_of_classes_that_differ_in_brightness(tmp_path: Path) -> None:
    dataset = stored(labelled(90, sizes=((6, 16, 16), (8, 12, 16)), channels=2), tmp_path)
    p, table, _ = of_images(dataset, experiment("ResNet"))
    y = dataset.y.stacked(dataset.rows("val", "test"))
    assert all(class_accuracy(p[:, b], y) == 1 for b in range(2))
    assert list(table["features"]) == [2 * 9 + 3, 2 * 64]


def test_of_many_pixels_only_some_images_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = stored(labelled(60), tmp_path)
    monkeypatch.setattr("biocnn.evaluation.image_baselines.MOST_PIXELS", 256 * dataset.facts.n.train // 2)
    assert of_images(dataset, experiment("ResNet"))[1]["n"].eq(-(-dataset.facts.n.train // 2)).all()


def test_each_image_is_scaled_as_for_the_network(tmp_path: Path) -> None:
    """If each image is scaled by its own range, its exposure carries no information."""
    rng = np.random.default_rng(2)
    x = [(rng.integers(0, 100, (1, 16, 16)) * (1 + 9 * (i % 2))).astype(np.uint16) for i in range(80)]
    facts = image_facts(task="multiclass", outputs=["short", "long"])
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(80)], "group": [f"g{i // 2}" for i in range(80)]})
    for normalise, told in (("dataset", True), ("image", False)):
        y = np.eye(2, dtype=np.float32)[np.arange(80) % 2]
        raw = Raw(examples, x.__getitem__, y, facts.model_copy(update={"normalise": normalise}))
        dataset = stored(raw, tmp_path / normalise)
        p, *_ = of_images(dataset, experiment("ResNet"))
        accuracy = class_accuracy(p[:, 0], dataset.y.stacked(dataset.rows("val", "test")))
        assert (accuracy == 1) if told else (accuracy < 0.75)


def test_the_audit_compares_all_classes_together(tmp_path: Path) -> None:
    dataset = halves(160, "multiclass", tmp_path)
    settings = experiment("ResNet", data="LabelledImages")
    lines = write_baselines(tmp_path / "dataset", settings, tmp_path)
    assert lines[0].startswith("fold 0, all: intensities, 11 features, ")
    rows, rng = dataset.rows("val", "test"), np.random.default_rng(0)
    perfect = [dataset.y[i] + rng.random(2) / 3 for i in rows]
    Ragged.write(tmp_path / "run.npy", perfect, np.float32)
    run = Ragged(tmp_path / "run.npy"), dataset.examples.iloc[rows][["id", "split"]].reset_index(drop=True)
    table = audit(dataset, [run], read_predictions(tmp_path), ["intensities", "thumbnail"], 50, 1)
    assert set(table["output"]) == {"all"}
    assert set(table["metric"]) == {"accuracy", "auroc"}
    test = table[table["split"] == "test"].set_index(["baseline", "metric"])
    assert (test["network"] == 1).all()
    assert (test.loc["intensities", "difference_low"] > 0.1).all()
    assert (test.loc["thumbnail", "difference"] == 0).all()


def test_images_with_masks_have_none(tmp_path: Path) -> None:
    dataset = stored(images(6), tmp_path)
    assert write_baselines(tmp_path / "dataset", experiment("UNet", data="Images"), tmp_path) == [
        "no baselines for such maps"
    ]
    assert not (tmp_path / "baselines.tsv").exists()
    assert audit_stored(dataset, [], tmp_path, 10, 1).empty


def test_baselines_receive_covariates_and_one_receives_nothing_else(tmp_path: Path) -> None:
    """Labels depend on the dose alone; the weights of its column show this in every baseline."""
    raw = accompanied(labelled(60, classes=("low", "high")))
    high = (raw.examples["covariate_dose"].fillna(0) > 30).to_numpy().astype(int)
    dataset = stored(replace(raw, y=np.eye(2, dtype=np.float32)[high]), tmp_path)
    found = of_images(dataset, experiment("ResNet", data="LabelledImages"))
    names = ["intensities + covariates", "thumbnail + covariates", "covariates"]
    assert found.table["baseline"].tolist() == names
    assert found.table["features"].tolist() == [11 + 5, 64 + 5, 5]
    assert found.table.set_index("baseline").loc["covariates", dataset.task.monitor] > 0.95


def test_words_and_covariates_are_features_of_sequences(tmp_path: Path) -> None:
    dataset = stored(accompanied(sequences(60)), tmp_path)
    found = of_sequences(dataset, experiment())
    assert found.table["baseline"].tolist()[-2:] == ["6-mers + covariates", "covariates"]
    plain = of_sequences(stored(sequences(60), tmp_path / "plain"), experiment())
    width = dict(zip(plain.table["baseline"], plain.table["features"], strict=True))
    for row in found.table.head(3).itertuples():
        assert row.features == width[row.baseline.removesuffix(" + covariates")] + 5
