"""AlexNet: five convolutions and two wide hidden layers, for photographs of 227 pixels."""

from typing import Any, Literal

from torch import nn

from biocnn.core.ranges import BelowOne, Positive, Size
from biocnn.models.image_network import ImageNetwork
from biocnn.nn.blocks import ConvBlock, pool
from biocnn.nn.classifier_blocks import AdaptivePool, LocalResponseNorm, dense_head
from biocnn.nn.unet_blocks import as_list

WIDTHS = (96, 256, 384, 384, 256)
SIDE = 6  # of the pooled features, at which images of 227 pixels arrive without more pooling


class AlexNet(ImageNetwork):
    """Five convolutions, three poolings, and two hidden layers: (N, C, *spatial) to (N, out_channels).

    Unlike the original, it is not divided in two for two GPUs. Images may have any size: features are averaged to 6
    positions along each axis, as many as images of 227 pixels have; images smaller than 67 pixels are padded at their
    far ends by repeating the last values.

    Parameters
    ----------
    channels
        Number of channels of the five convolutions.
    hidden
        Width of the two hidden layers.
    norm
        Normalisation: ``local`` response normalisation after the first two convolutions, as in the original, or another
        after each.
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
    Krizhevsky et al., NeurIPS 2012, doi:10.1145/3065386.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: tuple[Size, Size, Size, Size, Size] = (96, 256, 384, 384, 256),
        hidden: Size = 4096,
        norm: Literal["local", "batch", "instance", "group"] | None = "local",
        dropout: BelowOne = 0.5,
        mean: tuple[float, ...] | None = None,
        sd: tuple[Positive, ...] | None = None,
    ) -> None:
        one, two, three, four, five = as_list("model.channels", channels, WIDTHS, exactly=5)
        local = [LocalResponseNorm()] if norm == "local" else []
        block: dict[str, Any] = {"norm": None if norm == "local" else norm}
        features = nn.Sequential(
            ConvBlock(spatial_dims, in_channels, one, 11, stride=4, padding="valid", **block),
            *local,
            pool("max", spatial_dims, 3, stride=2),
            ConvBlock(spatial_dims, one, two, 5, **block),
            *local,
            pool("max", spatial_dims, 3, stride=2),
            ConvBlock(spatial_dims, two, three, 3, **block),
            ConvBlock(spatial_dims, three, four, 3, **block),
            ConvBlock(spatial_dims, four, five, 3, **block),
            pool("max", spatial_dims, 3, stride=2),
        )
        head = dense_head([five * SIDE**spatial_dims, hidden, hidden, out_channels], dropout)
        super().__init__(features, AdaptivePool(SIDE), head, least=67, mean=mean, sd=sd)
