import pytest
import torch
from torch.nn.functional import interpolate

from biocnn.core.errors import InputError
from biocnn.models import FCN
from biocnn.models.fcn import bilinear_up
from biocnn.nn.summary import receptive_field


@pytest.mark.parametrize(("spatial_dims", "mode"), [(1, "linear"), (2, "bilinear"), (3, "trilinear")])
@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_starts_as_linear_interpolation(spatial_dims, mode, factor):
    x = torch.randn(1, 2, *[6] * spatial_dims)
    with torch.no_grad():
        ours = bilinear_up(spatial_dims, 2, factor)(x)
    theirs = interpolate(x, scale_factor=factor, mode=mode, align_corners=False)
    # At the border the transposed convolution sees zeros, but interpolation repeats the last value.
    inner = (..., *[slice(factor, -factor)] * spatial_dims)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours[inner], theirs[inner])


@pytest.mark.parametrize(("skips", "factors"), [("32s", [32]), ("16s", [2, 16]), ("8s", [2, 2, 8])])
def test_scores_are_fused_during_upsampling(skips, factors):
    net = FCN(1, 1, 2, channels=[2, 3, 4, 5, 6], skips=skips)
    assert [up.stride[0] for up in net.up] == factors
    assert [score.conv.in_channels for score in net.score] == [6, 5, 4][: len(factors)]


def test_finer_scores_do_not_extend_the_receptive_field():
    fields = [receptive_field(FCN(1, 1, 1, channels=[2] * 5, skips=skips))[0] for skips in ("32s", "16s", "8s")]
    assert fields[0] >= 156  # five levels of two convolutions and a pooling: 1 + sum of (4 + 1) * 2 ** level
    assert fields == sorted(fields)


@pytest.mark.parametrize("length", [1, 31, 33, 64])
def test_input_of_any_size(length):
    x = torch.randn(1, 1, length, 7)
    assert FCN(2, 1, 3, channels=[2] * 5).eval()(x).shape == (1, 3, length, 7)


def test_other_depths_and_unknown_words_are_refused():
    with pytest.raises(InputError, match="a list with 5 numbers"):
        FCN(2, 1, 1, channels=[8, 8])
    with pytest.raises(InputError, match="32s, 16s, 8s"):
        FCN(2, 1, 1, skips="4s")
