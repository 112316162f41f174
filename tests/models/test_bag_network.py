"""Pooling of the images of a bag: equal to formulas, and independent of their order and of padding."""

import numpy as np
import pytest
import torch
from torch import Tensor

from biocnn.core.errors import InputError
from biocnn.models.bag_network import AT_ONCE, BagNetwork, GatedAttention, SimplePool
from biocnn.training.target_unit import rescale

NETWORK = {"name": "ResNet", "channels": [4, 4, 4, 4]}


def bags(*sizes: int) -> Tensor:
    """Return bags of random images, padded with NaN."""
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(size, 1, 8, 8, generator=generator) for size in sizes]
    return torch.nn.utils.rnn.pad_sequence(images, batch_first=True, padding_value=torch.nan)


@pytest.fixture(params=["attention", "mean", "max"])
def network(request: pytest.FixtureRequest) -> BagNetwork:
    torch.manual_seed(0)
    return BagNetwork(2, 1, 3, network=NETWORK, pool=request.param, hidden=5).eval()


def test_logits_of_vectors_are_those_of_bags_in_any_unit(network: BagNetwork) -> None:
    """Predictions come from ``logits``, training and validation from ``forward``."""
    x = bags(4)
    with torch.no_grad():
        before = network(x)
        rescale(network, [2.0, 0.5, 1.0], [10.0, -3.0, 0.0])
        wanted = before * torch.tensor([2.0, 0.5, 1.0]) + torch.tensor([10.0, -3.0, 0.0])
        torch.testing.assert_close(network(x), wanted)
        torch.testing.assert_close(network.logits(network.vectors(x[0])), wanted)


def test_gated_attention_equals_the_formula() -> None:
    torch.manual_seed(0)
    pool, h = GatedAttention(4, 3), torch.randn(1, 6, 4)
    with torch.no_grad():
        found, weights = pool(h, torch.ones(1, 6, dtype=torch.bool)), pool.attention(h, torch.ones(1, 6) > 0)
    v, u = (layer.weight.detach().numpy() for layer in (pool.value, pool.gate))
    b, c = (layer.bias.detach().numpy() for layer in (pool.value, pool.gate))
    x = h[0].numpy()
    score = (np.tanh(x @ v.T + b) / (1 + np.exp(-(x @ u.T + c)))) @ pool.weight.weight.detach().numpy()[0]
    wanted = np.exp(score) / np.exp(score).sum()
    np.testing.assert_allclose(weights[0], wanted, rtol=1e-5)
    np.testing.assert_allclose(found[0], wanted @ x, rtol=1e-4, atol=1e-6)


def test_simple_pools_leave_out_what_is_absent() -> None:
    h, present = torch.tensor([[[1.0, -5.0], [3.0, -1.0], [0.0, 0.0]]]), torch.tensor([[True, True, False]])
    assert SimplePool("mean")(h, present).tolist() == [[2, -3]]
    assert SimplePool("max")(h, present).tolist() == [[3, -1]]


@torch.no_grad()
def test_neither_order_nor_padding_changes_the_logits(network: BagNetwork) -> None:
    x = bags(5, 2)
    both = network(x)
    torch.testing.assert_close(network(x[:1].flip(1)), both[:1])
    torch.testing.assert_close(network(x[1:, :2]), both[1:])
    torch.testing.assert_close(network.logits(network.vectors(x[1, :2])), both[1:])


@torch.no_grad()
def test_an_image_is_a_bag_of_one_and_large_bags_are_seen_in_parts(network: BagNetwork) -> None:
    x = bags(2)
    torch.testing.assert_close(network(x[0]), torch.cat([network(x[:, :1]), network(x[:, 1:])]))
    large = x.repeat(1, AT_ONCE, 1, 1, 1)
    torch.testing.assert_close(network(large), network(x))


def test_padding_does_not_change_gradients() -> None:
    found = []
    for x in (bags(3), torch.cat([bags(3), torch.full((1, 2, 1, 8, 8), torch.nan)], 1)):
        torch.manual_seed(0)
        network = BagNetwork(2, 1, 1, network=NETWORK)
        of_bags, of_images = network(x)
        (of_bags.sum() + of_images.nansum()).backward()
        found.append([weight.grad for weight in network.parameters()])
    torch.testing.assert_close(*found)  # sums over padded bags may round differently


@pytest.mark.parametrize("name", ["LeNet5", "SlideNet", "AlexNet", "VGG", "GoogLeNet"])
def test_other_networks_give_vectors(name: str) -> None:
    with torch.no_grad():
        network = BagNetwork(2, 1, 2, network=name)
        assert [x.shape for x in network(torch.randn(2, 3, 1, 32, 32))] == [(2, 2), (2, 3, 2)]
        assert network.eval()(torch.randn(2, 3, 1, 32, 32)).shape == (2, 2)


@pytest.mark.parametrize("name", ["UNet", "os:system", "BagNetwork"])
def test_networks_that_are_not_for_images_with_a_target_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"model\.network"):
        BagNetwork(2, 1, 2, network=name)
