"""Whether probabilities are frequencies: bins that are filled image by image."""

import numpy as np
import pandas as pd


class Reliability:
    """Counts by predicted probability, in bins of equal width; see `metrics.ece` for vectors and bins of equal number.

    Parameters
    ----------
    bins
        Their number.
    """

    def __init__(self, bins: int = 15) -> None:
        self.bins = bins
        self.counts = np.zeros((3, bins))  # examples, summed probability, those that are true

    def add(self, probability: np.ndarray, target: np.ndarray) -> None:
        """Count more examples: probabilities of any shape, and whether each came true."""
        p, true = np.asarray(probability, float).ravel(), np.asarray(target, bool).ravel()
        which = (p * self.bins).astype(int).clip(0, self.bins - 1)
        self.counts += [np.bincount(which, weights, self.bins) for weights in (None, p, true)]

    def table(self) -> pd.DataFrame:
        """One row a bin that is not empty: low, high (its ends), n, probability (the mean), frequency."""
        edges, (n, p, true) = np.linspace(0, 1, self.bins + 1), self.counts
        full = n > 0
        found = {"low": edges[:-1], "high": edges[1:], "n": n.astype(int)}
        found |= {
            name: np.divide(total, n, out=np.zeros(self.bins), where=full)
            for name, total in (("probability", p), ("frequency", true))
        }
        return pd.DataFrame(found)[full].reset_index(drop=True)

    def ece(self) -> float:
        """Expected calibration error: mean distance of probability and frequency, bins weighted by their examples.

        Between 0 and 1; nan without examples.

        References
        ----------
        Guo et al., ICML 2017, arXiv:1706.04599.
        """
        n, p, true = self.counts
        return float(np.abs(p - true).sum() / n.sum()) if n.sum() else float("nan")
