"""Test-time augmentation: transform an image into several views, and transform the outputs back.

A view mirrors some axes and may swap the last two. Both only move pixels, so each view is inverted exactly, whatever
the sizes of the axes. Maps of classes, probabilities and distances move with their pixels; vector fields would also
have to be rotated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from biocnn.core.errors import InputError, nearest

if TYPE_CHECKING:  # arrays do not need torch
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")
KINDS = ("none", "flips", "all")


@dataclass(frozen=True)
class View:
    """Which spatial axes are mirrored, and whether the last two are then swapped."""

    flips: tuple[bool, ...]
    swap: bool = False

    @property
    def axes(self) -> list[int]:
        """Mirrored axes, counted from the end."""
        return [axis - len(self.flips) for axis, flipped in enumerate(self.flips) if flipped]


def views(spatial_dims: int, kind: Literal["none", "flips", "all"] = "all") -> list[View]:
    """Return all views of a kind; the first is the unchanged image.

    Parameters
    ----------
    spatial_dims
        2 or 3.
    kind
        ``flips``: mirrored along all axes, 4 views in 2D and 8 in 3D. ``all``: also rotated by 90 degrees in the plane
        of the last two axes, 8 (the symmetries of a square) and 16. ``none``: the image only.
    """
    if kind not in KINDS:
        raise InputError(f"unknown test-time augmentation {kind!r}", nearest(str(kind), KINDS))
    if kind == "none":
        return [View((False,) * spatial_dims)]
    return [View(flips, swap) for swap in (False, True)[: 1 + (kind == "all")] for flips in _flips(spatial_dims)]


def _flips(spatial_dims: int) -> list[tuple[bool, ...]]:
    return list(product((False, True), repeat=spatial_dims))


def turn(x: Array, view: View) -> Array:
    """Transform x, shape (..., *spatial), to a view."""
    x = _mirrored(x, view)
    return x.swapaxes(-1, -2) if view.swap else x


def undo(y: Array, view: View) -> Array:
    """Transform the output for a view, shape (..., *spatial of the view), back to the image."""
    return _mirrored(y.swapaxes(-1, -2) if view.swap else y, view)


def _mirrored(x: Array, view: View) -> Array:
    if not view.axes:
        return x
    return np.flip(x, tuple(view.axes)) if isinstance(x, np.ndarray) else x.flip(view.axes)


def averaged(
    predict: "Callable[[Tensor], Tensor]", every: Sequence[View], maps: bool = True
) -> "Callable[[Tensor], Tensor]":
    """Return a function that averages the predictions for all views.

    Parameters
    ----------
    predict
        Function from x (N, C, *spatial) to probabilities (N, K, *spatial), or (N, K) without ``maps``.
    every
        Views, evaluated one after the other.
    """

    def seen(x: "Tensor", view: View) -> "Tensor":
        p = predict(turn(x, view))
        return undo(p, view) if maps else p

    def mean(x: "Tensor") -> "Tensor":
        total = seen(x, every[0])
        for view in every[1:]:
            total = total + seen(x, view)
        return total / len(every)

    return mean
