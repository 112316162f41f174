"""Boxes in new images: tables, COCO and pictures; their files are read as annotations of the same boxes."""

import json
import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny import image_facts, metadata, stored

from biocnn.apply.boxes import agreement
from biocnn.apply.exports import box_shapes
from biocnn.apply.images import apply_images
from biocnn.apply.overlay import LARGEST, Picture, draw_shapes
from biocnn.config.schema import choose
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.boxed_images import BoxedImages
from biocnn.data.raw import Raw
from biocnn.metrics.fusion import fuse_boxes
from biocnn.prediction.images import InMemory
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model

NAMES = ["red", "white"]
NETWORK = {"name": "CentreNet", "channels": [4, 4, 4, 4], "depth": 18, "stem": "medium"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """Return two untrained networks, whose boxes are arbitrary."""
    folder, rng = tmp_path_factory.mktemp("models"), np.random.default_rng(1)
    x = [rng.integers(0, 256, (3, 40, 48)).astype(np.uint8) for _ in range(8)]
    y = np.float32([[0, 2, 3, 20, 24], [1, 20, 25, 36, 45]])
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(8)], "group": [f"g{i}" for i in range(8)]})
    about = image_facts(task="boxes", outputs=NAMES, channels=["red", "green", "blue"])
    facts, found = stored(Raw(examples, x.__getitem__, ([y] * 8).__getitem__, about), folder).facts, []
    for seed in (1, 2):
        torch.manual_seed(seed)
        section = choose("models", NETWORK, "model")
        meta = metadata(
            section,
            facts,
            postprocess={"thresholds": [0.095, 0.095], "f1": [0.9, 0.9], "scale": [1.0, 1.0], "shift": [0.0, 0.0]},
        )
        save_model(folder / f"{seed}.safetensors", build_model(section, facts), meta)
        found.append(Model(folder / f"{seed}.safetensors", "cpu"))
    return found


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two images, and a damaged one."""
    folder, rng = tmp_path_factory.mktemp("new"), np.random.default_rng(2)
    for name, size in (("a.png", (50, 64, 3)), ("b.png", (48, 40, 3))):
        Image.fromarray(rng.integers(0, 256, size).astype(np.uint8)).save(folder / name)
    (folder / "damaged.png").write_bytes(b"not an image")
    return folder


@pytest.fixture(scope="module")
def applied(models: list[Model], new: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "apply"
    folder.mkdir()
    apply_images(new, models, folder)
    return folder


def test_boxes_of_all_models_are_fused_and_counted_by_class(models: list[Model], new: Path, applied: Path) -> None:
    boxes, images = pd.read_csv(applied / "boxes.csv"), pd.read_csv(applied / "images.csv")
    for name in ("a.png", "b.png"):
        each = [model.predict(new / name) for model in models]
        wanted = models[0].decide(fuse_boxes(each)[0])
        found = boxes[boxes["image"] == name]
        assert len(found) == len(wanted) > 3
        np.testing.assert_allclose(found[["y0", "x0", "y1", "x1"]], wanted[:, 2:], rtol=1e-4)
        counts = images[images["path"] == name].set_index("class")["n_objects"]
        assert counts.to_dict() == found["label"].value_counts().reindex(NAMES, fill_value=0).to_dict()
        shares = fuse_boxes([model.detect(new / name) for model in models])[1]
        assert images.loc[images["path"] == name, "disagreement"].iloc[0] == pytest.approx(1 - shares.mean(), abs=1e-5)
    assert set(boxes["agreement"]) <= {0, 0.5, 1}
    assert images["skipped"].notna().sum() == 1


@pytest.mark.parametrize("given", [{"table": "boxes.csv"}, {"coco": "coco.json"}], ids=str)
def test_the_files_are_read_as_annotations_of_the_same_boxes(applied: Path, tmp_path: Path, new: Path, given) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(new / name, tmp_path / name)
    raw = BoxedImages(images=tmp_path, **{key: applied / name for key, name in given.items()}).read(1, Checks())
    table = pd.read_csv(applied / "boxes.csv")
    for row, name in enumerate(["a.png", "b.png"]):
        rows = table[table["image"] == name]
        labels = rows["label"].map(raw.facts.outputs.index)
        wanted = np.column_stack([labels, rows[["y0", "x0", "y1", "x1"]]])
        np.testing.assert_allclose(raw.truth(row), wanted, atol=1e-3)


def test_coco_has_sizes_scores_and_areas(applied: Path) -> None:
    content = json.loads((applied / "coco.json").read_text())
    assert [(one["file_name"], one["height"], one["width"]) for one in content["images"]] == [
        ("a.png", 50, 64),
        ("b.png", 48, 40),
    ]
    assert [one["name"] for one in content["categories"]] == NAMES
    for one in content["annotations"]:
        assert one["area"] == pytest.approx(one["bbox"][2] * one["bbox"][3])
        assert 0 < one["score"] <= 1


def test_a_single_model_has_no_agreement(models: list[Model], new: Path, tmp_path: Path) -> None:
    (tmp_path / "apply").mkdir()
    apply_images(new / "a.png", models[:1], tmp_path / "apply")
    boxes = pd.read_csv(tmp_path / "apply/boxes.csv")
    assert list(boxes) == ["image", "label", "score", "x0", "y0", "x1", "y1"]
    np.testing.assert_allclose(boxes["score"], models[0].detect(new / "a.png")[:, 1], rtol=1e-5)


def test_agreement_is_the_share_of_models_with_a_box_of_the_class_there() -> None:
    boxes = np.float32([[0, 0.9, 0, 0, 10, 10], [1, 0.8, 20, 20, 30, 30]])
    moved = boxes + np.float32([0, 0, 0, 2, 0, 2])
    other = np.float32([[0, 0.9, 20, 20, 30, 30]])
    np.testing.assert_allclose(agreement(boxes, [boxes, moved, other, np.zeros((0, 6))]), [0.5, 0.5])


def test_large_images_are_drawn_smaller_with_their_boxes_in_place(tmp_path: Path) -> None:
    image = InMemory(np.full((1, 2 * LARGEST, LARGEST // 2), 100, np.uint8))
    boxes = box_shapes(np.float32([[1, 0.9, 1000, 200, 2000, 600]]))
    draw_shapes(Picture(image), boxes, ["#000000", "#E69F00"], {}, tmp_path / "overlays/a.png")
    picture = np.asarray(Image.open(tmp_path / "overlays/a.png"))
    assert picture.shape == (LARGEST, LARGEST // 4, 3)
    rows, columns = np.nonzero((picture == (0xE6, 0x9F, 0)).all(axis=2))
    edges = [rows.min(), columns.min(), rows.max(), columns.max()]
    np.testing.assert_allclose(edges, [500, 100, 1000, 300], atol=1.5)


def test_boxes_are_exported_for_imagej_and_qupath(models: list[Model], new: Path, tmp_path: Path) -> None:
    apply_images(new / "a.png", models[:1], tmp_path, exports=["rois", "geojson"])
    boxes = pd.read_csv(tmp_path / "boxes.csv")
    features = json.loads((tmp_path / "geojson/a.geojson").read_text())["features"]
    corners = [np.array(one["geometry"]["coordinates"][0])[[0, 2]].ravel() for one in features]
    np.testing.assert_allclose(corners, boxes[["x0", "y0", "x1", "y1"]], rtol=1e-5)
    assert [one["properties"]["classification"]["name"] for one in features] == boxes["label"].tolist()
    with ZipFile(tmp_path / "rois/a.zip") as archive:
        assert len(archive.namelist()) == len(boxes)


def test_formats_that_a_task_does_not_have_are_refused(models: list[Model], new: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"apply.exports: .* has no results for coco\n.*allowed: rois, geojson"):
        apply_images(new, models, tmp_path, exports=["rois", "coco"])
    with pytest.raises(InputError, match="exports"):
        apply_images(new, models, tmp_path, exports=["roi"])
