"""Densities move with their image, and the sum over each object stays one."""

import pytest
import torch
from pictures import uniform

from biocnn.augment.geometry import affine, elastic, flip, rotate90
from biocnn.tasks.target import DensityMap

N = 6
SIZES = {2: (64, 64), 3: (32, 40, 40)}
BENT = {"elastic": 3.0, "smooth": 24.0}
MOVES = {
    "flip": (flip, {}),
    "rotate90": (rotate90, {}),
    "affine": (affine, {"scale": 1.3, "stretch": 1.1, "shear": 8.0}),
    "affine, elastic, share": (affine, {"scale": 1.3, **BENT, "share": 0.7}),
    "elastic": (elastic, {"size": 3.0, "smooth": 24.0}),
}
IN_PLANES = (affine, {"scale": 1.2, **BENT, "in_plane": True})
CASES = [(dims, *case) for dims in SIZES for case in MOVES.values()] + [(3, *IN_PLANES)]


def middles(sizes: tuple[int, ...]) -> torch.Tensor:
    """Return the centre of each pixel, shape (*spatial, axes)."""
    return torch.stack(torch.meshgrid(*[torch.arange(size) + 0.5 for size in sizes], indexing="ij"), -1)


def gaussians(points: torch.Tensor, sizes: tuple[int, ...], width: float = 2.5) -> torch.Tensor:
    """Return a map (M, 1, *spatial) with a Gaussian of sum 1 around each point."""
    ones = (-1, *[1] * len(sizes))
    found = (-(middles(sizes) - points.view(*ones, len(sizes))).square().sum(-1) / (2 * width**2)).exp()
    return (found / found.flatten(1).sum(1).view(ones))[:, None]


@pytest.mark.parametrize(("dims", "function", "settings"), CASES)
def test_densities_keep_the_sum_and_the_place_of_each_object(dims: int, function, settings: dict) -> None:
    sizes = SIZES[dims]
    points = torch.tensor([0.5, 0.47, 0.45][:dims]) * torch.tensor(sizes) + 3 * uniform(N)[:, :dims]
    x = gaussians(points, sizes)
    _, move = function(x, uniform(N), **settings)
    y = DensityMap().warp(x, move, sizes)
    torch.testing.assert_close(y.flatten(1).sum(1), torch.ones(N), atol=0.01, rtol=0)
    centres = (y[:, 0, ..., None] * middles(sizes)).flatten(1, -2).sum(1)
    torch.testing.assert_close(centres, move.points(points, torch.arange(N)), atol=0.25, rtol=0)


def test_turned_densities_are_those_drawn_at_the_turned_points() -> None:
    sizes, points = SIZES[2], torch.tensor([20.3, 30.8]) + 8 * uniform(N)[:, :2]
    for function, settings, close in ((flip, {}, 1e-7), (rotate90, {}, 1e-7), (affine, {"scale": 1.0}, 2e-3)):
        _, move = function(gaussians(points, sizes), uniform(N), **settings)
        anew = gaussians(move.points(points, torch.arange(N)), sizes)
        torch.testing.assert_close(move.densities(gaussians(points, sizes)), anew, atol=close, rtol=0)
