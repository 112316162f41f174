"""Batches of bags, what is decided about them, and a small training from a table to a report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import yaml
from matplotlib.figure import Figure
from tiny import bagged, chosen, experiment, stored

from biocnn.apply.bags import apply_bags
from biocnn.core.errors import InputError
from biocnn.data.bag_decisions import decide_bags
from biocnn.data.dataset import Dataset
from biocnn.data.decisions import resolve
from biocnn.data.frame import Frame
from biocnn.explain.bags import attention_auroc
from biocnn.prediction.model import Model
from biocnn.report.bags import attention
from biocnn.report.figures import Gallery
from biocnn.report.results import Results
from biocnn.tasks.facts import Decision
from biocnn.training.bags import BagBatches
from biocnn.training.batches import Recipe
from biocnn.training.checkpoint import build_model, load_model
from biocnn.workflow import steps
from tests.report.simulated_results import coarse

CPU, FRAME = torch.device("cpu"), Frame((16, 16))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(bagged(), tmp_path_factory.mktemp("bags"))


def batches(dataset: Dataset, *augment: str, instances: int | None = None, rows: tuple[int, ...] = (0, 1, 2)):
    return BagBatches(dataset, np.array(rows), CPU, Recipe(chosen(*augment), frame=FRAME, instances=instances))


def test_facts_count_images_and_settings_follow(dataset: Dataset) -> None:
    assert dataset.facts.bags == [3, 4, 5]
    assert dataset.facts.images == dataset.x.shapes[dataset.rows("train"), 0].sum()
    assert dataset.input.describe(dataset.facts).startswith("of 3 to 5 (median 4) images of 1 channel")
    settings, _ = resolve(experiment({"name": "BagNetwork", "network": "ResNet"}, data="BaggedImages"), dataset.facts)
    assert settings.train.instances == 5
    assert settings.model.network.depth == 18
    assert settings.model.network.stem == "small"
    many = dataset.facts.model_copy(update={"bags": [10, 200, 4000], "images": 100_000})
    given = {"batch_size": None, "steps_per_epoch": 3}
    decided = decide_bags(many, experiment("BagNetwork", data="BaggedImages", train=given))
    assert decided["steps_per_epoch"] == Decision(value=3, reason="given: train.steps_per_epoch")
    assert (decided["instances"].value, decided["batch_size"].value) == (64, 2)
    assert decided["network"].value["channels"] == [64, 128, 256, 512]


def test_pictures_of_bags_are_filled(dataset: Dataset) -> None:
    sizes = {1: (1, 1), 2: (1, 2), 3: (1, 2), 5: (1, 3), 6: (2, 3), 19: (4, 4), 300: (4, 4)}
    for number, (rows, columns) in sizes.items():
        x = np.arange(number, dtype=np.uint16)[:, None, None, None] * np.ones((1, 2, 4, 5), np.uint16)
        found = dataset.input.picture(x)
        assert found.shape == (2, 4 * rows, 5 * columns)
        assert (found[:, 0, 0] == 0).all()
        assert (found[:, -1, -1] == number - 1).all()


def test_bags_are_padded_and_scaled(dataset: Dataset) -> None:
    made = batches(dataset)
    made.plan(1, 0, 3, None)
    x, y = made.get(torch.tensor([0, 1]))
    assert x.shape == (2, 5, 1, 16, 16)
    assert x.isnan().flatten(2).any(2).tolist() == [[False] * 3 + [True] * 2, [False] * 5]
    low, high = dataset.ranges[1]
    wanted = (dataset.x[1].astype(np.float32) - low[:, None, None]) / (high - low)[:, None, None]
    torch.testing.assert_close(x[1], torch.from_numpy(wanted))
    assert y.tolist() == [[0], [1]]
    assert [len(one[0]) for one, _ in made.plain()] == [3, 5, 4]


def test_bags_of_volumes(tmp_path: Path) -> None:
    dataset = stored(bagged(24, size=(4, 6, 8)), tmp_path)
    settings, _ = resolve(experiment("BagNetwork", data="BaggedImages", train={"size": None}), dataset.facts)
    assert settings.train.size == [4, 6, 8]
    network = build_model(settings.model, dataset.facts).eval()
    for x, y in BagBatches(dataset, dataset.rows("test"), CPU, Recipe(frame=Frame((4, 6, 8)))).plain():
        with torch.no_grad():
            assert network(x).shape == y.shape
    assert dataset.input.picture(dataset.x[0]).shape == (1, 4, 6, 16)


def test_images_are_drawn_anew_in_each_epoch_and_depend_on_nothing_else(dataset: Dataset) -> None:
    made = batches(dataset, instances=2)
    drawn = []
    for epoch in (0, 1, 2, 0):
        made.plan(1, epoch, 2, None)
        assert [len(images) for images in made.chosen] == [2, 2, 2]
        drawn.append(made.get(torch.tensor([1]))[0])
        assert drawn[-1].shape == (1, 2, 1, 16, 16)
    assert torch.equal(drawn[0], drawn[3])
    assert not all(torch.equal(drawn[0], other) for other in drawn[1:3])


def test_each_image_is_augmented_on_its_own_whatever_its_batch(dataset: Dataset) -> None:
    made = batches(dataset, "noise")
    made.plan(1, 0, 3, None)
    every, alone = made.get(torch.tensor([2, 1]))[0], made.get(torch.tensor([1]))[0]
    assert torch.equal(every[1:], alone)
    noise = alone[0] - torch.cat([*batches(dataset).parts(1, 9)])
    assert not torch.equal(noise[0], noise[1])


def test_bags_from_disk_are_those_from_memory(dataset: Dataset) -> None:
    held, read = batches(dataset, "flip"), batches(dataset, "flip")
    read.x = None
    for made in (held, read):
        made.plan(3, 0, 2, None)
    index = [torch.tensor([2, 0]), torch.tensor([1])]
    for (x, y), (other, target) in zip(held.load(index), read.load(index), strict=True):
        assert torch.equal(x.nan_to_num(9), other.nan_to_num(9))
        assert torch.equal(y, target)
    parts = [len(part) for part in read.parts(1, 2)]
    assert parts == [2, 2, 1]


def test_attention_auroc_is_a_mean_over_bags_with_both_labels() -> None:
    table = pd.DataFrame(
        {
            "id": ["a"] * 3 + ["b"] * 2 + ["c"] * 3,
            "relative": [3.0, 1, 2, 1, 2, 0.5, 1, 2],
            "instance_label": ["1", "0", "0", "0", "0", "1", "0", ""],
        }
    )
    (row,) = attention_auroc(table).itertuples()
    assert (row.value, row.n) == (0.5, 2)
    assert len(attention_auroc(table.assign(instance_label="0"))) == 0


EXPERIMENT = {
    "data": {"name": "BaggedImages", "table": "bags.csv", "instance_label": "cell"},
    "split": {"val": 0.25, "test": 0.25},
    "augment": ["flip"],
    "model": {"name": "BagNetwork", "network": {"name": "ResNet", "channels": [4, 4, 4, 4]}, "hidden": 4},
    "train": {"epochs": 2, "batch_size": 4, "threads": 1},
    "metrics": {"resamples": 20},
    "explain": {"examples": 2, "units": 0},
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a whole experiment, with predictions for new bags."""
    base, raw = tmp_path_factory.mktemp("bagged"), bagged(32)
    rows = []
    for row in range(32):
        bright = raw.x(row)[:, 0, 4:12, 4:12].mean(axis=(1, 2)) > 1300
        for k, image in enumerate(raw.x(row)):
            tifffile.imwrite(base / f"{row}_{k}.tif", image[0])
            rows.append((f"{row}_{k}.tif", f"b{row}", ("without", "with")[row % 2], int(bright[k])))
    table = pd.DataFrame(rows, columns=["image", "bag", "label", "cell"])
    table.to_csv(base / "bags.csv", index=False)
    table.tail(8)[["image", "bag"]].to_csv(base / "new.csv", index=False)
    config, out = base / "smear.yaml", base / "results/smear"
    config.write_text(yaml.safe_dump(EXPERIMENT))
    out.mkdir(parents=True)
    run = out / "runs/fold0-seed1"
    root = {"data_root": base}
    steps.check(config, out / "raw", out / "checks.tsv", doctor=out / "doctor", **root)
    steps.dataset(config, out / "raw", out / "dataset", **root)
    run.mkdir(parents=True)
    steps.train(config, out / "dataset", "fold0-seed1", run / "model.safetensors", run / "history.tsv", **root)
    steps.predict([run / "model.safetensors"], out / "dataset", run / "predictions")
    steps.baselines(config, out / "dataset", out / "baselines", **root)
    files = ("metrics", "metrics_per_example", "audit", "matches")
    paths = [*(out / f"{name}.tsv" for name in files), out / "decided.npz", out / "errors.tsv"]
    steps.evaluate(config, out / "dataset", out / "baselines", *paths, run, **root)
    steps.explain([run / "model.safetensors"], out / "dataset", out / "explain", config=config, **root)
    steps.predict([run / "model.safetensors"], base / "new.csv", out / "apply")
    with coarse():
        steps.report(config, out / "report.html", out / "figures", **root)
    return out


