"""Images tile by tile, with the values of one piece: each pixel is predicted once, from all that its output can see."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import lcm, prod
from typing import Any

import torch
from torch import Tensor, nn

NARROW = 32  # size along the axes that are not measured
WIDEST = 4096  # along the one that is: a network that sees further is said to see all
CLOSE = 1e-3  # difference, as a share of the largest value, up to which it is rounding

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Field:
    """Along each axis: the step by which an input must move to move the output as much, and how far outputs see."""

    stride: tuple[int, ...]
    halo: tuple[int, ...]


@dataclass(frozen=True)
class Tile:
    """A piece to predict, the part of the prediction to keep, and the place of that part in the image."""

    read: Slices
    keep: Slices
    write: Slices


def plan(shape: Sequence[int], field: Field, pixels: float) -> list[Tile]:
    """The fewest tiles of at most so many pixels, all of one size, in reading order.

    The longest axis is cut first, so that tiles are as square as they can be and the margins around them, which are
    computed twice, small. Where not even tiles of three margins are small enough, these are taken all the same: smaller
    ones would be nearly all margin.

    Parameters
    ----------
    shape
        Of the image, (*spatial).
    field
        Of the network.
    pixels
        The most that fit in memory.
    """
    # A network pads the far end of an image to a multiple of its stride; a tile that ends there is padded likewise.
    padded = [_up(size, stride) for size, stride in zip(shape, field.stride, strict=True)]
    least = [max(3 * halo, stride) for halo, stride in zip(field.halo, field.stride, strict=True)]
    counts = [1] * len(shape)

    def sizes() -> list[int]:
        return [
            _up(-(-(total + (n - 1) * 2 * halo) // n), stride)
            for total, n, halo, stride in zip(padded, counts, field.halo, field.stride, strict=True)
        ]

    while prod(size := sizes()) > pixels:
        divisible = [axis for axis in range(len(shape)) if min(size[axis], padded[axis]) > least[axis]]
        if not divisible:
            break
        counts[max(divisible, key=lambda axis: size[axis])] += 1
    axes = [_cut(*numbers) for numbers in zip(shape, padded, sizes(), field.halo, strict=True)]
    return [Tile(*zip(*slices, strict=True)) for slices in product(*axes)]


def whole(shape: Sequence[int]) -> list[Tile]:
    """The image in one piece."""
    everything = tuple(slice(0, size) for size in shape)
    return [Tile(everything, everything, everything)]


def around(region: Slices, shape: Sequence[int], field: Field | None) -> Tile:
    """What to read so that a region is predicted as in the whole image; without a field, all of it."""
    if field is None:
        return replace(whole(shape)[0], keep=region, write=region)
    read = tuple(
        slice(max(0, part.start - halo) // stride * stride, min(size, _up(part.stop + halo, stride)))
        for part, size, stride, halo in zip(region, shape, field.stride, field.halo, strict=True)
    )
    return Tile(read, inside(region, read), region)


def inside(region: Slices, window: Slices) -> Slices:
    """A region of an image as a region of a window of it."""
    return tuple(slice(r.start - w.start, r.stop - w.start) for r, w in zip(region, window, strict=True))


def common(one: Slices, other: Slices) -> Slices:
    """What two regions share; its slices are empty, or run backwards, where that is nothing."""
    return tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def grown(region: Slices, margin: int, shape: Sequence[int]) -> Slices:
    """A region with a margin on all sides, as far as the image goes."""
    return tuple(slice(max(0, r.start - margin), min(n, r.stop + margin)) for r, n in zip(region, shape, strict=True))


def _cut(length: int, padded: int, size: int, halo: int) -> list[tuple[slice, slice, slice]]:
    """What to read, to keep and to write along one axis."""
    starts = [0]
    while starts[-1] + size < padded:
        starts.append(min(starts[-1] + size - 2 * halo, padded - size))
    edges = [0, *(start + halo for start in starts[1:]), length]
    return [
        (slice(start, min(start + size, length)), slice(a - start, b - start), slice(a, b))
        for start, a, b in zip(starts, edges, edges[1:], strict=False)
    ]


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def find_field(network: nn.Module, in_channels: int, spatial_dims: int) -> Field | None:
    """Measure how a network's images can be cut into tiles; None where they cannot.

    They cannot where an output sees all of the input (a global pooling, a norm by the image's own statistics), or
    depends on where in the image it lies.

    Parameters
    ----------
    network
        In evaluation mode: (1, in_channels, *spatial) to (1, K, *spatial).
    """
    with torch.inference_mode():
        found = [_along_axis(network, in_channels, spatial_dims, axis) for axis in range(spatial_dims)]
    return None if None in found else Field(*zip(*found, strict=True))


def _along_axis(network: nn.Module, in_channels: int, spatial_dims: int, axis: int) -> tuple[int, int] | None:
    """Stride and halo along one axis."""
    width = 4 * NARROW
    while width <= WIDEST:
        size = [NARROW] * spatial_dims
        size[axis] = width
        x = torch.randn(1, in_channels, *size, generator=torch.Generator().manual_seed(0))
        x = x.to(next(network.parameters()).device)
        stride = _stride(network, x, 2 + axis)
        halo = _halo(network, x, 2 + axis, stride)
        if halo is not None:
            return (stride, halo) if _moves(network, x, 2 + axis, stride, halo) else None
        width *= 2
    return None


def _stride(network: nn.Module, x: Tensor, axis: int) -> int:
    """The least common multiple of how much coarser than the input what the layers make is."""
    sizes = {x.shape[axis]}

    def look(module: nn.Module, inputs: tuple, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == x.ndim:
            sizes.add(output.shape[axis])

    hooks = [module.register_forward_hook(look) for module in network.modules()]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return lcm(*(max(1, round(x.shape[axis] / size)) for size in sizes))


def _halo(network: nn.Module, x: Tensor, axis: int, stride: int) -> int | None:
    """How far from a step of the input the outputs lie that see it, in whole steps; None: up to an end, or farther."""
    start, width = _up(x.shape[axis] // 2, stride), x.shape[axis]
    blind = x.clone()
    blind.narrow(axis, start, min(stride, width - start)).fill_(torch.nan)  # what sees it is NaN, whatever the weights
    seen = network(blind).isnan().movedim(axis, 0).flatten(1).any(1).nonzero()
    first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (start, start)
    if first == 0 or last + 1 == width:
        return None
    return _up(max(0, start - first, last + 1 - start - stride), stride)


def _moves(network: nn.Module, x: Tensor, axis: int, stride: int, halo: int) -> bool:
    """Whether the output moves with the input, beyond what the image's start changes."""
    full, part = network(x), network(x.narrow(axis, stride, x.shape[axis] - stride))
    if part.shape[axis] != full.shape[axis] - stride:
        return False
    same = part.shape[axis] - halo
    difference = full.narrow(axis, stride + halo, same) - part.narrow(axis, halo, same)
    return bool(difference.abs().max() <= CLOSE * full.abs().max())
