"""The loss of shapes and totals of windows, against torch's multinomial distribution."""

import torch
from torch import Tensor
from torch.distributions import Multinomial

from biocnn.losses import multinomial


def example(seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return logits and counts of 3 windows of 20 bases in 2 tracks."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 2, 20, generator=generator)
    return logits, torch.poisson(torch.rand(3, 2, 20, generator=generator) * 4, generator=generator)


def test_it_is_the_likelihood_of_shapes_relative_to_the_observed_ones() -> None:
    logits, counts = example()
    wanted = torch.zeros(2)
    for k in range(2):
        for window, true in zip(logits[:, k], counts[:, k], strict=True):
            number = int(true.sum())
            pair = Multinomial(number, logits=window), Multinomial(number, probs=true / number)
            wanted[k] += pair[1].log_prob(true) - pair[0].log_prob(true)
        wanted[k] /= counts[:, k].sum()
    torch.testing.assert_close(multinomial(logits, counts, totals=0), wanted.mean())


def test_totals_add_half_the_squared_error_of_their_logarithm() -> None:
    logits, counts = example()
    error = logits.exp().sum(2).log1p() - counts.sum(2).log1p()
    difference = multinomial(logits, counts, totals=3) - multinomial(logits, counts, totals=0)
    torch.testing.assert_close(difference, 1.5 * (error**2).mean())


def test_it_is_0_for_the_truth_and_unknown_bases_do_not_matter() -> None:
    logits, counts = example()
    counts += 0.5
    torch.testing.assert_close(multinomial(counts.log(), counts), torch.tensor(0.0), atol=1e-6, rtol=0)
    unknown = counts.clone()
    unknown[:, :, 15:], unknown[0] = torch.nan, torch.nan
    kept = multinomial(logits[1:, :, :15], counts[1:, :, :15])
    logits.requires_grad_()
    value = multinomial(logits, unknown)
    torch.testing.assert_close(value, kept)
    value.backward()
    assert logits.grad.isfinite().all()
    assert not logits.grad[0].any()
    assert not logits.grad[:, :, 15:].any()
