"""From stored codes and pixels to what a network sees; runs on the device."""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding

from biocnn.io.fasta import AMBIGUOUS

# Rows: A, C, G, T/U, unknown (each base equally likely), padding (nothing there), ambiguous letters.
TABLE = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0], [0.25] * 4, [0.0] * 4]
TABLE += [[(base in bases) / len(bases) for base in "ACGT"] for bases in AMBIGUOUS.values()]


def one_hot(codes: Tensor) -> Tensor:
    """Codes of shape (N, L), uint8, to float32 of shape (N, 4, L).

    0-3 become A, C, G, T (or U); 4, unknown, becomes .25 in each channel; 5, padding, becomes 0; 6-15, ambiguous
    letters, become equal shares of the bases they stand for.
    """
    return embedding(codes.int(), _table(codes.device)).transpose(1, 2)  # three times faster than an index


@cache
def _table(device: torch.device) -> Tensor:
    return torch.tensor(TABLE, device=device)  # once: to copy it anew makes a GPU wait


def reverse_complement(codes: Tensor) -> Tensor:
    """Codes of shape (..., L) read from the other strand; unknown and padding stay what they are."""
    return complement(codes.flip(-1))


def complement(codes: Tensor) -> Tensor:
    """The base opposite to each: 3 - code for A, C, G, T; ambiguous letters from 8 on are paired."""
    return torch.where(codes < 4, 3 - codes, codes ^ (codes >> 3))  # half the time of a look-up


def normalise(image: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Pixels of shape (N, C, *spatial) so that ``low`` becomes 0 and ``high`` 1, for each channel, without clipping.

    Parameters
    ----------
    image
        Raw values of any type.
    low, high
        Shape (C,), or (N, C) where each image has its own; a channel where they are equal becomes 0.
    """
    shape = (*(low.shape if low.ndim == 2 else (1, -1)), *[1] * (image.ndim - 2))
    low, high = low.view(shape).to(image.device), high.view(shape).to(image.device)
    span = (high - low).where(high > low, float("inf"))
    return (image.float() - low) / span


def to_tensor(array: np.ndarray) -> Tensor:
    """A tensor with a copy of the values; types that torch has no arithmetic for (uint16, uint32) become float32."""
    if array.dtype in (np.uint16, np.uint32, np.float64):
        array = array.astype(np.float32)
    return torch.from_numpy(np.array(array, order="C"))
