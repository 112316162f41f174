"""Outputs of several kinds are judged like each of them alone; examples without a target count nowhere."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import Dataset, experiment, several, stored

from biocnn.config.settings import Metrics
from biocnn.evaluation.audit import audit, audit_stored
from biocnn.evaluation.baselines import write_baselines
from biocnn.evaluation.evaluate import evaluate
from biocnn.evaluation.image_baselines import of_images
from biocnn.evaluation.mistakes import worst_examples
from biocnn.io.ragged import Ragged
from biocnn.prediction.stored_predictions import read_predictions

SETTINGS = experiment("ResNet", data="LabelledImages", augment="none")


def noisy(dataset: Dataset, row: int, rng: np.random.Generator) -> np.ndarray:
    """Return predictions of an example of `several` as of a model with intervals: a noisy truth."""
    y = np.nan_to_num(dataset.y[row], nan=0.5) + rng.uniform(0.1, 0.8, 8)
    y[:3], y[3], y[4:7] = y[:3] / y[:3].sum(), y[3] / 2, y[4:7] / y[4:7].sum()
    return np.concatenate([y, [y[7] - 1, y[7] + 1]]).astype(np.float32)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """Return a data set, and a folder with predictions of two runs and of baselines."""
    folder = tmp_path_factory.mktemp("several")
    dataset = stored(several(90), folder)
    rows = dataset.rows("val", "test")
    for seed in (1, 2):
        rng, path = np.random.default_rng(seed), folder / f"run{seed}" / "predictions"
        path.mkdir(parents=True)
        Ragged.write(path / "probability.npy", [noisy(dataset, row, rng) for row in rows], np.float32)
        dataset.examples.iloc[rows][["id", "split"]].to_csv(path / "examples.tsv", sep="\t", index=False)
    (folder / "baselines").mkdir()
    write_baselines(dataset.folder, SETTINGS, folder / "baselines")
    return dataset, folder


def test_each_part_is_judged_as_alone(results: tuple[Dataset, Path]) -> None:
    dataset, folder = results
    runs = {f"run{seed}": read_predictions(folder / f"run{seed}" / "predictions") for seed in (1, 2)}
    table = evaluate(dataset, runs, {}, Metrics(resamples=20), 1).metrics
    assert table["part"].unique().tolist() == ["kind", "lit", "stage", "size"]
    for part in dataset.task.parts:
        own = dataset.of_part(part)
        known = ~np.isnan(own.y.stacked(np.arange(len(own.y)))).any(axis=1)
        ids = set(own.examples["id"][known])
        reduced = {}
        for name, (values, rows) in runs.items():
            places = [i for i, id in enumerate(rows["id"]) if id in ids]
            reduced[name] = ([dataset.task.of_part(values[i], part) for i in places], rows.iloc[places].reset_index())
        alone = evaluate(own, reduced, {}, Metrics(resamples=20), 1).metrics
        found = table[table["part"] == part.name].drop(columns="part").reset_index(drop=True)
        pd.testing.assert_frame_equal(found, alone.reset_index(drop=True))
        tested = dataset.rows("test")
        assert set(found[found["split"] == "test"]["n"]) == {int(known[tested].sum())}


def test_baselines_are_fitted_and_compared_for_each_part(results: tuple[Dataset, Path]) -> None:
    dataset, folder = results
    fitted = pd.read_csv(folder / "baselines" / "baselines.tsv", sep="\t")
    names = list(fitted["baseline"].unique())
    assert names == ["intensities", "thumbnail", "constant", "brightness"]
    assert set(fitted[fitted["part"] != "size"]["baseline"]) == set(names[:2])
    values, rows = read_predictions(folder / "baselines")
    part = dataset.task.parts[3]
    alone = of_images(dataset.of_part(part), SETTINGS)
    order = [names.index(name) for name in alone.table["baseline"]]
    p = np.stack([values[i] for i in range(len(rows))])
    np.testing.assert_array_equal(p[:, order, 7:], alone.probability)
    assert np.isnan(p[:, 2:, :7]).all()

    runs = [folder / "run1", folder / "run2"]
    found = audit_stored(dataset, runs, folder / "baselines", 20, 1)
    assert found["part"].unique().tolist() == ["kind", "lit", "stage", "size"]
    predictions = [read_predictions(run / "predictions") for run in runs]
    own = [([dataset.task.of_part(one, part) for one in each], about) for each, about in predictions]
    simple = list(alone.probability), rows
    wanted = audit(dataset.of_part(part), own, simple, list(alone.table["baseline"]), 20, 1)
    pd.testing.assert_frame_equal(
        found[found["part"] == "size"].drop(columns="part").reset_index(drop=True), wanted, check_dtype=False
    )


def test_the_worst_examples_are_those_of_all_known_outputs(results: tuple[Dataset, Path]) -> None:
    dataset, folder = results
    found = worst_examples(dataset, [folder / "run1"], pd.DataFrame())
    assert found["value"].is_monotonic_decreasing
    assert found["value"].notna().all()
    assert len(found) == len(dataset.rows("test"))
    assert found["prediction"].str.contains("kind .*lit.*, stage .*, size ").all()
