"""Counts of k-mers, compared with counting one by one, on one strand and on both."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biocnn.io.fasta import encode, reverse_complement
from biocnn.io.padded import pad
from biocnn.nn.kmers import kmer_counts, word_columns

texts = st.lists(st.text("ACGTN", min_size=1, max_size=12), min_size=1, max_size=6)


def other_strand(word: str) -> str:
    return word[::-1].translate(str.maketrans("ACGT", "TGCA"))


def count_slowly(text: str, lengths: range, strands: str) -> list[int]:
    """Count all k-mers, ordered by length and alphabet; on both strands only those before their reverse complement."""
    counts = Counter(text[i : i + k] for k in lengths for i in range(len(text) - k + 1))
    words = ["".join(letters) for k in lengths for letters in product("ACGT", repeat=k)]
    if strands == "single":
        return [counts[word] for word in words]
    return [
        counts[word] + (counts[other_strand(word)] if word != other_strand(word) else 0)
        for word in words
        if word <= other_strand(word)
    ]


@given(texts, st.sampled_from([range(1, 3), range(2, 4), range(3, 4)]), st.sampled_from(["single", "both"]))
def test_counts_equal_those_of_the_slow_way(texts: list[str], lengths: range, strands: str) -> None:
    counts = kmer_counts(pad([encode(text) for text in texts]), lengths, strands=strands)
    np.testing.assert_array_equal(counts.toarray(), [count_slowly(text, lengths, strands) for text in texts])


@given(st.integers(1, 6))
def test_both_strands_have_half_as_many_words(k: int) -> None:
    palindromes = 4 ** (k // 2) if k % 2 == 0 else 0
    assert word_columns(k, "both").max() + 1 == (4**k + palindromes) // 2
    assert word_columns(k, "single").max() + 1 == 4**k


def test_either_strand_gives_the_same_counts() -> None:
    codes = np.random.default_rng(0).integers(0, 5, (20, 60)).astype(np.uint8)
    one, other = (kmer_counts(c, range(1, 7), strands="both") for c in (codes, reverse_complement(codes)))
    assert (one != other).nnz == 0
    assert one.shape == (20, 2 + 10 + 32 + 136 + 512 + 2080)


@pytest.mark.parametrize("shape", [(0, 10), (3, 0), (3, 1)])
def test_empty_and_short_sequences_have_no_words(shape: tuple[int, int]) -> None:
    counts = kmer_counts(np.zeros(shape, np.uint8), range(2, 4), strands="single")
    assert counts.shape == (shape[0], 80)
    assert counts.nnz == 0


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, 5, (20, 30)).astype(np.uint8)
    whole = kmer_counts(codes, range(1, 5), strands="single")
    monkeypatch.setattr("biocnn.nn.kmers.LETTERS", 7 * 30)
    assert (whole != kmer_counts(codes, range(1, 5), strands="single")).nnz == 0
