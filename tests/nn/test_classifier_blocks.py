import pytest
import torch
from torch import nn

from biocnn.nn.blocks import ConvBlock, pool
from biocnn.nn.classifier_blocks import AdaptivePool, Inception, LocalResponseNorm, dense_head, residual_block
from biocnn.nn.layers import layer

DIMS = pytest.mark.parametrize("spatial_dims", [1, 2, 3])


@DIMS
@pytest.mark.parametrize("size", [1, 3, 7])
def test_adaptive_pooling_equals_that_of_torch(spatial_dims, size):
    torch.manual_seed(0)
    for sides in ([7, 7, 7], [1, 2, 3], [9, 14, 20]):
        x = torch.randn(2, 3, *sides[:spatial_dims], dtype=torch.float64)
        torch.testing.assert_close(AdaptivePool(size)(x), layer("AdaptiveAvgPool", spatial_dims)(size)(x))


def test_no_bit_changes_if_the_size_is_right():
    x = torch.randn(1, 2, 7, 7)
    assert AdaptivePool(7)(x) is x


@DIMS
def test_local_response_norm_equals_the_formula_of_the_paper(spatial_dims):
    torch.manual_seed(0)
    x, n, alpha, beta, k = torch.randn(2, 7, *[3] * spatial_dims, dtype=torch.float64), 5, 0.3, 0.75, 2.0
    wanted = torch.empty_like(x)
    for i in range(7):
        squares = x[:, max(0, i - n // 2) : min(7, i + n // 2 + 1)].square().sum(1)
        wanted[:, i] = x[:, i] / (k + alpha * squares) ** beta
    torch.testing.assert_close(LocalResponseNorm(n, alpha=alpha, beta=beta, k=k)(x), wanted)
    torch.testing.assert_close(nn.LocalResponseNorm(n, n * alpha, beta, k)(x), wanted)


@DIMS
@pytest.mark.parametrize("inner", [None, 2])
def test_a_residual_block_has_a_projection_if_its_shape_changes(spatial_dims, inner):
    x = torch.randn(2, 8, *[9] * spatial_dims)
    same = residual_block(spatial_dims, 8, 8, inner=inner)
    assert isinstance(same.shortcut, nn.Identity)
    nn.init.zeros_(same.body[-1].norm.weight)
    torch.testing.assert_close(same(x), x.relu())
    for out_channels, stride, size in ((8, 2, 5), (12, 1, 9), (12, 3, 3)):
        block = residual_block(spatial_dims, 8, out_channels, stride=stride, inner=inner)
        assert isinstance(block.shortcut, ConvBlock)
        assert block(x).shape == (2, out_channels, *[size] * spatial_dims)


@DIMS
def test_an_inception_block_joins_its_branches(spatial_dims):
    torch.manual_seed(0)
    block, x = Inception(spatial_dims, 5, 1, 2, 3, 2, 4, 6), torch.randn(2, 5, *[6] * spatial_dims)
    one, three, five, pooled = block(x).split([1, 3, 4, 6], dim=1)
    branches = block.branches
    torch.testing.assert_close(one, branches[0](x))
    torch.testing.assert_close(three, branches[1][1](branches[1][0](x)))
    torch.testing.assert_close(five, branches[2][1](branches[2][0](x)))
    torch.testing.assert_close(pooled, branches[3][1](pool("max", spatial_dims, 3, stride=1, padding="same")(x)))
    assert [b.conv.conv.kernel_size[0] for b in block.modules() if isinstance(b, ConvBlock)] == [1, 1, 3, 1, 5, 1]


def test_a_dense_head_with_and_without_hidden_layers():
    assert [type(part).__name__ for part in dense_head([4, 3], 0.5)] == ["Dropout", "Linear"]
    kinds = [type(part).__name__ for part in dense_head([4, 8, 6, 3], 0.5)]
    assert kinds == ["Linear", "ReLU", "Dropout"] * 2 + ["Linear"]
