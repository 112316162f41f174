"""Counts in new images: the sum of the density, in tiles and at another pixel size, too."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image
from tiny import counted, metadata, stored

from biocnn.apply.images import apply_images
from biocnn.apply.overlay import Picture, draw_density
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.prediction.images import InMemory
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model

NETWORK = choose("models", {"name": "UNet", "channels": [4, 8]}, "model")
POSTPROCESS = {"scale": [1.5, 0.5], "margin": [2.0, None]}


def raw():
    made = counted(outputs=("a", "b"))
    made.facts = made.facts.model_copy(update={"spacing": [1.0, 1.0], "unit": "um"})
    return made


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the files of two untrained networks."""
    folder = tmp_path_factory.mktemp("models")
    facts, found = stored(raw(), folder).facts, []
    for seed in (1, 2):
        torch.manual_seed(seed)
        unit = {"mean": [0.02, 0.02], "sd": [0.01, 0.01]}  # so that densities are above 0
        meta = metadata(NETWORK, facts, postprocess=POSTPROCESS, target_unit=unit)
        found.append(folder / f"{seed}.safetensors")
        save_model(found[-1], build_model(NETWORK, facts), meta)
    return found


def write(path: Path, x: np.ndarray, size: float) -> Path:
    """Write an image with a pixel size, in um."""
    metadata = {"axes": "CYX", "PhysicalSizeX": size, "PhysicalSizeY": size}
    tifffile.imwrite(path, x, photometric="minisblack", metadata=metadata, ome=True)
    return path


def test_counts_are_sums_of_the_written_density(paths: list[Path], tmp_path: Path) -> None:
    models = [Model(path, "cpu") for path in paths]
    image = write(tmp_path / "x.ome.tif", raw().x(3)[:, :, :30], 1.0)
    (tmp_path / "out").mkdir()
    apply_images(image, models, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/counts.csv")
    density = tifffile.imread(next((tmp_path / "out/density").iterdir()))
    assert density.dtype == np.float32
    assert density.shape == (2, 48, 30)
    np.testing.assert_allclose(table["count"], density.sum(axis=(1, 2)), rtol=1e-4)
    each = np.array([model.count(image).number for model in models])
    np.testing.assert_allclose(table["count"], each.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(table["sd"], each.std(axis=0, ddof=1), rtol=1e-3)
    np.testing.assert_allclose(table["high"][0] - table["count"][0], 2 * np.sqrt(table["count"][0]), rtol=1e-3)
    assert table["low"].isna().tolist() == [False, True]
    assert (tmp_path / "out/overlays").is_dir()


def test_tiles_and_other_pixel_sizes_do_not_change_counts(paths: list[Path], tmp_path: Path) -> None:
    x = np.tile(raw().x(3), (1, 4, 4))
    whole = Model(paths[0], "cpu")
    tiled = Model(paths[0], "cpu", memory_gb=0.002)
    pieces = tiled.open_maps(InMemory(x), "x")
    assert len(pieces.regions) > 3
    np.testing.assert_allclose(tiled.count(x).number, whole.count(x).number, rtol=1e-5)
    finer = write(tmp_path / "x.ome.tif", x.repeat(2, axis=1).repeat(2, axis=2), 0.5)
    np.testing.assert_allclose(whole.count(finer).number, whole.count(x).number, rtol=0.01)


def test_a_model_that_counts_has_no_masks(paths: list[Path]) -> None:
    with pytest.raises(InputError, match="it has no masks"):
        Model(paths[0], "cpu").segment(raw().x(0))


def test_density_is_drawn_in_the_colours_of_the_classes(tmp_path: Path) -> None:
    maps = np.zeros((2, 20, 30), np.float32)
    maps[0, :5], maps[1, 15:] = 1, 2
    image = InMemory(np.full((1, 20, 30), 100, np.uint8))
    named = ["a: 1.0", "b: 2.0"]
    shown = draw_density(Picture(image), lambda window: maps[:, *window], 1.0, named, tmp_path / "overlays/a.png")
    picture = np.asarray(Image.open(tmp_path / "overlays/a.png")).astype(int)
    assert picture.shape == (20 + 2 * 16, 30, 3)
    np.testing.assert_array_equal(shown, picture[:20])
    assert picture[0, 0, 2] > picture[0, 0, 0], "blue"
    assert picture[18, 0, 0] > picture[18, 0, 2], "orange"
    assert len({*picture[8, 0].tolist()}) == 1, "grey"
