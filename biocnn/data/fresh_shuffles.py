"""Shuffled negatives of the training split, redrawn in each epoch."""

import numpy as np
import pandas as pd

from biocnn.data.shuffle import shuffle_windows

MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd number whose powers mix the bits of a word well


class FreshShuffles:
    """Redraw the dinucleotide shuffle of each shuffled negative in each epoch.

    A shuffle of a shuffle has the same dinucleotides, and each of their orders has the same probability again.

    Parameters
    ----------
    codes
        All training examples, shape (N, L), uint8, flanks included, padded with 5 if lengths vary.
    examples
        Their table. Examples with kind "shuffled" and split "train" are redrawn.
    flank
        Bases at both ends of ``codes`` outside the window; the window and its flanks are shuffled separately.
    """

    def __init__(self, codes: np.ndarray, examples: pd.DataFrame, flank: int) -> None:
        fresh = np.zeros(len(codes), bool)
        if "kind" in examples:
            fresh = ((examples["kind"] == "shuffled") & (examples["split"] == "train")).to_numpy()
        self.window = slice(flank, codes.shape[1] - flank)
        self.rows, self.stored = np.flatnonzero(fresh), codes[fresh]
        self._others = self._digests(codes[~fresh]) if fresh.any() else np.empty(0, np.uint64)

    def draw(self, seed: int, epoch: int) -> np.ndarray:
        """Return codes of ``rows``, shape (rows, L), determined by the arguments and the data.

        A sequence with few orders may be shuffled back into the positive that it came from; it then stays as stored.
        """
        drawn = shuffle_windows(self.stored, self.window, np.random.default_rng([seed, epoch, *b"shuffle"]))
        again = np.isin(self._digests(drawn), self._others)
        drawn[again] = self.stored[again]
        return drawn

    def _digests(self, codes: np.ndarray) -> np.ndarray:
        """Hash each window: shape (N,), uint64, equal if all bases are equal."""
        window = codes[:, self.window]
        padded = np.zeros((len(window), -(-window.shape[1] // 8) * 8), np.uint8)
        padded[:, : window.shape[1]] = window
        words = padded.view(np.uint64) * MIX
        return (words ^ words >> np.uint64(32)) @ MIX ** np.arange(1, words.shape[1] + 1, dtype=np.uint64)
