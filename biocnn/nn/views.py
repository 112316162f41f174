"""An image seen from several sides, and what is said of each laid back over the first: test-time augmentation.

A view mirrors some axes and may swap the last two; both only move pixels, so that every view is undone exactly,
whatever the sizes of the axes. Maps of classes, of probabilities and of distances move with their pixels; fields of
vectors would have to be turned besides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from biocnn.core.errors import InputError, nearest

if TYPE_CHECKING:  # to look at arrays, no torch is loaded
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")
KINDS = ("none", "flips", "all")


@dataclass(frozen=True)
class View:
    """Which spatial axes are mirrored, and whether the last two are swapped after that."""

    flips: tuple[bool, ...]
    swap: bool = False

    @property
    def axes(self) -> list[int]:
        """The mirrored axes, counted from the end."""
        return [axis - len(self.flips) for axis, flipped in enumerate(self.flips) if flipped]


def views(spatial_dims: int, kind: Literal["none", "flips", "all"] = "all") -> list[View]:
    """All views of a kind; the first is the image as it is.

    Parameters
    ----------
    spatial_dims
        2 or 3.
    kind
        ``flips``: along every axis, 4 views in 2D and 8 in 3D. ``all``: with quarter turns in the plane of the last two
        axes, 8 (the symmetries of a square) and 16. ``none``: the image alone.
    """
    if kind not in KINDS:
        raise InputError(f"no test-time augmentation is named {kind!r}", nearest(str(kind), KINDS))
    if kind == "none":
        return [View((False,) * spatial_dims)]
    return [View(flips, swap) for swap in (False, True)[: 1 + (kind == "all")] for flips in _flips(spatial_dims)]


def _flips(spatial_dims: int) -> list[tuple[bool, ...]]:
    return list(product((False, True), repeat=spatial_dims))


def turn(x: Array, view: View) -> Array:
    """What is seen of x, shape (..., *spatial)."""
    x = _mirrored(x, view)
    return x.swapaxes(-1, -2) if view.swap else x


def undo(y: Array, view: View) -> Array:
    """What was said of a view, shape (..., *spatial of the view), laid over the image."""
    return _mirrored(y.swapaxes(-1, -2) if view.swap else y, view)


def _mirrored(x: Array, view: View) -> Array:
    if not view.axes:
        return x
    return np.flip(x, tuple(view.axes)) if isinstance(x, np.ndarray) else x.flip(view.axes)


def averaged(answer: "Callable[[Tensor], Tensor]", every: Sequence[View]) -> "Callable[[Tensor], Tensor]":
    """The mean of what is said of all views.

    Parameters
    ----------
    answer
        From x (N, C, *spatial) to probabilities (N, K, *spatial).
    every
        The views; they are looked at one after the other.
    """

    def mean(x: "Tensor") -> "Tensor":
        total = undo(answer(turn(x, every[0])), every[0])
        for view in every[1:]:
            total = total + undo(answer(turn(x, view)), view)
        return total / len(every)

    return mean
