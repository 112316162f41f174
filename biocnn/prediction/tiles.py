"""Exact tiles: each pixel is predicted once, from its full receptive field, so that values equal the whole image's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import lcm, prod
from typing import Any

import torch
from torch import Tensor, nn

from biocnn.io.stored_image import Slices

NARROW = 32  # size along the axes that are not measured
WIDEST = 4096  # largest size along the measured axis; a network that sees farther counts as seeing everything
CLOSE = 1e-3  # difference relative to the largest value that counts as rounding


@dataclass(frozen=True)
class Field:
    """Stride and halo along each axis.

    A shift of the input by a multiple of the stride shifts the output by the same amount; outputs depend on inputs up
    to the halo away.
    """

    stride: tuple[int, ...]
    halo: tuple[int, ...]


@dataclass(frozen=True)
class Tile:
    """A window to read, the part of its prediction to keep, and where that part lies in the image."""

    read: Slices
    keep: Slices
    write: Slices


def plan(shape: Sequence[int], field: Field, pixels: float) -> list[Tile]:
    """Cut an image into the fewest tiles of equal size, in reading order.

    The longest axis is cut first, so that tiles are nearly square and their margins, which are computed twice, small.
    Tiles are never smaller than three margins, even if these do not fit: smaller ones would be nearly all margin.

    Parameters
    ----------
    shape
        Shape of the image, (*spatial).
    field
        Stride and halo of the network.
    pixels
        Largest number of pixels that fit in memory.
    """
    # A network pads the far end of an image to a multiple of its stride, and so also a tile that ends there.
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
    """Return the image as one tile."""
    everything = tuple(slice(0, size) for size in shape)
    return [Tile(everything, everything, everything)]


def around(region: Slices, shape: Sequence[int], field: Field | None) -> Tile:
    """Return the tile that predicts a region as in the whole image; without a field, it reads the whole image."""
    if field is None:
        return replace(whole(shape)[0], keep=region, write=region)
    read = tuple(
        slice(max(0, part.start - halo) // stride * stride, min(size, _up(part.stop + halo, stride)))
        for part, size, stride, halo in zip(region, shape, field.stride, field.halo, strict=True)
    )
    return Tile(read, inside(region, read), region)


def inside(region: Slices, window: Slices) -> Slices:
    """Convert a region of an image to coordinates inside a window."""
    return tuple(slice(r.start - w.start, r.stop - w.start) for r, w in zip(region, window, strict=True))


def common(one: Slices, other: Slices) -> Slices:
    """Return the intersection of two regions; slices are empty or have stop < start if there is none."""
    return tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def finer(region: Slices, factor: int) -> Slices:
    """Convert a region of an image to pixels of which each has ``factor`` along each axis."""
    return tuple(slice(factor * part.start, factor * part.stop) for part in region)


def coarser(region: Slices, factor: int) -> Slices:
    """Return the smallest region of an image that contains a region of such pixels."""
    return tuple(slice(part.start // factor, -(-part.stop // factor)) for part in region)


def grown(region: Slices, margin: int, shape: Sequence[int]) -> Slices:
    """Add a margin to all sides of a region, within the image."""
    return tuple(slice(max(0, r.start - margin), min(n, r.stop + margin)) for r, n in zip(region, shape, strict=True))


def _cut(length: int, padded: int, size: int, halo: int) -> list[tuple[slice, slice, slice]]:
    """Return the slices to read, keep and write along one axis."""
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
    """Measure how images can be cut into tiles for a network; None if they cannot.

    They cannot if an output depends on the whole input (global pooling, normalisation by statistics of the image) or on
    its position in the image.

    Parameters
    ----------
    network
        Network in evaluation mode: (1, in_channels, *spatial) to (1, K, *spatial).
    """
    with torch.inference_mode():
        found = [_along_axis(network, in_channels, spatial_dims, axis) for axis in range(spatial_dims)]
    return None if None in found else Field(*zip(*found, strict=True))


def _along_axis(network: nn.Module, in_channels: int, spatial_dims: int, axis: int) -> tuple[int, int] | None:
    """Measure stride and halo along one axis."""
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
    """Return the least common multiple of the downsampling factors of all layers."""
    sizes = {x.shape[axis]}

    def record(module: nn.Module, inputs: tuple, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == x.ndim:
            sizes.add(output.shape[axis])

    hooks = [module.register_forward_hook(record) for module in network.modules()]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return lcm(*(max(1, round(x.shape[axis] / size)) for size in sizes))


def _halo(network: nn.Module, x: Tensor, axis: int, stride: int) -> int | None:
    """Return how far outputs depend on one stride of the input, rounded up to strides; None if up to an end or more."""
    start, width = _up(x.shape[axis] // 2, stride), x.shape[axis]
    blind = x.clone()
    blind.narrow(axis, start, min(stride, width - start)).fill_(torch.nan)  # dependent outputs become NaN
    seen = network(blind).isnan().movedim(axis, 0).flatten(1).any(1).nonzero()
    first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (start, start)
    if first == 0 or last + 1 == width:
        return None
    return _up(max(0, start - first, last + 1 - start - stride), stride)


def _moves(network: nn.Module, x: Tensor, axis: int, stride: int, halo: int) -> bool:
    """Return whether the output shifts with the input, apart from effects of the start of the image."""
    full, part = network(x), network(x.narrow(axis, stride, x.shape[axis] - stride))
    if part.shape[axis] != full.shape[axis] - stride:
        return False
    same = part.shape[axis] - halo
    difference = full.narrow(axis, stride + halo, same) - part.narrow(axis, halo, same)
    return bool(difference.abs().max() <= CLOSE * full.abs().max())
