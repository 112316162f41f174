"""Settings derived from data of whole images: size, network, batch size and epochs."""

import numpy as np
import pytest
from tiny import experiment, image_facts

from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.data.decisions import decide, resolve
from biocnn.data.measured import measure_sizes


def facts(*shapes: tuple[int, ...], n: int = 2400, **more):
    sizes = measure_sizes(np.array([[1, *shape] for shape in shapes]))
    split = {"train": n, "val": 1, "test": 1}
    return image_facts(task="multiclass", outputs=["a", "b"], spatial_dims=len(shapes[0]), sizes=sizes, n=split, **more)


def values(*arguments) -> dict:
    return {key: item.value for key, item in decide(*arguments).items()}


def test_a_usual_set_of_small_images() -> None:
    assert values(facts((28, 28))) == {
        "size": [28, 28], "fit": "crop", "stem": "small", "depth": 18, "channels": [32, 64, 128, 256],
        "batch_size": 64, "steps_per_epoch": None, "epochs": 50, "intensities": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("task", "n", "expected"), [("regression", 999, True), ("regression", 1000, False), ("multiclass", 9, False)]
)
def test_intensities_help_to_learn_numbers_from_few_images(task: str, n: int, expected: bool) -> None:
    assert values(facts((28, 28), n=n).model_copy(update={"task": task}))["intensities"] is expected


@pytest.mark.parametrize(
    ("shapes", "size", "fit"),
    [
        ([(28, 28, 28)], [28, 28, 28], "crop"),
        ([(64, 96, 96)], [21, 32, 32], "crop"),
        ([(360, 363), (366, 369)], [127, 128], "crop"),
        ([(100, 100), (100, 300)], [64, 128], "stretch"),
    ],
)
def test_large_images_are_reduced_and_only_similar_ones_cropped(shapes, size, fit) -> None:
    found = values(facts(*shapes))
    assert (found["size"], found["fit"]) == (size, fit)


@pytest.mark.parametrize(
    ("shape", "stem"),
    [
        ((28, 28), "small"), ((64, 64), "small"), ((120, 121), "large"), ((360, 363), "large"),
        ((16, 16, 16), "small"), ((17, 16, 16), "medium"), ((28, 28, 28), "medium"), ((64, 96, 96), "medium"),
    ],
)  # fmt: skip
def test_the_stem_keeps_as_many_pixels_as_a_cpu_can_afford(shape: tuple[int, ...], stem: str) -> None:
    assert values(facts(shape))["stem"] == stem


def test_volumes_have_half_the_widths_and_are_seen_less_often() -> None:
    few, many = (values(facts((28, 28, 28), n=n)) for n in (1010, 20_000))
    assert (few["channels"], few["batch_size"], few["epochs"]) == ([16, 32, 64, 128], 32, 30)
    assert (many["channels"], many["batch_size"], many["epochs"]) == ([32, 64, 128, 256], 64, 15)


def test_images_of_one_pixel_size_keep_their_scale() -> None:
    assert values(facts((100, 100), (300, 300), spacing=[0.5, 0.5]))["fit"] == "crop"


def test_few_images_are_seen_more_often_in_smaller_batches() -> None:
    sets = [values(facts((28, 28), n=n)) for n in (100, 500, 5000, 50_000)]
    assert [found["batch_size"] for found in sets] == [16, 32, 64, 64]
    assert [found["epochs"] for found in sets] == [100, 100, 24, 15]
    assert sets[-1]["channels"] == [64, 128, 256, 512]


@pytest.mark.parametrize(("name", "sides"), [("size", [32]), ("size", [9, 9, 9]), ("patch", [16])])
def test_a_size_needs_one_number_per_dimension(name: str, sides: list[int]) -> None:
    settings = experiment("UNet", data="Images", train=Train(**{name: sides}))
    with pytest.raises(InputError, match=f"train.{name}: .* but the data have 2 dimensions"):
        resolve(settings, facts((28, 28)))


def test_settings_override_decisions() -> None:
    settings = experiment("UNet", data="Images", train=Train(size=[20, 20], fit="stretch", epochs=None))
    found, decisions = resolve(settings, facts((28, 28)))
    assert (found.train.size, found.train.fit, found.train.epochs) == ([20, 20], "stretch", 50)
    assert decisions["size"].reason == "given: train.size"


@pytest.mark.parametrize(
    ("name", "listed"), [("ResNet", {"stem", "depth", "channels", "intensities"}), ("SlideNet", {"channels"})]
)
def test_settings_of_another_network_are_not_listed(name: str, listed: set[str]) -> None:
    found = facts((28, 28))
    found = found.model_copy(update={"decisions": found.decisions | decide(found)})
    _, decisions = resolve(experiment(name, data="LabelledImages"), found)
    assert decisions.keys() & {"stem", "depth", "channels", "intensities"} == listed
    assert {"size", "epochs"} <= decisions.keys()
