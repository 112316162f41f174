"""Loss of values along sequences: their shape in each window, and their sum."""

import torch
from torch import Tensor

from biocnn.core.ranges import NonNegative

_NEVER = -1e4  # logit of unknown bases, with a probability of 0


def multinomial(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, *, totals: NonNegative = 1.0
) -> Tensor:
    """Negative log-likelihood of where the counts of a window lie, and squared error of the logarithm of their sum.

    Logits, (N, K, L), are logarithms of expected counts: their softmax over a window is the expected shape, the sum of
    their exponentials the expected total. The likelihood is relative to that of the observed shape, so that 0 is
    perfect, and per count. Unknown targets (NaN) belong to neither; ``class_weights`` are ignored.

    Parameters
    ----------
    totals
        Weight of half the squared error of log(1 + total). 1 is about what a Poisson likelihood of totals gives;
        larger weights give worse shapes and better totals.

    References
    ----------
    Avsec et al., Nature Genetics 53, 354-366 (2021), doi:10.1038/s41588-021-00782-6.
    """
    known = ~target.isnan()
    counts, z = target.nan_to_num(), logits.masked_fill(~known, _NEVER)
    total = counts.sum(2)
    surprise = torch.xlogy(counts, counts).sum(2) - torch.xlogy(total, total) - (counts * z.log_softmax(2)).sum(2)
    shape = (surprise.sum(0) / total.sum(0).clamp(min=1e-6)).mean()
    error = ((z.exp() * known).sum(2).log1p() - total.log1p()) ** 2 * known.any(2)
    return shape + totals / 2 * error.sum() / known.any(2).sum().clamp(min=1)
