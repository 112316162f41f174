"""Convert stored codes and pixels to network input; runs on the device."""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding

from biocnn.io.fasta import AMBIGUOUS

# Rows: A, C, G, T/U, unknown (each base equally likely), padding, ambiguous letters.
TABLE = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0], [0.25] * 4, [0.0] * 4]
TABLE += [[(base in bases) / len(bases) for base in "ACGT"] for bases in AMBIGUOUS.values()]


def one_hot(codes: Tensor) -> Tensor:
    """Encode codes (N, L), uint8, as float32 (N, 4, L).

    0-3 become A, C, G, T (or U); 4, unknown, becomes 0.25 in each channel; 5, padding, becomes 0; 6-15, ambiguous
    letters, become equal fractions of the bases they represent.
    """
    return embedding(codes.int(), _table(codes.device)).transpose(1, 2)  # three times faster than indexing


def encoded(codes: Tensor, signal: Tensor | None = None) -> Tensor:
    """Encode codes (N, L) as ``one_hot`` does, followed by tracks (N, S, L): shape (N, 4 + S, L)."""
    x = one_hot(codes)
    return x if signal is None or not signal.shape[1] else torch.cat([x, signal], dim=1)


@cache
def _table(device: torch.device) -> Tensor:
    return torch.tensor(TABLE, device=device)  # cached, because each copy would make a GPU wait


def reverse_complement(codes: Tensor) -> Tensor:
    """Return the reverse complement of codes (..., L); unknown and padding are kept."""
    return complement(codes.flip(-1))


def complement(codes: Tensor) -> Tensor:
    """Return the complement of each base: 3 - code for A, C, G, T; ambiguous letters from 8 on are paired."""
    return torch.where(codes < 4, 3 - codes, codes ^ (codes >> 3))  # twice as fast as a look-up


def normalise(image: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Scale each channel of pixels (N, C, *spatial) from ``low``-``high`` to 0-1, without clipping.

    Parameters
    ----------
    image
        Raw values of any type.
    low, high
        Shape (C,), or (N, C) for one range per image; a channel in which they are equal becomes 0.
    """
    shape = (*(low.shape if low.ndim == 2 else (1, -1)), *[1] * (image.ndim - 2))
    low, high = (end.view(shape).to(image.device, non_blocking=True) for end in (low, high))
    span = (high - low).where(high > low, float("inf"))
    return (image.float() - low) / span


def to_tensor(array: np.ndarray) -> Tensor:
    """Copy an array to a tensor; float64 and types without torch arithmetic (uint16, uint32) become float32."""
    if array.dtype in (np.uint16, np.uint32, np.float64):
        array = array.astype(np.float32)
    return torch.from_numpy(np.array(array, order="C"))
