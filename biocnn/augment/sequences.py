"""Augmentations of sequences: codes of shape (N, window + 2 flank) in and out."""

import torch
from torch import Tensor

from biocnn.augment import require_positive
from biocnn.augment.move import STAY, Move
from biocnn.nn import encode


def reverse_complement(x: Tensor, u: Tensor) -> tuple[Tensor, Move]:
    """Read half of the sequences from the other strand."""
    return torch.where(u[:, :1] < 0.5, encode.reverse_complement(x), x), STAY


def shift(x: Tensor, u: Tensor, *, max: int = 5) -> tuple[Tensor, Move]:
    """Shift the window by up to ``max`` bp in either direction; bases beyond the flank are unknown, padding is kept."""
    require_positive("shift", max=max)
    length = x.shape[1]
    offset = (u[:, :1] * (2 * max + 1)).floor().long() - max
    index = torch.arange(length, device=x.device) + offset
    inside = (index >= 0) & (index < length)
    moved = x.gather(1, index.clamp(0, length - 1))
    return torch.where(inside | (moved == 5), moved, 4), STAY
