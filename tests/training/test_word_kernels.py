"""Kernels start at words that distinguish the targets: planted words come first, on either strand and with gaps."""

import numpy as np
import pytest
import torch

from biocnn.models.deepbind import DeepBind
from biocnn.nn.encode import one_hot
from biocnn.training.word_kernels import SHARE, start_at_words


def codes_of(word: str) -> np.ndarray:
    return np.array(["ACGT.".index(base) for base in word])


def planted(word: str, n: int = 400, length: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return random sequences, half of which contain a word (``.``: any base), and their labels."""
    rng = np.random.default_rng(seed)
    codes, y = rng.integers(0, 4, (n, length), dtype=np.uint8), np.arange(n) % 2
    for row in np.flatnonzero(y):
        at = rng.integers(length - len(word) + 1)
        for i, base in enumerate(codes_of(word)):
            if base < 4:
                codes[row, at + i] = base
    return codes, y[:, None].astype(np.float32)


def network(strands: str = "single", outputs: int = 1, **settings: int) -> DeepBind:
    torch.manual_seed(1)
    return DeepBind(1, 4, outputs, **({"channels": 16, "kernel_size": 14} | settings), strands=strands)


def reverse(word: str) -> str:
    return word.translate(str.maketrans("ACGT", "TGCA"))[::-1]


@pytest.mark.parametrize("word", ["GATTACA", "CCGTAT", "TGACGTCA", "CGG.....CCG", "TGT..ATA"])
@pytest.mark.parametrize("strands", ["single", "both"])
def test_a_planted_word_comes_first(word: str, strands: str) -> None:
    codes, y = planted(word)
    net = network(strands)
    first = start_at_words(net, codes, y, 1)[0]
    assert any(first in view or view in first for view in ([word, reverse(word)] if strands == "both" else [word]))
    x = one_hot(torch.from_numpy(codes))
    views = [x, x.flip(1, 2)] if strands == "both" else [x]
    best = torch.stack([net.features[0](view)[:, 0].amax(1) for view in views]).amax(0).detach().numpy()
    assert best[y[:, 0] == 1].mean() > best[y[:, 0] == 0].mean() + 0.3, "the kernel itself finds the word"


def test_half_of_the_kernels_change_and_the_others_stay() -> None:
    before, after = network(), network()
    words = start_at_words(after, *planted("GATTACA"), 1)
    changed = (before.features[0].conv.conv.weight != after.features[0].conv.conv.weight).flatten(1).any(1)
    assert changed.tolist() == [True] * len(words) + [False] * (16 - len(words))
    assert len(words) == SHARE * 16


def test_a_kernel_fires_at_one_mismatch_but_not_at_two() -> None:
    net = network()
    net.features[0].conv.conv.weight.data.zero_()
    start_at_words(net, *planted("GATTACA"), 1)
    weight, bias = (tensor[0].detach() for tensor in net.features[0].conv.conv.parameters())
    match = float(weight.amax(0).sum() + bias)
    assert match == pytest.approx(2)
    assert match - 4 / 3 > 0 > match - 8 / 3


def test_values_and_unknown_targets() -> None:
    codes, y = planted("GATTACA")
    y = y * 3.5 + np.random.default_rng(0).normal(0, 1, y.shape).astype(np.float32)
    y[::7], codes[::5, :10] = np.nan, 4
    assert start_at_words(network(), codes, y, 1)[0] in "GATTACA"


def test_several_outputs_take_turns() -> None:
    codes, y = planted("GATTACA")
    more, other = planted("CCGTATC", seed=1)
    zero = np.zeros_like(y)
    both = np.concatenate([np.concatenate([y, zero], 1), np.concatenate([np.zeros_like(other), other], 1)])
    words = start_at_words(network(outputs=2), np.concatenate([codes, more]), both, 1)
    assert words[0] in "GATTACA"
    assert words[1] in "CCGTATC"


@pytest.mark.parametrize(("length", "size"), [(3, 14), (6, 14), (60, 3), (60, 5)])
def test_short_sequences_and_kernels(length: int, size: int) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (100, length), dtype=np.uint8)
    y = (codes[:, :1] == 2).astype(np.float32)
    assert all(len(word) <= min(length, size) for word in start_at_words(network(kernel_size=size), codes, y, 1))


def test_without_contrast_nothing_changes() -> None:
    codes, _ = planted("GATTACA")
    assert start_at_words(network(), codes, np.ones((len(codes), 1), np.float32), 1) == []


def test_the_same_data_and_seed_give_the_same_bits() -> None:
    first, again = network("both"), network("both")
    for net in (first, again):
        start_at_words(net, *planted("GATTACA"), 3)
    assert torch.equal(first.features[0].conv.conv.weight, again.features[0].conv.conv.weight)
