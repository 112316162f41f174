"""Compute the logits of all single edits of sequences from the few values that an edit changes."""

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from biocnn.explain.edits import Unsupported, edited, products, remember, steps_of, touched
from biocnn.explain.ranges import Block, Span, cut
from biocnn.explain.unedited import Unedited
from biocnn.models.deepbind import DeepBind
from biocnn.models.sequence_network import SequenceNetwork, after
from biocnn.nn.blocks import GlobalPool
from biocnn.nn.encode import one_hot
from biocnn.nn.layers import as_image

VALUES = 2**20  # edited values per batch in the largest layer: 4 MiB, about the size of CPU caches
WORTHWHILE = 0.8  # fraction of all multiplications above which nothing is gained


class GlobalPooled:
    """Global pooling of edited sequences: maximum and mean outside the edited segment, combined with those inside."""

    def __init__(self, pool: GlobalPool) -> None:
        self.pool = pool

    def remember(self, x: Tensor, reach: Span, mask: Tensor | None) -> Tensor:
        """Pool values (N, C, L) to (N, C')."""
        self.pooled = self.pool(x, mask)
        if self.pool.kind != "average":
            counted = x if mask is None else x.masked_fill(~mask, -torch.inf)
            self.best = Unedited(counted, reach, mask, fill=-torch.inf)
            ends = pad(self.best.values, (0, 0, 1, 1), value=-torch.inf)  # nothing lies beyond the ends
            self.ahead, self.behind = ends.cummax(1).values, ends.flip(1).cummax(1).values.flip(1)
        if self.pool.kind != "max":
            self.mean, self.share = Unedited(x, reach, mask), self.pooled.new_full((len(x), 1, 1, 1), 1 / x.shape[2])
            if mask is not None:
                self.share = 1 / mask.sum(2).clamp(min=1)[:, :, None, None]
        return self.pooled

    def edited(self, x: Tensor, span: Span) -> Tensor:
        """Pool each edited segment, (N, P, M, W, C) to (N, P, M, C')."""
        parts = []
        if self.pool.kind != "max":
            x = self.mean.restored(x, span)
            difference = (x - self.mean.at(span, x.shape[1])).sum(3)
            parts = [self.pooled[:, None, None, -x.shape[4] :] + difference * self.share]
        if self.pool.kind != "average":
            within = as_image(self.best.restored(x, span).flatten(0, 2).transpose(1, 2))
            largest = max_pool2d(within, (1, span.width)).view(*x.shape[:3], -1)
            first, last = self.best.before + span.start, self.best.before + span.stop + 1
            ahead, behind = self.ahead[:, first :: span.step], self.behind[:, last :: span.step]
            beyond = torch.maximum(ahead[:, : x.shape[1]], behind[:, : x.shape[1]])
            parts.insert(0, torch.maximum(largest, beyond[:, :, None]))
        return torch.cat(parts, 3) if len(parts) > 1 else parts[0]


class EditedLogits(NamedTuple):
    """Logits of the unedited sequences, (N,), and with each base at each position, (N, 4, L)."""

    reference: Tensor
    edited: Tensor


class EditedNetwork:
    """Propagates single edits through features and pooling of a network to a logit, on one strand.

    Parameters
    ----------
    network
        Network in evaluation mode with fused batch norms.
    output
        Index of the logit.

    Raises
    ------
    Unsupported
        If the network has other parts, or layers through which edits cannot be propagated.
    """

    def __init__(self, network: nn.Module, output: int) -> None:
        self.network, self.output, self.scale = _known_kind(network), output, 0.0
        self.layers = [(layer, steps_of(layer)) for layer in network.features]
        self.steps = [step for _, steps in self.layers for step in steps]
        self.pool = GlobalPooled(network.pool)

    def logits(self, codes: Tensor) -> EditedLogits:
        """Compute the logits of all single mutants of sequences.

        Parameters
        ----------
        codes
            Shape (N, L), uint8.

        Raises
        ------
        Unsupported
            If an edit changes so much of a short sequence that nothing is gained.
        """
        n, length = codes.shape
        reference, changed = torch.zeros(n, device=codes.device), torch.zeros(n, length, 4, device=codes.device)
        bases = 4 if ((codes > 3) & (codes != 5)).any() else 3
        stride = prod(step.stride for step in self.steps)
        for blocks in cut(n, length, stride, max(1, VALUES // (bases * self._widest()))):
            group = slice(blocks[0].first, blocks[0].last)
            reference[group] = self._remember(codes[group])
            changed[group] = reference[group, None, None]
            for block in blocks:
                self._edit(codes[group], block, bases, changed[group])
        return EditedLogits(reference, changed.transpose(1, 2))

    def _remember(self, codes: Tensor) -> Tensor:
        """Run the network on unedited sequences, keep what edits need, and return the logits."""
        x, reach = one_hot(codes), Span(0, codes.shape[1])
        padding = codes == 5
        mask = ~padding[:, None] if padding.any() else None
        for layer, steps in self.layers:
            x = remember(steps, x if mask is None else x * mask, reach, mask)
            mask, reach = None if mask is None else after(layer, mask), touched(steps, reach)
        if products(self.steps, Span(0, 1)) > WORTHWHILE * sum(step.whole for step in self.steps):
            raise Unsupported(
                f"{type(self.network).__name__}, whose receptive field covers most of {codes.shape[1]} bp"
            )
        pooled = self.pool.remember(x, reach, mask)
        self.scale = max(self.scale, self._terms(pooled))
        return self.network.head(pooled)[:, self.output]

    def _edit(self, codes: Tensor, block: Block, bases: int, changed: Tensor) -> None:
        """Write the logits of the edits of a block into (N, L, 4)."""
        places = slice(block.span.start, block.span.end(block.count), block.span.step)
        new = (codes[:, places, None].long() + torch.arange(1, bases + 1, device=codes.device)) % 4
        x = one_hot(new.flatten(1)).transpose(1, 2).unflatten(1, new.shape[1:]).unsqueeze(3)
        pooled = self.pool.edited(*edited(self.steps, x, block.span))
        logits = self.network.head(pooled.flatten(0, 2))[:, self.output]
        changed[:, places].scatter_(2, new, logits.view_as(new))

    def _terms(self, pooled: Tensor) -> float:
        """Return the size of the terms summed in a logit, which determines its float32 precision."""
        last = self.network.head[-1]
        if not isinstance(last, nn.Linear):
            return float(self.network.head(pooled)[:, self.output].abs().max())
        sums = self.network.head[:-1](pooled).abs() @ last.weight[self.output].abs()
        return float(sums.max() + (0 if last.bias is None else last.bias[self.output].abs()))

    def _widest(self) -> int:
        """Return an upper bound of the values changed in a layer by one edit."""
        widths = (touched(self.steps[:number], Span(0, 1)).width for number in range(len(self.steps) + 1))
        return max(widths) * max(weight.shape[0] for weight in self.network.features.parameters())


def _known_kind(network: nn.Module) -> SequenceNetwork:
    """Return the network if it consists only of features, global pooling and head."""
    kind = type(network)
    if not isinstance(network, SequenceNetwork) or not network.one_hot:
        raise Unsupported(kind.__name__)
    for name, part in network.named_children():
        if name not in ("features", "pool", "head"):
            raise Unsupported(f"{type(part).__name__} ({name})")
    for name in ("forward", "_logits", "_pooled", "_positions"):
        if getattr(kind, name) not in (getattr(SequenceNetwork, name), getattr(DeepBind, name)):
            raise Unsupported(f"{kind.__name__}.{name}")
    return network
