"""The two strands of one-hot DNA."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from biocnn.core.errors import InputError

Maps = Tensor | list[Tensor]
BASES = 4  # first channels of a sequence; any others are tracks, which have a value at each base of both strands


def has_bases(spatial_dims: int, in_channels: int) -> bool:
    """Return whether input is sequences: one-hot bases, and tracks if there are more channels."""
    return spatial_dims == 1 and in_channels >= BASES


def flip(x: Tensor) -> Tensor:
    """Return the other strand of sequences (N, 4 + S, L), which begin where these end."""
    # Codes of complementary bases are c and 3 - c, so reversing channels and positions changes the strand.
    other = x[:, :BASES].flip(1, 2)
    return other if x.shape[1] == BASES else torch.cat([other, x[:, BASES:].flip(2)], 1)


def check_strands(strands: str | None, spatial_dims: int, in_channels: int) -> None:
    """Refuse ``both`` strands unless the input is a one-hot sequence."""
    if strands == "both" and not has_bases(spatial_dims, in_channels):
        raise InputError(
            f"strands: both, for {spatial_dims}D input with {in_channels} channels",
            "only one-hot sequences (4 channels, and tracks) have two strands; set model.strands: single",
        )


def on_both_strands(network: Callable[[Tensor], Maps], x: Tensor, opposite: Sequence[int] = ()) -> Maps:
    """Average the maps of sequences, (N, 4 + S, L), with those of their reverse complements, turned back.

    The maps of a reverse complement are therefore those of the sequence in reverse order.

    Parameters
    ----------
    network
        Function of one-hot sequences that returns their maps, (N, K, L).
    x
        One-hot sequences.
    opposite
        For each of the K maps, the one that takes its place on the other strand; empty: the same.
    """
    found = network(torch.cat([x, flip(x)]))
    return [_turned(maps, opposite) for maps in found] if isinstance(found, list) else _turned(found, opposite)


def _turned(maps: Tensor, opposite: Sequence[int]) -> Tensor:
    forward, backward = maps.chunk(2)
    return (forward + (backward[:, opposite] if opposite else backward).flip(-1)) / 2
