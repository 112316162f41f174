"""Convolutions with fixed weights: motif scans and image filters."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from biocnn.core.errors import InputError, nearest
from biocnn.nn.layers import Conv

FILTERS = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "edge": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "edge_four": [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
    "edge_diagonal": [[1, 0, -1], [0, 0, 0], [-1, 0, 1]],
    "line_horizontal": [[-1, -1, -1], [2, 2, 2], [-1, -1, -1]],
    "line_vertical": [[-1, 2, -1], [-1, 2, -1], [-1, 2, -1]],
    "line_rising": [[-1, -1, 2], [-1, 2, -1], [2, -1, -1]],
    "line_falling": [[2, -1, -1], [-1, 2, -1], [-1, -1, 2]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "binomial": [[1 / 16, 2 / 16, 1 / 16], [2 / 16, 4 / 16, 2 / 16], [1 / 16, 2 / 16, 1 / 16]],
}


def fixed_conv(weights: Any, *, padding: Literal["valid", "same", "full"] = "same", groups: int = 1) -> Conv:
    """Return a convolution with given weights that are not trained.

    As always in torch, the kernel is not flipped: each output is the sum of a window times the weights.

    Parameters
    ----------
    weights
        Shape (out_channels, in_channels / groups, *kernel), with one to three spatial axes.
    padding, groups
        As in ``Conv``.
    """
    weights = torch.as_tensor(weights, dtype=torch.float32)
    if not 3 <= weights.ndim <= 5:
        raise InputError(f"weights have shape {tuple(weights.shape)}", "allowed: (out_channels, in_channels, *kernel)")
    spatial_dims, (out_channels, in_channels) = weights.ndim - 2, weights.shape[:2]
    conv = Conv(
        spatial_dims, in_channels * groups, out_channels, weights.shape[2:], padding=padding, groups=groups, bias=False
    )
    with torch.no_grad():
        conv.conv.weight.copy_(weights)
    return conv.requires_grad_(False)


def pwm_scan(
    pfm: Any,
    *,
    background: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
    pseudocount: float = 1.0,
    strands: Literal["single", "both"] = "single",
) -> Conv:
    """Return a motif scan of one-hot sequences: (N, 4, L) to log-odds in bits, (N, 1, L - length + 1).

    An unknown base, 0.25 in each channel, scores the mean of the four bases.

    Parameters
    ----------
    pfm
        Shape (4, length): counts or frequencies of A, C, G, T at each position.
    background
        Frequencies of the four bases; they sum to 1.
    pseudocount
        Added to each position in proportion to the background, in units of ``pfm``, so smaller for frequencies.
    strands
        ``both`` adds a channel that scores the reverse complement of each window: (N, 2, L - length + 1).

    Raises
    ------
    InputError
        If the matrix does not have four rows of counts, or an entry is zero, so that its log-odds is infinite.
    """
    pwm = log_odds(pfm, background, pseudocount)
    kernels = {"single": [pwm], "both": [pwm, pwm.flip(0, 1)]}
    if strands not in kernels:
        raise InputError(f"strands is {strands!r}", nearest(str(strands), kernels))
    return fixed_conv(torch.stack(kernels[strands]), padding="valid")


def log_odds(pfm: Any, background: Sequence[float], pseudocount: float) -> Tensor:
    """Return log2 of frequency over background: shape (4, length), like ``pfm``; see ``pwm_scan``."""
    pfm = torch.as_tensor(pfm, dtype=torch.float64)
    if pfm.ndim != 2 or len(pfm) != 4 or (pfm < 0).any() or (pfm.sum(0) <= 0).any():
        raise InputError(f"pfm has shape {tuple(pfm.shape)}", "give 4 rows of non-negative counts: A, C, G, T")
    expected = torch.as_tensor(background, dtype=torch.float64)[:, None]
    if expected.shape != (4, 1) or (expected <= 0).any() or (expected.sum() - 1).abs() > 1e-3:
        raise InputError(f"background is {background}", "give four frequencies above 0 that sum to 1")
    frequency = (pfm + pseudocount * expected) / (pfm.sum(0) + pseudocount)
    if (frequency <= 0).any():
        raise InputError("pfm has zeros, whose log-odds are infinite", "set pseudocount above 0")
    return torch.log2(frequency / expected)


def filter_kernel(name: str, *, size: int = 3, sigma: float = 1.0) -> Tensor:
    """Return the weights of a common image filter, shape (size, size).

    Parameters
    ----------
    name
        One of ``FILTERS``, which are 3 x 3: ``identity``; ``edge`` (eight neighbours), ``edge_four`` and
        ``edge_diagonal``; lines (``line_horizontal``, ``line_vertical``, ``line_rising`` at +45 degrees and
        ``line_falling`` at -45 degrees, as seen on the screen); ``sharpen`` (four neighbours); ``binomial``, a Gaussian
        in sixteenths. Or ``box``, the mean; or ``gaussian``, which decreases with the distance from the centre. The
        last three sum to 1.
    size
        Side length of ``box`` and ``gaussian``, in pixels.
    sigma
        Standard deviation of ``gaussian``, in pixels.
    """
    if name in FILTERS:
        return torch.tensor(FILTERS[name], dtype=torch.float32)
    if name == "box":
        return torch.full((size, size), 1 / size**2)
    if name == "gaussian":
        bell = torch.exp(-0.5 * ((torch.arange(size) - (size - 1) / 2) / sigma) ** 2)
        return torch.outer(bell, bell) / bell.sum() ** 2
    raise InputError(f"filter is {name!r}", nearest(str(name), [*FILTERS, "box", "gaussian"]))


def image_filter(kernel: Tensor, channels: int = 1) -> Conv:
    """Return a filter of each channel with a kernel (h, w) that keeps the image size."""
    return fixed_conv(kernel.expand(channels, 1, *kernel.shape), groups=channels)
