"""Segmentation in pieces gives the same pixels, objects and measurements as segmentation of the whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from pycocotools.coco import COCO
from skimage.measure import label as connected
from tiny import images, metadata, stored, task_of

from biocnn.apply.images import apply_images
from biocnn.apply.measure import background_levels, measure
from biocnn.apply.segment.instances import label_blocks
from biocnn.apply.segment.masks import connect_blocks
from biocnn.apply.segment.pyramid import write_image
from biocnn.apply.segment.scratch import Scratch
from biocnn.apply.segment.table import measure_pieces
from biocnn.config.schema import choose
from biocnn.io.lazy import open_image
from biocnn.io.stored_image import Slices
from biocnn.prediction.images import InMemory
from biocnn.prediction.model import Model
from biocnn.tasks.maps import MapTask
from biocnn.tasks.objects import in_reading_order
from biocnn.tasks.watershed import label_instances, landscape
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.metadata import Postprocess


class Drawn:
    """Known maps, returned region by region of a grid."""

    def __init__(self, maps: np.ndarray, side: int | tuple[int, ...]) -> None:
        self.maps, self.shape, self.asked = maps, maps.shape, []
        sides = np.broadcast_to(side, maps.ndim - 1)
        axes = [[slice(a, min(a + s, n)) for a in range(0, n, s)] for n, s in zip(maps.shape[1:], sides, strict=True)]
        grid = np.stack(np.meshgrid(*map(np.arange, map(len, axes)), indexing="ij"), -1).reshape(-1, len(axes))
        self.regions: list[Slices] = [tuple(axis[i] for axis, i in zip(axes, index, strict=True)) for index in grid]

    def region(self, region: Slices) -> np.ndarray:
        self.asked.append(region)
        return self.maps[:, *region].copy()


def cells(size: tuple[int, ...], number: int, radius: float, seed: int = 0) -> np.ndarray:
    """Return maps like those of a network for touching round cells, with noise."""
    rng = np.random.default_rng(seed)
    places = np.indices(size)
    centres = rng.uniform(0, 1, (number, len(size))) * size
    nearest = np.full(size, np.inf)
    second = np.full(size, np.inf)
    for centre in centres:
        d = np.sqrt(sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)))
        second = np.minimum(second, np.maximum(d, nearest))
        nearest = np.minimum(d, nearest)
    inside = (nearest < radius).astype(float)
    edge = np.exp(-((second - nearest) ** 2) / 8) * inside
    noise = rng.normal(0, 0.05, (3, *size))
    parts = np.abs(np.stack([1 - inside, inside * (1 - edge), edge]) + noise)
    return np.concatenate([parts / parts.sum(0), (inside * np.clip(1 - nearest / radius, 0, 1))[None]]).astype(
        np.float32
    )


def in_first_order(labels: np.ndarray) -> np.ndarray:
    """Renumber from 1 by first pixel."""
    values, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.zeros(len(values), int)
    rank[np.argsort(np.where(values == 0, -1, first))] = np.arange(len(values)) + (values[0] != 0)
    return rank[inverse].reshape(labels.shape)


def made(task: str) -> MapTask:
    return task_of(task, outputs=["a", "b", "c"][: 1 if task == "mask" else 3])


def blockwise(maps: np.ndarray, side: int | tuple[int, ...], folder: Path, memory_gb: float = 1.0) -> np.ndarray:
    with Scratch(maps.shape[1:], folder / "numbers") as numbers:
        label_blocks(Drawn(maps, side), made("instances"), {}, numbers, memory_gb)
        return numbers.read(tuple(slice(0, n) for n in maps.shape[1:]))


@pytest.mark.parametrize(
    ("size", "number", "radius", "side", "margin"),
    [
        ((350, 300), 100, 10, 100, 64),
        ((350, 300), 100, 10, 100, 12),
        ((250, 300), 40, 20, 75, 12),
        ((200, 350), 20, 65, 70, 64),
        ((20, 70, 60), 40, 7, (20, 30, 25), 12),
    ],
)
def test_labels_of_blocks_equal_those_of_the_whole(
    size: tuple,
    number: int,
    radius: int,
    side: int,
    margin: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("biocnn.apply.segment.instances.MARGIN", {2: margin, 3: margin})
    maps = cells(size, number, radius)
    wanted = label_instances(maps)
    assert wanted.max() > 10
    np.testing.assert_array_equal(in_first_order(blockwise(maps, side, tmp_path)), in_first_order(wanted))


def test_classes_of_blocks_equal_those_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biocnn.apply.segment.instances.MARGIN", {2: 12})
    p = np.random.default_rng(2).random((1, 250, 200)).astype(np.float32)
    maps = np.concatenate([cells((250, 200), 60, 10), p, 1 - p])
    task = task_of("typed_instances", outputs=[*"abcd", "round", "long"])
    wanted = task.decide(maps, {})
    kinds = task.classes_of(maps, wanted)
    assert set(kinds.number) == {0, 1}
    with Scratch(wanted.shape, tmp_path / "numbers") as numbers:
        found, row = label_blocks(Drawn(maps, 70), task, {}, numbers, 1.0)
        place = row[numbers.read((slice(0, 250), slice(0, 200)))]
    for values, of_objects in ((found.kind, kinds.number + 1), (found.sums[:, 0] / found.area, kinds.score),
                               (found.sums[:, 2] / found.area, kinds.entropy)):  # fmt: skip
        np.testing.assert_allclose(np.append(values, 0)[place], np.append(0, of_objects)[wanted], rtol=1e-6)


def test_a_long_object_is_found_even_if_its_only_seed_is_far_from_its_first_pixel(tmp_path: Path) -> None:
    maps = np.zeros((4, 900, 300), np.float32)
    maps[0] = 1
    maps[:3, 100:780, 140:150] = np.array([0.1, 0.4, 0.5], np.float32)[:, None, None]
    maps[:, 760:770, 142:148] = np.array([0.0, 1.0, 0.0, 1.0], np.float32)[:, None, None]
    wanted = label_instances(maps)
    assert wanted.max() == 1
    assert (wanted > 0).sum() == 680 * 10
    np.testing.assert_array_equal(blockwise(maps, 150, tmp_path), wanted)


@pytest.mark.parametrize(("size", "side"), [((300, 257), 70), ((24, 60, 50), (10, 25, 50))])
@pytest.mark.parametrize("classes", [1, 3])
def test_connected_components_cross_blocks(size: tuple, side: int, classes: int, tmp_path: Path) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(1)
    maps = np.stack([gaussian_filter(rng.normal(0, 1, size), 3) * 20 for _ in range(classes)]).astype(np.float32)
    maps = 1 / (1 + np.exp(-maps)) if classes == 1 else np.exp(maps) / np.exp(maps).sum(0)
    task = made("mask" if classes == 1 else "classes")
    with Scratch(size, tmp_path / "numbers") as numbers:
        found, row = connect_blocks(Drawn(maps, side), task, {}, numbers, 1.0)
        pieces = row[numbers.read(tuple(slice(0, n) for n in size))] + 1
    truth = task.decide(maps, {})
    np.testing.assert_array_equal(pieces > 0, truth > 0)
    np.testing.assert_array_equal(np.append(0, found.kind)[pieces], truth)
    wanted = connected(truth)
    np.testing.assert_array_equal(in_first_order(pieces), in_first_order(wanted))
    assert len(found.first) == wanted.max() > 1
    areas = np.bincount(pieces.ravel())[1:]
    np.testing.assert_array_equal(found.area, areas)
    score = maps[0] if classes == 1 else np.take_along_axis(maps, truth[None].astype(int), 0)[0]
    wanted = [np.bincount(pieces.ravel(), values.ravel())[1:] for values in (score, task.entropy(maps))]
    np.testing.assert_allclose(found.sums, np.stack(wanted, axis=1), rtol=1e-5)


NETWORK = {"name": "UNet", "channels": [2, 3, 4]}


def model_of(task: str, folder: Path, memory_gb: float = 2.0, seed: int = 3) -> Model:
    """Return an untrained network that finds something everywhere."""
    facts = stored(images(6, task=task, channels=2), folder).facts
    section = choose("models", NETWORK, "model")
    torch.manual_seed(seed)
    network = build_model(section, facts)
    save_model(folder / f"m{seed}.safetensors", network, metadata(section, facts))
    return Model(folder / f"m{seed}.safetensors", "cpu", memory_gb=memory_gb)


def textured(size: tuple[int, int]) -> np.ndarray:
    """Return two channels that vary over about 10 pixels."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(1)
    return np.stack([500 + 4000 * gaussian_filter(rng.normal(0, 1, size), s) for s in (4, 6)]).clip(0).astype(np.uint16)


