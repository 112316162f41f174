"""DeepBind: a motif scan, the best match of each kernel, and a head."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from biocnn.core.ranges import BelowOne, Count, Size
from biocnn.models.sequence_network import SequenceNetwork, after, head
from biocnn.nn.best_match import scan_max
from biocnn.nn.blocks import ConvBlock, GlobalPool


class DeepBind(SequenceNetwork):
    """Motif scan, global pooling and a one- or two-layer head: (N, in_channels, *spatial) to (N, out_channels).

    Kernels may extend beyond the ends of the input, which may thus be shorter than the kernels.

    Parameters
    ----------
    channels
        Number of kernels of the scan.
    kernel_size
        Length of the kernels in bp; for images their side in pixels.
    pool
        ``max``: the best match of each kernel; ``both``: also its mean over all positions.
    hidden
        Width of the hidden layer; 0 for none.
    dropout
        Dropout probability before the last layer.
    strands
        ``both`` also reads the reverse complement of DNA. None: single, unless decided from the data.
    combine
        How the logits of the two strands are combined.

    References
    ----------
    Alipanahi et al., Nature Biotechnology 33, 831-838 (2015), doi:10.1038/nbt.3300.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: Size = 16,
        kernel_size: Size = 24,
        pool: Literal["max", "both"] = "max",
        hidden: Count = 32,
        dropout: BelowOne = 0.0,
        strands: Literal["single", "both"] | None = None,
        combine: Literal["max", "mean"] = "max",
    ) -> None:
        scan = ConvBlock(spatial_dims, in_channels, channels, kernel_size, padding="full", norm=None)
        pooled = channels * (2 if pool == "both" else 1)
        super().__init__(
            spatial_dims,
            in_channels,
            nn.Sequential(scan),
            GlobalPool(pool),
            head(pooled, hidden, out_channels, dropout),
            strands=strands,
            combine=combine,
        )

    def _pooled(self, x: Tensor, mask: Tensor | None) -> Tensor:
        scan = self.features[0]
        if isinstance(scan, ConvBlock) and self.pool.kind == "max" and torch.is_grad_enabled():
            return relu(scan_max(scan.conv, x, None if mask is None else after(scan, mask)))
        return super()._pooled(x, mask)
