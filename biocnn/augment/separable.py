"""Separable linear filters, as one matrix per axis; in any number of dimensions."""

from collections.abc import Sequence

import torch
from torch import Tensor


def along(x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Multiply the last axes of x (N, C, *spatial) by matrices (N, m, n) or (m, n) for lengths n, in order."""
    for axis, matrix in enumerate(matrices, x.ndim - len(matrices)):
        moved = x.movedim(axis, -1)
        flat = moved.reshape(len(x), -1, moved.shape[-1])
        x = (flat @ matrix.mT).view(*moved.shape[:-1], -1).movedim(-1, axis)
    return x.contiguous()


def blurring(sigma: Tensor, length: int) -> Tensor:
    """Return Gaussian filters of standard deviation ``sigma`` (N,), in pixels, renormalised at the borders.

    Returns
    -------
    matrices
        Shape (N, length, length); rows sum to 1.
    """
    place = torch.arange(length, device=sigma.device)
    offset = (place[:, None] - place).float()
    far = 0.5 * (offset / sigma.clamp(min=1e-3).view(-1, 1, 1)) ** 2
    weights = torch.exp(-far.clamp(max=40))  # denormal numbers would take ten times as long
    return weights / weights.sum(-1, keepdim=True)


def coarsening(factor: Tensor, length: int) -> Tensor:
    """Return filters that average over pixels ``factor`` (N,) times as long, and interpolate linearly between them.

    Returns
    -------
    matrices
        Shape (N, length, length); rows sum to 1; the identity for factor 1.
    """
    factor = factor.view(-1, 1, 1)
    number = torch.ceil(length / factor - 1e-4)  # number of long pixels; the last may extend beyond the end
    place = torch.arange(length, device=factor.device).float()
    start, left = place.view(1, -1, 1) * factor, place.view(1, 1, -1)  # of long and short pixels
    share = (torch.minimum(start + factor, left + 1) - torch.maximum(start, left)).clamp(min=0)
    share = share / share.sum(-1, keepdim=True).clamp(min=1e-6)
    at = ((place.view(1, -1, 1) + 0.5) / factor - 0.5).clamp(min=0).minimum(number - 1)
    between = (1 - (at - left).abs()).clamp(min=0)
    return between @ share


def spline(length: int, spacing: float, device: torch.device) -> Tensor:
    """Return cubic B-splines with a spacing in pixels, evaluated at ``length`` pixels.

    Returns
    -------
    matrix
        Shape (length, nodes); rows sum to 1.
    """
    at = (torch.arange(length, device=device) + 0.5) / spacing
    nodes = torch.arange(int(length / spacing) + 4, device=device) - 1
    far = (at[:, None] - nodes).abs()
    near = 2 / 3 - far**2 + far**3 / 2
    return torch.where(far < 1, near, (2 - far).clamp(min=0) ** 3 / 6)
