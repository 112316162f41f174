"""Predictions for data other than the training data: equal for equal images, or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image
from scipy.ndimage import zoom
from tiny import images, metadata, sequences, stored

from biocnn.apply.images import apply_images
from biocnn.config.schema import choose
from biocnn.config.settings import Explain
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.explain.request import Request
from biocnn.explain.step import explain_test_part
from biocnn.io.genome import write_genome
from biocnn.metrics import dice
from biocnn.prediction.compatibility import agree, same_data
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.metadata import Postprocess
from biocnn.workflow.steps import predict, scan, variants

SEQUENCE = {"name": "DeepBind", "channels": 2, "kernel_size": 5, "strands": "both"}
IMAGE = {"name": "UNet", "channels": [2, 3]}


def saved(dataset: Dataset, path: Path, seed: int = 1, **meta) -> Path:
    """Return an untrained network; for images, one whose logits are equally often above and below zero."""
    section = choose("models", SEQUENCE if dataset.facts.kind == "sequence" else IMAGE, "model")
    torch.manual_seed(seed)
    network = build_model(section, dataset.facts).eval()
    if dataset.facts.kind == "image":
        seen = torch.from_numpy(picture(channels=dataset.facts.in_channels))[None] / 200
        with torch.no_grad():
            list(network.parameters())[-1].sub_(network(seen).flatten(2).median(dim=2).values[0])
    save_model(path, network, metadata(section, dataset.facts, **meta))
    return path


def of_images(folder: Path, dtype: type = np.uint8, **told) -> Dataset:
    """Return discs of about 10 to 200, in one or more channels."""
    channels = len(told.get("channels", "c"))
    raw = images(6, channels=channels, task=told.pop("task", "mask"))
    x = raw.x
    facts = raw.facts.model_copy(update={"dtype": np.dtype(dtype).name} | told)
    made = replace(raw, x=lambda i: (x(i) // 6).astype(dtype), facts=facts)
    return stored(made, folder)


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("grey")
    return Model(saved(of_images(folder, channels=["grey"]), folder / "m.safetensors"), "cpu")


def picture(size: tuple[int, ...] = (40, 50), channels: int = 1, seed: int = 5) -> np.ndarray:
    smooth = zoom(
        np.random.default_rng(seed).uniform(10, 200, (channels, *(-(-n // 8) for n in size))), (1, 8, 8), order=1
    )
    return smooth[:, : size[0], : size[1]].astype(np.uint8)


def test_an_image_in_any_data_type_gives_the_same_prediction(grey: Model, tmp_path: Path) -> None:
    x = picture()[0]
    wide = x.astype(np.uint16)
    others = [x, wide, wide * 257, wide * 16, x / np.float32(255), x.astype(np.float32), x / 255, x.astype(np.int64)]
    wanted = grey.predict(x)
    (tmp_path / "new").mkdir()
    for i, other in enumerate(others):
        np.testing.assert_allclose(grey.predict(other), wanted, atol=1e-6)
        tifffile.imwrite(tmp_path / f"new/{i}.tif", other)
        np.testing.assert_allclose(grey.predict(tmp_path / f"new/{i}.tif"), wanted, atol=1e-6)
    (tmp_path / "out").mkdir()
    apply_images(tmp_path / "new", [grey], tmp_path / "out")
    masks = [tifffile.imread(tmp_path / f"out/masks/{i}.tif") for i in range(len(others))]
    for mask in masks:
        np.testing.assert_array_equal(mask, masks[0])
    counts = pd.read_csv(tmp_path / "out/counts.tsv", sep="\t").set_index("reason")["count"]
    assert counts["uint16 divided by 257, as in training (uint8)"] == 1
    assert counts["uint16 divided by 16, as in training (uint8)"] == 1
    assert counts["float32 multiplied by 255, as in training (uint8)"] == 2
    # Brightness is reported in the numbers of the file.
    table = pd.read_csv(tmp_path / "out/images.csv").set_index("image")
    assert table.loc[2, "grey_mean_mean"] == pytest.approx(257 * table.loc[0, "grey_mean_mean"], rel=1e-4)


def test_values_of_unknown_scale_are_refused_unless_allowed(grey: Model, tmp_path: Path) -> None:
    camera = picture()[0].astype(np.uint16) * 7 + 1
    with pytest.raises(InputError, match=r"array: uint16 from .* trained on uint8"):
        grey.predict(camera)
    own = Model(grey.path, "cpu", intensity="image")
    np.testing.assert_allclose(own.predict(camera), own.predict(camera * 3), atol=1e-6)
    as_is = Model(grey.path, "cpu", intensity="as_is")
    assert not np.allclose(as_is.predict(camera), own.predict(camera))
    with pytest.raises(InputError, match=r"intensity: must be one of .*'own'"):
        Model(grey.path, "cpu", intensity="own")


def test_models_that_scale_each_image_accept_any_values(tmp_path: Path) -> None:
    model = Model(saved(of_images(tmp_path, normalise="image"), tmp_path / "m.safetensors"), "cpu")
    x = picture()[0]
    for other in (x.astype(np.uint16) * 7 + 1, x * np.float32(0.001)):
        np.testing.assert_allclose(
            model.predict(other), model.predict(x), atol=0.005
        )  # percentiles of floats between two values are midway


def ome(
    path: Path, x: np.ndarray, names: list[str] | None = None, size: float | None = None, axes: str = "CYX"
) -> Path:
    metadata = {"axes": axes} | ({"Channel": {"Name": list(names)}} if names else {})
    metadata |= {f"PhysicalSize{axis}": size for axis in axes.replace("C", "")} if size else {}
    tifffile.imwrite(path, x, photometric="minisblack", metadata=metadata, ome=True)
    return path


def test_channels_are_found_by_name(tmp_path: Path) -> None:
    model = Model(saved(of_images(tmp_path, channels=["DAPI", "GFP"]), tmp_path / "m.safetensors"), "cpu")
    x = picture(channels=2)
    wanted = model.predict(x)
    for name, order in ([["DAPI", "GFP"], [0, 1]], [["gfp", "dapi"], [1, 0]], [["GFP", "RFP", "Dapi "], [1, 1, 0]]):
        path = ome(tmp_path / "a.ome.tif", x[order], name)
        np.testing.assert_array_equal(model.predict(path), wanted)
    np.save(tmp_path / "nameless.npy", x)
    np.testing.assert_array_equal(model.predict(tmp_path / "nameless.npy"), wanted)
    path = ome(tmp_path / "b.ome.tif", x[[1, 0]], ["GFP", "mCherry"])
    with pytest.raises(InputError, match=r"b.ome.tif: has channels GFP, mCherry; needed: DAPI, GFP") as caught:
        model.predict(path)
    assert "apply.channels: [GFP, mCherry]" in caught.value.remedy
    told = Model(model.path, "cpu", channels=["mCherry", "GFP"])
    np.testing.assert_array_equal(told.predict(path), wanted)
    with pytest.raises(InputError, match="give 2 names"):
        Model(model.path, "cpu", channels=["GFP"]).predict(path)


def test_channel_names_of_training_files_are_known(tmp_path: Path) -> None:
    dataset = of_images(tmp_path, channels=["nuclei"], known_as=[["DAPI"], ["Hoechst"]])
    model = Model(saved(dataset, tmp_path / "m.safetensors"), "cpu")
    for name in ("DAPI", "hoechst", "nuclei"):
        model.predict(ome(tmp_path / "a.ome.tif", picture(), [name]))
    with pytest.raises(InputError, match="mCherry; needed: nuclei"):
        model.predict(ome(tmp_path / "a.ome.tif", picture(), ["mCherry"]))


def test_colour_and_grey_images_are_not_interchangeable(grey: Model, tmp_path: Path) -> None:
    x = picture(channels=3)
    Image.fromarray(np.moveaxis(x, 0, -1)).save(tmp_path / "colour.png")
    Image.fromarray(np.dstack([x[0]] * 3)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(grey.predict(tmp_path / "grey.png"), grey.predict(x[0]))
    (tmp_path / "out").mkdir()
    for refuse in (grey.predict, lambda path: apply_images(path, [grey], tmp_path / "out")):
        with pytest.raises(InputError, match=r"colour.png: has channels red, green, blue; needed: grey") as caught:
            refuse(tmp_path / "colour.png")
        assert "convert it to grey" in caught.value.remedy


@pytest.fixture(scope="module")
def half_micrometre(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("half")
    dataset = of_images(folder, channels=["grey"], spacing=[0.5, 0.5], unit="um", task="instances")
    return Model(saved(dataset, folder / "m.safetensors"), "cpu")


@pytest.mark.parametrize(("size", "factor"), [(0.125, 4), (0.25, 2), (1.0, 0.5)])
def test_images_with_another_pixel_size_are_resampled(
    half_micrometre: Model, tmp_path: Path, size: float, factor: float
) -> None:
    x = picture((64, 96))
    shape = (int(64 * factor), int(96 * factor))
    y = np.asarray(Image.fromarray(x[0]).resize(shape[::-1], Image.Resampling.BILINEAR))[None]
    path = ome(tmp_path / "a.ome.tif", y, size=size)
    wanted, found = half_micrometre.predict(x), half_micrometre.predict(path)
    assert found.shape == (4, *shape)
    back = torch.nn.functional.interpolate(torch.from_numpy(found)[None], (64, 96), mode="bilinear", antialias=True)[0]
    inside = (slice(None), slice(6, -6), slice(6, -6))
    assert np.abs(back.numpy() - wanted)[inside].mean() < 0.02
    as_is = Model(half_micrometre.path, "cpu", spacing="as_is")
    np.testing.assert_array_equal(as_is.predict(path), half_micrometre.predict(y))
    close = ome(tmp_path / "b.ome.tif", x, size=0.51)
    np.testing.assert_array_equal(half_micrometre.predict(close), wanted)


@pytest.mark.parametrize("size", [0.2, 0.9])
def test_resampled_pieces_equal_the_whole(half_micrometre: Model, tmp_path: Path, size: float) -> None:
    path = ome(tmp_path / "a.ome.tif", picture((230, 310)), size=size)
    little = Model(half_micrometre.path, "cpu", memory_gb=0.0015)
    with little.open_image(path) as image:
        maps = little.open_maps(image, "a")
        assert len(maps.regions) > 3
        covered = np.zeros(image.shape[1:], int)
        for region in maps.regions:
            covered[region] += 1
        assert (covered == 1).all()
    np.testing.assert_allclose(little.predict(path), half_micrometre.predict(path), atol=1e-5)


def test_objects_of_resampled_images_are_measured_in_the_units_of_the_file(
    half_micrometre: Model, tmp_path: Path
) -> None:
    x = picture((64, 96))
    y = np.kron(x, np.ones((1, 2, 2), np.uint8))
    tables = {}
    for name, pixels, size in (("same", x, 0.5), ("fine", y, 0.25)):
        (tmp_path / name).mkdir()
        path = ome(tmp_path / f"{name}.ome.tif", pixels, size=size)
        cut = Postprocess(mask_threshold=0.3, seed_threshold=-1, peak_threshold=-1)
        half_micrometre.meta = half_micrometre.meta.model_copy(update={"postprocess": cut})
        apply_images(path, [half_micrometre], tmp_path / name)
        labels = tifffile.imread(tmp_path / name / f"labels/{name}.tif")
        assert labels.shape == pixels.shape[1:]
        tables[name] = (
            labels > 0,
            pd.read_csv(tmp_path / name / "images.csv"),
            pd.read_csv(tmp_path / name / "objects.csv"),
        )
    same, fine = tables["same"], tables["fine"]
    assert dice(np.kron(same[0], np.ones((2, 2), bool)).astype(int), fine[0].astype(int)) > 0.95
    assert fine[2]["area_um2"].sum() == pytest.approx(same[2]["area_um2"].sum(), rel=0.05)
    assert fine[2]["area"].sum() == pytest.approx(4 * same[2]["area"].sum(), rel=0.05)
    assert "resampled to the pixel size of training (0.25 x 0.25 um to 0.5 x 0.5 um)" in fine[1]["notes"][0]


def test_an_impossible_pixel_size_is_refused(half_micrometre: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pixel size 25.4 x 25.4 um, but the model was trained on 0.5 x 0.5"):
        half_micrometre.predict(ome(tmp_path / "a.ome.tif", picture(), size=25.4))


def test_planes_and_volumes_are_distinguished(grey: Model, tmp_path: Path) -> None:
    path = ome(tmp_path / "stack.ome.tif", np.zeros((5, 20, 30), np.uint8), axes="ZYX")
    with pytest.raises(InputError, match=r"stack.ome.tif: 5 x 20 x 30 pixels \(volumes .*trained on planes"):
        grey.predict(path)


def test_different_models_are_not_averaged(grey: Model, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    objects = Model(
        saved(of_images(tmp_path / "a", channels=["grey"], task="instances"), tmp_path / "o.safetensors"), "cpu"
    )
    own = Model(
        saved(of_images(tmp_path / "b", channels=["grey"], normalise="image"), tmp_path / "n.safetensors"), "cpu"
    )
    for other, what in ((objects, "task"), (own, "normalise")):
        with pytest.raises(InputError, match=f"differ in {what}: .*m.safetensors.*{other.path.name}"):
            apply_images(tmp_path, [grey, other], tmp_path / "out")
    with pytest.raises(InputError, match="no model given"):
        agree([], "image")


def test_models_of_the_other_kind_are_refused(grey: Model, tmp_path: Path) -> None:
    path = saved(stored(sequences(), tmp_path), tmp_path / "s.safetensors")
    Image.fromarray(picture()[0]).save(tmp_path / "a.png")
    (tmp_path / "g.fa").write_text(">chr1\n" + "ACGT" * 30 + "\n")
    vcf = tmp_path / "v.vcf"
    vcf.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    write_genome(tmp_path / "g.fa", tmp_path / "genome")
    for step, wrong in (
        (lambda: predict([path], tmp_path / "a.png", tmp_path / "o1"), r"a\.png: not a file of sequences by its name"),
        (lambda: Model(path, "cpu").segment(tmp_path / "a.png"), "s.safetensors is a model for sequences"),
        (lambda: scan(tmp_path / "genome", tmp_path / "o2", grey.path), "m.safetensors is a model for images"),
        (
            lambda: variants(tmp_path / "v.vcf", tmp_path / "o3", grey.path, genome=tmp_path / "genome"),
            "model for images",
        ),
        (lambda: grey.logits([np.zeros(20, np.uint8)]), "m.safetensors is a model for images"),
    ):
        with pytest.raises(InputError, match=wrong) as caught:
            step()
        assert caught.value.remedy


def test_another_data_set_is_not_predicted_or_explained(grey: Model, tmp_path: Path) -> None:
    other = of_images(tmp_path, channels=["DAPI"])
    for use in (
        lambda: list(grey.predict_stored(other, other.rows("test"))),
        lambda: list(explain_test_part(Request(grey, other, [tmp_path], Explain(examples=1), tmp_path))),
        lambda: same_data(grey, other),
    ):
        with pytest.raises(InputError, match=r"dataset: channels is \['DAPI'\], but .*m.safetensors was trained"):
            use()


def test_an_invalid_image_is_skipped_and_listed(grey: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    new = tmp_path / "new"
    new.mkdir()
    Image.fromarray(picture()[0]).save(new / "a.png")
    (new / "b.png").write_bytes((new / "a.png").read_bytes()[:300])
    ome(new / "c.ome.tif", picture(channels=2))
    tifffile.imwrite(new / "a.tif", picture(seed=6)[0])
    predict([grey.path], new, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/images.csv", dtype=str).set_index("path")
    assert table["skipped"].notna().to_dict() == {"a.png": False, "a.tif": False, "b.png": True, "c.ome.tif": True}
    assert "b.png: damaged" in table.loc["b.png", "skipped"]
    assert table.loc["b.png", "skipped"].endswith("): copy it again, save it in another way, or leave it out")
    assert sorted(p.name for p in (tmp_path / "out/masks").iterdir()) == ["a_png.tif", "a_tif.tif"]
    assert set(pd.read_csv(tmp_path / "out/objects.csv")["path"]) <= {"a.png", "a.tif"}
    assert "skipped 2 of 4 images" in caplog.text
    counts = pd.read_csv(tmp_path / "out/counts.tsv", sep="\t").set_index("outcome")["count"]
    assert (counts["read"], counts["dropped"]) == (2, 2)
    with pytest.raises(InputError, match=r"b\.png"):
        predict([grey.path], new, tmp_path / "stopped", on_error="stop")
    assert not (tmp_path / "stopped").exists()
    for name in ("a.png", "a.tif"):
        (new / name).unlink()
    with pytest.raises(InputError, match="none of 2 images"):
        predict([grey.path], new, tmp_path / "none")
    with pytest.raises(InputError, match=r"on_error: must be one of .*'ignore'"):
        predict([grey.path], new, tmp_path / "none", on_error="ignore")


def test_skipped_files_are_counted_and_constant_images_are_listed(grey: Model, tmp_path: Path) -> None:
    new = tmp_path / "new"
    (new / "deeper").mkdir(parents=True)
    for name in ("a.png", "deeper/b.png"):
        Image.fromarray(picture()[0]).save(new / name)
    Image.new("L", (50, 40), 77).save(new / "flat.png")
    for name in (".DS_Store", "._a.png", "Thumbs.db", "notes.txt"):
        (new / name).write_text("x")
    predict([grey.path], new, tmp_path / "out")
    counts = pd.read_csv(tmp_path / "out/counts.tsv", sep="\t").set_index("reason")
    assert counts["count"].to_dict() == {
        "constant image: all pixels are equal": 1,
        "new images": 2,
        "ignored: folders, and files without an image suffix": 3,
    }
    assert counts["example"].tolist()[2] == "Thumbs.db"


@pytest.mark.parametrize(
    "setting", [{"tta": "flip"}, {"blend": "gauss"}, {"overlap": 1}, {"memory_gb": 0}, {"memory_gb": float("nan")}]
)
def test_settings_that_are_not_allowed_are_refused(grey: Model, setting: dict) -> None:
    with pytest.raises(InputError, match=f"{next(iter(setting))}: ") as caught:
        Model(grey.path, "cpu", **setting)
    assert caught.value.remedy


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 0, 0)])
def test_an_array_without_pixels_is_refused(grey: Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="no pixels"):
        grey.predict(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("inputs", [None, 3, [None], [[1, 2]], np.array(["a"]), object()])
def test_an_input_that_is_not_an_image_is_refused(grey: Model, inputs: object) -> None:
    for use in (grey.predict, grey.segment):
        with pytest.raises(InputError):
            use(inputs)


@pytest.mark.parametrize("inputs", [None, 3, [None], [3]])
def test_an_input_that_is_not_a_sequence_is_refused(tmp_path: Path, inputs: object) -> None:
    model = Model(saved(stored(sequences(), tmp_path), tmp_path / "s.safetensors"), "cpu")
    with pytest.raises(InputError, match="is not a sequence"):
        model.predict(inputs)


def test_lists_of_arrays_and_paths_are_predicted_one_by_one(grey: Model, tmp_path: Path) -> None:
    one, other = picture()[0], picture(seed=8)
    Image.fromarray(one).save(tmp_path / "a.png")
    found = grey.segment([one, tmp_path / "a.png", other])
    assert len(found) == 3
    np.testing.assert_array_equal(found[0], grey.segment(one))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], grey.segment(other))
