"""Settings left to the data follow from its facts; those given in an experiment take precedence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import experiment, image_facts, images, sequences, stored

from biocnn.config.experiment import load
from biocnn.config.schema import choose
from biocnn.config.settings import Train
from biocnn.data.dataset import Dataset
from biocnn.data.decisions import BATCH, decide, fill_in, memory_per_example, resolve
from biocnn.data.measured import measure_sizes
from biocnn.losses import dice_bce
from biocnn.models import UNet
from biocnn.nn.precision import autocast
from biocnn.tasks.facts import BySplit, Decision, Objects
from biocnn.tasks.objects import diameters, measure_objects
from biocnn.training.checkpoint import build_model
from biocnn.training.resource_estimate import memory_bytes
from biocnn.training.runs import train_run


def facts(shape=(512, 512), n=200, *, task="mask", shares=(0.8, 0.2), spacing=None, diameter=None, **more):
    objects = {"number": 9, "diameter": {"5": 1.0, "50": diameter / 2, "95": diameter}} if diameter else {}
    return image_facts(
        task=task, spatial_dims=len(shape), spacing=spacing, n={"train": n, "val": 0, "test": 0}, objects=objects,
        sizes=measure_sizes(np.array([[1, *shape]])), pixels=n * int(np.prod(shape)), class_shares=list(shares), **more,
    )  # fmt: skip


def values(*arguments) -> dict:
    return {key: item.value for key, item in decide(*arguments).items()}


def test_a_usual_set_of_images() -> None:
    assert values(facts()) == {
        "patch": [256, 256], "channels": [24, 48, 96, 192, 256], "batch_size": 8, "steps_per_epoch": 100, "epochs": 30,
        "foreground": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("smallest", "stem", "sizes"),
    [
        (60, "huge", [64, 128, 256, 512, 1024]),
        (32, "huge", [45, 90, 180, 360, 720]),
        (20, "large", [28, 56, 112, 224, 448]),
        (9, "medium", [13, 26, 52, 104, 208]),
        (5, "small", [7, 14, 28, 56, 112]),
        (1, "small", [4, 8, 16, 32, 64]),
    ],
)
def test_cells_and_anchors_suit_small_objects(smallest: int, stem: str, sizes: list[int]) -> None:
    objects = Objects(number=9, diameter={"5": smallest, "50": 70, "95": 80})
    boxes = facts(task="boxes", shares=()).model_copy(update={"objects": objects})
    decided = values(boxes)
    assert (decided["stem"], decided["sizes"]) == (stem, sizes)
    assert 1200 <= decided["epochs"] * decided["steps_per_epoch"] <= 3000
    assert "sizes" not in decide(boxes, experiment("CentreNet", data="BoxedImages")), "it has no anchors"


@pytest.mark.parametrize(("number", "heads"), [(20_000, (256, 1024, 512)), (19_999, (64, 256, 128))])
def test_faster_rcnn_is_narrow_for_few_boxes(number: int, heads: tuple[int, int, int]) -> None:
    objects = Objects(number=number, diameter={"5": 40, "50": 70, "95": 80})
    boxes = facts(task="boxes", shares=()).model_copy(update={"objects": objects})
    names = ("pyramid", "dense", "sampled")
    assert tuple(values(boxes)[name] for name in names) == heads
    given = experiment({"name": "FasterRCNN", "dense": 7}, data="BoxedImages")
    assert decide(boxes, given)["dense"].value == 7
    built = resolve(given, boxes)[0].model
    assert (built.pyramid, built.dense, built.sampled) == (heads[0], 7, heads[2])


def test_volumes_like_those_of_the_hippocampus() -> None:
    """nnU-Net's own plan for them is patches of 40 x 56 x 40, halved three times."""
    found = values(facts((36, 50, 35), 90, task="classes", shares=(0.94, 0.03, 0.03)))
    assert found["patch"] == [40, 56, 40]
    assert found["channels"] == [16, 32, 64, 128]
    assert found["foreground"] == 0, "because a patch holds the whole volume"


def test_a_patch_of_thick_slices_has_the_same_physical_length_in_every_direction() -> None:
    depth, height, width = values(facts((60, 512, 512), spacing=[4.0, 1.0, 1.0]))["patch"]
    assert height == width
    assert height / depth == pytest.approx(4, rel=0.3)
    assert depth * height * width <= 1.3 * 64**3


def test_objects_limit_the_depth_and_widen_the_patch() -> None:
    small, large = (values(facts((1024, 1024), task="instances", diameter=d)) for d in (12.0, 100.0))
    assert len(small["channels"]) == 3
    assert len(large["channels"]) == 5
    assert small["patch"] == [256, 256]
    assert large["patch"] == [400, 400]


