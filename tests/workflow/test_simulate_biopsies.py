"""Simulated nuclei are distinguished by image and magnification together, and by neither alone."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter, label

from biocnn.metrics import auroc
from biocnn.workflow import simulate_biopsies as simulation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("biopsies"), 21)


def simulated(folder: Path, patients: int) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "PATIENTS", patients)
        simulation.simulate_biopsies(folder, 1)
    return folder


def width(image: np.ndarray) -> float:
    """Return the square root of the area of the dark region in the middle, without dust."""
    smooth = gaussian_filter(image.astype(float), 1.5)
    regions, _ = label(smooth < (smooth.min() + np.median(smooth)) / 2)
    return float(np.sqrt((regions == regions[16, 16]).sum())) if regions[16, 16] else 1.0


def test_neither_size_nor_magnification_reveals_the_class_but_their_ratio_does(folder: Path) -> None:
    table = pd.read_csv(folder / "table.csv")
    enlarged = (table["label"] == "enlarged").to_numpy().astype(float)
    sizes = np.array([width(tifffile.imread(folder / name)) for name in table["image"]])
    assert auroc(sizes / table["magnification"].to_numpy(), enlarged) > 0.85
    assert auroc(sizes, enlarged) < 0.8
    assert abs(auroc(table["magnification"].to_numpy(float), enlarged) - 0.5) < 0.1
    assert 0 < table["age"].isna().mean() < 0.3
    assert table.groupby("group")["age"].nunique().max() == 1


def test_new_images_have_covariates_and_no_label(folder: Path) -> None:
    new = pd.read_csv(folder / "new.csv")
    assert set(new["image"]) == {path.name for path in (folder / "new").iterdir()}
    assert [*new] == ["image", "magnification", "age", "stain"]


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = simulated(tmp_path, 3)
    for path in [*again.glob("images/*.tif")][:20]:
        digests = [hashlib.sha256((where / "images" / path.name).read_bytes()).hexdigest() for where in (again, folder)]
        assert digests[0] == digests[1]
