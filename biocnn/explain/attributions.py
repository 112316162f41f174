"""Attribute predictions to bases: gradients and integrated gradients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from biocnn.nn.precision import full_float32
from biocnn.nn.strands import BASES
from biocnn.nn.words import Words, by_part

BATCH = 256


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode within the context, with full float32: what is explained may be a small change."""
    training = model.training
    model.eval()
    try:
        with full_float32():
            yield
    finally:
        model.train(training)


def base_contributions(model: nn.Module, x: Tensor, output: int = 0) -> Tensor:
    """Compute the first-order contribution of each base, present or absent, to a logit.

    This is the gradient minus its mean over the four bases at each position: one-hot sequences lie in a plane, and
    training leaves the gradient component orthogonal to it undetermined. For the words of a mixture, the exact change
    by each base takes the place of the gradient.

    Parameters
    ----------
    model
        Network from (N, 4 + S, L) to logits (N, K).
    x
        One-hot sequences, and any tracks beside them, shape (N, 4 + S, L).
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
    gradient = by_part(
        model,
        output,
        lambda network: _gradient(network, x, output)[:, :BASES],
        lambda words: words.changes(x[:, :BASES], output),
    )
    return gradient - gradient.mean(dim=1, keepdim=True)


def input_x_gradient(model: nn.Module, x: Tensor, output: int = 0) -> Tensor:
    """Compute the contributions of the bases present, ``x`` times ``base_contributions``; 0 for absent bases.

    For parameters and shapes see ``base_contributions``. The contributions of unknown bases and padding sum to 0.
    """
    return x[:, :BASES] * base_contributions(model, x, output)


def integrated_gradients(
    model: nn.Module, x: Tensor, baseline: Tensor | float = 0.25, steps: int = 64, output: int = 0
) -> Tensor:
    """Distribute the difference between a logit and that of a baseline over the bases.

    Parameters
    ----------
    model
        Network from (N, 4, L) to logits (N, K).
    x
        One-hot sequences, shape (N, 4, L).
    baseline
        Start of the straight path to ``x``: a number, or a tensor that broadcasts with ``x``. 0.25 is the unknown
        sequence.
    steps
        Number of points on the path (midpoint rule).
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

    def of_words(words: Words) -> Tensor:
        return x * words.contributions(x, output) - start * words.contributions(start, output)

    return by_part(
        model, output, lambda network: (x - start) * _mean_gradient(network, x, start, steps, output), of_words
    )


def integrated_contributions(model: nn.Module, x: Tensor, steps: int = 64, output: int = 0) -> Tensor:
    """Compute integrated contributions of each base, present or absent, from the unknown sequence.

    For parameters see ``integrated_gradients``.

    Returns
    -------
    contributions
        Shape (N, 4, L); each column sums to zero for a network alone. The contributions of the bases present (``x``
        times this) sum to logit(x) minus the logit of the unknown sequence of the same length. For the words of a
        mixture see ``Words.contributions``.
    """
    start = unknown(x)

    def of_network(network: nn.Module) -> Tensor:
        gradient = _mean_gradient(network, x, start, steps, output)[:, :BASES]
        return gradient - gradient.mean(dim=1, keepdim=True)

    return by_part(model, output, of_network, lambda words: words.contributions(x[:, :BASES], output))


def unknown(x: Tensor) -> Tensor:
    """Return sequences with unknown bases, the same padding and the same tracks: shape (N, 4 + S, L)."""
    bases = x[:, :BASES]
    return torch.cat([bases.sum(1, keepdim=True).expand_as(bases) / BASES, x[:, BASES:]], 1)


def _mean_gradient(model: nn.Module, x: Tensor, start: Tensor, steps: int, output: int) -> Tensor:
    """Average the gradients on the straight path from ``start`` to ``x``."""
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
