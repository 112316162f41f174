"""Augmentations of images: x float of shape (N, C, *spatial) scaled to about 0..1, y masks (N, K, *spatial), uint8.

Masks move with their images; their values are never mixed (nearest pixel).
"""

import math
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from biocnn.augment import require_positive
from biocnn.errors import InputError

# Constants of splitmix64, as signed numbers.
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def flip(x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror along each spatial axis with probability 1/2."""
    for axis in range(2, x.ndim):
        chosen = (u[:, axis - 2] < 0.5).view(-1, *[1] * (x.ndim - 1))
        x = torch.where(chosen, x.flip(axis), x)
        y = torch.where(chosen, y.flip(axis), y)
    return x, y


def rotate90(x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Transpose the last two axes of half of the (square) patches; with ``flip`` this gives all eight orientations."""
    if x.shape[-1] != x.shape[-2]:
        raise InputError(f"augment: rotate90 needs square patches, not {tuple(x.shape[2:])}", "set train.patch: [n, n]")
    chosen = (u[:, 0] < 0.5).view(-1, *[1] * (x.ndim - 1))
    return torch.where(chosen, x.transpose(-1, -2), x), torch.where(chosen, y.transpose(-1, -2), y)


def affine(
    x: Tensor, y: Tensor, u: Tensor, *, rotate: float = 180.0, scale: float = 1.25, elastic: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Rotate by up to ``rotate`` degrees, scale by up to ``scale`` and its inverse, bend by up to ``elastic`` pixels.

    Pixels from beyond the border are mirrored. Images of two dimensions only.
    """
    if x.ndim != 4:
        raise InputError(f"augment: affine is for images of 2 dimensions, not {x.ndim - 2}", "leave it out")
    require_positive("affine", scale=scale)
    angle = (2 * u[:, 0] - 1) * math.radians(rotate)
    factor = scale ** (2 * u[:, 1] - 1)
    aspect = x.shape[-1] / x.shape[-2]
    cos, sin, zero = angle.cos() / factor, angle.sin() / factor, torch.zeros_like(angle)
    theta = torch.stack([cos, -sin / aspect, zero, sin * aspect, cos, zero], dim=1).view(-1, 2, 3)
    grid = affine_grid(theta, list(x.shape), align_corners=False)
    if elastic > 0:
        grid = grid + _bend(x, u, elastic)
    return (
        grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False),
        grid_sample(y.float(), grid, mode="nearest", padding_mode="reflection", align_corners=False).to(y.dtype),
    )


def _bend(x: Tensor, u: Tensor, elastic: float) -> Tensor:
    """A smooth field of displacements, made of waves whose phase and direction come from the draws."""
    height, width = x.shape[-2:]
    nodes = torch.arange(2 * 5 * 5, device=x.device).float()
    field = torch.sin(nodes * (1 + 7 * u[:, 2:3]) + 2 * math.pi * u[:, 3:4] * (1 + nodes % 7)).view(-1, 2, 5, 5)
    field = interpolate(field, (height, width), mode="bicubic", align_corners=True)
    return torch.stack([field[:, 0] * (2 * elastic / width), field[:, 1] * (2 * elastic / height)], dim=-1)


def intensity(
    x: Tensor, y: Tensor, u: Tensor, *, contrast: float = 1.3, brightness: float = 0.1, gamma: float = 1.3
) -> tuple[Tensor, Tensor]:
    """Change contrast by up to a factor, brightness by up to a summand, gamma by up to an exponent, either way.

    Values below 0 are left out of the power.
    """
    require_positive("intensity", contrast=contrast, gamma=gamma)
    shape = (-1, *[1] * (x.ndim - 1))
    factor = (contrast ** (2 * u[:, 0] - 1)).view(shape)
    offset = ((2 * u[:, 1] - 1) * brightness).view(shape)
    power = (gamma ** (2 * u[:, 2] - 1)).view(shape)
    x = torch.where(x > 0, x.clamp(min=1e-6) ** power, x)
    return x * factor + offset, y


def noise(x: Tensor, y: Tensor, u: Tensor, *, sd: float = 0.05) -> tuple[Tensor, Tensor]:
    """Add Gaussian noise whose standard deviation is drawn from 0 to ``sd``."""
    return x + normal(u[:, 1:3], x.shape[1:]) * (u[:, 0] * sd).view(-1, *[1] * (x.ndim - 1)), y


def normal(u: Tensor, shape: Sequence[int]) -> Tensor:
    """Normal numbers, each a function of an example's draws and of its own place alone.

    Parameters
    ----------
    u
        Draws of shape (N, 2).
    shape
        Of the numbers for one example.

    Returns
    -------
    numbers
        Shape (N, *shape): mean 0, standard deviation 1.

    References
    ----------
    The mixing of bits is that of splitmix64: Steele et al., OOPSLA 2014, doi:10.1145/2660193.2660195.
    """
    # torch's generators draw for one example at a time, and a GPU would have to be asked for each one's seed.
    key = (u[:, :1].double() * 2**24).long() * 2**24 + (u[:, 1:].double() * 2**24).long()
    bits = (key * prod(shape) + torch.arange(prod(shape), device=u.device)) * GOLDEN
    for shift, factor in ((30, MIX[0]), (27, MIX[1])):
        bits = (bits ^ (bits >> shift & (1 << 64 - shift) - 1)) * factor
    bits = bits ^ (bits >> 31 & (1 << 33) - 1)
    low, high = (((bits >> shift & 0xFFFFFF).float() + 0.5) / 2**24 for shift in (0, 32))
    return ((-2 * low.log()).sqrt() * (2 * math.pi * high).cos()).view(-1, *shape)
