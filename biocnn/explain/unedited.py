"""Values of a layer for unedited sequences, to be combined with edited segments."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from biocnn.explain.ranges import Span


class Unedited:
    """Values of a layer for unedited sequences, (N, C, L), with margins for segments beyond its ends.

    Parameters
    ----------
    reach
        Range of the segments to be requested.
    mask
        Shape (N, 1, L), bool: where values may change.
    fill
        Value beyond the ends.
    """

    def __init__(self, x: Tensor, reach: Span, mask: Tensor | None = None, fill: float = 0.0) -> None:
        self.length, self.before = x.shape[2], max(0, -reach.start)
        margins = (self.before, max(0, reach.stop - self.length))
        self.values = pad(x.transpose(1, 2), (0, 0, *margins), value=fill)
        self.whole = mask is None
        valid = torch.ones_like(x[:1, 0], dtype=torch.bool) if mask is None else mask[:, 0]
        self.valid = pad(valid, margins)

    def at(self, span: Span, count: int) -> Tensor:
        """Return ``count`` segments: a view of shape (N, count, 1, width, C)."""
        return self._cut(self.values, span, count).movedim(-1, 2)[:, :, None]

    def restored(self, x: Tensor, span: Span) -> Tensor:
        """Restore the kept values where edited values (N, P, M, W, C) may not change."""
        count = x.shape[1]
        if self.whole and span.inside(self.length, count):
            return x
        valid = self._cut(self.valid, span, count)
        rows = (~valid.all(2)).any(0).nonzero()[:, 0]
        if len(rows):
            x[:, rows] = x[:, rows].where(valid[:, rows, None, :, None], self.at(span, count)[:, rows])
        return x

    def pasted(self, x: Tensor, span: Span, wider: Span) -> Tensor:
        """Return edited values surrounded by kept ones."""
        around = self.at(wider, x.shape[1]).repeat(1, 1, x.shape[2], 1, 1)
        around.narrow(3, span.start - wider.start, span.width).copy_(x)
        return around

    def _cut(self, values: Tensor, span: Span, count: int) -> Tensor:
        part = values[:, self.before + span.start : self.before + span.end(count)]
        return part.unfold(1, span.width, span.step)