def check_coco(path: Path, whole: np.ndarray, table: pd.DataFrame, objects: bool) -> None:
    """Check that pycocotools decodes the pixels of the rows of a table."""
    coco = COCO(path)
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [(one["id"], one["label"]) for one in annotations] == list(enumerate(table["label"], 1))
    assert [coco.cats[one["category_id"]]["name"] for one in annotations] == table["class"].tolist()
    assert [one["area"] for one in annotations] == table["area"].tolist()
    for one in annotations[:100]:
        mask = coco.annToMask(one).astype(bool)
        value = one["label"] if objects else one["category_id"]
        assert mask.sum() == one["area"]
        assert (whole[mask] == value).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # pycocotools
@pytest.mark.parametrize("task", ["mask", "classes", "instances", "typed_instances"])
def test_files_do_not_depend_on_the_memory_budget(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = textured((257, 222))
    (tmp_path / "new").mkdir()
    options = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "new" / "a.ome.tif", x, metadata=options, ome=True, tile=(64, 64))
    found, exported = {}, {}
    p = sum(model_of(task, tmp_path / f"w{s}", 2.0, s).predict(x) for s in (3, 4)) / 2
    objects = task.endswith("instances")
    height = landscape(p, 0.5) if objects else p
    cut = {"mask_threshold": 1 - float(np.median(p[0])), "smoothing": 0.5, "min_size": 2}
    cut |= {"seed_threshold": float(np.quantile(height, 0.6)), "peak_threshold": float(np.quantile(height, 0.7))}
    monkeypatch.setattr("biocnn.apply.segment.step.OTHERS", 1000)  # only tiles are small, not the arrays beside them
    for memory_gb in (2.0, 0.003):
        out = tmp_path / f"out{memory_gb}"
        out.mkdir()
        models = [model_of(task, tmp_path / f"s{s}-{memory_gb}", memory_gb, s) for s in (3, 4)]
        models[0].meta = models[0].meta.model_copy(update={"postprocess": Postprocess(**cut)})
        pieces = len(models[0].open_maps(InMemory(x), "a", 0.35 * memory_gb).regions)
        assert (pieces > 5) == (memory_gb < 1)
        exports = () if task == "mask" else models[0].task.exports  # as for classes, with too many pieces to be fast
        apply_images(tmp_path / "new", models, out, exports=exports)
        (image,) = (out / ("labels" if objects else "masks")).glob("*")
        found[memory_gb] = tifffile.imread(image), pd.read_csv(out / "objects.csv")
        exported[memory_gb] = {
            str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
        }
        monkeypatch.setattr("biocnn.apply.segment.table.CELL", {2: 64, 3: 32})
        monkeypatch.setattr("biocnn.apply.segment.table.BYTES", 1)
    (whole, table), (other, blockwise_table) = found.values()
    np.testing.assert_array_equal(whole, other)
    pd.testing.assert_frame_equal(table, blockwise_table, rtol=1e-4, atol=1e-6)
    assert len(table) > 10
    assert exported[2.0].keys() == exported[0.003].keys()
    exact = [name for name in exported[2.0] if not name.endswith(("csv", "json"))]  # these have scores, as floats
    assert [name for name in exact if exported[2.0][name] != exported[0.003][name]] == []
    if exports:
        check_coco(out / "coco.json", whole, table, objects)
        np.testing.assert_array_equal(tifffile.imread(out / "coloured" / "a.tif"), whole)
        assert {name.split("/")[0] for name in exported[2.0]} >= {"rois", "geojson", "overlays"}
    # Segment and measure the whole at once.
    decided = models[0].decide(p)
    names = {"mask": ["disc"], "classes": ["even", "odd"]}.get(task, ["object"])
    rows = []
    for k, name in enumerate(names, start=1):
        labels = in_first_order(decided) if objects else connected(decided == k).astype(np.int32)
        score = 1 - p[0] if objects else p[0 if task == "mask" else k]
        told = {"channels": ["c0", "c1"], "background": background_levels(decided, x)}
        rows.append(
            measure(labels, x, [0.5, 0.5], score, uncertainty=models[0].task.entropy(p), **told).assign(
                **{"class": name}
            )
        )
    wanted = pd.concat(rows, ignore_index=True)
    np.testing.assert_array_equal(whole, in_first_order(decided) if objects else decided)
    if task == "typed_instances":
        kinds = models[0].task.classes_of(p, in_first_order(decided))
        wanted = wanted.assign(score=kinds.score, class_entropy=kinds.entropy)
        wanted["class"] = np.array(["even", "odd"])[kinds.number]
    table = table.drop(columns=["image", "path"])
    wanted = wanted[table.columns]
    pd.testing.assert_frame_equal(table, wanted, rtol=1e-4, atol=1e-6, check_dtype=False)


