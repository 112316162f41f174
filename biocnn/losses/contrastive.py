"""Losses for likeness: cross-entropy, and a loss of the vectors before the last layer, which brings classes together.

While a network is trained, logits are a list: of classes (N, K), and vectors (N, F), which are compared by the cosine
of the angle between them. Without vectors, in validation, the loss is the cross-entropy. Only examples of a known class
are compared, with those of the same batch.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from biocnn.core.ranges import NonNegative, Positive
from biocnn.losses.pixels import cross_entropy
from biocnn.losses.supervision import Logits


def nt_xent(
    logits: Logits,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    temperature: Positive = 0.1,
    weight: NonNegative = 1.0,
) -> Tensor:
    """Cross-entropy of classes, plus that of finding the others of its class for each example (NT-Xent).

    Parameters
    ----------
    temperature
        Divisor of cosines; the lower, the more the nearest examples matter.
    weight
        Weight of the vectors; that of the classes is 1.

    References
    ----------
    Chen et al., ICML 2020, arXiv:2002.05709; for classes: Khosla et al., NeurIPS 2020, arXiv:2004.11362.
    """
    if isinstance(logits, Tensor):
        return cross_entropy(logits, target, class_weights)
    cosine, alike, itself = _compare(logits[1], target)
    scores = (cosine / temperature).masked_fill(itself, -torch.inf)
    surprise = torch.where(alike, scores.logsumexp(1, keepdim=True) - scores, 0).sum(1)
    number = alike.sum(1)
    found = (surprise / number.clamp(min=1)).sum() / (number > 0).sum().clamp(min=1)
    return cross_entropy(logits[0], target, class_weights) + weight * found


def triplet(
    logits: Logits,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    margin: Positive = 0.2,
    weight: NonNegative = 1.0,
) -> Tensor:
    """Cross-entropy of classes, plus the triplet loss of each example, its least alike and the most alike other.

    Parameters
    ----------
    margin
        Wanted difference between the cosine of two examples of one class and that of examples of different classes.
    weight
        Weight of the vectors; that of the classes is 1.

    References
    ----------
    Schroff et al., CVPR 2015, arXiv:1503.03832; hardest of a batch: Hermans et al., 2017, arXiv:1703.07737.
    """
    if isinstance(logits, Tensor):
        return cross_entropy(logits, target, class_weights)
    cosine, alike, itself = _compare(logits[1], target)
    farthest = cosine.masked_fill(~alike, torch.inf).amin(1)
    nearest = cosine.masked_fill(alike | itself, -torch.inf).amax(1)
    judged = farthest.isfinite() & nearest.isfinite()
    found = (nearest - farthest + margin)[judged].relu().sum() / judged.sum().clamp(min=1)
    return cross_entropy(logits[0], target, class_weights) + weight * found


def _compare(vectors: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each pair of the M examples of known class: cosine, whether of one class, whether the same, (M, M)."""
    known = ~target.isnan().any(1)
    x, classes = F.normalize(vectors[known]), target[known].argmax(1)
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    return x @ x.T, (classes[:, None] == classes) & ~itself, itself
