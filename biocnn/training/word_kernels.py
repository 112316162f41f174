"""Start a motif scan at words that are more, or less, frequent in examples of high targets, instead of at random.

Through a maximum over positions, a kernel learns from a single window of each example. From random kernels, training on
a few thousand sequences therefore often stays on a plateau for many epochs, or for good.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from biocnn.io.fasta import UNKNOWN
from biocnn.models.sequence_network import SequenceNetwork

MOST_BASES = 1_000_000  # of larger training splits, only every n-th example is read
SHARE = 0.5  # of the kernels; the others stay random, for what no word describes
LEAST = 5  # examples with a word, and 0.2% of all
BEST = 60  # words of each pattern that are considered
ALIKE, TWICE = 0.8, 2  # at most two words that agree in more than 80% of their bases
NOISE = 0.3  # of the random kernel that is kept
# Offsets of the bases of a word: 4- to 8-mers, and two halves of 3 bases up to 11 bp apart.
PATTERNS = (
    *(tuple(range(k)) for k in range(4, 9)),
    *((0, 1, 2, 3 + gap, 4 + gap, 5 + gap) for gap in range(1, 12)),
)
GAP = -1  # in a word, any base


@torch.no_grad()
def start_at_words(network: SequenceNetwork, codes: np.ndarray, y: np.ndarray, seed: int) -> list[str]:
    """Set half of the kernels of the first convolution to words.

    A kernel scores a matching base 1 and any other -1/3; without batch norm its bias makes it fire at one mismatch.

    Parameters
    ----------
    network
        Network with initial weights; changed in place.
    codes
        Training sequences, shape (N, L), uint8: 0-3 = ACGT(U); words with other codes (unknown, padding) are not
        counted.
    y
        Targets, shape (N, K), nan if unknown.
    seed
        Seed of the places of words within kernels.

    Returns
    -------
    words
        The words, with ``.`` for any base; the most predictive first.
    """
    convolution = next(module for module in network.modules() if isinstance(module, nn.Conv1d))
    number, _, size = convolution.weight.shape
    y = y.astype(float)
    step = -(-codes.size // MOST_BASES)
    found = _distinct(_ranked(codes[::step], y[::step], size, network.strands == "both"), int(SHARE * number), network)
    rng = np.random.default_rng(seed)
    for channel, word in enumerate(found):
        at = int(rng.integers(size - len(word) + 1))
        convolution.weight[channel] *= NOISE
        convolution.weight[channel, :4, at : at + len(word)] += torch.from_numpy(_kernel(word)).to(convolution.weight)
        if convolution.bias is not None:
            convolution.bias[channel] = 2.0 - (word != GAP).sum()
    return ["".join("ACGT."[base] for base in word) for word in found]


def _ranked(codes: np.ndarray, y: np.ndarray, size: int, both: bool) -> list[np.ndarray]:
    """Return words by falling correlation of their presence with a target, the outputs in turn."""
    queues = []
    for target in y.T:
        known = ~np.isnan(target)
        spread = target[known].std() if known.any() else 0.0
        if spread == 0:
            continue
        scores = (target[known] - target[known].mean()) / spread
        words = [
            pair
            for pattern in PATTERNS
            if pattern[-1] < min(size, codes.shape[1])
            for pair in _predictive(codes[known], scores, pattern, both)
        ]
        queues.append([word for _, word in sorted(words, key=lambda pair: -pair[0])])
    return [
        word for rank in range(max(map(len, queues), default=0)) for queue in queues for word in queue[rank : rank + 1]
    ]


def _predictive(
    codes: np.ndarray, scores: np.ndarray, pattern: tuple[int, ...], both: bool
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the words of a pattern whose presence correlates most with the scores: |z| and the word."""
    k, span = len(pattern), pattern[-1] + 1
    windows = sliding_window_view(codes, span, axis=1)
    word, other = np.zeros(windows.shape[:2], np.int32), np.zeros(windows.shape[:2], np.int32)
    known = np.ones(windows.shape[:2], bool)
    for i, offset in enumerate(pattern):
        base = windows[..., offset].astype(np.int32)
        known &= base < UNKNOWN
        word, other = word * 4 + base, other + (3 - base) * 4**i
    if both:
        word = np.minimum(word, other)
    word = np.sort(np.where(known, word, -1), axis=1)
    first = np.ones_like(known)
    first[:, 1:] = word[:, 1:] != word[:, :-1]
    first &= word >= 0
    rows, column = first.nonzero()[0], word[first]
    there = np.bincount(column, minlength=4**k)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.bincount(column, scores[rows], 4**k) / np.sqrt(there * (1 - there / len(codes)))
    z = np.where((there >= max(LEAST, 0.002 * len(codes))) & (there < len(codes)), np.abs(z), 0.0)
    for number in np.argsort(-z, kind="stable")[:BEST]:
        found = np.full(span, GAP)
        found[list(pattern)] = (number // 4 ** np.arange(k)[::-1]) % 4
        if z[number] > 0:
            yield float(z[number]), found


def _distinct(words: Iterable[np.ndarray], most: int, network: SequenceNetwork) -> list[np.ndarray]:
    """Return the first words that are not too much alike, on either strand of a network that reads both."""
    kept: list[np.ndarray] = []
    for word in words:
        if len(kept) == most:
            break
        views = [word, np.where(word == GAP, GAP, 3 - word)[::-1]] if network.strands == "both" else [word]
        if any(np.array_equal(view, one) for view in views for one in kept):  # from another output
            continue
        if sum(max(_agreement(view, one) for view in views) > ALIKE for one in kept) < TWICE:
            kept.append(word)
    return kept


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest number of equal bases at any shift, as a share of the bases of the shorter word."""
    hits = sum(np.correlate((a == base).astype(float), (b == base).astype(float), "full") for base in range(4))
    return float(hits.max() / min((a != GAP).sum(), (b != GAP).sum()))


def _kernel(word: np.ndarray) -> np.ndarray:
    kernel = np.where(np.arange(4)[:, None] == word, 1.0, -1 / 3)
    return np.where(word == GAP, 0.0, kernel).astype(np.float32)
