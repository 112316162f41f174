"""Ranking of images by uncertainty: risk against coverage, and images to annotate next."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from biocnn.data.duplicates import ALIKE, comparable

DIFFERENT = 0.5  # correlation below which images count as different


def risk_coverage(uncertainty: np.ndarray, risk: np.ndarray) -> pd.DataFrame:
    """Compute the mean risk of the remaining images when the most uncertain ones are removed.

    Parameters
    ----------
    uncertainty
        Uncertainty of each image, shape (N,).
    risk
        Loss of each image, for example 1 - Dice, shape (N,).

    Returns
    -------
    curve
        N rows, from the most certain image alone to all images: coverage (fraction kept), risk (mean of kept images),
        random (expected risk for random removal) and oracle (risk for the best order).

    References
    ----------
    Geifman and El-Yaniv, NeurIPS 2017, arXiv:1705.08500.
    """
    risk = np.asarray(risk, float)
    number = np.arange(1, len(risk) + 1)
    # Images of equal uncertainty have no order, so each counts as the mean of all of them.
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
    """Return the areas under a curve of `risk_coverage`: means of risk, random and oracle; nan without images."""
    return {name: float(curve[name].mean()) for name in ("risk", "random", "oracle")}


def annotate_next(ids: Sequence[str], uncertainty: np.ndarray, small: np.ndarray) -> pd.DataFrame:
    """Rank images for annotation: uncertain images that do not resemble each other come first.

    The first image is the most uncertain one. Each next image has the largest uncertainty times 1 - s, where s is its
    similarity (correlation over mirrored and rotated versions, at least 0) to the most similar image already listed.

    Parameters
    ----------
    ids
        Names of N images.
    uncertainty
        Uncertainty of each image, 0 to 1, shape (N,).
    small
        Small versions from `biocnn.data.duplicates.small_version`, shape (N, n, ...).

    Returns
    -------
    ranked
        Columns rank (from 1), id, uncertainty, similarity and similar_to (to images ranked above), reason.
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
        return f"similar to {like}, ranked above"
    times = f" ({value / middle:.1f} times the median)" if middle > 0 else ""
    other = "; different from images above" if similarity < DIFFERENT and like else ""
    return f"uncertainty {value:.3f}{times}{other}"
