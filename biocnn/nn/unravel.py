"""Coordinates of elements by their number."""

from collections.abc import Sequence

from torch import Tensor


def unravel(number: Tensor, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Return ``torch.unravel_index(number, shape)``, which loads a library of symbols first (half a second)."""
    found = []
    for size in reversed(shape):
        found.append(number % size)
        number = number // size
    return tuple(reversed(found))
