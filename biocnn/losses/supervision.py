"""Losses of networks that answer at several sizes at once."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

from torch import Tensor

Logits = Tensor | list[Tensor]  # several: the finest first, each an n-th of the size of the one before, rounded up
Loss = Callable[[Logits, Tensor], Tensor]


def supervised(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Logits, Tensor], Tensor]:
    """The same loss for networks with deep supervision, too: the mean over sizes, weighed 1, 1/2, 1/4, ...

    A coarser answer is one for all pixels of its block, and is compared with each of them. So it is right where it is
    right on average over the block, whose centre is its own, and classes are never mixed; a target of every n-th pixel
    lies half a block off.

    References
    ----------
    Lee et al., AISTATS 2015, arXiv:1409.5185; the weights: Isensee et al., Nature Methods 2021,
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
    """Each value of x (N, C, *small) over a block of so many pixels along each axis, cut at the far ends to a size."""
    for axis, (block, along) in enumerate(zip(blocks, size, strict=True), 2):
        x = x.repeat_interleave(block, axis).narrow(axis, 0, along)
    return x