def test_patches_are_drawn_around_a_rare_class() -> None:
    assert values(facts(shares=(0.99, 0.01)))["foreground"] == 0.33
    assert values(facts(task="classes", shares=(0.5, 0.49, 0.0, 0.01)))["foreground"] == 0.33
    assert values(facts((200, 256), shares=(0.99, 0.01)))["foreground"] == 0.33
    assert values(facts((192, 192), shares=(0.99, 0.01)))["foreground"] == 0, "because a patch holds the whole image"


def test_given_settings_are_kept_and_marked_as_given() -> None:
    train = Train(patch=[96, 96], batch_size=None, epochs=7)
    found = decide(facts(), experiment({"name": "UNet", "channels": [64, 128]}, data="Images", train=train))
    assert (found["patch"].value, found["patch"].reason) == ([96, 96], "given: train.patch")
    assert (found["channels"].value, found["channels"].reason) == ([64, 128], "given: model.channels")
    assert (found["epochs"].value, found["epochs"].reason) == (7, "given: train.epochs")
    assert found["steps_per_epoch"].value == 250, "as without given epochs, which else could be of one step"
    assert found["batch_size"].value == 16
    assert not found["batch_size"].reason.startswith("given")


UNET = experiment("UNet", data="Images")


@given(
    st.lists(st.integers(1, 3000), min_size=2, max_size=3), st.floats(0.05, 200), st.integers(1, 5000),
    st.lists(st.sampled_from([0.2, 0.5, 1.0, 3.0, 10.0]), min_size=3, max_size=3),
    st.one_of(st.none(), st.floats(1, 900)),
)  # fmt: skip
def test_training_is_possible_with_the_decisions_for_any_data(shape, memory, n, spacing, diameter) -> None:
    train = Train(epochs=None, batch_size=None, memory_gb=memory)
    settings = UNET.model_copy(update={"train": train})
    found = decide(facts(tuple(shape), n, diameter=diameter, spacing=spacing[: len(shape)]), settings)
    patch, channels, batch = (found[key].value for key in ("patch", "channels", "batch_size"))
    assert all(item.reason for item in found.values())
    assert all(side >= 8 and side % 8 == 0 for side in patch)
    assert 1 <= len(channels) <= 5
    assert 2 ** (len(channels) - 1) <= min(patch)
    assert 1 <= batch <= BATCH[1]
    assert batch == 1 or batch * memory_per_example(channels, patch) <= memory * 2**30
    assert 12 <= found["epochs"].value <= 60
    assert len(shape) == 3 or patch[0] == patch[1]


@pytest.mark.parametrize("dims", [2, 3])
def test_memory_of_a_step_follows_the_formula(dims: int) -> None:
    device, side = torch.device("cpu"), {2: 64, 3: 16}[dims]
    for channels in ([16, 32, 64, 128], [24, 48, 96], [8, 16]):
        network = UNet(dims, 1, 1, channels=channels)
        x = torch.rand(2, 1, *[side] * dims)
        measured = [
            memory_bytes(network, dice_bce, x, (x > 0.5).byte(), n, autocast("float32", device)) for n in (2, 6)
        ]
        assert memory_per_example(channels, [side] * dims) == pytest.approx((measured[1] - measured[0]) / 4, rel=0.25)


def test_diameters_of_discs_and_balls() -> None:
    grid = np.indices((60, 60))
    labels = np.zeros((60, 60), int)
    for label, (centre, radius) in enumerate([((15, 15), 5), ((40, 40), 12)], 3):
        labels[((grid - np.reshape(centre, (2, 1, 1))) ** 2).sum(axis=0) <= radius**2] = label
    np.testing.assert_allclose(diameters(labels), [10, 24], rtol=0.05)
    ball = (((np.indices((30, 30, 30)) - 14) ** 2).sum(axis=0) <= 100).astype(int)
    np.testing.assert_allclose(diameters(ball), [20], rtol=0.05)
    assert measure_objects([diameters(labels), diameters(ball)]).number == 3
    assert measure_objects([diameters(np.zeros((3, 3), int))]) == Objects()


def test_facts_of_each_fold_come_from_its_training_split(tmp_path: Path) -> None:
    raw = images(12, task="instances", size=(40, 70))
    found = stored(raw, tmp_path, folds=3, val=None, test=None)
    assert found.facts.sizes.plain() == {
        "smallest": [40, 70], "median": [40, 70], "largest": [40, 70], "shorter": 40.0
    }  # fmt: skip
    assert found.facts.pixels == 40 * 70 * len(found.rows("train"))
    assert found.facts.objects == measure_objects([diameters(raw.y(i)) for i in found.rows("train")])
    assert {"patch", "channels", "batch_size", "epochs", "normalise"} <= found.facts.decisions.keys()


