"""Calibration of probabilities: reliability in bins that are filled image by image."""

import numpy as np
import pandas as pd


class Reliability:
    """Counts in bins of equal width of the probability; for vectors and bins of equal counts, see `metrics.ece`.

    Parameters
    ----------
    bins
        Number of bins.
    """

    def __init__(self, bins: int = 15) -> None:
        self.bins = bins
        self.counts = np.zeros((3, bins))  # examples, summed probability, true examples

    def add(self, probability: np.ndarray, target: np.ndarray) -> None:
        """Add examples: probabilities of any shape, and whether each is true."""
        p, true = np.asarray(probability, float).ravel(), np.asarray(target, bool).ravel()
        which = (p * self.bins).astype(int).clip(0, self.bins - 1)
        self.counts += [np.bincount(which, weights, self.bins) for weights in (None, p, true)]

    def table(self) -> pd.DataFrame:
        """Return one row per non-empty bin: low, high (edges), n, probability (mean), frequency."""
        edges, (n, p, true) = np.linspace(0, 1, self.bins + 1), self.counts
        full = n > 0
        found = {"low": edges[:-1], "high": edges[1:], "n": n.astype(int)}
        found |= {
            name: np.divide(total, n, out=np.zeros(self.bins), where=full)
            for name, total in (("probability", p), ("frequency", true))
        }
        return pd.DataFrame(found)[full].reset_index(drop=True)

    def ece(self) -> float:
        """Return the expected calibration error: mean distance between probability and frequency, weighted by counts.

        It lies between 0 and 1, and is nan without examples.

        References
        ----------
        Guo et al., ICML 2017, arXiv:1706.04599.
        """
        n, p, true = self.counts
        return float(np.abs(p - true).sum() / n.sum()) if n.sum() else float("nan")
