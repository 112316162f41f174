"""Losses of networks with further outputs: at several resolutions (deep supervision), or for each image of a bag."""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from operator import add

from torch import Tensor

# A list for maps: finest first, each the size of the previous one over its factor, rounded up. A list for vectors: of
# bags (N, K), and of their images (N, n, K), nan where there is none.
Logits = Tensor | list[Tensor]
Loss = Callable[[Logits, Tensor], Tensor]


def supervised(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Logits, Tensor], Tensor]:
    """Extend a loss to lists of outputs: the mean over these, weighted 1, 1/2, 1/4, ...

    Each image of a bag is compared with the target of the bag. A coarser output is compared with each pixel of its
    block. It is thus optimal if it is right on average over the block, which it is centred on, and classes are never
    mixed; subsampling the target would be off by half a block.

    References
    ----------
    Lee et al., AISTATS 2015, arXiv:1409.5185; weights: Isensee et al., Nature Methods 2021,
    doi:10.1038/s41592-020-01008-z.
    """

    def mean(logits: Logits, target: Tensor) -> Tensor:
        if isinstance(logits, Tensor):
            return loss(logits, target)
        weights = [0.5**level for level in range(len(logits))]
        pairs = of_images(logits, target) if target.ndim == 2 else of_levels(logits, target)
        losses = [loss(*pair) for pair in pairs]
        return reduce(add, (w * value for w, value in zip(weights, losses, strict=True))) / sum(weights)

    return mean


def of_images(logits: list[Tensor], target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits (N, K) of bags with their targets, and those of all images (M, K) with the same targets."""
    bags, images = logits
    yield bags, target
    present = ~images[..., 0].isnan()
    yield images[present], target[:, None].expand(-1, images.shape[1], -1)[present]


def of_levels(logits: list[Tensor], target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits of each resolution, at that of the target (N, K, *spatial), with the target."""
    yield logits[0], target
    blocks = [1] * (target.ndim - 2)
    for before, level in pairwise(logits):
        blocks = [n * -(-a // b) for n, a, b in zip(blocks, before.shape[2:], level.shape[2:], strict=True)]
        yield repeated(level, blocks, target.shape[2:]), target


def repeated(x: Tensor, blocks: Sequence[int], size: Sequence[int]) -> Tensor:
    """Repeat each value of x (N, C, *small) over a block of pixels, and crop the far ends to a size."""
    for axis, (block, along) in enumerate(zip(blocks, size, strict=True), 2):
        x = x.repeat_interleave(block, axis).narrow(axis, 0, along)
    return x
