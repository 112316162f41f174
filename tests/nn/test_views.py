"""Test-time augmentation: views are inverted exactly, in every dimension and for any size."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from biocnn.core.errors import InputError
from biocnn.models import UNet
from biocnn.nn.views import averaged, turn, undo, views

NUMBER = {(2, "none"): 1, (2, "flips"): 4, (2, "all"): 8, (3, "none"): 1, (3, "flips"): 8, (3, "all"): 16}


@given(st.sampled_from(list(NUMBER)), st.lists(st.integers(1, 5), min_size=3, max_size=3))
def test_every_view_is_inverted(kind, sizes) -> None:
    spatial_dims, name = kind
    shape = (2, 3, *sizes[:spatial_dims])
    x = torch.arange(float(torch.tensor(shape).prod())).view(shape)
    for view in views(spatial_dims, name):
        assert torch.equal(undo(turn(x, view), view), x)


@pytest.mark.parametrize(("spatial_dims", "kind"), NUMBER)
def test_views_differ_and_the_first_is_the_image(spatial_dims: int, kind: str) -> None:
    x = torch.rand(1, 1, *[4] * spatial_dims)
    every = views(spatial_dims, kind)
    assert len(every) == NUMBER[spatial_dims, kind]
    assert torch.equal(turn(x, every[0]), x)
    assert len({tuple(turn(x, view).flatten().tolist()) for view in every}) == len(every)


def test_in_two_dimensions_they_are_the_rotations_by_90_degrees_and_their_mirror_images() -> None:
    x = torch.rand(1, 1, 3, 5)
    expected = [torch.rot90(image, k, (-2, -1)) for image in (x, x.flip(-1)) for k in range(4)]
    found = [turn(x, view) for view in views(2, "all")]
    assert all(any(a.shape == b.shape and torch.equal(a, b) for b in found) for a in expected)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_an_equivariant_function_is_not_changed(spatial_dims: int) -> None:
    x = torch.rand(2, 3, *(4, 6, 8)[:spatial_dims])
    torch.testing.assert_close(averaged(lambda x: x.square(), views(spatial_dims))(x), x.square())


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_mean_of_a_network_rotates_with_the_image(spatial_dims: int) -> None:
    torch.manual_seed(0)
    network = UNet(spatial_dims, 1, 2, channels=[4, 6]).eval()
    every = views(spatial_dims)
    seen = averaged(lambda x: network(x).softmax(1), every)
    x = torch.rand(1, 1, *(8, 12, 16)[:spatial_dims])  # multiples of the stride: no padding at one end
    with torch.no_grad():
        plain, found = network(x).softmax(1), seen(x)
        for view in every:
            torch.testing.assert_close(undo(seen(turn(x, view)), view), found, atol=1e-5, rtol=1e-4)
    assert (plain - found).abs().max() > 1e-3


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="unknown test-time augmentation 'flip'") as caught:
        views(2, "flip")
    assert "flips" in caught.value.remedy