@pytest.mark.parametrize("task", ["instances", "typed_instances"])
def test_objects_have_the_same_numbers_in_files_and_from_python(task: str, tmp_path: Path) -> None:
    x, model = textured((60, 70)), model_of(task, tmp_path / "model", seed=4)
    p = model.predict(x)
    height = landscape(p, 0)
    cut = {"mask_threshold": 1 - float(np.median(p[0])), "smoothing": 0, "min_size": 2}
    cut |= {"seed_threshold": float(np.quantile(height, 0.6)), "peak_threshold": float(np.quantile(height, 0.7))}
    model.meta = model.meta.model_copy(update={"postprocess": Postprocess(**cut)})
    tifffile.imwrite(tmp_path / "a.tif", x, metadata={"axes": "CYX"}, ome=True)
    (tmp_path / "out").mkdir()
    apply_images(tmp_path / "a.tif", [model], tmp_path / "out")
    labels, table = tifffile.imread(tmp_path / "out/labels/a.tif"), pd.read_csv(tmp_path / "out/objects.csv")
    found = model.segment(tmp_path / "a.tif")
    if task == "typed_instances":
        found, classes = found
        assert classes["class"].tolist() == table["class"].tolist()
        np.testing.assert_allclose(classes["score"], table["score"], rtol=1e-4)
    assert labels.max() > 5
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(in_reading_order(model.decide(p)), in_first_order(model.decide(p)))


