"""An image in tiles has the same values as in one piece, and every pixel is predicted once."""

from math import prod

import numpy as np
import pytest
import torch
from nn.test_fuse_batchnorm import with_statistics
from torch import Tensor, nn

from biocnn.models import FCN, UNet
from biocnn.nn.blocks import Conv, ConvBlock
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.nn.summary import receptive_field
from biocnn.prediction.tiles import Field, around, common, find_field, plan, whole

UNETS = [
    {"channels": [2, 3]},
    {"channels": [2, 3, 4]},
    {"channels": [2, 3, 4, 4]},
    {"channels": [2, 3, 4], "down": "strided"},
    {"channels": [2, 3, 4], "down": "average", "up": "interpolate"},
    {"channels": [2, 3, 4], "residual": True, "norm": None},
]


def in_tiles(network: nn.Module, image: Tensor, field: Field, pixels: float) -> tuple[np.ndarray, int]:
    """Return predictions for an image (1, C, *spatial), tile by tile, and the number of tiles."""
    tiles = plan(image.shape[2:], field, pixels)
    out = np.full((network(image).shape[1], *image.shape[2:]), np.nan, np.float32)
    for planned in tiles:
        tile = around(planned.write, image.shape[2:], field)
        assert common(tile.read, planned.read) == tile.read
        out[:, *tile.write] = network(image[:, :, *tile.read])[0][:, *tile.keep].numpy()
    return out, len(tiles)


def compare(network: nn.Module, size: tuple[int, ...], pixels: float, field: Field | None = None) -> int:
    """Compare tiles with the whole, and return the number of tiles."""
    network = fuse_batchnorm(with_statistics(network))
    image = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found, number = in_tiles(network, image, field or find_field(network, 2, len(size)), pixels)
        np.testing.assert_allclose(found, network(image)[0].numpy(), rtol=1e-4, atol=1e-4)
    return number


@pytest.mark.parametrize("settings", UNETS, ids=str)
def test_tiles_of_a_unet_equal_the_whole(settings: dict) -> None:
    torch.manual_seed(0)
    network = UNet(2, 2, 3, **settings).eval()
    field = find_field(network, 2, 2)
    assert field.stride == tuple(np.broadcast_to(network.multiple, 2))
    for size in ((256, 192), (255, 193), (301, 90)):
        assert compare(network, size, prod(size) / 2, field) > 1


def test_tiles_of_an_fcn_equal_the_whole() -> None:
    torch.manual_seed(0)
    network = FCN(2, 2, 2, channels=[2] * 5).eval()
    field = find_field(network, 2, 2)
    assert field.stride == (32, 32)
    assert compare(network, (900, 611), 600**2, field) > 1


def test_tiles_of_a_volume_equal_the_whole() -> None:
    torch.manual_seed(0)
    assert compare(UNet(3, 2, 2, channels=[2, 3]), (20, 61, 46), 26**3) > 3


class Coordinates(nn.Module):
    """A convolution that depends on its coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv(2, 1, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + torch.arange(x.shape[-1])


class Excited(nn.Module):
    """A convolution weighted by the mean of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv(2, 1, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * x.mean((2, 3), keepdim=True).sigmoid()


@pytest.mark.parametrize(
    ("network", "field"),
    [
        (Conv(2, 1, 2, 1), Field((1, 1), (0, 0))),
        (Conv(2, 1, 2, [5, 3]), Field((1, 1), (2, 1))),
        (Conv(2, 1, 2, 4), Field((1, 1), (2, 2))),
        (nn.Sequential(Conv(2, 1, 2, 3, dilation=7), Conv(2, 2, 2, 3)), Field((1, 1), (8, 8))),
        (nn.Sequential(nn.MaxPool2d(3), Conv(2, 1, 1, 3), nn.Upsample(scale_factor=3)), Field((3, 3), (3, 3))),
        (ConvBlock(2, 1, 2, norm="batch"), Field((1, 1), (1, 1))),
        (ConvBlock(2, 1, 2, norm="instance"), None),
        (ConvBlock(2, 1, 2, norm="group"), None),
        (Coordinates(), None),
        (Excited(), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_receptive_field_is_measured(network: nn.Module, field: Field | None) -> None:
    assert find_field(network.eval(), 1, 2) == field


def test_the_halo_follows_from_the_receptive_field() -> None:
    network = UNet(2, 1, 1, channels=[1, 1])
    field = find_field(network.eval(), 1, 2)
    for seen, halo in zip(receptive_field(network), field.halo, strict=True):
        assert seen / 2 <= halo + 1
        assert halo < seen / 2 + 2 * np.max(network.multiple)


@pytest.mark.parametrize("shape", [(1000,), (700, 333), (64, 1025), (31, 90, 70)])
@pytest.mark.parametrize(("stride", "halo"), [(1, 0), (1, 3), (4, 8), (8, 8), (16, 16)])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_tiles_cover_an_image_once_with_margins(shape: tuple, stride: int, halo: int, share: float) -> None:
    tiles = plan(shape, Field((stride,) * len(shape), (halo,) * len(shape)), share * prod(shape))
    covered = np.zeros(shape, int)
    for tile in tiles:
        covered[tile.write] += 1
        for read, keep, write, size in zip(tile.read, tile.keep, tile.write, shape, strict=True):
            assert read.start % stride == 0
            assert (read.start + keep.start, read.start + keep.stop) == (write.start, write.stop)
            assert read.start == 0 or keep.start >= halo
            assert read.stop == size or read.stop - write.stop >= halo
    assert (covered == 1).all()
    sizes = {tuple(-(-(s.stop - s.start) // stride) * stride for s in tile.read) for tile in tiles}
    assert len(sizes) == 1, "every new shape has a setup cost"
    (size,) = sizes
    small = all(n <= max(3 * halo, stride) + stride for n in size)
    assert prod(size) <= share * prod(shape) or small


def test_an_image_that_fits_is_one_tile() -> None:
    assert plan((50, 30), Field((4, 4), (8, 8)), 52 * 32) == whole((50, 30))
    assert len(plan((50, 30), Field((4, 4), (8, 8)), 52 * 32 - 1)) == 2
