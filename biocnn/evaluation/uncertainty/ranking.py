"""Images ranked by how unsure the network is: what leaving out the unsure ones saves, what to annotate next."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from biocnn.data.duplicates import ALIKE, comparable

DIFFERENT = 0.5  # correlation below which images are said to be unlike each other


def risk_coverage(uncertainty: np.ndarray, risk: np.ndarray) -> pd.DataFrame:
    """The mean risk of the images that are kept when the least sure ones are left out.

    Parameters
    ----------
    uncertainty
        Shape (N,): large where the network is unsure.
    risk
        Shape (N,): what is lost by each image, 1 - Dice say.

    Returns
    -------
    curve
        N rows, from the surest image alone to all of them: coverage (share kept), risk (their mean), random (what
        leaving out at random would keep, in expectation) and oracle (what the best order would).

    References
    ----------
    Geifman and El-Yaniv, NeurIPS 2017, arXiv:1705.08500.
    """
    risk = np.asarray(risk, float)
    number = np.arange(1, len(risk) + 1)
    # Those of one uncertainty are in no order: each counts as the mean of all of them.
    _, place, count = np.unique(uncertainty, return_inverse=True, return_counts=True)
    shared = (np.bincount(place, risk) / count)[place] if len(risk) else risk
    order = np.argsort(uncertainty, kind="stable")
    return pd.DataFrame(
        {
            "coverage": number / max(len(risk), 1),
            "risk": np.cumsum(shared[order]) / number,
            "random": risk.mean() if len(risk) else risk,
            "oracle": np.cumsum(np.sort(risk)) / number,
        }
    )


def area(curve: pd.DataFrame) -> dict[str, float]:
    """Areas under a curve of `risk_coverage`, means over its points: risk, random, oracle; nan without images."""
    return {name: float(curve[name].mean()) for name in ("risk", "random", "oracle")}


def annotate_next(ids: Sequence[str], uncertainty: np.ndarray, small: np.ndarray) -> pd.DataFrame:
    """Which images would teach most: those of which the network is unsure, and no two that are alike.

    The first is the least sure. Each next one has the largest uncertainty times 1 - s, where s is its similarity
    (correlation, mirrored and turned as well, at least 0) to the most similar image that is already on the list.

    Parameters
    ----------
    ids
        Of N images.
    uncertainty
        Shape (N,), 0 to 1.
    small
        Shape (N, n, ...), from `biocnn.data.duplicates.small_version`.

    Returns
    -------
    ranked
        Columns rank (from 1), id, uncertainty, similarity and similar_to (of those above it), reason.
    """
    uncertainty, views = np.asarray(uncertainty, float), comparable(small)
    middle = float(np.median(uncertainty))
    left, rows = np.ones(len(ids), bool), []
    nearest, which = np.zeros(len(ids)), np.full(len(ids), -1)
    for rank in range(1, len(ids) + 1):
        best = int(np.argmax(np.where(left, uncertainty * (1 - nearest), -1)))
        like = ids[which[best]] if which[best] >= 0 else ""
        reason = _reason(uncertainty[best], middle, nearest[best], like)
        rows.append((rank, ids[best], uncertainty[best], nearest[best], like, reason))
        left[best] = False
        similarity = (views[0] @ views[:, best].T).max(axis=1).clip(0, 1)
        closer = similarity > nearest
        nearest, which = np.where(closer, similarity, nearest), np.where(closer, best, which)
    return pd.DataFrame(rows, columns=["rank", "id", "uncertainty", "similarity", "similar_to", "reason"])


def _reason(value: float, middle: float, similarity: float, like: str) -> str:
    if similarity >= ALIKE:
        return f"much like {like}, above"
    times = f" ({value / middle:.1f} times the median)" if middle > 0 else ""
    other = "; unlike those above" if similarity < DIFFERENT and like else ""
    return f"uncertainty {value:.3f}{times}{other}"
