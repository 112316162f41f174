"""Losses of networks with outputs at several resolutions (deep supervision)."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

from torch import Tensor

Logits = Tensor | list[Tensor]  # a list: finest first, each the size of the previous one over its factor, rounded up
Loss = Callable[[Logits, Tensor], Tensor]


def supervised(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Logits, Tensor], Tensor]:
    """Extend a loss to deep supervision: the mean over resolutions, weighted 1, 1/2, 1/4, ...

    A coarser output is compared with each pixel of its block. It is thus optimal if it is right on average over the
    block, which it is centred on, and classes are never mixed; subsampling the target would be off by half a block.

    References
    ----------
    Lee et al., AISTATS 2015, arXiv:1409.5185; weights: Isensee et al., Nature Methods 2021,
    doi:10.1038/s41592-020-01008-z.
    """

    def mean(logits: Logits, target: Tensor) -> Tensor:
        if isinstance(logits, Tensor):
            return loss(logits, target)
        weights = [0.5**level for level in range(len(logits))]
        losses, blocks, before = [loss(logits[0], target)], [1] * (target.ndim - 2), logits[0]
        for level in logits[1:]:
            blocks = [n * -(-a // b) for n, a, b in zip(blocks, before.shape[2:], level.shape[2:], strict=True)]
            losses.append(loss(repeated(level, blocks, target.shape[2:]), target))
            before = level
        return reduce(add, (w * value for w, value in zip(weights, losses, strict=True))) / sum(weights)

    return mean


def repeated(x: Tensor, blocks: Sequence[int], size: Sequence[int]) -> Tensor:
    """Repeat each value of x (N, C, *small) over a block of pixels, and crop the far ends to a size."""
    for axis, (block, along) in enumerate(zip(blocks, size, strict=True), 2):
        x = x.repeat_interleave(block, axis).narrow(axis, 0, along)
    return x
