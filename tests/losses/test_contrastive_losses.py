"""Losses for likeness equal their formulas, pair by pair; without vectors they are the cross-entropy."""

import math

import pytest
import torch
from torch.nn import functional as F

from biocnn.losses import cross_entropy, nt_xent, triplet

LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
VECTORS = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
CLASSES = [0, 1, 0, 2, 1, 0]  # class 2 has one example
TARGET = F.one_hot(torch.tensor(CLASSES), 3).float()


def cosine(i: int, j: int) -> float:
    return F.cosine_similarity(VECTORS[i], VECTORS[j], dim=0).item()


def others(i: int, same: bool) -> list[int]:
    return [j for j in range(6) if j != i and (CLASSES[j] == CLASSES[i]) == same]


def test_nt_xent_is_the_surprise_of_each_pair_of_a_class() -> None:
    each = []
    for i in range(6):
        whole = sum(math.exp(cosine(i, j) / 0.5) for j in range(6) if j != i)
        found = [-math.log(math.exp(cosine(i, j) / 0.5) / whole) for j in others(i, True)]
        each += [sum(found) / len(found)] if found else []
    wanted = cross_entropy(LOGITS, TARGET).item() + 2 * sum(each) / len(each)
    assert nt_xent([LOGITS, VECTORS], TARGET, temperature=0.5, weight=2).item() == pytest.approx(wanted, rel=1e-5)


def test_triplets_are_of_the_hardest_examples_of_the_batch() -> None:
    each = [
        max(0.0, 0.3 + max(cosine(i, j) for j in others(i, False)) - min(cosine(i, j) for j in others(i, True)))
        for i in range(6)
        if others(i, True)
    ]
    wanted = cross_entropy(LOGITS, TARGET).item() + sum(each) / len(each)
    assert triplet([LOGITS, VECTORS], TARGET, margin=0.3).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("loss", [nt_xent, triplet])
def test_neither_lengths_nor_unknown_examples_nor_missing_vectors_matter(loss) -> None:
    whole = loss([LOGITS, VECTORS], TARGET)
    torch.testing.assert_close(loss([LOGITS, VECTORS * torch.arange(1, 7)[:, None]], TARGET), whole)
    more = TARGET.new_full((1, 3), torch.nan)
    vectors = torch.cat([VECTORS, VECTORS[:1]]).requires_grad_()
    found = loss([torch.cat([LOGITS, LOGITS[:1]]), vectors], torch.cat([TARGET, more]))
    torch.testing.assert_close(found, whole)
    found.backward()
    assert vectors.grad[:6].any()
    assert not vectors.grad[6].any()
    assert vectors.grad.isfinite().all()
    torch.testing.assert_close(loss(LOGITS, TARGET), cross_entropy(LOGITS, TARGET))
    alone = loss([LOGITS[:1], VECTORS[:1].clone().requires_grad_()], TARGET[:1])
    torch.testing.assert_close(alone, cross_entropy(LOGITS[:1], TARGET[:1]))
