"""Maximum of a convolution over positions, with gradients through the maxima only."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d, embedding, pad

from biocnn.nn.layers import Conv


def winner(x: Tensor) -> Tensor:
    """Return the position of the first maximum: (N, C, L) to (N, C, 1); faster than max on CPUs."""
    return adaptive_max_pool1d(x, 1, return_indices=True)[1]


def scan_max(conv: Conv, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the maximum of a convolution over all positions, with a gradient that needs no second convolution.

    Equals ``GlobalPool("max")(conv(x), mask)``. Only the maximal windows carry a gradient, so these are cut out and
    scored again, which makes training on a CPU several times faster. With ties the first window takes all the gradient.

    Parameters
    ----------
    conv
        Convolution with stride and dilation 1.
    x
        Shape (N, in_channels, *spatial).
    mask
        Shape (N, 1, *spatial of the output), bool: valid positions.

    Returns
    -------
    largest
        Shape (N, out_channels).
    """
    with torch.no_grad():
        scores = conv(x)
        shape = scores.shape[2:]
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        position = winner(scores.flatten(2))[..., 0]
    best = _cut_windows(x, conv, _along_axes(position, shape))
    largest = (best * conv.conv.weight.movedim(1, -1).flatten(1)).sum(-1)
    largest = largest if conv.conv.bias is None else largest + conv.conv.bias
    return largest if mask is None else largest.masked_fill(~mask.flatten(1).any(1, keepdim=True), 0.0)


def _along_axes(position: Tensor, shape: Sequence[int]) -> list[Tensor]:
    """Convert flat positions in a grid of the given shape to one index per axis."""
    indices: list[Tensor] = []
    for size in reversed(shape[1:]):
        indices.insert(0, position % size)
        position = position // size
    return [position, *indices]


def _cut_windows(x: Tensor, conv: Conv, position: Sequence[Tensor]) -> Tensor:
    """Cut out the input windows of a convolution at some output positions.

    Parameters
    ----------
    x
        Shape (N, C, *spatial), before padding.
    position
        Index of the output position along each axis, shape (N, M).

    Returns
    -------
    windows
        Shape (N, M, size of a kernel), in the order (*kernel_size, C).
    """
    pixels = pad(x, conv.zeros).movedim(1, -1).contiguous()
    *lead, last = conv.conv.kernel_size
    steps = [
        prod(pixels.shape[2 + axis : -1]) for axis in range(len(position))
    ]  # pixels between neighbouring positions
    each = prod(pixels.shape[1:-1])
    first = torch.arange(0, len(x) * each, each, device=x.device)[:, None] + position[-1]
    for p, step in zip(position[:-1], steps, strict=False):
        first = first + p * step
    for size, step in zip(lead, steps, strict=False):
        first = first[..., None] + torch.arange(0, size * step, step, device=x.device)
    # Along the last axis a kernel covers contiguous memory: a look-up in overlapping rows is 4 times faster here than
    # indexing.
    stretches = pixels.flatten().unfold(0, last * pixels.shape[-1], pixels.shape[-1])
    return embedding(first, stretches).flatten(2)