def test_an_object_too_large_to_measure_has_only_position_and_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    maps, image = np.zeros((1, 90, 80), np.float32), np.ones((1, 90, 80), np.uint8)
    maps[0, 5:85, 70] = maps[0, 84, 10:71] = 0.75
    maps[0, 10:14, 10:15] = 1
    with Scratch((90, 80), tmp_path / "numbers") as numbers:
        found, row = connect_blocks(Drawn(maps, 30), made("mask"), {}, numbers, 1.0)
        args = (found, row, numbers, InMemory(image), [2.0, 2.0], "um", ["c"])
        whole, little = measure_pieces(*args, 1.0), measure_pieces(*args, 1e-4)
    assert list(whole.columns) == list(little.columns)
    assert "objects whose shape is not measured, because they do not fit in memory_gb: 1" in caplog.text
    measured = [name for name in whole if not name.startswith("neighbour")]
    pd.testing.assert_series_equal(whole.loc[0, measured], little.loc[0, measured], check_dtype=False)
    known = [
        "area",
        "centroid_y",
        "centroid_x",
        "y_min",
        "x_max",
        "touches_edge",
        "score",
        "uncertainty",
        "centroid_x_um",
    ]
    pd.testing.assert_series_equal(whole.loc[1, known], little.loc[1, known], check_dtype=False)
    assert whole.loc[1, "perimeter"] > 0
    assert np.isnan(little.loc[1, "perimeter"])


@pytest.mark.parametrize("shape", [(1100, 2300), (3, 700, 1200)])
def test_large_labels_are_tiled_with_a_pyramid_and_their_pixel_size(
    shape: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biocnn.apply.segment.pyramid.LARGE", 1000)
    labels = np.random.default_rng(1).integers(0, 90000, shape, np.int32)
    spacing = [2.0, 0.5, 0.25][-len(shape) :]
    paths = [
        write_image(tmp_path / side, "a", lambda window: labels[window], shape, labels.dtype, spacing, "um")
        for side in ("one", "other")
    ]
    assert paths[0].name == "a.ome.tif"
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tifffile.TiffFile(paths[0]) as tiff:
        levels = tiff.series[0].levels
        assert tiff.pages[0].is_tiled
        for i, level in enumerate(levels):
            np.testing.assert_array_equal(level.asarray(), labels[..., :: 2**i, :: 2**i])
        assert max(levels[-1].shape) <= 1024
    with open_image(paths[0]) as image:
        assert image.spacing == spacing
        np.testing.assert_array_equal(image.read(tuple(slice(0, n) for n in shape))[0], labels)
