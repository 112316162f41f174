"""Images restored from noisy ones, step by step: training, prediction, baselines, evaluation, report, new images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from matplotlib.image import imread
from scipy.ndimage import gaussian_filter
from simulated_results import coarse
from tiny import experiment, pairs, stored

from biocnn.apply.images import apply_images
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.evaluation.audit import COLUMNS, audit_stored
from biocnn.evaluation.baselines import write_baselines
from biocnn.evaluation.evaluate import evaluate_stored
from biocnn.metrics import psnr, psnr_fitted
from biocnn.prediction.images import InMemory
from biocnn.prediction.model import Model
from biocnn.prediction.stored_predictions import read_predictions, write_predictions
from biocnn.report import write_report
from biocnn.training.checkpoint import save_model
from biocnn.training.runs import train_run

TRAIN = {"epochs": 2, "threads": 1, "steps_per_epoch": 40, "batch_size": 4, "patch": [16, 16], "lr": 4e-3}
SETTINGS = experiment(
    {"name": "UNet", "channels": [8, 8]}, data="PairedImages", augment=["flip"], train=TRAIN, metrics={"resamples": 50}
)
RUNS = ("fold0-seed1", "fold0-seed2")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the results of an experiment."""
    return results_of(pairs(40), tmp_path_factory.mktemp("results") / "restored")


@pytest.fixture(scope="module")
def finer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the results of super-resolution."""
    return results_of(pairs(24, size=(64, 64), upscale=2), tmp_path_factory.mktemp("results") / "finer", RUNS[:1])


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the results of Noise2Void without any target, on images without sharp edges."""
    raw = pairs(24, blind=True)
    noise = np.random.default_rng(1).normal(0, 150, (24, 1, 32, 32))
    raw.x = lambda row: (smooth(row) + noise[row]).clip(0).astype(np.uint16)
    raw.y = lambda row: np.full((1, 32, 32), np.nan, np.float32)
    return results_of(raw, tmp_path_factory.mktemp("results") / "blind", RUNS[:1])


def smooth(row: int) -> np.ndarray:
    """Return an image without noise."""
    return gaussian_filter(pairs(24).y(row) + 600, 2, axes=(1, 2))


def results_of(raw: Raw, folder: Path, names: Sequence[str] = RUNS) -> Path:
    """Write the results of all steps from training to evaluation."""
    folder.mkdir()
    dataset, runs = stored(raw, folder), [folder / "runs" / name for name in names]
    for seed, run in enumerate(runs, 1):
        (run / "predictions").mkdir(parents=True)
        network, history, meta = train_run(SETTINGS, dataset, seed)
        save_model(run / "model.safetensors", network, meta)
        history.to_csv(run / "history.tsv", sep="\t", index=False)
        write_predictions(run / "predictions", Model(run / "model.safetensors", "cpu"), dataset)
    (folder / "baselines").mkdir()
    write_baselines(folder / "dataset", SETTINGS, folder / "baselines")
    tables = evaluate_stored(dataset, runs, SETTINGS.metrics, 1)
    audited = audit_stored(dataset, runs, folder / "baselines", 50, 1)
    files = ("metrics", "metrics_per_example", "matches", "audit")
    for name, table in zip(files, (*tables, audited), strict=True):
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    return folder


def test_the_ensemble_is_judged_by_its_mean_image(done: Path) -> None:
    dataset, table = Dataset(done / "dataset"), pd.read_csv(done / "metrics.tsv", sep="\t")
    each = [read_predictions(done / "runs" / run / "predictions") for run in RUNS]
    assert each[0][0][0].dtype == np.float32, "intensities above 65,504, or with decimals, are kept"
    rows = dataset.rows("val", "test")
    values = []
    for place in np.flatnonzero(each[0][1]["split"] == "test"):
        mean = np.mean([predictions[place] for predictions, _ in each], axis=0)
        values.append(psnr_fitted(mean, dataset.y[rows[place]], data_range=500.0))
    found = table[(table["run"] == "ensemble") & (table["split"] == "test") & (table["metric"] == "psnr_fitted")]
    assert found["value"].item() == pytest.approx(np.mean(values), rel=1e-5)
    assert found["low"].item() <= found["value"].item() <= found["high"].item()
    assert found["unit"].item() == "dB"


