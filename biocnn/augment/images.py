"""Augmentations of images: x float of shape (N, C, *spatial) scaled to about 0..1, y masks (N, K, *spatial), uint8.

Masks move with their images; their values are never mixed (nearest pixel).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from biocnn.augment import require_positive
from biocnn.errors import InputError


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
    return field.movedim(1, -1) * torch.tensor([2 * elastic / width, 2 * elastic / height], device=x.device)


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
    keys = (u[:, 1].double() * 2**24).long() * 2**24 + (u[:, 2].double() * 2**24).long()
    generators = [torch.Generator(x.device).manual_seed(key) for key in keys.tolist()]
    normal = torch.stack([torch.randn(x.shape[1:], generator=g, device=x.device) for g in generators])
    return x + normal * (u[:, 0] * sd).view(-1, *[1] * (x.ndim - 1)), y
