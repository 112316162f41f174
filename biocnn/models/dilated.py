"""A residual network of dilated convolutions, with a large receptive field at full resolution."""

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from biocnn.core.ranges import BelowOne, Count, Size
from biocnn.models.sequence_network import SequenceNetwork, head
from biocnn.nn.blocks import ConvBlock, GlobalPool, Skip, kaiming


class DilatedResNet(SequenceNetwork):
    """A motif scan and residual convolutions with doubling dilation: (N, C, *spatial) to (N, out_channels).

    The body of BPNet with global pooling and a head.

    Parameters
    ----------
    channels
        Number of channels of all convolutions.
    kernel_size
        Kernel size of the first convolution, in bp.
    layers
        Number of dilated convolutions of size 3, with dilation 2, 4, ..., 2 ** layers.
    over
        Final pooling over all positions: maximum, mean, or both.
    norm
        Normalisation after each convolution.
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
    Avsec et al., Nature Genetics 53, 354-366 (2021), doi:10.1038/s41588-021-00782-6.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: Size = 64,
        kernel_size: Size = 21,
        layers: Annotated[int, Field(ge=0, le=20)] = 4,
        over: Literal["max", "average", "both"] = "both",
        norm: Literal["batch", "instance", "group"] | None = "batch",
        hidden: Count = 0,
        dropout: BelowOne = 0.3,
        strands: Literal["single", "both"] | None = None,
        combine: Literal["max", "mean"] = "max",
    ) -> None:
        dilated = (
            Skip(ConvBlock(spatial_dims, channels, channels, 3, dilation=2 ** (i + 1), norm=norm))
            for i in range(layers)
        )
        scan = ConvBlock(spatial_dims, in_channels, channels, kernel_size, norm=norm)
        pooled = channels * (2 if over == "both" else 1)
        super().__init__(
            spatial_dims,
            in_channels,
            nn.Sequential(scan, *dilated),
            GlobalPool(over),
            head(pooled, hidden, out_channels, dropout),
            strands=strands,
            combine=combine,
        )
        kaiming(self)
