"""DanQ: a motif scan followed by a bidirectional recurrent network."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, Count, Size
from biocnn.models.sequence_network import SequenceNetwork, best_of, head
from biocnn.nn.blocks import ConvBlock, GlobalPool, kaiming


class DanQ(SequenceNetwork):
    """Motif scan, pooling, a bidirectional LSTM, global pooling and a head: (N, in_channels, L) to (N, out_channels).

    Unlike the original, it pools over all positions before the head, so that input may have any length.

    Parameters
    ----------
    channels
        Number of kernels of the scan.
    kernel_size
        Length of the kernels, in bp.
    pool
        Size of the max pooling after the scan.
    recurrent
        Width of the LSTM in each direction.
    over
        Final pooling over all positions: maximum, mean, or both.
    hidden
        Width of the hidden layer; 0 for none.
    dropout
        Dropout probability before the last layer.
    strands
        ``both`` also reads the reverse complement of DNA. None: single, unless decided from the data.
    combine
        How the logits of the two strands are combined.

    Raises
    ------
    InputError
        If ``spatial_dims`` is not 1.

    References
    ----------
    Quang and Xie, Nucleic Acids Research 44, e107 (2016), doi:10.1093/nar/gkw226.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        channels: Size = 64,
        kernel_size: Size = 26,
        pool: Size = 4,
        recurrent: Size = 32,
        over: Literal["max", "average", "both"] = "both",
        hidden: Count = 0,
        dropout: BelowOne = 0.3,
        strands: Literal["single", "both"] | None = None,
        combine: Literal["max", "mean"] = "max",
    ) -> None:
        if spatial_dims != 1:
            raise InputError(
                f"model.name: DanQ, for {spatial_dims}D input", "it reads sequences only; choose e.g. DeepBind"
            )
        scan = ConvBlock(spatial_dims, in_channels, channels, kernel_size)
        pooled = 2 * recurrent * (2 if over == "both" else 1)
        super().__init__(
            spatial_dims,
            in_channels,
            nn.Sequential(scan, best_of(1, pool)),
            GlobalPool(over),
            head(pooled, hidden, out_channels, dropout),
            strands=strands,
            combine=combine,
        )
        self.recurrent = nn.LSTM(channels, recurrent, batch_first=True, bidirectional=True)
        kaiming(self)

    def _positions(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x, mask = super()._positions(x, mask)
        with torch.autocast(x.device.type, enabled=False):
            x = x.float().transpose(1, 2)
            if mask is None:
                return self.recurrent(x)[0].transpose(1, 2), None
            # The backward pass starts at the end of each sequence, not of the padding.
            lengths = mask.sum(2)[:, 0].clamp(min=1).cpu()
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            read, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=x.shape[1])
        return read.transpose(1, 2), mask
