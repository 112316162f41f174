"""Words count like k-mers; their changes, contributions and sliding form equal the slow way."""

import numpy as np
import pytest
import torch
from torch import Tensor

from biocnn.io.fasta import encode, reverse_complement
from biocnn.io.padded import pad
from biocnn.nn.encode import one_hot
from biocnn.nn.kmers import LENGTHS, kmer_counts, word_columns
from biocnn.nn.words import Words


def words_of(strands: str = "single", outputs: int = 2, seed: int = 0) -> Words:
    words, generator = Words(outputs, strands), torch.Generator().manual_seed(seed)
    words.weight.normal_(generator=generator)
    words.intercept.normal_(generator=generator)
    return words


def codes_of(n: int, length: int, seed: int = 0) -> np.ndarray:
    """Return codes with repeats, unknown bases and, in some rows, padding."""
    codes = np.random.default_rng(seed).choice(5, (n, length), p=[0.4, 0.3, 0.13, 0.13, 0.04]).astype(np.uint8)
    codes[0, 3:12] = 0
    codes[1, -4:] = 5
    return codes


def hot(codes: np.ndarray) -> Tensor:
    return one_hot(torch.from_numpy(codes.copy()))


def test_a_table_by_hand() -> None:
    words = Words(1, "single")
    words.weight[2], words.weight[4 + 4 * 2], words.intercept[0] = 3.0, 5.0, 1.0  # G, GA
    found = words(hot(pad([encode("GAGAG"), encode("GAN"), encode("T")])))
    wanted = [1 + 3 * np.log(4) + 5 * np.log(3), 1 + 3 * np.log(2) + 5 * np.log(2), 1.0]
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-6)
    # Three of G share 3 log 4; two of GA share 5 log 3, each equally among its bases.
    share = 5 * np.log(3) / 4
    found = words.contributions(hot(encode("GAGAG")[None]))[0]
    present = found.numpy()[encode("GAGAG"), range(5)]
    np.testing.assert_allclose(present, [np.log(4) + share, share, np.log(4) + share, share, np.log(4)], rtol=1e-6)
    assert found[0, 4] == pytest.approx(0), "no word with A after A"


@pytest.mark.parametrize("strands", ["single", "both"])
def test_counts_are_those_of_k_mers(strands: str) -> None:
    words, codes = words_of(strands), codes_of(6, 40)
    counts = np.log1p(kmer_counts(codes, LENGTHS, strands=strands).toarray())
    wanted = counts @ words.weight.numpy() + words.intercept.numpy()
    np.testing.assert_allclose(words(hot(codes)), wanted, rtol=1e-5, atol=1e-4)


def test_either_strand_has_the_same_logits() -> None:
    words, codes = words_of("both"), codes_of(6, 40)
    torch.testing.assert_close(words(hot(codes)), words(hot(reverse_complement(codes))), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("length", [1, 3, 20])
def test_padding_and_unknown_bases_at_the_ends_do_not_matter(length: int) -> None:
    words, codes = words_of(), codes_of(3, 20)[2:, :length]
    for code in (4, 5, 9):
        longer = np.pad(codes, ((0, 0), (0, 7)), constant_values=code)
        torch.testing.assert_close(words(hot(codes)), words(hot(longer)), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("strands", ["single", "both"])
def test_changes_are_those_of_every_mutant(strands: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biocnn.nn.words.ROWS", 2)
    words, codes = words_of(strands), codes_of(3, 25)
    found, reference = words.changes(hot(codes), 1), words(hot(codes))[:, 1]
    for place in range(codes.shape[1]):
        for base in range(4):
            mutants = codes.copy()
            mutants[:, place] = np.where(codes[:, place] == 5, 5, base)
            wanted = words(hot(mutants))[:, 1] - reference
            torch.testing.assert_close(found[:, base, place], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strands", ["single", "both"])
def test_contributions_add_up(strands: str) -> None:
    words, codes = words_of(strands), codes_of(4, 30)
    x = hot(codes)
    for output in range(2):
        total = (x * words.contributions(x, output)).sum((1, 2)) + words.intercept[output]
        torch.testing.assert_close(total, words(x)[:, output], rtol=1e-4, atol=1e-4)


def test_contributions_of_a_strand_are_those_of_the_other() -> None:
    words, codes = words_of("both"), codes_of(4, 30)[2:]
    one, other = words.contributions(hot(codes)), words.contributions(hot(reverse_complement(codes)))
    torch.testing.assert_close(one, other.flip(1, 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strands", ["single", "both"])
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (4, 3), (25, 1), (25, 10), (60, 1), (90, 7)])
def test_sliding_is_window_by_window(strands: str, window: int, stride: int) -> None:
    words, codes = words_of(strands), torch.from_numpy(codes_of(2, 90)[0])
    codes[40:75] = 0
    wanted = words(one_hot(codes.unfold(0, window, stride)))
    torch.testing.assert_close(words.sliding(codes, window, stride), wanted, rtol=1e-4, atol=1e-4)


def test_rescaled() -> None:
    words, x = words_of(), hot(codes_of(3, 20))
    wanted = 2 * words(x) + torch.tensor([1.0, 3.0])
    words.rescale(torch.tensor([2.0]), torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(words(x), wanted, rtol=1e-5, atol=1e-4)


def test_columns_are_those_of_counts() -> None:
    assert Words(1, "both").width == 2 + 10 + 32 + 136 + 512 + 2080
    assert Words(1, "single").columns[4:20].tolist() == (4 + word_columns(2, "single")).tolist()
