"""Networks that predict how their input is to be corrected."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn


def add_input(network: nn.Module, factor: ArrayLike, shift: ArrayLike, scale: ArrayLike) -> None:
    """Let a network, in place, return factor * input + shift + scale * output.

    Of outputs at several resolutions, only the finest contains the input.

    Parameters
    ----------
    network
        Network whose output has the shape of its input, (N, C, *spatial).
    factor, shift, scale
        One number for each channel.
    """
    numbers = [torch.as_tensor(values, dtype=torch.float32) for values in (factor, shift, scale)]
    network.register_forward_hook(_AddInput(torch.stack(numbers)))


class _AddInput:
    """Forward hook that can be copied with its network."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    def __call__(
        self, network: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | list[Tensor]
    ) -> Tensor | list[Tensor]:
        (x,) = inputs
        factor, shift, scale = self.numbers.to(x.device).view(3, -1, *[1] * (x.ndim - 2))
        if isinstance(output, list):
            finest, *coarser = output
            return [factor * x + shift + scale * finest, *(shift + scale * level for level in coarser)]
        return factor * x + shift + scale * output
