"""U-Net: an encoder for context and a decoder for localisation."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, Literal

from torch import Tensor, nn

from biocnn.core.ranges import BelowOne, Size
from biocnn.nn.blocks import kaiming, two_convs
from biocnn.nn.layers import Conv
from biocnn.nn.strands import check_strands, on_both_strands
from biocnn.nn.unet_blocks import Down, Up, as_list, fit_to, fit_to_multiple, per_level

WIDTHS = (16, 32, 64, 128)


class UNet(nn.Module):
    """Encoder and decoder with skip connections: (N, in_channels, *spatial) to (N, out_channels, *spatial).

    Input may have any size: its far ends are padded to a multiple of the total downsampling, 2 ** (levels - 1), by
    repeating the last values, and the output is cropped to the input size.

    Parameters
    ----------
    channels
        Number of channels of each level, finest first; their number is the depth. None: 16, 32, 64, 128, unless decided
        from the data.
    kernel_size
        Kernel size of the convolutions: one number, or one entry per level, finest first, each a number or one per
        axis. Volumes with slices k pixels apart need kernels of 1 along that axis until the other axes are k times
        coarser: [[1, 3, 3], 3, 3]. None: 3, unless decided from the data.
    factor
        Downsampling factor between levels: one number, or one entry per step, i.e. one fewer than levels. For these
        volumes: [[1, 2, 2], 2].
    norm
        Normalisation after each convolution.
    down
        Downsampling by pooling or a strided convolution.
    up
        Upsampling by a transposed convolution, or nearest-neighbour interpolation and a convolution.
    residual
        Whether to add the input of two convolutions to their output.
    attention
        Whether attention gates weight the skip connections.
    deep_supervision
        Whether each level of the decoder has its own logits. In training mode the output is then a list: the logits,
        and those of the next coarser levels, each with the size of its level (rounded up). Nothing else changes.
    dropout
        Dropout probability of channels after each convolution.

    strands
        DNA only: ``both`` averages the logits of a sequence with those of its reverse complement, turned back. None:
        single, unless decided from the data.

    Raises
    ------
    InputError
        If there is no level, the entries of a setting do not match the number of levels, or ``strands`` is ``both`` and
        the input is not a one-hot sequence.

    References
    ----------
    Ronneberger et al., MICCAI 2015, doi:10.1007/978-3-319-24574-4_28; gates: Oktay et al., MIDL 2018, arXiv:1804.03999;
    deep supervision: Lee et al., AISTATS 2015, arXiv:1409.5185; anisotropic levels: Isensee et al., Nature Methods
    2021, doi:10.1038/s41592-020-01008-z.
    """

    BODY = ("stem", "down")

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: list[Size] | None = None,
        kernel_size: Size | list[Size | list[Size]] | None = None,
        factor: Size | list[Size | list[Size]] = 2,
        norm: Literal["batch", "instance", "group"] | None = "batch",
        down: Literal["max", "average", "strided"] = "max",
        up: Literal["transposed", "interpolate"] = "transposed",
        residual: bool = False,
        attention: bool = False,
        deep_supervision: bool = False,
        dropout: BelowOne = 0.0,
        strands: Literal["single", "both"] | None = None,
    ) -> None:
        super().__init__()
        check_strands(strands, spatial_dims, in_channels)
        self.strands, self.opposite = strands or "single", list[int]()
        channels = as_list("model.channels", WIDTHS if channels is None else channels, WIDTHS)
        block: dict[str, Any] = {"norm": norm, "residual": residual, "dropout": dropout, "dropout_kind": "spatial"}
        kernels = per_level("model.kernel_size", 3 if kernel_size is None else kernel_size, len(channels), spatial_dims)
        factors = per_level("model.factor", factor, len(channels) - 1, spatial_dims)
        steps = list(zip(pairwise(channels), pairwise(kernels), factors, strict=True))
        self.multiple = tuple(prod(along) for along in zip(*factors, strict=True)) or 1
        self.stem = two_convs(spatial_dims, in_channels, channels[0], kernel_size=kernels[0], **block)
        self.down = nn.ModuleList(
            Down(spatial_dims, fine, coarse, down=down, factor=factor, kernel_size=kernel, **block)
            for (fine, coarse), (_, kernel), factor in steps
        )
        self.up = nn.ModuleList(
            Up(spatial_dims, coarse, fine, fine, up=up, factor=factor, attention=attention, kernel_size=kernel, **block)
            for (fine, coarse), (kernel, _), factor in steps[::-1]
        )
        self.head = Conv(spatial_dims, channels[0], out_channels, 1)
        coarser = (
            channels[1:-1][::-1] if deep_supervision else []
        )  # in the order of self.up, whose last level has self.head
        self.coarser_heads = nn.ModuleList(Conv(spatial_dims, width, out_channels, 1) for width in coarser)
        self.factors = factors
        kaiming(self)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        return on_both_strands(self._maps, x, self.opposite) if self.strands == "both" else self._maps(x)

    def _maps(self, x: Tensor) -> Tensor | list[Tensor]:
        size: Sequence[int] = x.shape[2:]
        x, skips = self.stem(fit_to_multiple(x, self.multiple)), []
        for down in self.down:
            skips.append(x)
            x = down(x)
        coarser: list[Tensor] = []
        for number, up in enumerate(self.up):
            x = up(x, skips.pop())
            if self.training and number < len(self.coarser_heads):
                coarser.insert(0, self.coarser_heads[number](x))
        logits = fit_to(self.head(x), size)
        if not coarser:
            return logits
        for number, factor in enumerate(self.factors[: len(coarser)]):
            size = [-(-along // by) for along, by in zip(size, factor, strict=True)]
            coarser[number] = fit_to(coarser[number], size)
        return [logits, *coarser]
