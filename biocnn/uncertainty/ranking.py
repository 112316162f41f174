"""Images ranked by how unsure the network is: what leaving out the unsure ones saves, what to annotate next."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

SIDE = 16  # pixels of the thumbnails that are compared, along each axis
ALIKE = 0.9  # correlation of thumbnails from which on images are said to be alike


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


def thumbnail(image: np.ndarray) -> np.ndarray:
    """What two images are compared by: means over a grid of 16 pixels along each axis, with mean 0 and length 1.

    Parameters
    ----------
    image
        Shape (C, *spatial); channels are averaged, and of a volume the first axis as well.
    """
    plane = np.asarray(image, np.float32)
    while plane.ndim > 2:
        plane = plane.mean(axis=0)
    for axis in (0, 1):
        edges = np.linspace(0, plane.shape[axis], SIDE + 1).astype(int)[:-1]
        sums = np.add.reduceat(plane, edges, axis=axis)
        counts = np.diff(edges, append=plane.shape[axis]).clip(min=1)
        plane = sums / np.expand_dims(counts, 1 - axis)
    plane = plane - plane.mean()
    return (plane / max(float(np.linalg.norm(plane)), 1e-12)).ravel()


def annotate_next(ids: Sequence[str], uncertainty: np.ndarray, thumbnails: np.ndarray) -> pd.DataFrame:
    """Which images would teach most: those of which the network is unsure, and no two that are alike.

    The first is the least sure. Each next one has the largest uncertainty times 1 - s, where s is its similarity
    (correlation of thumbnails, at least 0) to the most similar image that is already on the list.

    Parameters
    ----------
    ids
        Of N images.
    uncertainty
        Shape (N,), 0 to 1.
    thumbnails
        Shape (N, P), from `thumbnail`.

    Returns
    -------
    ranked
        Columns rank (from 1), id, uncertainty, similarity and similar_to (of those above it), reason.
    """
    uncertainty = np.asarray(uncertainty, float)
    middle = float(np.median(uncertainty)) if len(uncertainty) else 0.0
    left, rows = np.ones(len(ids), bool), []
    nearest, which = np.zeros(len(ids)), np.full(len(ids), -1)
    for rank in range(1, len(ids) + 1):
        best = int(np.argmax(np.where(left, uncertainty * (1 - nearest), -1)))
        like = ids[which[best]] if which[best] >= 0 else ""
        reason = _reason(uncertainty[best], middle, nearest[best], like)
        rows.append((rank, ids[best], uncertainty[best], nearest[best], like, reason))
        left[best] = False
        similarity = (thumbnails @ thumbnails[best]).clip(0, 1)
        closer = similarity > nearest
        nearest, which = np.where(closer, similarity, nearest), np.where(closer, best, which)
    return pd.DataFrame(rows, columns=["rank", "id", "uncertainty", "similarity", "similar_to", "reason"])


def _reason(value: float, middle: float, similarity: float, like: str) -> str:
    if similarity >= ALIKE:
        return f"much like {like}, above"
    unsure = "unsure" if value > middle else "surer than most"
    times = f", {value / middle:.1f} times the median" if middle > 0 else ""
    return f"{unsure}: uncertainty {value:.3f}{times}" + ("" if similarity >= 0.5 else "; unlike those above")
