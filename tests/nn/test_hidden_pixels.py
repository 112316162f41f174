"""Hidden pixels: a few per cent, anywhere, replaced by neighbours, and independent of their own values."""

import pytest
import torch
from torch import nn

from biocnn.nn.hidden_pixels import BLOCK, REACH, draws_for, hide

SIZES = [(31, 40), (6, 17, 20)]


def hidden_in(x: torch.Tensor, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return hide(x, torch.rand(len(x), draws_for(x.shape[2:]), generator=generator))


def ramp(n: int, channels: int, size: tuple[int, ...]) -> torch.Tensor:
    """Return images in which all pixels differ."""
    return torch.arange(n * channels * torch.Size(size).numel(), dtype=torch.float32).view(n, channels, *size)


@pytest.mark.parametrize("size", SIZES)
def test_values_come_from_neighbours_that_are_not_hidden(size: tuple[int, ...]) -> None:
    x = ramp(3, 2, size)
    seen, hidden = hidden_in(x)
    known = ~hidden.isnan()
    assert known.float().mean().item() == pytest.approx(BLOCK[len(size)] ** -len(size), rel=0.25)
    assert (known[:, 0] == known[:, 1]).all(), "the channels of a pixel are hidden together"
    assert (hidden[known] == x[known]).all()
    assert (seen[~known] == x[~known]).all()
    assert (seen[known] != x[known]).all()
    assert not torch.isin(seen[known], hidden[known]).any()
    places, sources = (torch.stack(torch.unravel_index(v[known].long(), x.shape)) for v in (x, seen))
    assert (places[:2] == sources[:2]).all(), "of the same image and channel"
    assert (places - sources).abs().max() == REACH


def test_every_pixel_is_hidden_equally_often() -> None:
    x = ramp(4000, 1, (12, 11))
    shares = (~hidden_in(x)[1].isnan()).float().mean(0)
    assert shares.min() > 0.025
    assert shares.max() < 0.055


def test_each_example_depends_on_its_own_numbers_alone() -> None:
    x, numbers = ramp(5, 1, (16, 16)), torch.rand(5, draws_for(torch.Size((16, 16))))
    seen, hidden = hide(x, numbers)
    alone = hide(x[3:4], numbers[3:4])
    assert torch.equal(seen[3:4], alone[0])
    assert torch.equal(hidden[3:4].nan_to_num(-1), alone[1].nan_to_num(-1))
    assert len({tuple(one.isnan().flatten().tolist()) for one in hidden}) == 5


@pytest.mark.parametrize("training", [True, False])
def test_a_prediction_for_a_hidden_pixel_does_not_depend_on_its_value(training: bool) -> None:
    """The blind spot; other pixels change, because they see it, unless it was hidden."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 5, padding=2))
    network.train(training)
    x = torch.rand(2, 1, 20, 20)
    seen, hidden = hidden_in(x)
    row, _, i, j = (~hidden.isnan()).nonzero()[7].tolist()
    changed = x.clone()
    changed[row, 0, i, j] += 100
    again, target = hidden_in(changed)
    assert torch.equal(again, seen)
    assert target[row, 0, i, j] == changed[row, 0, i, j]
    assert torch.equal(network(again), network(seen))
    assert not torch.equal(network(changed), network(x))
