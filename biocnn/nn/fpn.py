"""Feature pyramid: all levels with the same number of channels and the context of the coarser ones."""

from collections.abc import Sequence

from torch import Tensor, nn

from biocnn.nn.blocks import pool
from biocnn.nn.layers import Conv
from biocnn.nn.unet_blocks import fit_to


class Pyramid(nn.Module):
    """Feature pyramid over the levels of an encoder, finest first, and one coarser level more.

    The features of a level, after a convolution of size 1, are added to those of the coarser level, upsampled by
    nearest-neighbour interpolation; a convolution of size 3 follows. The last level is subsampled for the one more.

    Parameters
    ----------
    in_channels
        Number of channels of each level of the encoder, finest first. Each level has half the size of the one before,
        rounded up.
    channels
        Number of channels of all levels of the pyramid.

    References
    ----------
    Lin et al., CVPR 2017, arXiv:1612.03144.
    """

    def __init__(self, spatial_dims: int, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(Conv(spatial_dims, width, channels, 1) for width in in_channels)
        self.output = nn.ModuleList(Conv(spatial_dims, channels, channels, 3) for _ in in_channels)
        self.up = nn.Upsample(scale_factor=2.0)
        self.more = pool("max", spatial_dims, 1, stride=2)
        for conv in [*self.lateral, *self.output]:  # no ReLU follows
            nn.init.kaiming_uniform_(conv.conv.weight, nonlinearity="linear")
            nn.init.zeros_(conv.conv.bias)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Map levels (N, in_channels, *spatial), finest first, to one more level, (N, channels, *spatial) each."""
        levels: list[Tensor] = []
        for lateral, x in zip(reversed(self.lateral), reversed(features), strict=True):
            x = lateral(x)
            levels.insert(0, x + fit_to(self.up(levels[0]), x.shape[2:]) if levels else x)
        levels = [output(x) for output, x in zip(self.output, levels, strict=True)]
        return [*levels, self.more(levels[-1])]