def test_the_network_is_compared_with_the_input_and_the_best_filter(done: Path) -> None:
    dataset, audited = Dataset(done / "dataset"), pd.read_csv(done / "audit.tsv", sep="\t")
    assert tuple(audited.columns) == COLUMNS
    assert set(audited["baseline"]) == {"input", "best filter"}
    rows = dataset.rows("test")
    test = audited[(audited["split"] == "test") & (audited["metric"] == "psnr_fitted")].set_index("baseline")
    wanted = [psnr_fitted(dataset.x[row], dataset.y[row], data_range=500.0) for row in rows]
    assert test.loc["input", "value"] == pytest.approx(np.mean(wanted), rel=1e-5)
    assert test.loc["best filter", "value"] > test.loc["input", "value"]
    assert test.loc["input", "network"] > test.loc["input", "value"] + 1, "the network learns"
    assert (test["difference_low"] <= test["difference"]).all()
    assert test["difference"].to_numpy() == pytest.approx((test["network"] - test["value"]).to_numpy())


def test_the_report_shows_images_and_baselines_and_new_images_beside_these_restored(done: Path) -> None:
    models = [Model(done / "runs" / run / "model.safetensors", "cpu") for run in RUNS]
    (done / "new").mkdir()
    for k in range(2):
        tifffile.imwrite(done / "new" / f"n{k}.tif", pairs(1, size=(40, 52), seed=k).x(0)[0])
    (done / "new" / "bad.tif").write_text("not an image")
    (done / "apply").mkdir()
    apply_images(done / "new", models, done / "apply", on_error="skip")
    with coarse():
        write_report(done, SETTINGS, done / "report.html", done / "figures")
    page = (done / "report.html").read_text()
    for text in ("PSNR after affine fit", "best filter", "Images from worst to best", "the input itself"):
        assert text in page
    for text in ("2 new images restored", "apply/sd", "Middle of new images", "1 new image skipped"):
        assert text in page
    for absent in ("Shortcuts", "Grad-CAM", "linear models on the same split"):
        assert absent not in page
    names = {path.stem for path in (done / "figures").glob("*.png")}
    assert names >= {"predictions", "audit", "thumbnail", "restored"}


def test_new_images_are_restored_in_their_data_type_with_their_pixel_size(done: Path, tmp_path: Path) -> None:
    models = [Model(done / "runs" / run / "model.safetensors", "cpu") for run in RUNS]
    raw, (new, out) = pairs(2, size=(40, 52), seed=7), (tmp_path / "new", tmp_path / "out")
    new.mkdir()
    out.mkdir()
    size = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(new / "a.tif", raw.x(0)[0], ome=True, metadata=size)
    apply_images(new, models, out)
    with tifffile.TiffFile(out / "restored/a.tif") as file:
        restored = file.asarray()
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata
    assert (restored.dtype, restored.shape) == (np.uint16, (40, 52))
    mean = np.mean([model.predict(new / "a.tif") for model in models], axis=0)
    np.testing.assert_array_equal(restored, np.clip(np.rint(mean[0]), 0, 65535))
    gain = psnr(restored[None], raw.y(0), data_range=500) - psnr(raw.x(0), raw.y(0), data_range=500)
    assert gain > 3
    table = pd.read_csv(out / "images.csv")
    assert table["clipped"].tolist() == [int((np.rint(mean) < 0).sum())]
    sd = np.std([model.predict(new / "a.tif") for model in models], axis=0, ddof=1)
    np.testing.assert_allclose(tifffile.imread(out / "sd/a.tif"), sd[0], rtol=1e-4, atol=1e-3)
    assert table["sd"].item() == pytest.approx(np.sqrt(np.mean(sd**2)), rel=1e-4)
    assert imread(out / "previews/a.png").shape == (40, 3 * 52, 3)


def test_tiles_and_mirror_images_are_in_the_intensities_of_the_image(done: Path) -> None:
    path, x = done / "runs" / RUNS[0] / "model.safetensors", pairs(1, size=(64, 200)).x(0)
    whole, tiled = Model(path, "cpu"), Model(path, "cpu", memory_gb=0.001)
    assert len(tiled.open_maps(InMemory(x), "x").regions) > 1
    np.testing.assert_allclose(tiled.predict(x), whole.predict(x), rtol=1e-4, atol=0.05)
    blended = Model(path, "cpu", blend="gaussian").predict(x)
    assert np.abs(blended - whole.predict(x)).mean() < 0.1 * whole.predict(x).mean()
    flipped = np.flip(Model(path, "cpu", tta="flips").predict(np.flip(x, 2).copy()), 2)
    np.testing.assert_allclose(Model(path, "cpu", tta="flips").predict(x), flipped, rtol=1e-4, atol=0.05)


