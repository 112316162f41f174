"""Channels become pixels in 2D and 3D, and back."""

import pytest
import torch
from torch.nn import functional as F

from biocnn.nn.pixel_shuffle import enlarge, to_channels, to_pixels


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_planes_are_rearranged_as_in_torch(factor: int) -> None:
    x = torch.rand(2, 3 * factor**2, 4, 5)
    finer = to_pixels(x, factor)
    assert torch.equal(finer, F.pixel_shuffle(x, factor))
    assert torch.equal(to_channels(finer, factor), F.pixel_unshuffle(finer, factor))


@pytest.mark.parametrize("size", [(6,), (4, 5), (2, 3, 4)])
def test_the_inverse_returns_the_channels(size: tuple[int, ...]) -> None:
    x = torch.rand(2, 3 * 2 ** len(size), *size)
    finer = to_pixels(x, 2)
    assert finer.shape == (2, 3, *(2 * n for n in size))
    assert torch.equal(to_channels(finer, 2), x)


def test_the_channels_of_a_voxel_become_its_block() -> None:
    x = torch.arange(8 * 2 * 3 * 4).view(1, 8, 2, 3, 4)
    assert to_pixels(x, 2)[0, 0, 2:4, 4:6, 6:8].flatten().tolist() == x[0, :, 1, 2, 3].tolist()


@pytest.mark.parametrize("size", [(9, 8), (5, 6, 7)])
def test_interpolation_keeps_the_position_of_a_ramp(size: tuple[int, ...]) -> None:
    """Pixel i of n covers the same place as the block that begins at pixel i * factor."""
    x = torch.arange(size[-1], dtype=torch.float32).expand(1, 1, *size)
    finer = enlarge(x, 2)
    assert finer.shape[2:] == tuple(2 * n for n in size)
    wanted = (torch.arange(2 * size[-1]) + 0.5) / 2 - 0.5
    middle = finer[0, 0, ..., 6:-6]
    torch.testing.assert_close(middle, wanted[6:-6].expand_as(middle), rtol=0, atol=0.06)
