"""Blocks of networks that classify images: residual and inception blocks, norm, adaptive pooling, dense heads."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from biocnn.nn.blocks import ConvBlock, Residual, pool
from biocnn.nn.layers import Named


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


class Inception(nn.Module):
    """Convolutions of size 1, 3 and 5 and a pooling side by side, whose channels are joined.

    Parameters
    ----------
    one, three, five
        Output channels of the convolutions.
    before_three, before_five
        Output channels of a convolution of size 1 before these.
    pooled
        Output channels of a convolution of size 1 after the pooling.

    References
    ----------
    Szegedy et al., CVPR 2015, doi:10.1109/CVPR.2015.7298594.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        one: int,
        before_three: int,
        three: int,
        before_five: int,
        five: int,
        pooled: int,
        *,
        norm: Named = None,
    ) -> None:
        super().__init__()

        def block(*ends_and_size: int) -> ConvBlock:
            return ConvBlock(spatial_dims, *ends_and_size, norm=norm)

        self.branches = nn.ModuleList(
            [
                block(in_channels, one, 1),
                nn.Sequential(block(in_channels, before_three, 1), block(before_three, three, 3)),
                nn.Sequential(block(in_channels, before_five, 1), block(before_five, five, 5)),
                nn.Sequential(pool("max", spatial_dims, 3, stride=1, padding="same"), block(in_channels, pooled, 1)),
            ]
        )
        self.join = Join()

    def forward(self, x: Tensor) -> Tensor:
        return self.join(*(branch(x) for branch in self.branches))


class Join(nn.Module):
    """Concatenation of channels; a module, so that an activation map can be made of its output."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=1)


class LocalResponseNorm(nn.Module):
    """Division of each value by (k + alpha * sum of squares) ** beta, over ``size`` neighbouring channels.

    torch's layer of this name takes the mean of the squares, and is not deterministic on GPUs.

    References
    ----------
    Krizhevsky et al., NeurIPS 2012, doi:10.1145/3065386.
    """

    def __init__(self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        before, channels = self.size // 2, x.shape[1]
        squares = pad(x.square(), [0, 0] * (x.ndim - 2) + [before, self.size - 1 - before])
        total = sum(squares[:, place : place + channels] for place in range(self.size))
        return x * (self.k + self.alpha * total) ** -self.beta


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


def body_before(head: nn.Sequential) -> tuple[str, ...]:
    """Return the names of all modules before the layer that makes the logits, the last one of ``head``."""
    return ("features", *(f"head.{place}" for place in range(len(head) - 1)))