def test_attention_of_test_bags_is_written_and_shown(done: Path) -> None:
    table = pd.read_csv(done / "explain/attention.tsv", sep="\t")
    np.testing.assert_allclose(table.groupby("id")["attention"].sum(), 1, rtol=1e-5)
    assert {"image", "relative", "instance_label"} <= set(table)
    assert (done / "explain/attention_auroc.tsv").is_file()
    page = (done / "report.html").read_text()
    for words in (
        "most attention",
        "Attention ranks the images",
        "Held-out bags",
        "Training bags",
        "groups of bags",
        "No split contains an example of another split or a bag with",
    ):
        assert words in page
    assert set(pd.read_csv(done / "baselines/baselines.tsv", sep="\t")["baseline"]) == {
        "intensities", "extreme intensities",
    }  # fmt: skip


def test_the_first_bag_has_numbers_and_both_headings(done: Path, tmp_path: Path) -> None:
    class Kept(Gallery):
        def add(self, name: str, figure: Figure, *args, **kwargs) -> None:
            self.titles = [axes.get_title(loc="left") for axes in figure.axes]

    gallery = Kept(tmp_path)
    attention(Results(done), gallery)
    first, second = (next(title for title in gallery.titles if words in title) for words in ("most", "least"))
    assert float(first.split("\n")[1]) >= float(second.split("\n")[1])


