"""DeepBind: scan for motifs, keep the best match of each, weigh them."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool1d, pad, relu

from biocnn.best_match import scan_max
from biocnn.blocks import ConvBlock, GlobalPool
from biocnn.errors import InputError


class DeepBind(nn.Module):
    """Motif scan, global pooling, and a linear or a two-layer head: (N, in_channels, *spatial) to (N, out_channels).

    The kernels may hang over the ends of the input, so that it may be shorter than they are. In one-hot sequences
    (``spatial_dims`` 1, ``in_channels`` 4) columns sum to 1, with unknown bases as .25 in each channel; those of zeros
    are padding: windows that see nothing else do not count, and a sequence has the same logits alone and padded in a
    batch.

    Parameters
    ----------
    channels
        Kernels of the scan.
    kernel_size
        Their length, in bp; in images, their side in pixels.
    pool
        ``max``: the best match of each kernel; ``both``: and its mean over all positions.
    hidden
        Width of the hidden layer; 0: none.
    dropout
        Probability, before the last layer.
    strands
        ``both``: the reverse complement of a sequence is scored too, so that either strand gives the same logits.
    combine
        Of two strands, the larger logit or the mean of the two.

    Raises
    ------
    InputError
        Where both strands are asked for, and the input is not a one-hot sequence.

    References
    ----------
    Alipanahi et al., Nature Biotechnology 33, 831-838 (2015), doi:10.1038/nbt.3300.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: int = 16,
        kernel_size: int = 24,
        pool: Literal["max", "both"] = "max",
        hidden: int = 32,
        dropout: float = 0.0,
        strands: Literal["single", "both"] = "single",
        combine: Literal["max", "mean"] = "max",
    ) -> None:
        super().__init__()
        self.one_hot = spatial_dims == 1 and in_channels == 4
        if strands == "both" and not self.one_hot:
            raise InputError(
                f"strands: both, for {spatial_dims}D input of {in_channels} channels",
                "only sequences of 4 bases have two strands; set model.strands: single",
            )
        self.strands, self.combine, self.kernel_size = strands, combine, kernel_size
        self.scan = ConvBlock(spatial_dims, in_channels, channels, kernel_size, padding="full", norm=None)
        self.pool = GlobalPool(pool)
        pooled = channels * (2 if pool == "both" else 1)
        hidden_layer = [nn.Linear(pooled, hidden), nn.ReLU()] if hidden else []
        self.head = nn.Sequential(*hidden_layer, nn.Dropout(dropout), nn.Linear(hidden or pooled, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.strands == "single":
            return self._logits(x)
        # A base and its complement are codes c and 3 - c, so reversing channels and positions changes the strand.
        strands = self._logits(torch.cat([x, x.flip(1, 2)])).unflatten(0, (2, len(x)))
        return strands.amax(0) if self.combine == "max" else strands.mean(0)

    def _logits(self, x: Tensor) -> Tensor:
        mask = self._mask(x) if self.one_hot else None
        if self.pool.kind == "max" and torch.is_grad_enabled():
            matches = relu(scan_max(self.scan.conv, x, mask))
        else:
            matches = self.pool(self.scan(x), mask)
        with torch.autocast(x.device.type, enabled=False):  # so small that to change the numbers would take longest
            return self.head(matches.float())

    def _mask(self, x: Tensor) -> Tensor | None:
        """The windows that see at least one base: shape (N, 1, L + kernel_size - 1); None where all do."""
        # A GPU does the work in less time than it takes to wait for the answer.
        if x.device.type == "cpu" and x.detach().sum() == len(x) * x.shape[-1]:
            return None
        known = x.abs().amax(1, keepdim=True)
        return max_pool1d(pad(known, [self.kernel_size - 1] * 2), self.kernel_size, stride=1) > 0
