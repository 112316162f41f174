import pytest
import torch
from torch import nn

from biocnn.core.errors import InputError
from biocnn.nn.unet_blocks import AttentionGate, Down, Up, fit_to, fit_to_multiple, per_level

DIMS = pytest.mark.parametrize("spatial_dims", [1, 2, 3])


def tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@DIMS
@pytest.mark.parametrize(("down", "size"), [("max", 3), ("average", 3), ("strided", 4)])
def test_down_halves_odd_sizes(spatial_dims, down, size):
    x = tensor(1, 3, *[7] * spatial_dims)
    assert Down(spatial_dims, 3, 5, down=down)(x).shape == (1, 5, *[size] * spatial_dims)


@DIMS
@pytest.mark.parametrize("up", ["transposed", "interpolate"])
@pytest.mark.parametrize("size", [5, 6, 7])
def test_up_matches_the_size_of_its_skip(spatial_dims, up, size):
    x, skip = tensor(1, 8, *[3] * spatial_dims), tensor(1, 2, *[size] * spatial_dims)
    assert Up(spatial_dims, 8, 2, 4, up=up, residual=True)(x, skip).shape == (1, 4, *[size] * spatial_dims)


def test_unknown_kinds_of_down_and_up_are_refused():
    with pytest.raises(InputError, match="did you mean 'max'"):
        Down(2, 1, 1, down="maxx")
    with pytest.raises(InputError, match="did you mean 'transposed'"):
        Up(2, 1, 1, 1, up="transpose")


def test_fit_to_crops_and_repeats_at_the_far_end():
    x = torch.tensor([[[1.0, 2, 3]]])
    assert fit_to(x, [2]).tolist() == [[[1, 2]]]
    assert fit_to(x, [5]).tolist() == [[[1, 2, 3, 3, 3]]]
    assert fit_to(x, [3]) is x
    assert fit_to_multiple(x, 4).shape[-1] == 4
    assert fit_to(torch.zeros(1, 1, 1, 9), [40, 3]).shape == (1, 1, 40, 3)
    assert fit_to_multiple(torch.zeros(1, 1, 5, 9), (1, 4)).shape == (1, 1, 5, 12)
    image = tensor(2, 4, 9, 9).to(memory_format=torch.channels_last)
    assert fit_to_multiple(image, 8).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("down", ["max", "average", "strided"])
@pytest.mark.parametrize("up", ["transposed", "interpolate"])
def test_an_axis_may_keep_its_size(down, up):
    x = tensor(1, 3, 5, 8, 6)
    smaller = Down(3, 3, 5, down=down, factor=[1, 2, 2], kernel_size=[1, 3, 3])(x)
    assert smaller.shape == (1, 5, 5, 4, 3)
    back = Up(3, 5, 3, 4, up=up, factor=[1, 2, 2], kernel_size=[1, 3, 3])
    assert back(smaller, x).shape == (1, 4, 5, 8, 6)
    slices = [back.eval()(smaller[:, :, i : i + 1], x[:, :, i : i + 1]) for i in range(5)]
    torch.testing.assert_close(back(smaller, x), torch.cat(slices, 2))  # slices are independent


def test_a_number_or_one_entry_per_level():
    assert per_level("k", 3, 2, 3) == [(3, 3, 3), (3, 3, 3)]
    assert per_level("k", [[1, 3, 3], 5], 2, 3) == [(1, 3, 3), (5, 5, 5)]
    for wrong in ([3], [[1, 3, 3], 3, 3]):
        with pytest.raises(InputError, match=r"2 entries, finest level first, e.g. \[\[1, 2, 2\], 2\]"):
            per_level("k", wrong, 2, 3)
    with pytest.raises(InputError, match="one per axis"):
        per_level("k", [[1, 3], 3], 2, 3)


@DIMS
def test_the_gate_equals_that_of_monai(spatial_dims):
    from monai.networks.nets.attentionunet import AttentionBlock

    torch.manual_seed(0)
    ours, theirs = AttentionGate(spatial_dims, 6, 5), AttentionBlock(spatial_dims, f_int=3, f_g=5, f_l=6)
    pairs = [(ours.of_x, theirs.W_x), (ours.of_gate, theirs.W_g), (ours.weight, theirs.psi)]
    with torch.no_grad():
        for mine, other in pairs:
            mine.conv.conv.weight.copy_(other[0].conv.weight)
            other[0].conv.bias.zero_()  # which the following norm removes
            for norm in (mine.norm, other[1]):
                norm.weight.copy_(torch.linspace(0.5, 1.5, len(norm.weight)))
                norm.bias.copy_(torch.linspace(-1, 1, len(norm.weight)))
    x, gate = tensor(2, 6, *[7] * spatial_dims), tensor(2, 5, *[7] * spatial_dims, seed=1)
    torch.testing.assert_close(ours(x, gate), theirs(gate, x))
    torch.testing.assert_close(ours.eval()(x, gate), theirs.eval()(gate, x))  # by running statistics


def test_a_gate_opens_and_closes():
    gate, x = AttentionGate(2, 4, 3, norm=None), tensor(1, 4, 5, 5)
    for offset, share in ((-100.0, 0.0), (0.0, 0.5), (100.0, 1.0)):
        nn.init.zeros_(gate.weight.conv.conv.weight)
        nn.init.constant_(gate.weight.conv.conv.bias, offset)
        torch.testing.assert_close(gate(x, tensor(1, 3, 5, 5)), share * x)
