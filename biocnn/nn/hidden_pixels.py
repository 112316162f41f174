"""Images in which some pixels are replaced by neighbours: a network that predicts these never sees their values.

References
----------
Noise2Void: Krull et al., CVPR 2019, arXiv:1811.10980.
"""

import math

import torch
from torch import Tensor

REACH = 2  # largest distance to the neighbour that replaces a pixel, along each axis, in pixels
BLOCK = {2: 5, 3: 4}  # side of the blocks with one hidden pixel each, by spatial_dims: 4% and 1.6% of the pixels


def draws_for(sizes: torch.Size) -> int:
    """Return how many random numbers ``hide`` needs for an image of sizes (*spatial)."""
    dims = len(sizes)
    return dims + (dims + 1) * math.prod(_blocks(sizes))


def hide(x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Replace one random pixel in each block by a random neighbour that is not hidden.

    Parameters
    ----------
    x
        Images, shape (N, C, *spatial).
    numbers
        Uniform random numbers from 0 to 1, exclusive: shape (N, ``draws_for(x.shape[2:])``).

    Returns
    -------
    seen, hidden
        The images with replaced pixels, and the values that these had, nan elsewhere: each (N, C, *spatial).
    """
    sizes = x.shape[2:]
    dims, block = len(sizes), BLOCK[len(sizes)]
    counts = _blocks(sizes)
    origin, numbers = numbers[:, :dims, None], numbers[:, dims:].view(len(x), dims + 1, -1)
    corner = torch.stack(torch.meshgrid(*(block * torch.arange(n, device=x.device) for n in counts), indexing="ij"))
    # Within their blocks pixels keep a distance of REACH from those of the next ones: no source is hidden itself.
    place = corner.flatten(1) - (block * origin).long() + ((block - REACH) * numbers[:, :dims]).long()
    side = 2 * REACH + 1
    step = ((side**dims - 1) * numbers[:, dims]).long()
    step = step + (step >= side**dims // 2)  # all but the pixel itself
    index = source = torch.zeros_like(step)
    inside = torch.ones_like(step, dtype=torch.bool)
    for axis, n in enumerate(sizes):
        along, move = place[:, axis], step // side ** (dims - 1 - axis) % side - REACH
        inside = inside & (along >= 0) & (along < n)
        other = torch.where((along + move < 0) | (along + move >= n), along - move, along + move)
        index, source = index * n + along, source * n + other.clamp(0, n - 1)
    row = torch.arange(len(x), device=x.device)[:, None].expand_as(inside)[inside]
    index, source, values = index[inside], source[inside], x.flatten(2)
    seen, hidden = values.clone(), torch.full_like(values, torch.nan)
    seen[row, :, index], hidden[row, :, index] = values[row, :, source], values[row, :, index]
    return seen.view(x.shape), hidden.view(x.shape)


def _blocks(sizes: torch.Size) -> list[int]:
    """Return the number of blocks along each axis that cover an image, wherever the first one starts."""
    block = BLOCK[len(sizes)]
    return [(n + block - 1) // block + 1 for n in sizes]
