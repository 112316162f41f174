"""Base class of sequence networks: features, global pooling, head, and two strands."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool1d, pad

from biocnn.nn.blocks import ConvBlock, GlobalPool, pool
from biocnn.nn.classifier_blocks import body_before, dense_head
from biocnn.nn.covariates import apart, through
from biocnn.nn.strands import BASES, check_strands, flip, has_bases


class SequenceNetwork(nn.Module):
    """Features at each position, global pooling and a head: (N, C, *spatial) to (N, out_channels).

    In one-hot sequences (``spatial_dims`` 1, ``in_channels`` 4, or more with tracks) the columns of the bases sum to 1,
    with unknown bases as 0.25 in each channel. Columns of zeros are padding at the end: positions that see only padding
    are ignored, so that a sequence has the same logits alone and padded in a batch. Channels beyond ``in_channels`` are
    covariates, see ``biocnn.nn.covariates``.

    Subclasses only create these parts.

    Parameters
    ----------
    features
        Consecutive blocks: convolutions with padding ``same`` or ``full``, and max pooling of non-negative values
        (padding counts as 0).
    over
        Pooling over all positions.
    head
        Layers from pooled features to logits.
    strands
        ``both`` also scores the reverse complement, so that either strand gives the same logits. None: single, unless
        decided from the data: both for DNA.
    combine
        Combine the logits of two strands by maximum or mean.

    Raises
    ------
    InputError
        If ``strands`` is ``both`` and the input is not a one-hot sequence.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        features: nn.Sequential,
        over: GlobalPool,
        head: nn.Sequential,
        *,
        strands: Literal["single", "both"] | None,
        combine: Literal["max", "mean"],
    ) -> None:
        super().__init__()
        self.one_hot, self.in_channels = has_bases(spatial_dims, in_channels), in_channels
        self.bases_only = self.one_hot and in_channels == BASES
        check_strands(strands, spatial_dims, in_channels)
        self.features, self.pool, self.head = features, over, head
        self.BODY = ("recurrent", *body_before(head))  # only some networks have the first
        self.strands, self.combine = strands or "single", combine

    def forward(self, x: Tensor) -> Tensor:
        x, z = apart(x, self.in_channels)
        mask = _known(x) if self.one_hot else None
        if self.strands == "single":
            return self._logits(x, mask, z)
        both = torch.cat([x, reverse_strand(x, mask)])
        twice = None if mask is None else mask.repeat(2, 1, 1)
        strands = self._logits(both, twice, z.repeat(2, 1)).unflatten(0, (2, len(x)))
        return strands.amax(0) if self.combine == "max" else strands.mean(0)

    def _logits(self, x: Tensor, mask: Tensor | None, z: Tensor) -> Tensor:
        pooled = self._pooled(x, mask)
        with torch.autocast(x.device.type, enabled=False):  # so small that conversions would take longer
            return through(self.head, pooled.float(), z)

    def _pooled(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.pool(*self._positions(x, mask))

    def _positions(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return features (N, C', *spatial') and the mask of valid positions (N, 1, *spatial')."""
        for layer in self.features:
            x = layer(x if mask is None else x * mask)
            mask = None if mask is None else after(layer, mask)
        return x, mask


def head(pooled: int, hidden: int, out_channels: int, dropout: float) -> nn.Sequential:
    """Return one linear layer from pooled features to logits, or two with ``hidden`` units between them."""
    return dense_head([pooled, *([hidden] if hidden else []), out_channels], dropout)


def best_of(spatial_dims: int, size: int) -> nn.Module:
    """Return non-overlapping max pooling, with a smaller window at the far end."""
    return pool("max", spatial_dims, size, ceil=True)


def reverse_strand(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the other strand of sequences (N, 4 + S, L) with the same padding at each end."""
    other = flip(x)
    if mask is None:
        return other
    more = mask.flip(2).int().argmax(2) - mask.int().argmax(2)  # padding after minus padding before the sequence
    place = (torch.arange(x.shape[2], device=x.device) + more) % x.shape[2]
    return other.gather(2, place[:, None].expand_as(x))


def _known(x: Tensor) -> Tensor | None:
    """Return where there is a base, known or unknown: shape (N, 1, L), bool; None if there is no padding."""
    # On a GPU the masked computation is faster than waiting for the result of this check.
    bases = x[:, :BASES].detach()
    if x.device.type == "cpu" and bases.sum() == len(x) * x.shape[-1]:
        return None
    return bases.abs().amax(1, keepdim=True) > 0


def after(layer: nn.Module, mask: Tensor) -> Tensor:
    """Return the positions that see at least one base after a layer."""
    if isinstance(layer, nn.MaxPool1d):
        return layer(mask.float()) > 0
    if isinstance(layer, ConvBlock) and layer.conv.padding == "full":
        (kernel_size,), (dilation,) = layer.conv.conv.kernel_size, layer.conv.conv.dilation
        return max_pool1d(pad(mask.float(), layer.conv.zeros), kernel_size, stride=1, dilation=dilation) > 0
    return mask
