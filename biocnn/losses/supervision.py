"""Losses of networks that answer at several sizes at once."""

from collections.abc import Callable

from torch import Tensor

Logits = Tensor | list[Tensor]  # several: the finest first, each coarser one of an n-th of its size, rounded up


def supervised(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Logits, Tensor], Tensor]:
    """The same loss for networks with deep supervision, too: the mean over sizes, weighed 1, 1/2, 1/4, ...

    Targets of coarser sizes are every n-th pixel, so that classes are never mixed.

    References
    ----------
    Lee et al., AISTATS 2015, arXiv:1409.5185; the weights: Isensee et al., Nature Methods 2021,
    doi:10.1038/s41592-020-01008-z.
    """

    def mean(logits: Logits, target: Tensor) -> Tensor:
        if isinstance(logits, Tensor):
            return loss(logits, target)
        weights = [0.5**level for level in range(len(logits))]
        losses = [loss(level, coarser(target, level.shape[2:])) for level in logits]
        return sum(w * value for w, value in zip(weights, losses, strict=True)) / sum(weights)

    return mean


def coarser(target: Tensor, size: tuple[int, ...]) -> Tensor:
    """Every n-th pixel along each axis, so many that they make ``size``."""
    steps = (-(-have // wanted) for have, wanted in zip(target.shape[2:], size, strict=True))
    return target[(..., *(slice(None, None, step) for step in steps))]
