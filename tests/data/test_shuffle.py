"""The dinucleotide shuffle preserves dinucleotides and is uniform over all orders that do."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import calls

from biocnn.data.shuffle import ROWS, dinucleotide_shuffle


def pairs(codes):
    return Counter(zip(codes[:-1].tolist(), codes[1:].tolist(), strict=True))


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 5))
def test_dinucleotides_and_ends_are_preserved(seed, length, letters):
    rng = np.random.default_rng(seed)
    codes = rng.choice(letters, (5, length), p=rng.dirichlet(np.full(letters, 0.3))).astype(np.uint8)
    shuffled = dinucleotide_shuffle(codes, rng)
    assert shuffled.dtype == np.uint8
    for before, after in zip(codes, shuffled, strict=True):
        assert pairs(before) == pairs(after)
        assert before[0] == after[0]
        assert before[-1] == after[-1]


@given(st.integers(0, 10_000))
def test_padding_stays_at_the_end(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, (6, 30), dtype=np.uint8)
    lengths = rng.integers(1, 31, 6)
    codes[np.arange(30) >= lengths[:, None]] = 5
    for before, after, length in zip(codes, dinucleotide_shuffle(codes, rng), lengths, strict=True):
        assert (after[length:] == 5).all()
        assert (after[:length] < 5).all()
        assert pairs(before[:length]) == pairs(after[:length])
        assert before[length - 1] == after[length - 1]


def test_ambiguous_letters_are_treated_like_others():
    rng = np.random.default_rng(0)
    codes = rng.choice([0, 1, 4, 8, 15], (20, 60)).astype(np.uint8)
    codes[:, 50:] = 5
    shuffled = dinucleotide_shuffle(codes, rng)
    assert (shuffled != codes).any(axis=1).all()
    assert list(map(pairs, shuffled)) == list(map(pairs, codes))
    assert (shuffled[:, 50:] == 5).all()


def test_every_order_is_equally_probable():
    codes, draws = np.array([0, 1, 0, 2, 0, 1, 2, 1, 0], np.uint8), 30_000
    orders = {bytes(p) for p in permutations(codes.tolist()) if p[0] == 0 and pairs(np.array(p)) == pairs(codes)}
    counts = Counter(map(bytes, dinucleotide_shuffle(np.tile(codes, (draws, 1)), np.random.default_rng(1))))
    assert set(counts) == orders
    expected = draws / len(orders)
    chi2 = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi2 < 36.1  # 99.9% quantile with 14 degrees of freedom


def test_a_rare_exit_from_a_repeat_is_found():
    # Nearly all steps from A and C lead back, so rejection sampling of trees would take very long.
    codes = np.array([[0, 1] * 400 + [2] + [3, 2] * 400 + [4]], np.uint8)
    assert pairs(dinucleotide_shuffle(codes, np.random.default_rng(0))[0]) == pairs(codes[0])


def test_same_seed_same_result_and_many_rows():
    codes = np.random.default_rng(0).integers(0, 4, (ROWS + 5, 8), dtype=np.uint8)
    once, again = (dinucleotide_shuffle(codes, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.shape == codes.shape


@pytest.mark.parametrize("shape", [(10_000, 100), (100, 10_000)])
def test_bases_are_not_shuffled_independently(shape):
    codes = np.random.default_rng(0).integers(0, 4, shape, dtype=np.uint8)
    assert calls(lambda: dinucleotide_shuffle(codes, np.random.default_rng(0))) < codes.size / 10


@pytest.mark.parametrize("shape", [(0, 10), (3, 0), (3, 1)])
def test_nothing_to_shuffle(shape):
    codes = np.zeros(shape, np.uint8)
    np.testing.assert_array_equal(dinucleotide_shuffle(codes, np.random.default_rng(0)), codes)
