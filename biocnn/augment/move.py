"""Movements of the pixels of a batch; the same move applies to images, maps and points.

Points are in pixels, one coordinate per axis, in the order of the axes. Pixel i spans i to i + 1: its centre is at
i + 0.5, and an axis of n pixels spans 0 to n.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import xor
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from biocnn.augment.numbers import Some, per_example

ROUNDS = 12  # fixed-point iterations: fields without folds change by only a fraction of a pixel per pixel

Mode = Literal["nearest", "bilinear"]


class Move:
    """A movement of the pixels of a batch; this one is the identity."""

    def maps(self, values: Tensor, mode: Mode) -> Tensor:
        """Move values of pixels.

        Parameters
        ----------
        values
            Shape (N, K, *spatial), any dtype.
        mode
            Interpolation between pixels: the nearest value, or a mean weighted by distance.

        Returns
        -------
        values
            Same shape and dtype.
        """
        return values

    def densities(self, values: Tensor) -> Tensor:
        """Move quantities per pixel, shape (N, K, *spatial), so that the sum over any object stays the same.

        Values are multiplied by the number of source pixels that a pixel of the result covers.
        """
        return self.maps(values, "bilinear")

    def known(self, mask: Tensor) -> Tensor:
        """Move a mask of known pixels, shape (N, 1, *spatial), bool; what lies beyond the border is not known."""
        return self.maps(mask, "nearest")

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """Move points from the source to the result.

        Parameters
        ----------
        points
            Shape (M, spatial_dims), in pixels.
        example
            Row of the batch that each point belongs to, shape (M,), int64.

        Returns
        -------
        points
            Shape (M, spatial_dims); outside the image if they were moved out of it.
        """
        return points

    def turned(self) -> Tensor | bool:
        """Return which examples, (N,), are read from the other strand, if they are sequences."""
        return False


STAY = Move()


class Turn(Move):
    """Mirror some examples, optionally after swapping their last two axes; no value changes.

    Parameters
    ----------
    chosen
        Mask of the examples, shape (N,), bool.
    sizes
        Length of each axis, in pixels.
    axes
        Axes to mirror, counted from the end.
    swap
        Whether the last two axes, which must have equal length, are swapped first.
    """

    def __init__(self, chosen: Tensor, sizes: Sequence[int], axes: Sequence[int], swap: bool = False) -> None:
        self.chosen, self.sizes, self.axes, self.swap = chosen, sizes, axes, swap

    def maps(self, values: Tensor, mode: Mode = "nearest") -> Tensor:
        """Move values as for ``Move``; ``mode`` does not matter."""
        turned = values.transpose(-1, -2) if self.swap else values
        return torch.where(per_example(self.chosen, values), turned.flip(*self.axes), values)

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """Move points as for ``Move``."""
        turned = torch.cat([points[:, :-2], points[:, -2:].flip(1)], 1) if self.swap else points.clone()
        for axis in self.axes:
            turned[:, axis] = self.sizes[axis] - turned[:, axis]
        return torch.where(self.chosen[example, None], turned, points)

    def turned(self) -> Tensor:
        """Return which examples are mirrored."""
        return self.chosen


class Shift(Move):
    """Move each sequence along its axis; values from beyond its ends are unknown: 255, or nan for floating point.

    Parameters
    ----------
    offset
        Position of the source that becomes the first of the result, shape (N, 1), int64.
    length
        Length of the sequences.
    """

    def __init__(self, offset: Tensor, length: int) -> None:
        source = torch.arange(length, device=offset.device) + offset
        self.offset, self.index = offset, source.clamp(0, length - 1)
        self.inside = (source >= 0) & (source < length)

    def maps(self, values: Tensor, mode: Mode = "nearest") -> Tensor:
        """Move values as for ``Move``; ``mode`` does not matter."""
        moved = values.gather(2, self.index[:, None].expand_as(values))
        return moved.masked_fill(~self.inside[:, None], float("nan") if values.is_floating_point() else 255)

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """Move points as for ``Move``."""
        return points - self.offset[example]


class Warp(Move):
    """Resample some examples; what lies beyond the border is mirrored.

    Coordinates here are relative: -1 and 1 are the ends of each axis.

    Parameters
    ----------
    some
        Selection of examples.
    sizes
        Length of each axis, in pixels.
    matrix
        Maps positions in the result to positions in the source, shape (n, spatial_dims, spatial_dims).
    field
        Displacement added to these, for each pixel of the result: shape (n, *spatial, spatial_dims).
    """

    def __init__(self, some: Some, sizes: Sequence[int], matrix: Tensor, field: Tensor | None) -> None:
        self.some, self.sizes, self.matrix, self.field = some, tuple(sizes), matrix, field
        self.grid = self._grid(self.sizes)

    def maps(self, values: Tensor, mode: Mode) -> Tensor:
        """Move values as for ``Move``; maps may be finer than the images, e.g. twice as many pixels along each axis."""
        grid = self.grid if values.shape[2:] == self.sizes else self._grid(values.shape[2:])
        return self._sample(values, grid, mode, "reflection")

    def known(self, mask: Tensor) -> Tensor:
        """Move a mask as for ``Move``."""
        return self._sample(mask, self.grid, "nearest", "zeros")

    def _sample(self, values: Tensor, grid: Tensor, mode: Mode, beyond: str) -> Tensor:
        before = self.some.take(values).float()
        after = grid_sample(before, grid, mode=mode, padding_mode=beyond, align_corners=False)
        return self.some.put(values, after.to(values.dtype))

    def _grid(self, sizes: Sequence[int]) -> Tensor:
        """Return where the pixels of a result of these sizes lie in the source, last axis first."""
        matrix, field = self.matrix, self.field
        theta = torch.cat([matrix.flip(1, 2), torch.zeros_like(matrix[:, :, :1])], dim=2)  # torch: last axis first
        grid = affine_grid(theta, [len(matrix), 1, *sizes], align_corners=False)
        if field is None:
            return grid
        if field.shape[1:-1] != tuple(sizes):
            mode = "bilinear" if len(sizes) == 2 else "trilinear"
            field = interpolate(field.movedim(-1, 1), tuple(sizes), mode=mode, align_corners=False).movedim(1, -1)
        return grid + field.flip(-1)

    def densities(self, values: Tensor) -> Tensor:
        """Move densities as for ``Move``."""
        moved, axes = self.maps(values, "bilinear"), list(range(1, 1 + len(self.sizes)))
        change = self.matrix.view(-1, *[1] * len(axes), *self.matrix.shape[1:])  # of the source with the result
        if self.field is not None:
            steps = [2 / size for size in self.sizes]
            change = change + torch.stack(torch.gradient(self.field, spacing=steps, dim=axes), -1)
        return self.some.put(moved, self.some.take(moved) * _determinant(change).abs()[:, None])

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """Move points as for ``Move``; with a field by iteration, to about a hundredth of a pixel."""
        row = self.some.rows()[example]
        moved, row = row >= 0, row.clamp(min=0)
        sizes = points.new_tensor(self.sizes)
        source, inverse = 2 * points / sizes - 1, torch.linalg.inv(self.matrix)[row]
        place = (inverse @ source[..., None])[..., 0]
        for _ in range(0 if self.field is None else ROUNDS):
            place = (inverse @ (source - self._bend(place, row))[..., None])[..., 0]
        return torch.where(moved[:, None], (place + 1) / 2 * sizes, points)

    def _bend(self, place: Tensor, row: Tensor) -> Tensor:
        """Interpolate the field at positions in the result, shape (M, spatial_dims)."""
        assert self.field is not None
        # Each field is read at all positions, because one copy of its field per position would be far larger.
        grid = place.flip(-1).view(1, -1, *[1] * (len(self.sizes) - 1), len(self.sizes))
        grid = grid.expand(len(self.field), *grid.shape[1:])
        found = grid_sample(self.field.movedim(-1, 1), grid, padding_mode="border", align_corners=False)
        return found.flatten(2)[row, :, torch.arange(len(row), device=row.device)]


class InPlane(Move):
    """Apply a two-dimensional move to all planes of volumes."""

    def __init__(self, move: Move) -> None:
        self.move = move

    def maps(self, values: Tensor, mode: Mode) -> Tensor:
        """Move values as for ``Move``."""
        return self.move.maps(values.flatten(1, 2), mode).view(values.shape)

    def densities(self, values: Tensor) -> Tensor:
        """Move densities as for ``Move``."""
        return self.move.densities(values.flatten(1, 2)).view(values.shape)

    def known(self, mask: Tensor) -> Tensor:
        """Move a mask as for ``Move``."""
        return self.move.known(mask.flatten(1, 2)).view(mask.shape)

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """Move points as for ``Move``."""
        return torch.cat([points[:, :1], self.move.points(points[:, 1:], example)], 1)


class Moves(Move):
    """Several moves in sequence."""

    def __init__(self, moves: Iterable[Move]) -> None:
        self.moves = list(moves)

    def maps(self, values: Tensor, mode: Mode = "nearest") -> Tensor:
        """Move values as for ``Move``."""
        for move in self.moves:
            values = move.maps(values, mode)
        return values

    def densities(self, values: Tensor) -> Tensor:
        """Move densities as for ``Move``."""
        for move in self.moves:
            values = move.densities(values)
        return values

    def known(self, mask: Tensor) -> Tensor:
        """Move a mask as for ``Move``."""
        for move in self.moves:
            mask = move.known(mask)
        return mask

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """Move points as for ``Move``."""
        for move in self.moves:
            points = move.points(points, example)
        return points

    def turned(self) -> Tensor | bool:
        """Return which examples are turned by an odd number of moves."""
        return reduce(xor, (move.turned() for move in self.moves), False)


def _determinant(matrix: Tensor) -> Tensor:
    """Return the determinant of matrices (..., 2, 2) or (..., 3, 3); ``torch.linalg.det`` is far slower."""
    if matrix.shape[-1] == 2:
        return matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
    return (matrix[..., 0, :] * torch.linalg.cross(matrix[..., 1, :], matrix[..., 2, :])).sum(-1)
