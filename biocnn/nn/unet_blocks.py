"""Blocks that change the size: from finer to coarser levels and back, and the matching of sizes."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from biocnn.core.errors import InputError, nearest
from biocnn.nn.blocks import ConvBlock, pool, two_convs
from biocnn.nn.layers import Conv, Named, Size, layer, per_axis


class Down(nn.Sequential):
    """Downsampling and two convolutions: (N, in_channels, *spatial) to (N, out_channels, *spatial // factor).

    Parameters
    ----------
    down
        ``max`` or ``average`` pooling, or a ``strided`` convolution, which rounds sizes up.
    factor
        Downsampling factor: one number for all axes, or one per axis.
    **block
        Settings of ``two_convs``.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        down: Literal["max", "average", "strided"] = "max",
        factor: Size = 2,
        **block: Any,
    ) -> None:
        if down == "strided":
            smaller: nn.Module = Conv(spatial_dims, in_channels, in_channels, factor, stride=factor)
        else:
            smaller = pool(down, spatial_dims, factor)
        super().__init__(smaller, two_convs(spatial_dims, in_channels, out_channels, **block))


class Up(nn.Module):
    """Upsampling, concatenation with the skip connection, and two convolutions.

    Parameters
    ----------
    skip_channels
        Number of channels of the skip connection.
    up
        ``transposed``: a learned transposed convolution; ``interpolate``: nearest-neighbour interpolation, then a
        convolution, which avoids checkerboard artefacts (and, unlike linear interpolation, is deterministic on GPUs).
    factor
        Upsampling factor: one number for all axes, or one per axis.
    attention
        Whether an ``AttentionGate`` weights the skip connection.
    kernel_size
        Kernel size of all convolutions except the transposed one, whose kernel size is the factor.
    **block
        Further settings of ``two_convs``.

    References
    ----------
    Odena et al., Distill 2016, doi:10.23915/distill.00003.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        up: Literal["transposed", "interpolate"] = "transposed",
        factor: Size = 2,
        attention: bool = False,
        kernel_size: Size = 3,
        norm: Named = "batch",
        **block: Any,
    ) -> None:
        super().__init__()
        if up not in ("transposed", "interpolate"):
            raise InputError(f"up is {up!r}", nearest(str(up), ["transposed", "interpolate"]))
        factor = per_axis("factor", factor, spatial_dims)
        if up == "transposed":
            self.up: nn.Module = layer("ConvTranspose", spatial_dims)(in_channels, out_channels, factor, stride=factor)
        else:
            conv = Conv(spatial_dims, in_channels, out_channels, kernel_size)
            self.up = nn.Sequential(nn.Upsample(scale_factor=factor), conv)
        if attention:
            self.gate = AttentionGate(spatial_dims, skip_channels, out_channels, norm=norm)
        both = out_channels + skip_channels
        self.convs = two_convs(spatial_dims, both, out_channels, kernel_size=kernel_size, norm=norm, **block)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (N, in_channels, *small) and (N, skip_channels, *spatial) to (N, out_channels, *spatial)."""
        x = fit_to(self.up(x), skip.shape[2:])
        skip = self.gate(skip, x) if hasattr(self, "gate") else skip
        return self.convs(torch.cat([skip, x], dim=1))


class AttentionGate(nn.Module):
    """Weights each position of ``x`` by a number in 0-1 computed from ``x`` and a second input, the gate.

    References
    ----------
    Oktay et al., MIDL 2018, arXiv:1804.03999; as in MONAI, both inputs have the same size and
    a norm follows each convolution.
    """

    def __init__(self, spatial_dims: int, channels: int, gate_channels: int, *, norm: Named = "batch") -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.of_x = ConvBlock(spatial_dims, channels, inner, 1, norm=norm, act=None)
        self.of_gate = ConvBlock(spatial_dims, gate_channels, inner, 1, norm=norm, act=None)
        self.weight = ConvBlock(spatial_dims, inner, 1, 1, norm=norm, act="sigmoid")

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        """Map (N, channels, *spatial) and (N, gate_channels, *spatial) to (N, channels, *spatial)."""
        return x * self.weight((self.of_x(x) + self.of_gate(gate)).relu_())


def fit_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """Crop or pad the far end of each axis to a size; padding repeats the last value."""
    if any(now > wanted for now, wanted in zip(x.shape[2:], size, strict=True)):
        x = x[(slice(None), slice(None), *map(slice, size))]
    more = [wanted - now for now, wanted in zip(x.shape[2:], size, strict=True)]
    return pad(x, [n for m in reversed(more) for n in (0, m)], mode="replicate") if any(more) else x


def fit_to_multiple(x: Tensor, multiple: Size) -> Tensor:
    """Pad the far end of each axis to the next multiple of a number, or of one per axis."""
    multiples = per_axis("multiple", multiple, x.ndim - 2)
    return fit_to(x, [-(-size // m) * m for size, m in zip(x.shape[2:], multiples, strict=True)])


def as_list(name: str, value: object, such_as: Sequence[int], *, exactly: int | None = None) -> list[int]:
    """Return a setting with one number per level as a list.

    Raises
    ------
    InputError
        If it is not a list, e.g. a single number, which does not determine the number of levels; or of another length
        than ``exactly``.
    """
    if not isinstance(value, list | tuple) or not value or exactly not in (None, len(value)):
        wanted = f"{exactly} numbers" if exactly else "one number per level, finest first"
        raise InputError(f"{name} is {value!r}", f"give a list with {wanted}, e.g. {list(such_as)}")
    return list(value)


def per_level(name: str, value: int | Sequence[Size], levels: int, spatial_dims: int) -> list[tuple[int, ...]]:
    """Return a size per axis for each level, from one number or one entry (a number, or one per axis) per level."""
    entries = [value] * levels if isinstance(value, int) else list(value)
    if len(entries) != levels:
        raise InputError(
            f"{name} is {value!r}",
            f"give one whole number, or {levels} entries, finest level first, e.g. "
            f"{[[1] + [2] * (spatial_dims - 1), *[2] * (levels - 1)]}",
        )
    return [per_axis(name, entry, spatial_dims) for entry in entries]
