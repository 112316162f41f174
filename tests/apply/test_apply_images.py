"""Models of whole images applied to new images: a row for each, with class, probabilities and uncertainty."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from tiny import labelled, metadata, stored, task_of

from biocnn.apply.images import apply_files, apply_images
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.prediction.model import Model
from biocnn.report.figures import Gallery
from biocnn.report.new_images import objects, predictions
from biocnn.report.results import Results
from biocnn.training.checkpoint import build_model, save_model

RESNET = {"name": "ResNet", "channels": [4, 4, 4, 4], "depth": 18, "stem": "small"}


def model_of(folder: Path, seed: int = 1, size: tuple[int, ...] = (16, 16)) -> Model:
    """Return an untrained network for images of three classes."""
    torch.manual_seed(seed)
    facts = stored(labelled(sizes=[size]), folder).facts
    section = choose("models", RESNET, "model")
    save_model(folder / "model.safetensors", build_model(section, facts), metadata(section, facts))
    return Model(folder / "model.safetensors", "cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    return [model_of(tmp_path_factory.mktemp("model"), seed) for seed in (1, 2)]


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Return a folder with two images of the size of training, a larger one, and a damaged one."""
    folder = tmp_path / "new"
    folder.mkdir()
    raw = labelled(4, sizes=[(16, 16), (16, 16), (40, 16)])
    for row, name in enumerate(("a", "b", "tall")):
        tifffile.imwrite(folder / f"{name}.tif", raw.x(row)[0])
    (folder / "damaged.tif").write_bytes(b"not an image")
    return folder


def test_each_image_has_its_class_probabilities_and_uncertainty(models: list[Model], new: Path, tmp_path: Path) -> None:
    (tmp_path / "apply").mkdir()
    assert apply_images(new, models, tmp_path / "apply") == {"predictions.csv": 4}
    table = pd.read_csv(tmp_path / "apply/predictions.csv").set_index("image")
    assert table["path"].tolist() == ["a.tif", "b.tif", "damaged.tif", "tall.tif"]
    assert table["skipped"].notna().tolist() == [False, False, True, False]
    assert sorted(path.name for path in (tmp_path / "apply/thumbnails").iterdir()) == ["a.jpg", "b.jpg", "tall.jpg"]
    assert not table.loc[["a", "b"], "notes"].str.contains("larger").any()
    assert "only its centre is seen (16 x 16 of 40 x 16 pixels)" in table.loc["tall", "notes"]
    names = models[0].outputs
    for name in ("a", "b", "tall"):
        each = np.stack([model.predict(new / f"{name}.tif") for model in models]).astype(float)
        mean, row = each.mean(axis=0), table.loc[name]
        np.testing.assert_allclose(row[[f"probability_{output}" for output in names]].astype(float), mean, rtol=1e-5)
        assert row["class"] == names[mean.argmax()]
        entropy = -(mean * np.log(mean)).sum() / np.log(3)
        assert row["uncertainty"] == pytest.approx(entropy, rel=1e-5)
        apart = entropy + (each * np.log(each)).sum(axis=1).mean() / np.log(3)
        assert row["disagreement"] == pytest.approx(apart, abs=1e-5)
    counts = pd.read_csv(tmp_path / "apply/counts.tsv", sep="\t").set_index("outcome")["count"]
    assert counts.to_dict() == {"read": 3, "dropped": 1, "repaired": 3, "note": 1}
    results = Results(tmp_path)
    assert not objects(results, Gallery(tmp_path / "figures")).blocks
    page = str(predictions(results, Gallery(tmp_path / "figures")).blocks)
    assert "1 new image skipped" in page
    assert "Predictions for 3 new images are in apply/predictions.csv" in page


def test_the_mirrored_margins_of_a_much_smaller_image_are_noted(models: list[Model], tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "flat.tif", labelled(1, sizes=[(6, 16)]).x(0)[0])
    (tmp_path / "apply").mkdir()
    apply_images(tmp_path / "flat.tif", models, tmp_path / "apply")
    (notes,) = pd.read_csv(tmp_path / "apply/predictions.csv")["notes"]
    assert "smaller than the images of training: continued by mirroring (6 x 16 to 16 x 16 pixels)" in notes


def test_one_model_has_no_disagreement_and_may_stop_at_a_damaged_image(
    models: list[Model], new: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"damaged\.tif: not a supported image"):
        apply_files(new, [models[0].path], tmp_path / "stopped", on_error="stop")
    (new / "damaged.tif").unlink()
    apply_files(new, [models[0].path], tmp_path / "out")
    columns = pd.read_csv(tmp_path / "out/predictions.csv").columns
    assert not {"disagreement"} & set(columns)
    assert "uncertainty" in columns


def test_the_images_of_an_npz_file_are_predicted_one_by_one(models: list[Model], tmp_path: Path) -> None:
    raw = labelled(3)
    np.savez(tmp_path / "new.npz", test_images=np.concatenate([raw.x(row) for row in range(3)]), others=np.zeros(2))
    (tmp_path / "apply").mkdir()
    assert apply_images(tmp_path / "new.npz", models, tmp_path / "apply") == {"predictions.csv": 3}
    table = pd.read_csv(tmp_path / "apply/predictions.csv")
    assert table["path"].tolist() == ["test_images[0]", "test_images[1]", "test_images[2]"]
    each = np.stack([model.predict(raw.x(1)) for model in models])
    np.testing.assert_allclose(table.loc[1, "probability_dark"], each[:, 0].mean(), rtol=1e-5)


def test_paths_arrays_lists_and_folders_have_the_same_predictions(models: list[Model], new: Path) -> None:
    model, paths = models[0], [new / "a.tif", new / "b.tif"]
    arrays = [tifffile.imread(path) for path in paths]
    one = model.predict(paths[0])
    assert one.shape == (3,)
    np.testing.assert_allclose(one.sum(), 1, rtol=1e-6)
    for same in (str(paths[0]), arrays[0], arrays[0][None]):
        np.testing.assert_array_equal(model.predict(same), one)
    both = np.stack([one, model.predict(paths[1])])
    np.testing.assert_array_equal(model.predict(paths), both)
    np.testing.assert_array_equal(model.predict(arrays), both)
    for name in ("damaged", "tall"):
        (new / f"{name}.tif").unlink()
    np.testing.assert_array_equal(model.predict(new), both)
    assert model.predict([]).shape == (0, 3)
    with pytest.raises(InputError, match="is a model for one class for each image: it has no masks"):
        model.segment(paths[0])


def test_options_of_maps_are_refused_for_whole_images(models: list[Model]) -> None:
    with pytest.raises(InputError, match="blend: is for images with one class per pixel, but the model is for"):
        Model(models[0].path, blend="gaussian")


def test_yes_or_no_for_each_output() -> None:
    task = task_of("multilabel", outputs=["cyst", "scar"])
    assert task.describe(np.array([[1.0, 0.5]])) == {
        "predicted_cyst": "yes", "predicted_scar": "yes", "probability_cyst": 1, "probability_scar": 0.5,
        "uncertainty": 0.5,
    }  # fmt: skip
    found = task.describe(np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert (found["predicted_cyst"], found["predicted_scar"]) == ("yes", "no")
    assert (found["uncertainty"], found["disagreement"]) == (0.5, 0.5), "all uncertainty is disagreement"


def test_values_have_a_standard_deviation_over_models() -> None:
    found = task_of("regression", outputs=["age"]).describe(np.array([[1.0], [3.0]]))
    assert found == {"value_age": 2, "sd_age": pytest.approx(2**0.5)}
