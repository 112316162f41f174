"""Maps of uncertainty: known values, properties for all probabilities, and networks with dropout."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from tiny import task_of
from torch import nn

from biocnn.core.errors import InputError
from biocnn.evaluation.uncertainty import maps, of_probability, thinned
from biocnn.models import UNet
from biocnn.tasks.maps import MapTask

TASKS = {"mask": 1, "classes": 4, "instances": 4}  # and the number of values per pixel


def made(task: str) -> MapTask:
    return task_of(task, outputs=list("abcd")[: TASKS[task]])


def random_probabilities(task: str, number: int, seed: int = 0, spatial: tuple[int, ...] = (5, 7)) -> list[np.ndarray]:
    """Return random probabilities like those of networks for these tasks."""
    rng = np.random.default_rng(seed)
    if task == "mask":
        return list(rng.random((number, 1, *spatial), dtype=np.float32))
    classes = 3 if task == "instances" else TASKS[task]
    found = rng.dirichlet(np.ones(classes), (number, *spatial)).astype(np.float32)
    found = np.moveaxis(found, -1, 1)
    distance = rng.random((number, 1, *spatial), dtype=np.float32)
    return list(np.concatenate([found, distance], axis=1) if task == "instances" else found)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("spatial", [(4, 6), (2, 4, 6)])
def test_entropy_is_one_for_equal_classes_and_zero_for_a_certain_one(task: str, spatial) -> None:
    classes = {"mask": 2, "classes": 4, "instances": 3}[task]
    p = np.full((TASKS[task], *spatial), 1 / classes)
    np.testing.assert_allclose(made(task).entropy(p), 1, rtol=1e-6)
    p[:] = 0
    p[0] = 1
    assert (made(task).entropy(p) == 0).all()
    assert made(task).entropy(p).shape == spatial


@pytest.mark.parametrize("task", ["classes", "instances"])
def test_scipy_gives_the_same_entropy(task: str) -> None:
    (p,) = random_probabilities(task, 1)
    classes = p[:3] if task == "instances" else p
    np.testing.assert_allclose(made(task).entropy(p), scipy_entropy(classes, base=len(classes), axis=0), rtol=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_equal_probabilities_have_no_mutual_information(task: str) -> None:
    (p,) = random_probabilities(task, 1)
    found = maps([p] * 5, made(task))
    np.testing.assert_allclose(found.mean, p, rtol=1e-6)
    np.testing.assert_allclose(found.entropy, made(task).entropy(p), rtol=1e-5)
    np.testing.assert_allclose(found.mutual_information, 0, atol=1e-6)
    assert (of_probability(p, made(task)).mutual_information == 0).all()


def test_confident_contradicting_probabilities_have_only_mutual_information() -> None:
    found = maps([np.zeros((1, 2, 2)), np.ones((1, 2, 2))], made("mask"))
    np.testing.assert_allclose(found.mean, 0.5)
    np.testing.assert_allclose([found.entropy, found.mutual_information], 1, rtol=1e-6)


@given(st.sampled_from(list(TASKS)), st.integers(1, 6), st.integers(0, 1000))
def test_the_components_of_entropy_are_in_their_bounds_in_any_order(task: str, number: int, seed: int) -> None:
    found = random_probabilities(task, number, seed)
    one, other = maps(found, made(task)), maps(iter(found[::-1]), made(task))
    assert (one.mutual_information >= 0).all()
    assert (one.mutual_information <= one.entropy + 1e-6).all()
    assert one.entropy.max() <= 1 + 1e-6
    np.testing.assert_allclose(one.mean, np.mean(found, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one.mutual_information, other.mutual_information, atol=1e-5)


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        maps([], made("mask"))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_dropped_channels_are_the_same_for_every_image_and_batch(spatial_dims: int) -> None:
    torch.manual_seed(0)
    network = UNet(spatial_dims, 1, 2, channels=[8, 8], dropout=0.3).eval()
    x = torch.rand(3, 1, *[8] * spatial_dims)
    with torch.no_grad():
        whole = network(x)
        with thinned(network, seed=1, sample=0):
            together = network(x)
            alone = torch.cat([network(one[None]) for one in x])
        with thinned(network, seed=1, sample=0):
            again = network(x)
        with thinned(network, seed=1, sample=1):
            another = network(x)
        torch.testing.assert_close(network(x), whole, rtol=0, atol=0)  # nothing stays dropped
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(again, together, rtol=0, atol=0)
    assert (together - whole).abs().max() > 1e-3
    assert (together - another).abs().max() > 1e-3


def test_channels_are_dropped_as_often_as_in_training_and_the_mean_is_kept() -> None:
    network, x, p = nn.Sequential(nn.Dropout2d(0.3)).eval(), torch.ones(1, 50, 2, 2), 0.3
    found = []
    for sample in range(200):
        with thinned(network, 0, sample):
            found.append(network(x))
    values = torch.cat(found)
    assert (values.amax((2, 3)) == values.amin((2, 3))).all(), "channels are dropped as a whole"
    assert values.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
    assert values.mean().item() == pytest.approx(1, abs=0.02)  # 3 standard errors


@pytest.mark.parametrize("network", [nn.Conv2d(1, 1, 1), nn.Dropout2d(0.0), nn.Dropout(0.5)])
def test_a_network_without_dropout_of_channels_is_refused(network: nn.Module) -> None:
    with pytest.raises(InputError, match="no layers that drop channels") as caught, thinned(network, 0, 0):
        pass
    assert "model.dropout" in caught.value.remedy
