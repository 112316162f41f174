"""Which bases speak for a prediction: gradients and integrated gradients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

BATCH = 256


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, for as long as the context lasts."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def base_contributions(model: nn.Module, x: Tensor, output: int = 0) -> Tensor:
    """What each base contributes to a logit, the bases that are absent included, to first order.

    The gradient minus its mean over the four bases at each position: one-hot sequences lie in a plane, and the part of
    the gradient that points out of it is left to chance by training.

    Parameters
    ----------
    model
        (N, 4, L) to logits (N, K).
    x
        One-hot sequences, shape (N, 4, L).
    output
        Index of the logit.

    Returns
    -------
    contributions
        Shape (N, 4, L); each column sums to zero.

    References
    ----------
    Majdandzic et al., Genome Biology 24, 109 (2023), doi:10.1186/s13059-023-02956-3.
    """
    gradient = _gradient(model, x, output)
    return gradient - gradient.mean(dim=1, keepdim=True)


def input_x_gradient(model: nn.Module, x: Tensor, output: int = 0) -> Tensor:
    """The contribution of the bases that are present: ``x`` times ``base_contributions``; zero for absent bases.

    Parameters and shapes are those of ``base_contributions``. Unknown bases and padding contribute nothing in sum.
    """
    return x * base_contributions(model, x, output)


def integrated_gradients(
    model: nn.Module, x: Tensor, baseline: Tensor | float = 0.25, steps: int = 64, output: int = 0
) -> Tensor:
    """Share out the difference between a logit and that of a baseline among the bases.

    Parameters
    ----------
    model
        (N, 4, L) to logits (N, K).
    x
        One-hot sequences, shape (N, 4, L).
    baseline
        Where the straight path to ``x`` starts: a number, or a tensor that broadcasts with ``x``. A quarter in each
        channel is the unknown sequence.
    steps
        Points on the path (midpoint rule).
    output
        Index of the logit.

    Returns
    -------
    attributions
        Shape (N, 4, L); the sum over an example is logit(x) - logit(baseline), up to the error of the midpoint rule.

    References
    ----------
    Sundararajan et al., ICML 2017, arXiv:1703.01365.
    """
    start = torch.as_tensor(baseline, dtype=x.dtype, device=x.device).expand_as(x)
    return (x - start) * _mean_gradient(model, x, start, steps, output)


def integrated_contributions(model: nn.Module, x: Tensor, steps: int = 64, output: int = 0) -> Tensor:
    """What each base contributes to a logit, absent bases included, from the unknown sequence of the same length on.

    Parameters are those of ``integrated_gradients``.

    Returns
    -------
    contributions
        Shape (N, 4, L); each column sums to zero. Of the bases that are present (``x`` times this) the sum over an
        example is logit(x) less the logit of as many unknown bases.
    """
    unknown = x.sum(1, keepdim=True).expand_as(x) / 4
    gradient = _mean_gradient(model, x, unknown, steps, output)
    return gradient - gradient.mean(dim=1, keepdim=True)


def _mean_gradient(model: nn.Module, x: Tensor, start: Tensor, steps: int, output: int) -> Tensor:
    """Mean of the gradients on the straight path from ``start`` to ``x``."""
    total = torch.zeros_like(x)
    for step in range(steps):
        total += _gradient(model, start + (step + 0.5) / steps * (x - start), output)
    return total / steps


def _gradient(model: nn.Module, x: Tensor, output: int) -> Tensor:
    def gradient(part: Tensor) -> Tensor:
        part = part.detach().requires_grad_(True)
        with torch.enable_grad():
            return torch.autograd.grad(model(part)[:, output].sum(), part)[0]

    with evaluating(model):
        return _in_batches(gradient, x)


def _in_batches(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([function(part) for part in x.split(BATCH)])