def test_new_bags_are_predicted_like_stored_ones(done: Path) -> None:
    table, attention = pd.read_csv(done / "apply/predictions.csv"), pd.read_csv(done / "apply/attention.csv")
    assert table["images"].sum() == len(attention) == 8
    np.testing.assert_allclose(attention.groupby("bag")["attention"].sum(), 1, rtol=1e-5)
    model, dataset = Model(done / "runs/fold0-seed1/model.safetensors"), Dataset(done / "dataset")
    name = table["bag"].iloc[-1]
    row = dataset.examples.index[dataset.examples["id"] == name][0]
    paths = [done.parents[1] / image for image in json.loads(dataset.examples["images"][row])]
    (wanted,) = model.predict_stored(dataset, np.array([row]))
    np.testing.assert_allclose(model.predict(paths), wanted, rtol=1e-5)
    np.testing.assert_allclose(table[["probability_with", "probability_without"]].iloc[-1], wanted, rtol=1e-4)
    np.testing.assert_allclose(model.predict([paths, paths[::-1]]), [wanted] * 2, rtol=1e-4)
    np.testing.assert_allclose(model.predict([*dataset.x[row]]), wanted, rtol=1e-5)
    (network, meta), ((x, _),) = load_model(model.path), batches(dataset, rows=(row,)).plain()
    with torch.no_grad():
        p = model.task.probability(network(x) / torch.tensor(meta.temperature))
    assert meta.temperature != [1.0]
    np.testing.assert_allclose(wanted, p[0], rtol=1e-4)


def test_what_is_not_a_bag_is_refused(done: Path, tmp_path: Path) -> None:
    model = Model(done / "runs/fold0-seed1/model.safetensors")
    with pytest.raises(InputError, match="a model for bags"):
        model.features(tmp_path)
    with pytest.raises(InputError, match="bags and images"):
        model.predict([np.zeros((16, 16)), [np.zeros((16, 16))]])
    with pytest.raises(InputError, match="no bag given"):
        model.predict([])
    with pytest.raises(InputError, match="a bag without images"):
        model.predict([[], [np.zeros((16, 16))]])


def test_folders_of_new_bags_are_read_completely(done: Path, tmp_path: Path) -> None:
    model, new, out = Model(done / "runs/fold0-seed1/model.safetensors"), tmp_path / "new", tmp_path / "out"
    for name in ("a/1.tif", "b/notes.txt"):
        (new / name).parent.mkdir(parents=True)
        (new / name).write_bytes((done.parents[1] / "0_0.tif").read_bytes())
    out.mkdir()
    assert apply_bags(new, [model], out) == {"predictions.csv": 2, "attention.csv": 1}
    assert "bag 'b'" in pd.read_csv(out / "predictions.csv")["skipped"][1]
    assert pd.read_csv(out / "counts.tsv", sep="\t")["example"].str.contains("notes.txt").any()
    (new / "loose.tif").touch()
    with pytest.raises(InputError, match=r"beside the subfolders of bags: loose\.tif"):
        apply_bags(new, [model], out)
    (new / "bags.csv").write_text("image,bag\na/1.tif,x\n./a/1.tif,x\n")
    with pytest.raises(InputError, match=r"line 3: image 'a/1\.tif' is already in bag 'x'"):
        apply_bags(new / "bags.csv", [model], out)
