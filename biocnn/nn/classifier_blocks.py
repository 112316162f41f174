"""Blocks of networks that classify images: residual blocks, pooling to a fixed size, and dense heads."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from biocnn.nn.blocks import ConvBlock, Residual


def residual_block(
    spatial_dims: int, in_channels: int, out_channels: int, *, stride: int = 1, inner: int | None = None
) -> Residual:
    """Return a residual block with batch norm: (N, in_channels, *spatial) to (N, out_channels, *spatial / stride).

    The size is rounded up. If it or the number of channels changes, the shortcut is a 1 x 1 convolution with norm.

    Parameters
    ----------
    stride
        Stride of the first convolution of size 3, and of the shortcut.
    inner
        None: two convolutions of size 3. A number: a bottleneck, i.e. a convolution of size 3 with this many channels
        between two of size 1.

    References
    ----------
    He et al., CVPR 2016, doi:10.1109/CVPR.2016.90.
    """
    if inner is None:
        body = nn.Sequential(
            ConvBlock(spatial_dims, in_channels, out_channels, stride=stride),
            ConvBlock(spatial_dims, out_channels, out_channels, act=None),
        )
    else:
        body = nn.Sequential(
            ConvBlock(spatial_dims, in_channels, inner, 1),
            ConvBlock(spatial_dims, inner, inner, stride=stride),
            ConvBlock(spatial_dims, inner, out_channels, 1, act=None),
        )
    same = stride == 1 and in_channels == out_channels
    shortcut = nn.Identity() if same else ConvBlock(spatial_dims, in_channels, out_channels, 1, stride=stride, act=None)
    return Residual(spatial_dims, body, shortcut)


class AdaptivePool(nn.Module):
    """Average pooling to the same size along all axes: (N, C, *spatial) to (N, C, size, ...).

    The windows are those of torch's layer of this name, which is not deterministic on GPUs. They overlap if they cannot
    be equal; an axis shorter than ``size`` repeats its values.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        for axis in range(2, x.ndim):
            if x.shape[axis] != self.size:
                x = (x.movedim(axis, -1) @ self._shares(x.shape[axis]).to(x)).movedim(-1, axis)
        return x

    def _shares(self, length: int) -> Tensor:
        """Return the weight of each position in each window, shape (length, size)."""
        position, window = torch.arange(length)[:, None], torch.arange(self.size)
        inside = (position >= window * length // self.size) & (position < -(-(window + 1) * length // self.size))
        return inside / inside.sum(0)


def dense_head(widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Return linear layers from pooled features to logits, with ReLU and dropout between them.

    Parameters
    ----------
    widths
        Number of pooled features, of units in each hidden layer, if any, and of logits.
    dropout
        Probability; without hidden layers, features are dropped.
    """
    *hidden, last = pairwise(widths)
    layers = [layer for ends in hidden for layer in (nn.Linear(*ends), nn.ReLU(), nn.Dropout(dropout))]
    return nn.Sequential(*(layers or [nn.Dropout(dropout)]), nn.Linear(*last))
