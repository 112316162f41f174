"""Networks that predict how their input is to be corrected, and networks of finer images than their input."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from biocnn.nn.pixel_shuffle import enlarge, to_pixels

Output = Tensor | list[Tensor]  # of one resolution, or of several, the finest first


def refine_output(network: nn.Module, upscale: int) -> None:
    """Let a network, in place, rearrange the channels of its output into pixels, see ``to_pixels``."""
    network.register_forward_hook(_Refine(upscale))


def add_input(network: nn.Module, factor: ArrayLike, shift: ArrayLike, scale: ArrayLike, upscale: int = 1) -> None:
    """Let a network, in place, return factor * input + shift + scale * output.

    Of outputs at several resolutions, only the finest contains the input.

    Parameters
    ----------
    network
        Network whose output has the channels of its input, (N, C, *spatial), and ``upscale`` times as many pixels along
        each axis, to which the input is interpolated.
    factor, shift, scale
        One number for each channel.
    upscale
        Pixels of the output per pixel of the input, along each axis.
    """
    numbers = [torch.as_tensor(values, dtype=torch.float32) for values in (factor, shift, scale)]
    network.register_forward_hook(_AddInput(torch.stack(numbers), upscale))


class _Refine:
    """Forward hook that can be copied with its network."""

    def __init__(self, upscale: int) -> None:
        self.upscale = upscale

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...], output: Output) -> Output:
        if isinstance(output, list):
            return [to_pixels(level, self.upscale) for level in output]
        return to_pixels(output, self.upscale)


class _AddInput:
    """Forward hook that can be copied with its network."""

    def __init__(self, numbers: Tensor, upscale: int) -> None:
        self.numbers, self.upscale = numbers, upscale

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...], output: Output) -> Output:
        x = enlarge(inputs[0], self.upscale)
        factor, shift, scale = self.numbers.to(x.device).view(3, -1, *[1] * (x.ndim - 2))
        if isinstance(output, list):
            finest, *coarser = output
            return [factor * x + shift + scale * finest, *(shift + scale * level for level in coarser)]
        return factor * x + shift + scale * output
