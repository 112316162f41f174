"""A network that corrects its input."""

from copy import deepcopy

import torch
from torch import nn

from biocnn.models import UNet
from biocnn.nn.residual import add_input


def test_the_output_is_added_to_the_scaled_input_in_copies_too() -> None:
    network, x = nn.Conv2d(2, 2, 1), torch.randn(1, 2, 5, 6)
    plain = network(x)
    weights = network.state_dict().keys()
    add_input(network, [0.5, 2.0], [1.0, 0.0], [0.1, 3.0])
    for one in (network, deepcopy(network)):
        found = one(x)
        torch.testing.assert_close(found[:, 0], 0.5 * x[:, 0] + 1 + 0.1 * plain[:, 0])
        torch.testing.assert_close(found[:, 1], 2 * x[:, 1] + 3 * plain[:, 1])
        assert one.state_dict().keys() == weights


def test_only_the_finest_of_several_outputs_contains_the_input() -> None:
    network, x = UNet(2, 1, 1, channels=[2, 4, 4], deep_supervision=True), torch.randn(1, 1, 8, 8)
    plain = network(x)
    add_input(network, [1.0], [0.0], [2.0])
    finest, coarser = network(x)
    torch.testing.assert_close(finest, x + 2 * plain[0])
    torch.testing.assert_close(coarser, 2 * plain[1])
