"""Sub-pixel upsampling: channels become the pixels of finer maps, and back; and interpolation by a whole factor."""

from torch import Tensor, nn
from torch.nn.functional import interpolate


def to_pixels(x: Tensor, factor: int) -> Tensor:
    """Rearrange channels into pixels: (N, C * factor ** spatial_dims, *spatial) to (N, C, *(factor * spatial)).

    The channels of a pixel become the block of pixels at its place, the last axis fastest, as in
    ``torch.nn.PixelShuffle``.

    References
    ----------
    Shi et al., CVPR 2016, arXiv:1609.05158.
    """
    if factor == 1:
        return x
    dims, sizes = x.ndim - 2, x.shape[2:]
    blocks = x.reshape(len(x), -1, *[factor] * dims, *sizes)
    order = [axis for k in range(dims) for axis in (2 + dims + k, 2 + k)]
    return blocks.permute(0, 1, *order).reshape(len(x), -1, *(factor * n for n in sizes))


def to_channels(x: Tensor, factor: int) -> Tensor:
    """Rearrange each block of pixels into channels: the inverse of ``to_pixels``."""
    if factor == 1:
        return x
    dims = x.ndim - 2
    split = [n for size in x.shape[2:] for n in (size // factor, factor)]
    order = [*range(3, 3 + 2 * dims, 2), *range(2, 2 + 2 * dims, 2)]
    blocks = x.reshape(*x.shape[:2], *split).permute(0, 1, *order)
    return blocks.reshape(len(x), -1, *(size // factor for size in x.shape[2:]))


def enlarge(x: Tensor, factor: int) -> Tensor:
    """Interpolate images (N, C, *spatial) to ``factor`` times as many pixels along each axis.

    Planes by bicubic interpolation, volumes by linear.
    """
    if factor == 1:
        return x
    return interpolate(x, scale_factor=factor, mode="bicubic" if x.ndim == 4 else "trilinear", align_corners=False)


class ToChannels(nn.Module):
    """A network of finer maps as one of maps with the pixels of its input, whose channels are the finer pixels."""

    def __init__(self, network: nn.Module, factor: int) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, K * factor ** spatial_dims, *spatial) from images (N, C, *spatial)."""
        return to_channels(self.network(x), self.factor)
