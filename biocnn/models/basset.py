"""Basset: a stack of convolutions and poolings."""

from itertools import pairwise
from typing import Literal

from torch import nn

from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, Count, Size
from biocnn.models.sequence_network import SequenceNetwork, best_of, head
from biocnn.nn.blocks import ConvBlock, GlobalPool, kaiming
from biocnn.nn.unet_blocks import as_list


class Basset(SequenceNetwork):
    """Blocks of convolution, norm, ReLU and pooling, and a head: (N, C, *spatial) to (N, out_channels).

    Unlike the original, it pools over all positions before the head, so that input may have any length.

    Parameters
    ----------
    channels
        Number of channels of each convolution.
    kernel_size
        Kernel size of each convolution, in bp.
    pool
        Size of the max pooling after each convolution.
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

    Raises
    ------
    InputError
        If ``channels``, ``kernel_size`` and ``pool`` differ in length.

    References
    ----------
    Kelley et al., Genome Research 26, 990-999 (2016), doi:10.1101/gr.200535.115.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: list[Size] = [64, 96, 128],  # noqa: B006 (never modified; YAML gives lists)
        kernel_size: list[Size] = [19, 11, 7],  # noqa: B006
        pool: list[Size] = [3, 4, 4],  # noqa: B006
        over: Literal["max", "average", "both"] = "both",
        norm: Literal["batch", "instance", "group"] | None = "batch",
        hidden: Count = 64,
        dropout: BelowOne = 0.3,
        strands: Literal["single", "both"] | None = None,
        combine: Literal["max", "mean"] = "max",
    ) -> None:
        channels = as_list("model.channels", channels, (64, 96, 128))
        kernel_size, pool = (
            as_list("model.kernel_size", kernel_size, (19, 11, 7)),
            as_list("model.pool", pool, (3, 4, 4)),
        )
        if not len(channels) == len(kernel_size) == len(pool) > 0:
            entries = f"{len(channels)}, {len(kernel_size)} and {len(pool)} entries"
            raise InputError(
                f"model.channels, kernel_size and pool have {entries}", "give one entry per convolution in each"
            )
        widths = zip(pairwise([in_channels, *channels]), kernel_size, pool, strict=True)
        layers = [
            layer
            for (before, width), size, piece in widths
            for layer in (ConvBlock(spatial_dims, before, width, size, norm=norm), best_of(spatial_dims, piece))
        ]
        pooled = channels[-1] * (2 if over == "both" else 1)
        super().__init__(
            spatial_dims,
            in_channels,
            nn.Sequential(*layers),
            GlobalPool(over),
            head(pooled, hidden, out_channels, dropout),
            strands=strands,
            combine=combine,
        )
        kaiming(self)
