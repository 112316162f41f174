"""Augmentations of sequences: codes of shape (N, window + 2 flank) in and out."""

import torch
from torch import Tensor

from biocnn.augment.move import Move, Shift, Turn
from biocnn.core.ranges import Size
from biocnn.io.fasta import PADDING, UNKNOWN
from biocnn.nn import encode


def reverse_complement(x: Tensor, u: Tensor) -> tuple[Tensor, Move]:
    """Read half of the sequences from the other strand."""
    chosen = u[:, 0] < 0.5
    return torch.where(chosen[:, None], encode.reverse_complement(x), x), Turn(chosen, x.shape[1:], [-1])


def shift(x: Tensor, u: Tensor, *, max: Size = 5) -> tuple[Tensor, Move]:
    """Shift the window; bases beyond the flank are unknown, padding is kept.

    Parameters
    ----------
    max
        Largest shift in either direction, in bp.
    """
    move = Shift((u[:, :1] * (2 * max + 1)).floor().long() - max, x.shape[1])
    moved = x.gather(1, move.index)
    return torch.where(move.inside | (moved == PADDING), moved, UNKNOWN), move
