"""Anchors: boxes of given sizes and shapes at each position of a level of features."""

from collections.abc import Sequence

import torch
from torch import Tensor


def anchor_shapes(size: float, ratios: Sequence[float]) -> Tensor:
    """Return heights and widths, shape (A, 2), of boxes of area size², given the ratios of height to width."""
    ratio = torch.tensor(ratios, dtype=torch.float32)
    return size * torch.stack([ratio.sqrt(), ratio.rsqrt()], 1)


def grid_anchors(grid: Sequence[int], stride: int, shapes: Tensor) -> Tensor:
    """Return boxes around the centre of each cell of a grid, shape (cells A, 2 D), all those of a cell in a row.

    Parameters
    ----------
    grid
        Number of cells along each axis.
    stride
        Length of a cell, in pixels.
    shapes
        Sizes of the boxes along each axis, in pixels, shape (A, D).

    References
    ----------
    Ren et al., NeurIPS 2015, arXiv:1506.01497.
    """
    along = [stride * (torch.arange(number, device=shapes.device) + 0.5) for number in grid]
    centres = torch.stack(torch.meshgrid(along, indexing="ij"), -1).view(-1, 1, len(along))
    return torch.cat([centres - shapes / 2, centres + shapes / 2], -1).flatten(0, 1)
