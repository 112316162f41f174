"""VGG: five stages of convolutions of size 3, and two wide hidden layers."""

from itertools import pairwise
from typing import Literal

from torch import nn

from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, Positive, Size
from biocnn.models.image_network import ImageNetwork
from biocnn.nn.blocks import ConvBlock, pool
from biocnn.nn.classifier_blocks import AdaptivePool, dense_head
from biocnn.nn.unet_blocks import as_list

WIDTHS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
SIDE = 7  # of the pooled features, at which images of 224 pixels arrive without more pooling


class VGG(ImageNetwork):
    """Five stages of convolutions, each with pooling, and two hidden layers: (N, C, *spatial) to (N, out_channels).

    Images may have any size: poolings round up, and features are averaged to 7 positions along each axis, as many as
    images of 224 pixels have.

    Parameters
    ----------
    depth
        Number of layers with weights.
    channels
        Number of channels of each stage.
    hidden
        Width of the two hidden layers.
    norm
        Normalisation after each convolution; the original has none.
    dropout
        Dropout probability of the hidden layers.
    mean, sd
        Subtracted from each channel of x (pixels of about 0 to 1), and divisor of the difference. None: 0 and 1,
        unless the network starts from weights of torchvision.

    Raises
    ------
    InputError
        If there are not five numbers of channels.

    References
    ----------
    Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        depth: Literal[11, 13, 16, 19] = 16,
        channels: tuple[Size, Size, Size, Size, Size] = (64, 128, 256, 512, 512),
        hidden: Size = 4096,
        norm: Literal["batch", "instance", "group"] | None = None,
        dropout: BelowOne = 0.5,
        mean: tuple[float, ...] | None = None,
        sd: tuple[Positive, ...] | None = None,
    ) -> None:
        if depth not in CONVOLUTIONS:
            raise InputError(f"model.depth is {depth!r}", "allowed: " + ", ".join(map(str, CONVOLUTIONS)))
        per_stage = as_list("model.channels", channels, WIDTHS, exactly=5)
        stages = (
            nn.Sequential(
                *(ConvBlock(spatial_dims, width if place else before, width, norm=norm) for place in range(number)),
                pool("max", spatial_dims, ceil=True),
            )
            for (before, width), number in zip(pairwise([in_channels, *per_stage]), CONVOLUTIONS[depth], strict=True)
        )
        head = dense_head([per_stage[-1] * SIDE**spatial_dims, hidden, hidden, out_channels], dropout)
        super().__init__(nn.Sequential(*stages), AdaptivePool(SIDE), head, mean=mean, sd=sd)
