"""U-Net: down to see context, up to say where."""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from biocnn.blocks import Conv, Down, Up, fit_to, fit_to_multiple, kaiming, two_convs
from biocnn.errors import InputError


class UNet(nn.Module):
    """Encoder and decoder with skip connections: (N, in_channels, *spatial) to (N, out_channels, *spatial).

    Input of any size: its far ends are padded with their last values to a multiple of 2 ** (levels - 1), and the output
    is cropped to the input's size.

    Parameters
    ----------
    channels
        Width of each level, the finest first; their number is the depth.
    norm
        Normalisation after each convolution.
    down
        How the size is halved: by pooling, or by a strided convolution.
    up
        How it is doubled: by a learned transposed convolution, or by repeating values and a convolution.
    residual
        Whether the input of two convolutions is added to their output.
    dropout
        Probability that a channel is dropped after a convolution.

    References
    ----------
    Ronneberger et al., MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: list[int] = [16, 32, 64, 128],  # noqa: B006 (only read; a list is what YAML gives)
        norm: Literal["batch", "instance", "group"] | None = "batch",
        down: Literal["max", "average", "strided"] = "max",
        up: Literal["transposed", "interpolate"] = "transposed",
        residual: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not channels:
            raise InputError("model.channels is empty", "give the width of each level, such as [16, 32, 64]")
        block = {"norm": norm, "residual": residual, "dropout": dropout, "dropout_kind": "spatial"}
        levels = list(pairwise(channels))
        self.multiple = 2 ** len(levels)
        self.stem = two_convs(spatial_dims, in_channels, channels[0], **block)
        self.down = nn.ModuleList(Down(spatial_dims, fine, coarse, down=down, **block) for fine, coarse in levels)
        self.up = nn.ModuleList(Up(spatial_dims, coarse, fine, fine, up=up, **block) for fine, coarse in levels[::-1])
        self.head = Conv(spatial_dims, channels[0], out_channels, 1)
        kaiming(self)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        x, skips = self.stem(fit_to_multiple(x, self.multiple)), []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up in self.up:
            x = up(x, skips.pop())
        return fit_to(self.head(x), size)
