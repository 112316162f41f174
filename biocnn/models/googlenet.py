"""GoogLeNet: nine inception blocks of convolutions side by side."""

from typing import Any, Literal

from torch import nn

from biocnn.core.ranges import BelowOne, Positive
from biocnn.models.image_network import ImageNetwork
from biocnn.nn.blocks import ConvBlock, GlobalPool, pool
from biocnn.nn.classifier_blocks import Inception, LocalResponseNorm, dense_head

# Output channels of the convolutions of an inception block, in the order of its parameters, and poolings between them.
BLOCKS: tuple[tuple[int, ...] | None, ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


class GoogLeNet(ImageNetwork):
    """Three convolutions, nine inception blocks, and no hidden layer: (N, C, *spatial) to (N, out_channels).

    Images smaller than 32 pixels are padded at their far ends by repeating the last values. The original also has
    auxiliary outputs.

    Parameters
    ----------
    width
        Factor of all numbers of channels, which stay at least 4.
    norm
        Normalisation: ``local`` response normalisation twice before the first block, as in the original, or ``batch``
        norm after each convolution.
    dropout
        Dropout probability of the pooled features.

    References
    ----------
    Szegedy et al., CVPR 2015, doi:10.1109/CVPR.2015.7298594.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        width: Positive = 1.0,
        norm: Literal["local", "batch"] | None = "local",
        dropout: BelowOne = 0.4,
    ) -> None:
        local = [LocalResponseNorm()] if norm == "local" else []
        block: dict[str, Any] = {"norm": None if norm == "local" else norm}

        def scaled(*channels: int) -> list[int]:
            return [max(4, round(width * number)) for number in channels]

        def halved() -> nn.Module:
            return pool("max", spatial_dims, 3, stride=2, ceil=True)

        one, two = scaled(64, 192)
        features: list[nn.Module] = [
            ConvBlock(spatial_dims, in_channels, one, 7, stride=2, **block),
            halved(),
            *local,
            ConvBlock(spatial_dims, one, one, 1, **block),
            ConvBlock(spatial_dims, one, two, 3, **block),
            *local,
            halved(),
        ]
        before = two
        for numbers in BLOCKS:
            if numbers is None:
                features.append(halved())
                continue
            channels = scaled(*numbers)
            features.append(Inception(spatial_dims, before, *channels, **block))
            first, _, three, _, five, pooled = channels
            before = first + three + five + pooled
        super().__init__(
            nn.Sequential(*features), GlobalPool("average"), dense_head([before, out_channels], dropout), least=32
        )
