"""Shuffled negatives of the training part, drawn anew each epoch."""

import numpy as np
import pandas as pd

from biocnn.data.shuffle import shuffle_windows

MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd number whose powers spread the bits of a word


class FreshShuffles:
    """Another dinucleotide shuffle of each shuffled negative, for every epoch.

    A shuffle of a shuffle has the same dinucleotides, and is again any of their orders with the same probability.

    Parameters
    ----------
    codes
        All training examples, shape (N, L), uint8, flanks included, padded with 5 where lengths vary.
    examples
        Their table. Redrawn are those whose kind is "shuffled" and whose split is "train".
    flank
        Bases at both ends of ``codes`` that are not part of the window; the window and its flanks are shuffled apart.
    """

    def __init__(self, codes: np.ndarray, examples: pd.DataFrame, flank: int) -> None:
        fresh = np.zeros(len(codes), bool)
        if "kind" in examples:
            fresh = ((examples["kind"] == "shuffled") & (examples["split"] == "train")).to_numpy()
        self.window = slice(flank, codes.shape[1] - flank)
        self.rows, self.stored = np.flatnonzero(fresh), codes[fresh]
        self._others = self._digests(codes[~fresh]) if fresh.any() else np.empty(0, np.uint64)

    def draw(self, seed: int, epoch: int) -> np.ndarray:
        """Codes of ``rows``, shape (rows, L): a function of the arguments and the data.

        A sequence of few orders may be shuffled back into the positive that it came from; it stays as stored instead.
        """
        drawn = shuffle_windows(self.stored, self.window, np.random.default_rng([seed, epoch, *b"shuffle"]))
        again = np.isin(self._digests(drawn), self._others)
        drawn[again] = self.stored[again]
        return drawn

    def _digests(self, codes: np.ndarray) -> np.ndarray:
        """A number for each window, equal where all bases are: shape (N,), uint64."""
        window = codes[:, self.window]
        padded = np.zeros((len(window), -(-window.shape[1] // 8) * 8), np.uint8)
        padded[:, : window.shape[1]] = window
        words = padded.view(np.uint64) * MIX
        return (words ^ words >> np.uint64(32)) @ MIX ** np.arange(1, words.shape[1] + 1, dtype=np.uint64)
