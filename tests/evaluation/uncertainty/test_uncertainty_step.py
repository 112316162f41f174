"""The step uncertainty on small data sets with untrained networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from tiny import experiment, images, metadata, stored

from biocnn.config.schema import choose
from biocnn.config.settings import Apply, Metrics, Predict, Settings, Uncertainty
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.evaluation.evaluate import evaluate_stored
from biocnn.evaluation.uncertainty import maps, samples
from biocnn.evaluation.uncertainty.step import Samples, write_uncertainty
from biocnn.io.archive import array_archive
from biocnn.metrics import average_precision_iou, dice
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, load_model, save_model
from biocnn.training.metadata import Postprocess
from biocnn.workflow import steps

FILES = {"per_image", "per_object", "calibration", "risk_coverage", "summary", "annotate_next"}


def made(
    folder: Path, task: str, seeds: int = 2, dropout: float = 0.2, folds: int | None = None
) -> tuple[Dataset, list[Path]]:
    """Return a data set, and runs with model and predictions; one per fold."""
    split = {"folds": folds, "val": None, "test": None} if folds else {}
    dataset = stored(images(9 if folds else 8, size=(24, 32), task=task), folder, **split)
    section = choose("models", {"name": "UNet", "channels": [4, 8], "dropout": dropout}, "model")
    cut = {"min_size": 4, "peak_threshold": 0.0, "seed_threshold": 0.0} if task == "instances" else {}
    numbers = [(fold, 1) for fold in range(folds)] if folds else [(0, seed) for seed in range(1, seeds + 1)]
    runs = [folder / f"fold{fold}-seed{seed}" for fold, seed in numbers]
    for (fold, seed), run in zip(numbers, runs, strict=True):
        torch.manual_seed(seed)
        meta = metadata(section, dataset.facts, postprocess=cut, fold=fold)
        save_model(run / "model.safetensors", build_model(section, dataset.facts), meta)
        steps.predict([run / "model.safetensors"], dataset.folder, run / "predictions")
    return dataset, runs


def settings_of(*methods: Any, images: Path | None = None, tta: Any = "none", samples: int = 4) -> Settings:
    """Return an experiment."""
    uncertainty = Uncertainty(methods=list(methods), samples=samples)
    sections = {"uncertainty": uncertainty, "predict": Predict(tta=tta), "apply": Apply(images=images)}
    return experiment("UNet", data="Images", **sections)


def evaluated(dataset: Dataset, runs: list[Path], path: Path) -> Path:
    with array_archive(path) as keep:
        evaluate_stored(dataset, runs, Metrics(resamples=0), 1, keep=keep)
    return path


def written(dataset: Dataset, runs: list[Path], folder: Path, *methods: str, new: Path | None = None) -> dict:
    folder.mkdir()
    decided = evaluated(dataset, runs, folder.with_suffix(".npz"))
    list(write_uncertainty(dataset, runs, decided, settings_of(*methods, images=new), folder))
    assert {path.name for path in folder.iterdir()} == {f"{name}.tsv" for name in FILES} | {"maps.npz"}
    return {name: pd.read_csv(folder / f"{name}.tsv", sep="\t", dtype={"id": str}) for name in FILES}


@pytest.mark.parametrize("task", ["mask", "classes", "instances"])
def test_stored_probabilities_are_used(task: str, tmp_path: Path) -> None:
    dataset, runs = made(tmp_path, task)
    tables = written(dataset, runs, tmp_path / "out", "ensemble")
    per_image = tables["per_image"].set_index("id")
    parts = dataset.examples[dataset.examples["split"].isin(["val", "test"])]
    assert per_image["split"].to_dict() == dict(zip(parts["id"], parts["split"], strict=True))
    models = [Model(run / "model.safetensors") for run in runs]
    row = dataset.rows("test")[0]
    id = dataset.examples["id"].iloc[row]
    found = maps(samples("ensemble", models, dataset.x[row]), dataset.task)
    assert per_image.loc[id, "entropy"] == pytest.approx(found.entropy.mean(), abs=2e-3)  # float16 is stored
    assert per_image.loc[id, "mutual_information"] == pytest.approx(found.mutual_information.mean(), abs=2e-3)
    mean = np.mean([np.float32(np.float16(model.predict(dataset.x[row]))) for model in models], axis=0)
    decided = dataset.task.decide(mean, models[0].meta.postprocess.given())
    if task == "instances":
        agreement = average_precision_iou(decided, dataset.labels[row][0]).mean()
    else:
        agreement = np.mean([dice(decided, dataset.y[row][0], label=k) for k in range(1, 2 + (task == "classes"))])
    assert per_image.loc[id, "risk"] == pytest.approx(1 - agreement, abs=1e-5)
    with np.load(tmp_path / "out" / "maps.npz") as stored_maps:
        ids = dataset.examples["id"].iloc[dataset.rows("test")]
        assert set(stored_maps.files) == {f"{id}.{kind}" for id in ids for kind in ("entropy", "mutual_information")}
        np.testing.assert_allclose(stored_maps[f"{id}.entropy"] / 255, found.entropy, atol=0.01)
    pixels = tables["calibration"].query("of == 'pixels' and split == 'test'").groupby("output")["n"].sum()
    assert (pixels == 24 * 32 * len(ids)).all()
    assert tables["annotate_next"]["id"].str.startswith(("val: ", "test: ")).all()


def test_objects_of_a_fold_are_made_with_settings_chosen_without_it(tmp_path: Path) -> None:
    """One of three runs, each with other test images, has settings that remove all objects."""
    dataset, runs = made(tmp_path, "instances", folds=3)
    path = runs[1] / "model.safetensors"
    network, meta = load_model(path)
    save_model(path, network, meta.model_copy(update={"postprocess": Postprocess(min_size=10**6)}))
    counts = written(dataset, runs, tmp_path / "out", "ensemble")["per_image"].set_index(["split", "id"])["objects"]
    for run in runs:
        table = pd.read_csv(run / "predictions" / "examples.tsv", sep="\t").query("split != 'train'")
        found = counts.loc[list(zip(table["split"], table["id"], strict=True))]
        assert (found == 0).all() == (run == runs[1])


def test_views_and_dropout_are_predicted_again_reproducibly(tmp_path: Path) -> None:
    dataset, runs = made(tmp_path, "mask", seeds=1)
    methods = ("dropout", "augment", "ensemble")
    one, other = (written(dataset, runs, tmp_path / name, *methods) for name in ("one", "other"))
    for name in FILES:
        pd.testing.assert_frame_equal(one[name], other[name])
    assert (tmp_path / "one" / "maps.npz").read_bytes() == (tmp_path / "other" / "maps.npz").read_bytes()
    disagreement = one["per_image"].groupby("method")["mutual_information"].mean()
    assert disagreement["ensemble"] == 0
    assert (disagreement[["dropout", "augment"]] > 1e-4).all()
    model = Model(runs[0] / "model.safetensors")
    row = dataset.rows("test")[0]
    found = maps(samples("dropout", [model], dataset.x[row], number=4, seed=1), dataset.task)
    line = one["per_image"].query("method == 'dropout'").set_index("id").loc[dataset.examples["id"].iloc[row]]
    assert line["mutual_information"] == pytest.approx(found.mutual_information.mean(), rel=1e-4)


def test_new_images_are_ranked(tmp_path: Path) -> None:
    dataset, runs = made(tmp_path, "mask")
    (tmp_path / "new").mkdir()
    for i in range(3):
        tifffile.imwrite(tmp_path / "new" / f"plate{min(i, 1)}_{i}.tif", np.asarray(dataset.x[min(i, 1)][0]))
    table = written(dataset, runs, tmp_path / "out", "ensemble", new=tmp_path / "new")["annotate_next"]
    assert sorted(table["id"]) == ["plate0_0", "plate1_1", "plate1_2"]
    assert table["reason"].iloc[-1].startswith("similar to plate1_")


def test_dropout_without_dropout_is_refused(tmp_path: Path) -> None:
    dataset, runs = made(tmp_path, "mask", seeds=1, dropout=0.0)
    (tmp_path / "out").mkdir()
    decided = evaluated(dataset, runs, tmp_path / "decided.npz")
    with pytest.raises(InputError, match="no layers that drop channels"):
        list(write_uncertainty(dataset, runs, decided, settings_of("dropout"), tmp_path / "out"))


def test_views_are_averaged_unless_they_are_the_uncertainty_method(tmp_path: Path) -> None:
    dataset, runs = made(tmp_path, "mask")
    image = np.asarray(dataset.x[0])
    predictions = Samples(runs, settings_of("ensemble", "augment", tta="all", samples=8))
    one, *_ = predictions.of_image("ensemble", image)
    views = list(predictions.of_image("augment", image))
    assert len(views) == 8
    np.testing.assert_allclose(np.mean(views, axis=0), one, atol=1e-5)
