"""Augmentations that move pixels: x float (N, C, *spatial), y masks (N, K, *spatial), uint8; two or three dimensions.

Masks move with their images; their values are never mixed (nearest pixel).
"""

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from biocnn.augment import require_positive
from biocnn.augment.numbers import for_some, spread, uniform
from biocnn.augment.separable import along, spline
from biocnn.core.errors import InputError


def flip(x: Tensor, y: Tensor, u: Tensor, *, axes: list[int] | None = None) -> tuple[Tensor, Tensor]:
    """Mirror along each axis with probability 1/2; ``axes`` names some, counted from the end: -1 is left to right."""
    dims = x.ndim - 2
    for axis in range(-dims, 0) if axes is None else axes:
        if not -dims <= axis < 0:
            allowed = ", ".join(map(str, range(-dims, 0)))
            raise InputError(f"augment: flip.axes holds {axis}", f"allowed: {allowed}; -1 is left to right")
        chosen = _some(u[:, axis + dims] < 0.5, x)
        x, y = torch.where(chosen, x.flip(axis), x), torch.where(chosen, y.flip(axis), y)
    return x, y


def rotate90(x: Tensor, y: Tensor, u: Tensor, *, over: bool = False) -> tuple[Tensor, Tensor]:
    """Rotate (square) patches by 0, 90, 180 or 270 degrees in the plane of the last two axes.

    ``over`` also turns half of the volumes over, first plane last, without mirroring them.
    """
    if x.shape[-1] != x.shape[-2]:
        raise InputError(f"augment: rotate90 needs square patches, not {tuple(x.shape[2:])}", "set train.patch: [n, n]")
    if over and x.ndim == 4:
        raise InputError("augment: rotate90.over is for volumes", "leave it out")
    turns = (4 * u[:, 0]).floor()
    once, twice = _some(turns % 2 == 1, x), _some(turns >= 2, x)
    x, y = (torch.where(once, t.transpose(-1, -2).flip(-1), t) for t in (x, y))
    x, y = (torch.where(twice, t.flip(-1, -2), t) for t in (x, y))
    if over:
        turned = _some(u[:, 1] < 0.5, x)
        x, y = (torch.where(turned, t.flip(-1, -3), t) for t in (x, y))
    return x, y


def _some(chosen: Tensor, x: Tensor) -> Tensor:
    return chosen.view(-1, *[1] * (x.ndim - 1))


def affine(
    x: Tensor,
    y: Tensor,
    u: Tensor,
    *,
    rotate: float = 180.0,
    tilt: float = 0.0,
    scale: float = 1.25,
    stretch: float = 1.0,
    shear: float = 0.0,
    elastic: float = 0.0,
    smooth: float = 32.0,
    in_plane: bool = False,
    share: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Rotate, scale, stretch, shear and bend at once; pixels from beyond the border are mirrored.

    Parameters
    ----------
    x, y, u
        As for every augmentation.
    rotate
        Up to so many degrees either way, in the plane of the last two axes.
    tilt
        Up to so many degrees about each of these two axes; volumes only.
    scale
        Up to this factor or its inverse, all axes alike.
    stretch
        Likewise, each axis for itself.
    shear
        Up to so many degrees either way.
    elastic
        Move each pixel by up to so many pixels along each axis, neighbours alike.
    smooth
        Pixels from which on neighbours are moved independently. With ``elastic`` below a quarter of it (in volumes a
        sixth) nothing is folded over.
    in_plane
        Leave each plane of a volume in its place, and move all alike: for planes that are far apart.
    share
        Of the examples that this happens to.
    """
    require_positive("affine", scale=scale, stretch=stretch, smooth=smooth)
    if in_plane and x.ndim == 5:
        moved = affine(
            x.flatten(1, 2), y.flatten(1, 2), u, rotate=rotate, scale=scale, stretch=stretch, shear=shear,
            elastic=elastic, smooth=smooth, share=share,
        )  # fmt: skip
        return moved[0].view(x.shape), moved[1].view(y.shape)
    if tilt and x.ndim == 4:
        raise InputError("augment: affine.tilt is for volumes", "leave it out")
    move = partial(
        _move, rotate=rotate, tilt=tilt, scale=scale, stretch=stretch, shear=shear, elastic=elastic, smooth=smooth
    )
    return for_some(share, u, move, x, y)


def elastic(
    x: Tensor,
    y: Tensor,
    u: Tensor,
    *,
    size: float = 5.0,
    smooth: float = 32.0,
    in_plane: bool = False,
    share: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Bend alone: as ``affine`` with ``elastic`` of ``size``, which does both in the time of one."""
    return affine(x, y, u, rotate=0.0, scale=1.0, elastic=size, smooth=smooth, in_plane=in_plane, share=share)


def _move(u: Tensor, x: Tensor, y: Tensor, *, elastic: float, smooth: float, **limits: float) -> tuple[Tensor, Tensor]:
    """Look up each pixel where it comes from."""
    sizes = torch.tensor(x.shape[2:], device=x.device, dtype=torch.float32)
    matrix = _matrices(u[:, 1:3], len(sizes), **limits) * sizes / sizes[:, None]  # in halves of each axis
    theta = torch.cat([matrix.flip(1, 2), torch.zeros_like(matrix[:, :, :1])], dim=2)  # torch counts axes backwards
    grid = affine_grid(theta, [len(x), 1, *x.shape[2:]], align_corners=False)
    if elastic > 0:
        splines = [spline(length, smooth, x.device) for length in x.shape[2:]]
        nodes = 2 * uniform(u[:, 3:5], (len(sizes), *(s.shape[1] for s in splines))) - 1
        field = along(nodes, splines).movedim(1, -1) * (2 * elastic / sizes)
        grid = grid + field.flip(-1)
    return (
        grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False),
        grid_sample(y.float(), grid, mode="nearest", padding_mode="reflection", align_corners=False).to(y.dtype),
    )


def _matrices(
    u: Tensor, dims: int, *, rotate: float, tilt: float, scale: float, stretch: float, shear: float
) -> Tensor:
    """From pixels of the result, counted from its middle, to those of the image: shape (N, dims, dims)."""
    numbers = uniform(u, (4 + 2 * dims,))
    turns, numbers = numbers[:, :3], numbers[:, 3:]
    factors = spread(numbers[:, :1], scale) * spread(numbers[:, 1 : 1 + dims], stretch)
    matrix = torch.diag_embed(1 / factors)
    for axis, number in enumerate(numbers[:, 1 + dims :].unbind(1)):
        lean = torch.eye(dims, device=u.device).repeat(len(u), 1, 1)
        lean[:, axis, (axis + 1) % dims] = torch.tan((2 * number - 1) * math.radians(shear))
        matrix = matrix @ lean
    planes = [(-2, -1, rotate), (-3, -1, tilt), (-3, -2, tilt)]
    for number, (a, b, limit) in zip(turns.unbind(1), planes[: 1 if dims == 2 else 3], strict=False):
        angle = (2 * number - 1) * math.radians(limit)
        turn = torch.eye(dims, device=u.device).repeat(len(u), 1, 1)
        turn[:, a, a] = turn[:, b, b] = angle.cos()
        turn[:, b, a] = angle.sin()
        turn[:, a, b] = -turn[:, b, a]
        matrix = matrix @ turn
    return matrix