def test_scaling_of_intensities_is_decided_from_the_training_split(tmp_path: Path) -> None:
    """Images of one fold differ in brightness: only a network trained on these alone scales each image by itself."""
    raw = images(12)
    alike = stored(raw, tmp_path / "alike", folds=3, val=None, test=None)
    numbers, dark = alike.examples["fold"], raw.x
    raw.x = lambda i: dark(i) * np.uint16(1 + 39 * (i % 2) * (numbers[i] == 1))
    stored(raw, tmp_path / "unlike", folds=3, val=None, test=None)
    for fold in range(3):
        found = Dataset(tmp_path / "unlike" / "dataset", fold)
        wanted = "image" if (numbers[found.rows("train")] == 1).all() else "dataset"
        assert found.facts.normalise == found.facts.decisions["normalise"].value == wanted
        assert len(np.unique(found.ranges, axis=0)) == (12 if wanted == "image" else 1)


def test_settings_are_left_to_the_data(tmp_path: Path) -> None:
    (tmp_path / "t.csv").touch()
    for kind, model in (("Sequences", "DeepBind"), ("Images", "UNet")):
        text = f"data: {{name: {kind}, table: t.csv}}\nmodel: {{name: {model}}}\n"
        for extra in ("", "train: {lr: 0.01}\n", "train:\n"):
            (tmp_path / "e.yaml").write_text(text + extra)
            train = load(tmp_path / "e.yaml", tmp_path).settings.train
            assert (train.epochs, train.batch_size) == (None, None)
        (tmp_path / "e.yaml").write_text(text + "train: {epochs: null, batch_size: 5}")
        train = load(tmp_path / "e.yaml", tmp_path).settings.train
        assert (train.epochs, train.batch_size) == (None, 5)


@pytest.mark.parametrize(("number", "epochs", "batch"), [(300, 60, 32), (3000, 20, 64), (30_000, 10, 128)])
@pytest.mark.parametrize(("alphabet", "strands"), [("ACGT", "both"), ("ACGU", "single")])
def test_decisions_for_sequences(number: int, epochs: int, batch: int, alphabet: str, strands: str) -> None:
    found = sequences().facts.model_copy(update={"alphabet": alphabet, "n": BySplit(train=number, val=9, test=9)})
    left = experiment({"name": "DeepBind"}, train=Train(epochs=None, batch_size=None))
    settings, decisions = resolve(left, found)
    assert (settings.train.epochs, settings.train.batch_size, settings.model.strands) == (epochs, batch, strands)
    assert {key: item.value for key, item in decisions.items()} == {
        "strands": strands, "batch_size": batch, "epochs": epochs
    }  # fmt: skip
    given = experiment({"name": "DeepBind", "strands": "single"}, train=Train(epochs=3, batch_size=7))
    settings, decisions = resolve(given, found)
    assert settings == given
    assert decisions["epochs"].reason == "given: train.epochs"


def test_every_setting_of_a_network_that_is_left_to_the_data_is_filled_in() -> None:
    decisions = {
        "channels": Decision(value=[4, 5, 6, 7]), "stem": Decision(value="small"), "batch_size": Decision(value=3)
    }  # fmt: skip
    filled = fill_in(choose("models", {"name": "ResNet", "stem": "large"}, "model"), decisions)
    assert (filled.depth, filled.channels, filled.stem) == (None, (4, 5, 6, 7), "large")
    network = build_model(choose("models", "ResNet", "model"), facts().model_copy(update={"decisions": decisions}))
    assert network.features[0].conv.conv.kernel_size == (3, 3)
    assert network.head[-1].in_features == 7


def test_a_training_that_leaves_everything_to_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biocnn.data.decisions.STEPS", (1, 2))
    monkeypatch.setattr("biocnn.data.decisions.EPOCHS", (1, 2))
    dataset = stored(images(12), tmp_path)
    train = Train(epochs=None, batch_size=None, threads=1)
    plan = experiment("UNet", data="Images", train=train)
    network, history, meta = train_run(plan, dataset, 1)
    section, decided = meta.experiment.train, dataset.facts.decisions
    assert len(history) == section.epochs == 2
    assert section.patch == decided["patch"].value == [32, 32]
    assert meta.experiment.model.channels == decided["channels"].value
    assert meta.decisions["batch_size"].value == section.batch_size
    assert plan.train.epochs is None, "given settings must not change"
    again = build_model(choose("models", meta.experiment.model.plain(), "model"), meta.facts)
    again.load_state_dict(network.state_dict())
    assert build_model(plan.model, dataset.facts).load_state_dict(network.state_dict())
