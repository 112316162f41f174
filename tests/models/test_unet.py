import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from biocnn.core.errors import InputError
from biocnn.models import UNet
from biocnn.nn.summary import receptive_field


def unet(spatial_dims: int, **settings: object) -> UNet:
    torch.manual_seed(0)
    return UNet(spatial_dims, 1, 2, **settings).eval()


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 11])
def test_input_of_any_size_even_below_the_depth(spatial_dims, length):
    x = torch.randn(1, 1, length, *[3] * (spatial_dims - 1))
    assert unet(spatial_dims, channels=[2, 3, 4, 5])(x).shape == (1, 2, *x.shape[2:])


@pytest.mark.parametrize("up", ["transposed", "interpolate"])
@pytest.mark.parametrize("spatial_dims", [1, 2])
def test_a_shift_by_the_coarsest_stride_shifts_the_output(spatial_dims, up):
    net = unet(spatial_dims, channels=[4, 6, 8], up=up)
    step, reach = 4, receptive_field(net)[0]
    x = torch.randn(1, 1, 4 * reach, *[16] * (spatial_dims - 1))
    with torch.no_grad():
        whole, part = net(x), net(x[:, :, step:])
    inner = slice(reach, 2 * reach)
    torch.testing.assert_close(part[:, :, inner], whole[:, :, step:][:, :, inner], rtol=1e-4, atol=1e-5)


def test_the_padding_of_odd_sizes_repeats_the_last_values():
    net, x = unet(2, channels=[4, 6, 8]), torch.randn(1, 1, 13, 16)
    by_hand = torch.cat([x, *[x[:, :, -1:]] * 3], dim=2)
    with torch.no_grad():
        torch.testing.assert_close(net(x), net(by_hand)[:, :, :13])


def test_one_level_is_a_plain_stack_and_zero_levels_are_refused():
    assert len(unet(2, channels=[8]).up) == 0
    with pytest.raises(InputError, match=r"model\.channels is \[\]"):
        unet(2, channels=[])


@pytest.mark.parametrize("residual", [False, True])
def test_channels_last_is_preserved(residual):
    net = unet(2, channels=[4, 8, 8], residual=residual).to(memory_format=torch.channels_last)
    x = torch.randn(2, 1, 30, 30).to(memory_format=torch.channels_last)
    with torch.no_grad():
        assert net.stem(x).is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(net(x), net(x.contiguous()), rtol=1e-4, atol=1e-4)


def test_it_learns_the_sign_of_each_pixel_in_eighty_steps():
    torch.manual_seed(0)
    net = UNet(2, 1, 1, channels=[8, 16])
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(80):
        x = torch.randn(4, 1, 21, 24)
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(net(x), (x > 0).float()).backward()
        optimizer.step()
    x = torch.randn(4, 1, 21, 24)
    with torch.no_grad():
        assert ((net.eval()(x) > 0) == (x > 0)).float().mean() > 0.95


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_deep_supervision_returns_one_map_per_level_in_training_and_one_in_prediction(spatial_dims):
    net = unet(spatial_dims, channels=[4, 5, 6, 7], deep_supervision=True)
    plain = unet(spatial_dims, channels=[4, 5, 6, 7])
    kept = {key: value for key, value in net.state_dict().items() if "coarser" not in key}
    plain.load_state_dict(kept)
    x = torch.randn(2, 1, *[13, 16, 9][:spatial_dims])
    with torch.no_grad():
        assert torch.equal(net(x), plain(x))
        found = net.train()(x)
        torch.testing.assert_close(found[0], plain.train()(x))
    steps = (1, 2, 4)
    assert [logits.shape for logits in found] == [(2, 2, *[-(-n // step) for n in x.shape[2:]]) for step in steps]
    assert [logits.shape[2:] for logits in found] == [
        x[(..., *[slice(None, None, s)] * spatial_dims)].shape[2:] for s in steps
    ]


def test_coarser_logits_are_aligned_with_finer_ones():
    """A shift by the stride of a level shifts the logits of that level."""
    net = unet(1, channels=[4, 5, 6], deep_supervision=True).train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    x = torch.randn(1, 1, 256)
    with torch.no_grad():
        whole, part = net(x), net(x[..., 4:])
    for step, logits, moved in zip((1, 2), whole, part, strict=True):
        torch.testing.assert_close(moved[..., 64 // step : 128 // step], logits[..., 68 // step : 132 // step])


def test_distant_slices_are_not_pooled_until_the_other_axes_are_as_coarse():
    net = unet(3, channels=[3, 4, 5], kernel_size=[[1, 3, 3], 3, 3], factor=[[1, 2, 2], 2])
    assert net.multiple == (2, 4, 4)
    assert net(torch.randn(1, 1, 5, 9, 10)).shape == (1, 2, 5, 9, 10)
    flat = unet(3, channels=[3, 4], kernel_size=[[1, 3, 3]] * 2, factor=[[1, 2, 2]])
    x = torch.randn(1, 1, 3, 9, 10)
    with torch.no_grad():
        torch.testing.assert_close(flat(x), torch.cat([flat(one) for one in x.split(1, dim=2)], 2))
    with pytest.raises(InputError, match=r"model\.factor is \[2, 2, 2\]"):
        unet(3, channels=[3, 4, 5], factor=[2, 2, 2])


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_it_equals_the_formula(spatial_dims):
    """Two levels are written out with torch's own functions."""
    net, x = unet(spatial_dims, channels=[3, 4], norm=None), torch.randn(2, 1, *[6] * spatial_dims)
    w = net.state_dict()
    conv, up, halved = (
        getattr(torch.nn.functional, f"{name}{spatial_dims}d") for name in ("conv", "conv_transpose", "max_pool")
    )

    def two(x: torch.Tensor, name: str) -> torch.Tensor:
        for i in (0, 1):
            x = conv(x, w[f"{name}.{i}.conv.conv.weight"], w[f"{name}.{i}.conv.conv.bias"], padding=1).relu()
        return x

    skip = two(x, "stem")
    coarse = two(halved(skip, 2), "down.0.1")
    back = two(torch.cat([skip, up(coarse, w["up.0.up.weight"], w["up.0.up.bias"], stride=2)], 1), "up.0.convs")
    wanted = conv(back, w["head.conv.weight"], w["head.conv.bias"])
    torch.testing.assert_close(net(x), wanted)
