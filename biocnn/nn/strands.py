"""The two strands of one-hot DNA."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from biocnn.core.errors import InputError

Maps = Tensor | list[Tensor]


def check_strands(strands: str | None, spatial_dims: int, in_channels: int) -> None:
    """Refuse ``both`` strands unless the input is a one-hot sequence."""
    if strands == "both" and not (spatial_dims == 1 and in_channels == 4):
        raise InputError(
            f"strands: both, for {spatial_dims}D input with {in_channels} channels",
            "only one-hot sequences (4 channels) have two strands; set model.strands: single",
        )


def on_both_strands(network: Callable[[Tensor], Maps], x: Tensor, opposite: Sequence[int] = ()) -> Maps:
    """Average the maps of sequences, (N, 4, L), with those of their reverse complements, turned back.

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
    # Codes of complementary bases are c and 3 - c, so reversing channels and positions changes the strand.
    found = network(torch.cat([x, x.flip(1, 2)]))
    return [_turned(maps, opposite) for maps in found] if isinstance(found, list) else _turned(found, opposite)


def _turned(maps: Tensor, opposite: Sequence[int]) -> Tensor:
    forward, backward = maps.chunk(2)
    return (forward + (backward[:, opposite] if opposite else backward).flip(-1)) / 2