def test_finer_images_are_the_same_in_tiles_views_and_patches(finer: Path) -> None:
    path, x = finer / "runs" / RUNS[0] / "model.safetensors", pairs(1, size=(120, 240), upscale=2).x(0)
    whole, tiled = Model(path, "cpu"), Model(path, "cpu", memory_gb=0.001)
    maps = tiled.open_maps(InMemory(x), "x")
    assert len(maps.regions) > 1
    assert maps.shape == (1, 120, 240)
    wanted = whole.predict(x)
    np.testing.assert_allclose(tiled.predict(x), wanted, rtol=1e-4, atol=0.05)
    odd = slice(31, 78), slice(5, 60)
    np.testing.assert_allclose(maps.region(odd), wanted[:, *odd], rtol=1e-4, atol=0.05)
    blended = Model(path, "cpu", blend="gaussian").predict(x)
    assert np.abs(blended - wanted).mean() < 0.1 * wanted.mean()
    flipped = np.flip(Model(path, "cpu", tta="all").predict(np.flip(x, 2).copy()), 2)
    np.testing.assert_allclose(Model(path, "cpu", tta="all").predict(x), flipped, rtol=1e-4, atol=0.05)


def test_finer_images_are_written_with_smaller_pixels(finer: Path, tmp_path: Path) -> None:
    model = Model(finer / "runs" / RUNS[0] / "model.safetensors", "cpu")
    size = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite(tmp_path / "a.tif", pairs(1, size=(40, 52), upscale=2).x(0)[0], ome=True, metadata=size)
    apply_images(tmp_path / "a.tif", [model], tmp_path)
    with tifffile.TiffFile(tmp_path / "restored/a.tif") as file:
        assert file.asarray().shape == (40, 52)
        assert 'PhysicalSizeX="0.25"' in file.ome_metadata
        assert 'PhysicalSizeY="0.125"' in file.ome_metadata
    assert not (tmp_path / "sd").exists()
    assert imread(tmp_path / "previews/a.png").shape == (40, 2 * 52, 3)


def test_finer_images_are_compared_with_interpolation(finer: Path) -> None:
    audited = pd.read_csv(finer / "audit.tsv", sep="\t")
    assert list(dict.fromkeys(audited["baseline"])) == ["nearest", "bilinear", "bicubic", "Lanczos"]
    dataset = Dataset(finer / "dataset")
    test = audited[(audited["split"] == "test") & (audited["metric"] == "psnr_fitted")].set_index("baseline")
    nearest = [dataset.x[row].repeat(2, 1).repeat(2, 2) for row in dataset.rows("test")]
    rows = zip(nearest, dataset.rows("test"), strict=True)
    wanted = np.mean([psnr_fitted(image, dataset.y[row], data_range=500.0) for image, row in rows])
    assert test.loc["nearest", "value"] == pytest.approx(wanted, rel=1e-5)
    assert test.loc["nearest", "difference"] > 1, "the network learns"
    with coarse():
        write_report(finer, SETTINGS, finer / "report.html", finer / "figures")
    assert "Lanczos interpolation" in (finer / "report.html").read_text()


def test_without_targets_the_report_shows_what_was_removed(blind: Path) -> None:
    metrics = pd.read_csv(blind / "metrics.tsv", sep="\t")
    assert set(metrics["metric"]) == {"residual_correlation"}
    assert set(pd.read_csv(blind / "audit.tsv", sep="\t")["baseline"]) == {"best filter"}, (
        "the input itself removes nothing"
    )
    dataset = Dataset(blind / "dataset")
    predictions, rows = read_predictions(blind / "runs" / RUNS[0] / "predictions")
    gains = []
    for name, restored in zip(rows["id"], predictions, strict=True):
        row = dataset.examples["id"].tolist().index(name)
        one, other = (psnr_fitted(image, smooth(row), data_range=500) for image in (restored, dataset.x[row]))
        gains.append(one - other)
    assert np.mean(gains) > 3, "the network removes noise, without an image that has less"
    with coarse():
        write_report(blind, SETTINGS, blind / "report.html", blind / "figures")
    page = (blind / "report.html").read_text()
    assert "Losses are of hidden pixels" in page
    assert "input minus prediction" in page
    assert "correlation in the residual" in page
