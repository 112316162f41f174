"""BPNet: dilated convolutions at full resolution, with a value for each position."""

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, Size
from biocnn.nn.blocks import ConvBlock, Skip, kaiming
from biocnn.nn.layers import Conv
from biocnn.nn.strands import check_strands, on_both_strands


class BPNet(nn.Module):
    """A motif scan, residual convolutions with doubling dilation, and a wide last convolution.

    (N, in_channels, *spatial) to (N, out_channels, *spatial). Every position sees 2 ** (layers + 1) - 2 further ones
    on both sides, and those of the first and the last kernel.

    Parameters
    ----------
    channels
        Number of channels of all convolutions.
    kernel_size
        Kernel size of the first convolution, in bp; odd.
    layers
        Number of dilated convolutions of size 3, with dilation 2, 4, ..., 2 ** layers.
    last_kernel
        Kernel size of the last convolution, in bp; odd.
    norm
        Normalisation after each convolution.
    dropout
        Dropout probability of channels after each dilated convolution.
    strands
        DNA only: ``both`` averages the logits of a sequence with those of its reverse complement, turned back. None:
        single, unless decided from the data.

    Raises
    ------
    InputError
        If a kernel size is even, or ``strands`` is ``both`` and the input is not a one-hot sequence.

    References
    ----------
    Avsec et al., Nature Genetics 53, 354-366 (2021), doi:10.1038/s41588-021-00782-6.
    """

    BODY = ("body",)

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: Size = 64,
        kernel_size: Size = 25,
        layers: Annotated[int, Field(ge=0, le=12)] = 6,
        last_kernel: Size = 25,
        norm: Literal["batch", "instance", "group"] | None = "batch",
        dropout: BelowOne = 0.0,
        strands: Literal["single", "both"] | None = None,
    ) -> None:
        super().__init__()
        check_strands(strands, spatial_dims, in_channels)
        for name, size in (("kernel_size", kernel_size), ("last_kernel", last_kernel)):
            if size % 2 == 0:
                raise InputError(f"model.{name} is {size}", "allowed: odd numbers, so that maps keep their position")
        self.strands, self.opposite = strands or "single", list[int]()
        block: dict[str, Any] = {"norm": norm, "dropout": dropout, "dropout_kind": "spatial"}
        dilated = (
            Skip(ConvBlock(spatial_dims, channels, channels, 3, dilation=2 ** (i + 1), **block)) for i in range(layers)
        )
        self.body = nn.Sequential(ConvBlock(spatial_dims, in_channels, channels, kernel_size, norm=norm), *dilated)
        self.head = Conv(spatial_dims, channels, out_channels, last_kernel)
        kaiming(self)

    def forward(self, x: Tensor) -> Any:
        return on_both_strands(self._maps, x, self.opposite) if self.strands == "both" else self._maps(x)

    def _maps(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))
