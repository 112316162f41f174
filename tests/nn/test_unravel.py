"""Coordinates of elements are those of torch."""

import torch

from biocnn.nn.unravel import unravel


def test_coordinates_are_those_of_torch() -> None:
    number = torch.arange(3 * 4 * 5)
    assert torch.stack(unravel(number, (3, 4, 5))).equal(torch.stack(torch.unravel_index(number, (3, 4, 5))))
