"""Explanations of new sequences and images: from Python, and by the command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from tiny import MOTIF, labelled, sequences

import biocnn
from biocnn.core.errors import InputError
from biocnn.io.fasta import decode
from biocnn.workflow import cli

RAW = sequences(200, flank=0)
CODES = np.stack([RAW.x(row) for row in range(200)])
TEXT = [decode(codes) for codes in CODES]
PHOTOS = labelled()
X = np.stack([PHOTOS.x(row)[0] for row in range(24)])


@pytest.fixture(scope="module")
def binder() -> biocnn.Model:
    data = biocnn.Dataset.from_arrays(TEXT, {"bound": RAW.y[:, 0]}, split={"val": 0.2, "test": 0.2})
    network = {"name": "DeepBind", "channels": 8, "kernel_size": 9}
    return biocnn.train(data, network, epochs=8, lr=0.01, threads=1, log=None)


@pytest.fixture(scope="module")
def grader() -> biocnn.Model:
    data = biocnn.Dataset.from_arrays(X, PHOTOS.y.argmax(axis=1), classes=["dark", "even", "bright"])
    return biocnn.train(data, {"name": "LeNet5"}, epochs=2, threads=1, log=None)


def test_the_motif_explains_bound_sequences(binder: biocnn.Model) -> None:
    bound = np.flatnonzero(RAW.y[:, 0])[:20]
    found = binder.explain([TEXT[row] for row in bound])
    assert found.shape == (20, 4, 24)
    present = np.take_along_axis(found, CODES[bound][:, None].astype(int), axis=1)[:, 0]
    hits = 0
    for row, values in zip(bound, present, strict=True):
        start = next(k for k in range(18) if np.array_equal(CODES[row][k : k + len(MOTIF)], MOTIF))
        hits += start <= values.argmax() < start + len(MOTIF)
    assert hits > 15
    assert np.allclose(binder.explain(CODES[bound], "bound"), found, atol=1e-4)
    frame = pd.DataFrame({"sequence": [TEXT[row] for row in bound]})
    assert np.array_equal(binder.explain(frame), found)
    assert binder.explain([]).shape == (0, 4, 0)
    with pytest.raises(InputError, match="output: 'bond' is not an output") as caught:
        binder.explain(TEXT[:2], "bond")
    assert "did you mean 'bound'" in caught.value.remedy
    with pytest.raises(InputError, match=r"explain\.attributions: must be one of"):
        binder.explain(TEXT[:2], method="deeplit")


def test_the_command_writes_contributions_and_tracks(binder: biocnn.Model, tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(f">chr1\n{''.join(TEXT[:9])}\n")
    (tmp_path / "new.bed").write_text("".join(f"chr1\t{24 * row}\t{24 * row + 24}\n" for row in range(9)))
    more = ["--genome", str(tmp_path / "g.fa")]
    assert cli.main(["explain", str(binder.path), str(tmp_path / "new.bed"), str(tmp_path / "out"), *more]) == 0
    arrays = np.load(tmp_path / "out/attributions.npz")
    assert np.allclose(arrays["attributions"], binder.explain(TEXT[:9]), atol=1e-5)
    assert arrays["probability"] == pytest.approx(binder.predict(TEXT[:9])[:, 0], rel=1e-5)
    table = pd.read_csv(tmp_path / "out/explanations.csv")
    assert list(table["start"]) == [24 * row for row in range(9)]
    assert set(table["output"]) == {"bound"}
    assert (tmp_path / "out/attributions.bw").stat().st_size > 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 9


def test_sequences_that_do_not_fit_are_named(binder: biocnn.Model, tmp_path: Path) -> None:
    (tmp_path / "new.fa").write_text(f">short\nACGT\n>fits\n{TEXT[0]}\n")
    assert cli.main(["explain", str(binder.path), str(tmp_path / "new.fa"), str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out/explanations.csv").set_index("sequence")
    assert "has 4 letters" in table.loc["short", "skipped"]
    assert table.loc["fits", "output"] == "bound"


def test_activation_maps(grader: biocnn.Model, tmp_path: Path) -> None:
    one, several = grader.explain(X[2]), grader.explain(list(X[:3]), "bright")
    assert one.shape == (16, 16)
    assert len(several) == 3
    assert one.max() <= 1
    for row in range(3):
        tifffile.imwrite(tmp_path / f"new{row}.tif", X[row])
    (tmp_path / "new").mkdir()
    for row in range(3):
        (tmp_path / f"new{row}.tif").rename(tmp_path / f"new/{row}.tif")
    assert cli.main(["explain", str(grader.path), str(tmp_path / "new"), str(tmp_path / "out")]) == 0
    arrays = np.load(tmp_path / "out/2.npz")
    assert np.array_equal(arrays["cam"], one)
    assert arrays["image"].shape == (1, 16, 16)
    assert (tmp_path / "out/2.png").exists()
    assert list(pd.read_csv(tmp_path / "out/explanations.csv")["image"]) == [0, 1, 2]


def test_what_cannot_be_explained(binder: biocnn.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.fa").write_text(f">fits\n{TEXT[0]}\n")
    new, out = str(tmp_path / "new.fa"), str(tmp_path / "out")
    assert cli.main(["explain", str(binder.path), str(binder.path), new, out]) == 2
    assert "2 models" in capsys.readouterr().err
    (tmp_path / "facts.json").touch()
    for option in ("--covariates=age.csv", "--spacing=as_is", "--channels=red"):
        assert cli.main(["explain", str(binder.path), str(tmp_path), out, option]) == 2
        assert "is a stored data set" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_maps_of_numbers_are_not_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = biocnn.Dataset.from_arrays(X, X, task="image_to_image")
    model = biocnn.train(data, {"name": "UNet", "channels": [2, 4]}, epochs=1, steps_per_epoch=1, threads=1, log=None)
    with pytest.raises(InputError, match="a model for an image for each image: its predictions are not explained"):
        model.explain(X[0])
    tifffile.imwrite(tmp_path / "new.tif", X[0])
    assert cli.main(["explain", str(model.path), str(tmp_path / "new.tif"), str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "not explained" in told
    assert "skipped" not in told
