import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from biocnn.errors import InputError
from biocnn.models import UNet
from biocnn.network_summary import receptive_field


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
def test_what_moves_by_the_coarsest_step_moves_in_the_output(spatial_dims, up):
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


def test_one_level_is_a_plain_stack_and_none_is_refused():
    assert len(unet(2, channels=[8]).up) == 0
    with pytest.raises(InputError, match=r"model\.channels is empty"):
        unet(2, channels=[])


@pytest.mark.parametrize("residual", [False, True])
def test_channels_last_goes_through(residual):
    net = unet(2, channels=[4, 8, 8], residual=residual).to(memory_format=torch.channels_last)
    x = torch.randn(2, 1, 30, 30).to(memory_format=torch.channels_last)
    with torch.no_grad():
        assert net.stem(x).is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(net(x), net(x.contiguous()), rtol=1e-4, atol=1e-4)


def test_the_sign_of_each_pixel_is_learned_in_eighty_steps():
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
