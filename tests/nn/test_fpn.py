import pytest
import torch
from torch.nn.functional import interpolate

from biocnn.nn.fpn import Pyramid


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_levels_of_any_size_are_combined(spatial_dims):
    torch.manual_seed(0)
    pyramid = Pyramid(spatial_dims, [3, 5, 7], 4)
    sizes = [[13, 10, 6], [7, 5, 3], [4, 3, 2]]  # halved and rounded up
    features = [torch.randn(2, width, *size[:spatial_dims]) for width, size in zip([3, 5, 7], sizes, strict=True)]
    found = pyramid(features)
    assert [level.shape for level in found] == [(2, 4, *size[:spatial_dims]) for size in [*sizes, [2, 2, 1]]]
    assert found[3].equal(found[2][(..., *[slice(None, None, 2)] * spatial_dims)])


def test_a_level_adds_the_coarser_one():
    torch.manual_seed(0)
    pyramid = Pyramid(2, [3, 5], 4)
    fine, coarse = torch.randn(1, 3, 8, 6), torch.randn(1, 5, 4, 3)
    top = pyramid.lateral[1](coarse)
    merged = pyramid.lateral[0](fine) + interpolate(top, scale_factor=2, mode="nearest")
    found = pyramid([fine, coarse])
    torch.testing.assert_close(found[1], pyramid.output[1](top))
    torch.testing.assert_close(found[0], pyramid.output[0](merged))


def test_weights_are_as_many_as_in_the_pyramid_of_a_resnet_50():
    with torch.device("meta"):
        pyramid = Pyramid(2, [256, 512, 1024, 2048], 256)
    lateral = (256 + 512 + 1024 + 2048) * 256 + 4 * 256
    assert sum(p.numel() for p in pyramid.parameters()) == lateral + 4 * (9 * 256 * 256 + 256) == 3_344_384
