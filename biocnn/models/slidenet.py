"""SlideNet: two convolutions with pooling and a wide hidden layer, the example of many introductions."""

from typing import Literal

from torch import nn

from biocnn.core.ranges import BelowOne, Size
from biocnn.models.image_network import ImageNetwork
from biocnn.nn.blocks import ConvBlock, pool
from biocnn.nn.classifier_blocks import AdaptivePool, dense_head
from biocnn.nn.unet_blocks import as_list

SIDE = 7  # of the pooled features, at which images of 28 pixels arrive without more pooling


class SlideNet(ImageNetwork):
    """Two convolutions of size 5, each with pooling, and a hidden layer: (N, C, *spatial) to (N, out_channels).

    Images may have any size: features are averaged to 7 positions along each axis, as many as images of 28 pixels have.

    Parameters
    ----------
    channels
        Number of channels of the two convolutions.
    hidden
        Width of the hidden layer.
    norm
        Normalisation after each convolution.
    dropout
        Dropout probability of the hidden layer.

    Raises
    ------
    InputError
        If there are not two numbers of channels.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: tuple[Size, Size] = (32, 64),
        hidden: Size = 1024,
        norm: Literal["batch", "instance", "group"] | None = None,
        dropout: BelowOne = 0.5,
    ) -> None:
        one, two = as_list("model.channels", channels, (32, 64), exactly=2)
        features = nn.Sequential(
            ConvBlock(spatial_dims, in_channels, one, 5, norm=norm),
            pool("max", spatial_dims, ceil=True),
            ConvBlock(spatial_dims, one, two, 5, norm=norm),
            pool("max", spatial_dims, ceil=True),
        )
        head = dense_head([two * SIDE**spatial_dims, hidden, out_channels], dropout)
        super().__init__(features, AdaptivePool(SIDE), head)
