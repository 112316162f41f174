"""Augmentations that move pixels: x float (N, C, *spatial), in two or three dimensions."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from biocnn.augment.move import STAY, InPlane, Move, Moves, Turn, Warp
from biocnn.augment.numbers import Some, spread, uniform
from biocnn.augment.separable import along, spline
from biocnn.core.errors import InputError
from biocnn.core.ranges import Fraction, NonNegative, Positive


def flip(x: Tensor, u: Tensor, *, axes: list[Annotated[int, Field(ge=-3, le=-1)]] | None = None) -> tuple[Tensor, Move]:
    """Mirror along each axis with probability 1/2.

    Parameters
    ----------
    axes
        Axes, counted from the end: -1 is left to right. None: all.
    """
    dims, turns = x.ndim - 2, []
    for axis in range(-dims, 0) if axes is None else axes:
        if not -dims <= axis < 0:
            allowed = ", ".join(map(str, range(-dims, 0)))
            raise InputError(f"augment: flip.axes contains {axis}", f"allowed: {allowed}; -1 is left to right")
        turns.append(Turn(u[:, axis + dims] < 0.5, x.shape[2:], [axis]))
    move = Moves(turns)
    return move.maps(x), move


def rotate90(x: Tensor, u: Tensor, *, over: bool = False) -> tuple[Tensor, Move]:
    """Rotate (square) patches by 0, 90, 180 or 270 degrees in the plane of the last two axes.

    Parameters
    ----------
    over
        Whether half of the volumes are also turned upside down, last plane first, without mirroring them.
    """
    sizes = x.shape[2:]
    if sizes[-1] != sizes[-2]:
        raise InputError(
            f"augment: rotate90 needs square images, not {tuple(sizes)}",
            "set train.patch: [n, n]; for images with one target each, train.size",
        )
    if over and len(sizes) == 2:
        raise InputError("augment: rotate90.over is for volumes only", "leave it out")
    quarters = (4 * u[:, 0]).floor()
    turns = [Turn(quarters % 2 == 1, sizes, [-1], swap=True), Turn(quarters >= 2, sizes, [-1, -2])]
    if over:
        turns.append(Turn(u[:, 1] < 0.5, sizes, [-1, -3]))
    move = Moves(turns)
    return move.maps(x), move


def affine(
    x: Tensor,
    u: Tensor,
    *,
    rotate: Annotated[float, Field(ge=0, le=360)] = 180.0,
    tilt: Annotated[float, Field(ge=0, le=360)] = 0.0,
    scale: Positive = 1.25,
    stretch: Positive = 1.0,
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0,
    elastic: NonNegative = 0.0,
    smooth: Positive = 32.0,
    in_plane: bool = False,
    share: Fraction = 1.0,
) -> tuple[Tensor, Move]:
    """Rotate, scale, stretch, shear and deform in one step; pixels beyond the border are mirrored.

    Parameters
    ----------
    x, u
        As for all augmentations.
    rotate
        Largest angle in either direction, in degrees, in the plane of the last two axes.
    tilt
        Largest angle about each of these two axes, in degrees; volumes only.
    scale
        Largest factor, or its inverse, of all axes together.
    stretch
        Largest factor, or its inverse, of each axis separately.
    shear
        Largest angle in either direction, in degrees.
    elastic
        Largest displacement of a pixel along each axis, in pixels; it varies smoothly.
    smooth
        Distance from which pixels move independently, in pixels. If ``elastic`` is below a quarter of it (in volumes a
        sixth), nothing folds over.
    in_plane
        Keep each plane of a volume in place, and move all alike: for planes that are far apart.
    share
        Share of the examples that are moved.
    """
    if in_plane and x.ndim == 5:
        flat, move = affine(
            x.flatten(1, 2), u, rotate=rotate, scale=scale, stretch=stretch, shear=shear,
            elastic=elastic, smooth=smooth, share=share,
        )  # fmt: skip
        return flat.view(x.shape), InPlane(move)
    if tilt and x.ndim == 4:
        raise InputError("augment: affine.tilt is for volumes only", "leave it out")
    some = Some(share, u)
    if not len(some.u):
        return x, STAY
    sizes = torch.tensor(x.shape[2:], dtype=torch.float32).to(x.device, non_blocking=True)
    limits = {"rotate": rotate, "tilt": tilt, "scale": scale, "stretch": stretch, "shear": shear}
    matrix = _matrices(some.u[:, 1:3], len(sizes), **limits) * sizes / sizes[:, None]  # in half-lengths of each axis
    field = None
    if elastic > 0:
        splines = [spline(length, smooth, x.device) for length in x.shape[2:]]
        nodes = 2 * uniform(some.u[:, 3:5], (len(sizes), *(s.shape[1] for s in splines))) - 1
        field = along(nodes, splines).movedim(1, -1) * (2 * elastic / sizes)
    move = Warp(some, x.shape[2:], matrix, field)
    return move.maps(x, "bilinear"), move


def elastic(
    x: Tensor,
    u: Tensor,
    *,
    size: NonNegative = 5.0,
    smooth: Positive = 32.0,
    in_plane: bool = False,
    share: Fraction = 1.0,
) -> tuple[Tensor, Move]:
    """Deform only: ``affine`` with ``elastic`` set to ``size``; use that for both, in the time of one.

    Parameters
    ----------
    size
        Largest displacement of a pixel along each axis, in pixels; it varies smoothly.
    smooth
        Distance from which pixels move independently, in pixels.
    in_plane
        Whether planes of a volume stay in place and are deformed alike.
    share
        Share of the examples that are deformed.
    """
    return affine(x, u, rotate=0.0, scale=1.0, elastic=size, smooth=smooth, in_plane=in_plane, share=share)


def _matrices(
    u: Tensor, dims: int, *, rotate: float, tilt: float, scale: float, stretch: float, shear: float
) -> Tensor:
    """Return maps from pixels of the result, relative to its centre, to those of the image: shape (N, dims, dims)."""
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
