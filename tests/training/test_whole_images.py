"""Batches of whole images: each image once per epoch, with the same bits from memory, disk and other processes."""

import numpy as np
import pytest
import torch
from tiny import chosen, experiment, image_facts, labelled, sequence_facts, stored

from biocnn.config.schema import choose
from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.frame import Frame
from biocnn.nn.encode import normalise, to_tensor
from biocnn.tasks import make_task
from biocnn.training import whole_images
from biocnn.training.batches import make, preview
from biocnn.training.runs import train_run

CPU = torch.device("cpu")
FRAME = Frame((16, 18), "stretch")
AUGMENT = chosen("flip", {"name": "affine", "rotate": 20.0}, {"name": "noise", "sd": 0.1})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    raw = labelled(21, sizes=[(20, 20), (16, 30)], channels=2)
    return stored(raw, tmp_path_factory.mktemp("labelled"))


def test_each_image_once_per_epoch_with_its_target(dataset: Dataset) -> None:
    batches = make(dataset, np.arange(21), CPU, frame=FRAME)
    plan = batches.plan(1, 0, 5, None)
    assert [len(index) for index in plan] == [5, 5, 5, 6], "no batch of a single image"
    assert sorted(torch.cat(plan).tolist()) == list(range(21))
    for index in plan:
        x, y = batches.get(index)
        assert y.tolist() == dataset.y.stacked(index.numpy()).tolist()
        images = torch.stack([to_tensor(FRAME.apply(dataset.x[row])) for row in index])
        assert x.equal(normalise(images, *torch.from_numpy(dataset.ranges[index]).unbind(1)))
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_plain_images_are_in_order(dataset: Dataset) -> None:
    batches = make(dataset, np.arange(3, 20), CPU, AUGMENT, frame=FRAME)
    x, y = (torch.cat(parts) for parts in zip(*batches.plain(4), strict=True))
    assert x.shape == (17, 2, 16, 18)
    assert y.tolist() == dataset.y.stacked(np.arange(3, 20)).tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_images_that_do_not_fit_in_memory_are_the_same(
    dataset: Dataset, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = make(dataset, np.arange(21), CPU, AUGMENT, frame=FRAME)
    monkeypatch.setattr(whole_images, "RESIDENT", 0)
    read = make(dataset, np.arange(21), CPU, AUGMENT, None, workers, frame=FRAME)
    assert resident.x is not None
    assert read.x is None
    plan = resident.plan(3, 2, 6, None)
    read.plan(3, 2, 6, None)
    for (x, y), (other_x, other_y) in zip(resident.load(plan), read.load(plan), strict=True):
        assert x.equal(other_x)
        assert y.equal(other_y)


def test_augmentation_of_an_image_depends_only_on_seed_epoch_and_number(dataset: Dataset) -> None:
    batches = make(dataset, np.arange(21), CPU, AUGMENT, frame=FRAME)

    def seen(seed: int, epoch: int, size: int) -> torch.Tensor:
        plan = batches.plan(seed, epoch, size, None)
        return torch.cat([batches.get(index)[0] for index in plan])[torch.cat(plan).argsort()]

    first = seen(1, 1, 21)
    torch.testing.assert_close(seen(1, 1, 4), first)
    assert not seen(1, 2, 21).isclose(first).all(dim=(1, 2, 3)).any()
    assert not seen(2, 1, 21).isclose(first).all(dim=(1, 2, 3)).any()


def test_the_preview_shows_images_before_and_after_augmentation(dataset: Dataset) -> None:
    x, y = preview(dataset, AUGMENT, None, n=3, m=2, frame=FRAME)
    y = np.array(y)
    assert x.shape == (3, 3, 2, 16, 18)
    assert y.shape == (3, 3, 3)
    assert (y == y[:, :1]).all()
    assert not np.allclose(x[:, 1], x[:, 0], atol=0.01)


def test_losses_of_vectors_are_the_cross_entropy_if_vectors_weigh_nothing(dataset: Dataset) -> None:
    model = {"name": "ResNet", "channels": [4, 4, 4, 4]}
    found = []
    for loss in (None, {"name": "nt_xent", "weight": 0.0}, {"name": "triplet", "weight": 1.0}):
        settings = experiment(model, data="LabelledImages", loss=loss, train=Train(epochs=1, threads=1, size=[16, 16]))
        found.append(train_run(settings, dataset, 1)[0].eval())
    x = torch.zeros(2, 2, 16, 16)
    plain, without, with_vectors = (network(x) for network in found)
    assert torch.equal(plain, without)
    assert not torch.equal(plain, with_vectors)


@pytest.mark.parametrize(("made", "name"), [(sequence_facts, "DeepBind"), (image_facts, "BagNetwork")])
def test_losses_of_vectors_are_for_whole_images(made, name: str) -> None:
    facts = made(outputs=["a", "b"], task="multiclass").model_copy(update={"kind": "bag"} if name != "DeepBind" else {})
    with pytest.raises(InputError, match="nt_xent is for networks of whole images"):
        make_task(facts).make_loss(choose("losses", "nt_xent", "loss"), "none", CPU)
