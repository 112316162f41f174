"""Where augmentations move the pixels of a batch; the same move serves images, maps of them and points in them.

Points are in pixels, one coordinate an axis, in the order of the axes. Pixel i reaches from i to i + 1: its centre is
at i + 0.5, and an axis of n pixels from 0 to n.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from biocnn.augment.numbers import Some, per_example

ROUNDS = 12  # of the fixed-point iteration: fields that fold nothing over change by a fraction from pixel to pixel

Mode = Literal["nearest", "bilinear"]


class Move:
    """Where the pixels of a batch go; this one leaves them where they are."""

    def maps(self, values: Tensor, mode: Mode) -> Tensor:
        """Move what each pixel holds.

        Parameters
        ----------
        values
            Shape (N, K, *spatial), of any type.
        mode
            What a place between pixels gets: the value of the nearest, or a mean weighted by distance.

        Returns
        -------
        values
            Same shape and type.
        """
        return values

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """Where points of the source lie in the result.

        Parameters
        ----------
        points
            Shape (M, spatial_dims), in pixels.
        example
            The row of the batch to which each point belongs, shape (M,), int64.

        Returns
        -------
        points
            Shape (M, spatial_dims); outside of the image where they were moved out of it.
        """
        return points


STAY = Move()


class Turn(Move):
    """Mirror some examples, and before that swap their last two axes where wanted; no value changes.

    Parameters
    ----------
    chosen
        Which examples, shape (N,), bool.
    sizes
        Length of each axis, in pixels.
    axes
        Those to mirror, counted from the end.
    swap
        Whether the last two axes, which must be equally long, change places first.
    """

    def __init__(self, chosen: Tensor, sizes: Sequence[int], axes: Sequence[int], swap: bool = False) -> None:
        self.chosen, self.sizes, self.axes, self.swap = chosen, sizes, axes, swap

    def maps(self, values: Tensor, mode: Mode = "nearest") -> Tensor:
        """As for every move; ``mode`` does not matter."""
        turned = values.transpose(-1, -2) if self.swap else values
        return torch.where(per_example(self.chosen, values), turned.flip(*self.axes), values)

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """As for every move."""
        turned = torch.cat([points[:, :-2], points[:, -2:].flip(1)], 1) if self.swap else points.clone()
        for axis in self.axes:
            turned[:, axis] = self.sizes[axis] - turned[:, axis]
        return torch.where(self.chosen[example, None], turned, points)


class Warp(Move):
    """Look up each pixel of some examples where it comes from; what lies beyond the border is mirrored.

    Coordinates are relative here: -1 and 1 are the ends of each axis.

    Parameters
    ----------
    some
        Which examples.
    sizes
        Length of each axis, in pixels.
    matrix
        From places in the result to places in the source, shape (n, spatial_dims, spatial_dims).
    field
        What is added to them, for each pixel of the result: shape (n, *spatial, spatial_dims).
    """

    def __init__(self, some: Some, sizes: Sequence[int], matrix: Tensor, field: Tensor | None) -> None:
        self.some, self.sizes, self.matrix, self.field = some, sizes, matrix, field
        theta = torch.cat([matrix.flip(1, 2), torch.zeros_like(matrix[:, :, :1])], dim=2)  # torch: last axis first
        self.grid = affine_grid(theta, [len(matrix), 1, *sizes], align_corners=False)
        if field is not None:
            self.grid = self.grid + field.flip(-1)

    def maps(self, values: Tensor, mode: Mode) -> Tensor:
        """As for every move."""
        before = self.some.take(values).float()
        after = grid_sample(before, self.grid, mode=mode, padding_mode="reflection", align_corners=False)
        return self.some.put(values, after.to(values.dtype))

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """As for every move; of bent images found by iteration, to about a hundredth of a pixel."""
        row = self.some.rows()[example]
        moved, row = row >= 0, row.clamp(min=0)
        sizes = points.new_tensor(self.sizes)
        source, inverse = 2 * points / sizes - 1, torch.linalg.inv(self.matrix)[row]
        place = (inverse @ source[..., None])[..., 0]
        for _ in range(0 if self.field is None else ROUNDS):
            place = (inverse @ (source - self._bend(place, row))[..., None])[..., 0]
        return torch.where(moved[:, None], (place + 1) / 2 * sizes, points)

    def _bend(self, place: Tensor, row: Tensor) -> Tensor:
        """The field at any place of the result, shape (M, spatial_dims)."""
        assert self.field is not None
        # Each field is read at all places, for a copy of its field for each place would be far larger.
        grid = place.flip(-1).view(1, -1, *[1] * (len(self.sizes) - 1), len(self.sizes))
        grid = grid.expand(len(self.field), *grid.shape[1:])
        found = grid_sample(self.field.movedim(-1, 1), grid, padding_mode="border", align_corners=False)
        return found.flatten(2)[row, :, torch.arange(len(row), device=row.device)]


class InPlane(Move):
    """Move all planes of volumes as a two-dimensional move says."""

    def __init__(self, move: Move) -> None:
        self.move = move

    def maps(self, values: Tensor, mode: Mode) -> Tensor:
        """As for every move."""
        return self.move.maps(values.flatten(1, 2), mode).view(values.shape)

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """As for every move."""
        return torch.cat([points[:, :1], self.move.points(points[:, 1:], example)], 1)


class Moves(Move):
    """Several moves, one after the other."""

    def __init__(self, moves: Iterable[Move]) -> None:
        self.moves = list(moves)

    def maps(self, values: Tensor, mode: Mode = "nearest") -> Tensor:
        """As for every move."""
        for move in self.moves:
            values = move.maps(values, mode)
        return values

    def points(self, points: Tensor, example: Tensor) -> Tensor:
        """As for every move."""
        for move in self.moves:
            points = move.points(points, example)
        return points
