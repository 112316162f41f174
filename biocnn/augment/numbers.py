"""Random numbers of an example, any number of them from two draws; and selection of examples by another draw."""

import math
from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

# Golden ratio of 2^64 and of 2^32, and the multipliers of splitmix64 and of MurmurHash3, as signed integers.
GOLDEN_64, GOLDEN_32 = 0x9E3779B97F4A7C15 - 2**64, 0x9E3779B9 - 2**32
MIX_64 = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
MIX_32 = ((16, 0x85EBCA6B - 2**32), (13, 0xC2B2AE35 - 2**32))


def uniform(u: Tensor, shape: Sequence[int]) -> Tensor:
    """Return numbers between 0 and 1 that depend on the example's draws and their own position alone.

    Parameters
    ----------
    u
        Draws of shape (N, 2).
    shape
        Shape of the numbers of one example.

    Returns
    -------
    numbers
        Shape (N, *shape), above 0 and below 1.

    References
    ----------
    splitmix64: Steele et al., OOPSLA 2014, doi:10.1145/2660193.2660195; MurmurHash3's last step: A. Appleby, 2011.
    """
    # torch's generators draw for one example at a time, and a GPU would have to be seeded for each.
    first, second = (u.double() * 2**24).long().unbind(1)
    key = _mixed((first * 2**24 + second) * GOLDEN_64, MIX_64, 64).int()  # the lower half
    bits = torch.arange(prod(shape), device=u.device, dtype=torch.int32) * GOLDEN_32 + key[:, None]
    bits = _mixed(bits, MIX_32, 32)  # 64 bits per number would take four times as long
    return (bits.bitwise_and_(0xFFFFFF).float().add_(0.5) / 2**24).view(-1, *shape)


def _mixed(bits: Tensor, steps: Sequence[tuple[int, int]], size: int) -> Tensor:
    """Mix bits in place, so that each depends on all bits given."""
    for shift, factor in steps:
        bits.bitwise_xor_((bits >> shift).bitwise_and_((1 << size - shift) - 1)).mul_(factor)
    shift = 31 if size == 64 else 16
    return bits.bitwise_xor_((bits >> shift).bitwise_and_((1 << size - shift) - 1))


def normal(u: Tensor, shape: Sequence[int]) -> Tensor:
    """Return standard normal numbers, in the same way as ``uniform``."""
    number = prod(shape)
    half = -(-number // 2)
    radius, angle = uniform(u, (2, half)).unbind(1)
    radius, angle = (-2 * radius.log()).sqrt_(), angle * (2 * math.pi)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :number].reshape(-1, *shape)


class Some:
    """Selection of the examples whose first draw is below a share.

    On CPUs only these are computed. A GPU computes all, because reading the selection would synchronise with it.
    """

    def __init__(self, share: float, u: Tensor) -> None:
        self.number, self.u = len(u), u
        self.chosen = self.index = None
        if share < 1:
            self.chosen = u[:, 0] < share
            if u.device.type == "cpu":
                (self.index,) = self.chosen.nonzero(as_tuple=True)
                self.u = u[self.index]

    def take(self, x: Tensor) -> Tensor:
        """Return the rows of x (N, ...) to compute, as many as ``u`` has."""
        return x if self.index is None else x[self.index]

    def put(self, x: Tensor, changed: Tensor) -> Tensor:
        """Return a copy of x with the selected rows replaced."""
        if self.chosen is None:
            return changed
        if self.index is not None:
            return x.index_copy(0, self.index, changed)
        return torch.where(per_example(self.chosen, x), changed, x)

    def rows(self) -> Tensor:
        """Return the computed row of each example, shape (N,); -1: none."""
        rows = torch.arange(self.number, device=self.u.device)
        if self.chosen is None:
            return rows
        return torch.where(self.chosen, rows if self.index is None else self.chosen.cumsum(0) - 1, -1)


def for_some(share: float, u: Tensor, change: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply ``change(u, x)`` to the examples whose first draw is below ``share``."""
    some = Some(share, u)
    return some.put(x, change(some.u, some.take(x))) if len(some.u) else x


def per_example(values: Tensor, x: Tensor) -> Tensor:
    """Reshape values (N,) to broadcast over the rows of x (N, ...)."""
    return values.view(-1, *[1] * (x.ndim - 1))


def spread(numbers: Tensor, factor: float) -> Tensor:
    """Map numbers from 0 to 1 to factors from ``1 / factor`` to ``factor``, as likely below 1 as above."""
    return factor ** (2 * numbers - 1)
