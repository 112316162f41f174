"""FCN: the encoder of a classifier with upsampled scores, refined by finer levels."""

from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, Size
from biocnn.nn.blocks import kaiming, pool, two_convs
from biocnn.nn.layers import Conv, layer
from biocnn.nn.strands import check_strands, on_both_strands
from biocnn.nn.unet_blocks import as_list, fit_to, fit_to_multiple

FUSED = {"32s": (), "16s": (4,), "8s": (4, 3)}  # poolings whose scores are added in the decoder, coarse to fine


class FCN(nn.Module):
    """Fully convolutional network: (N, in_channels, *spatial) to (N, out_channels, *spatial).

    Five levels of two convolutions and a pooling, scores at 1/32 of the size, and learned upsampling that starts as
    linear interpolation. Input may have any size: its far ends are padded to a multiple of 32 by repeating the last
    values, and the output is cropped to the input size.

    Parameters
    ----------
    channels
        Number of channels of each of the five levels, finest first.
    skips
        Scores combined before the last upsampling: ``32s`` those of the deepest level only; ``16s`` also those after
        the fourth pooling; ``8s`` also those after the third.
    norm
        Normalisation after each convolution.
    dropout
        Dropout probability of channels of the deepest level.

    strands
        DNA only: ``both`` averages the logits of a sequence with those of its reverse complement, turned back. None:
        single, unless decided from the data.

    Raises
    ------
    InputError
        If there are not five levels, or ``strands`` is ``both`` and the input is not a one-hot sequence.

    References
    ----------
    Long et al., CVPR 2015, doi:10.1109/CVPR.2015.7298965.
    """

    BODY = ("levels",)

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: tuple[Size, Size, Size, Size, Size] = (16, 32, 64, 128, 128),
        skips: Literal["32s", "16s", "8s"] = "8s",
        norm: Literal["batch", "instance", "group"] | None = "batch",
        dropout: BelowOne = 0.0,
        strands: Literal["single", "both"] | None = None,
    ) -> None:
        super().__init__()
        check_strands(strands, spatial_dims, in_channels)
        self.strands, self.opposite = strands or "single", list[int]()
        per_level = as_list("model.channels", channels, (16, 32, 64, 128, 128), exactly=5)
        if skips not in FUSED:
            raise InputError(f"model.skips is {skips!r}", "allowed: " + ", ".join(FUSED))
        self.fused = FUSED[skips]
        self.levels = nn.ModuleList(
            nn.Sequential(two_convs(spatial_dims, finer, width, norm=norm), pool("max", spatial_dims))
            for finer, width in pairwise([in_channels, *per_level])
        )
        self.dropout = layer("Dropout", spatial_dims)(dropout)
        self.score = nn.ModuleList(
            Conv(spatial_dims, per_level[level - 1], out_channels, 1) for level in (5, *self.fused)
        )
        kaiming(self)
        factors = [2 for _ in self.fused] + [32 // 2 ** len(self.fused)]
        self.up = nn.ModuleList(bilinear_up(spatial_dims, out_channels, factor) for factor in factors)

    def forward(self, x: Tensor) -> Any:
        return on_both_strands(self._maps, x, self.opposite) if self.strands == "both" else self._maps(x)

    def _maps(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        x, pooled = fit_to_multiple(x, 32), []
        for level in self.levels:
            x = level(x)
            pooled.append(x)
        scores = self.score[0](self.dropout(x))
        for place, score, up in zip(self.fused, self.score[1:], self.up, strict=False):
            scores = up(scores) + score(pooled[place - 1])
        return fit_to(self.up[-1](scores), size)


def bilinear_up(spatial_dims: int, channels: int, factor: int) -> nn.Module:
    """Return a transposed convolution that upsamples by an even factor, initialised to linear interpolation.

    Each channel has its own kernel, twice as long as the factor.
    """
    up: Any = layer("ConvTranspose", spatial_dims)(
        channels, channels, 2 * factor, stride=factor, padding=factor // 2, groups=channels, bias=False
    )
    tent = 1 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
    kernel = tent
    for _ in range(spatial_dims - 1):
        kernel = kernel[..., None] * tent
    with torch.no_grad():
        up.weight.copy_(kernel.expand_as(up.weight))
    return up
