"""Models with covariates applied to new images need a table with a row for each."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from tiny import accompanied, labelled, metadata, stored

from biocnn.apply.images import apply_images
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model
from biocnn.workflow import steps

ROWS = ["image,cells,dose", "b.tif,hela,", "a.tif,k562,20", "c.tif,mars,900"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_of(tmp_path_factory.mktemp("model"), True)


def model_of(folder: Path, with_covariates: bool) -> Model:
    torch.manual_seed(1)
    facts = stored(accompanied(labelled()) if with_covariates else labelled(), folder).facts
    section = choose("models", "LeNet5", "model")
    save_model(folder / "model.safetensors", build_model(section, facts), metadata(section, facts))
    return Model(folder / "model.safetensors", "cpu")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    raw = labelled(4)
    (tmp_path / "new").mkdir()
    for row, name in enumerate("abc"):
        tifffile.imwrite(tmp_path / "new" / f"{name}.tif", raw.x(row)[0])
    return tmp_path / "new"


def table(folder: Path, rows: list[str]) -> Path:
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    return folder / "t.csv"


def applied(new: Path, model: Model, rows: list[str], **options: str) -> pd.DataFrame:
    out = new.parent / "out"
    out.mkdir(exist_ok=True)
    apply_images(new, [model], out, covariates=table(new.parent, rows), **options)
    return pd.read_csv(out / "predictions.csv").set_index("image")


def test_each_image_is_predicted_with_its_row(model: Model, new: Path) -> None:
    found = applied(new, model, ROWS)
    given = {"a": ("k562", 20), "b": ("hela", None)}
    for name, (cells, dose) in given.items():
        p = model.predict(new / f"{name}.tif", {"cells": cells, "dose": dose})
        row = found.loc[name, [f"probability_{output}" for output in model.outputs]]
        np.testing.assert_allclose(row.astype(float), p, atol=1e-5)
    assert not str(found.loc["b", "notes"]).startswith("covariate")
    assert "cells is a word that the training split lacks, used as missing (mars)" in found.loc["c", "notes"]
    assert "dose is outside the range of the training split" in found.loc["c", "notes"]


def test_each_image_is_explained_with_its_row(model: Model, new: Path) -> None:
    steps.explain([model.path], new, new.parent / "out", covariates=table(new.parent, ROWS), spacing="as_is")
    found = pd.read_csv(new.parent / "out/explanations.csv").set_index("image")
    own = model.explain(new / "a.tif", covariates={"cells": "k562", "dose": 20})
    np.testing.assert_allclose(np.load(new.parent / "out/a.npz")["cam"], own, atol=1e-5)
    assert "cells is a word that the training split lacks" in found.loc["c", "notes"]


def test_rows_without_an_image_are_counted(model: Model, new: Path) -> None:
    applied(new, model, [*ROWS, "A.tif,hela,3", "d.tif,hela,"])
    told = pd.read_csv(new.parent / "out" / "counts.tsv", sep="\t").set_index("reason")
    assert told.loc["rows of covariates without an image", ["count", "example"]].tolist() == [2, "A.tif"]


def test_images_without_a_row_are_skipped(model: Model, new: Path) -> None:
    found = applied(new, model, ROWS[:2])
    assert found["skipped"].notna().to_dict() == {"a": True, "b": False, "c": True}
    assert "no row for the image a.tif" in found.loc["a", "skipped"]
    with pytest.raises(InputError, match="no row for the image"):
        applied(new, model, ROWS[:2], on_error="stop")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["image,cells", "a.tif,hela"], "no column 'dose'"),
        (["file,cells,dose", "a.tif,hela,1"], "no column 'image'"),
        (["image,cells,dose", "a.tif,hela,1", "a.tif,hela,1"], "line 3: a.tif is listed again"),
        (["image,cells,dose", "a.tif,hela,much"], "line 2: dose is 'much'"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(model: Model, new: Path, rows: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        applied(new, model, rows)


def test_a_table_is_needed_if_and_only_if_the_model_takes_covariates(model: Model, new: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="also needs dose, cells of each image"):
        apply_images(new, [model], tmp_path)
    plain = model_of(tmp_path, False)
    with pytest.raises(InputError, match="trained without covariates"):
        applied(new, plain, ROWS)
    with pytest.raises(InputError, match="takes no covariates"):
        plain.predict(new / "a.tif", {"dose": 1})
    with pytest.raises(InputError, match="differ in covariates"):
        apply_images(new, [plain, model], tmp_path)
