"""Classify objects as matched, missed, false, merged or split."""

from typing import Any

import numpy as np
import pandas as pd

from biocnn.metrics.objects import Overlaps, overlaps, pairs

COLUMNS = ("kind", "label", "target_label", "area", "target_area", "iou", "score")


def match_objects(
    labels: np.ndarray, target_labels: np.ndarray, score: np.ndarray | None = None, *, threshold: float = 0.5
) -> pd.DataFrame:
    """Classify each predicted and true object.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial), 0 = background.
    target_labels
        True objects, same shape.
    score
        Confidence of each pixel, same shape; the score of an object is the mean over its pixels.
    threshold
        Smallest IoU at which a predicted and a true object are matched, one to one, as in `matching`.

    Returns
    -------
    objects
        One row per pair and per unmatched object:

        - ``matched``: a predicted object and its true object;
        - ``merged``: an unmatched true object with more than half of its area in the predicted object ``label``, which
          is matched or contains another such object;
        - ``missed``: any other unmatched true object;
        - ``split``: an unmatched predicted object with more than half of its area in the true object ``target_label``,
          which is matched or contains another such object; no true objects are merged in it;
        - ``false``: any other unmatched predicted object, except those in which true objects are merged.

        Columns kind; label and target_label (0 if there is none); area and target_area in pixels; iou of the pair, or
        for missed and false objects the largest with any object; score of the predicted object.
    """
    found = overlaps(labels, target_labels)
    chosen = pairs(found.row, found.column, found.iou, threshold)
    matched, target_matched = _marked(found.areas, found.row[chosen]), _marked(found.target_areas, found.column[chosen])
    inside = 2 * found.common > found.areas[found.row]  # predicted mostly in true
    covered = 2 * found.common > found.target_areas[found.column]  # true mostly in predicted
    merged = _several(found.row, covered & ~target_matched[found.column], matched)
    holds_merged = _marked(found.areas, found.row[merged])
    split = _several(found.column, inside & ~(matched | holds_merged)[found.row], target_matched)
    in_split = _marked(found.areas, found.row[split])
    target_merged = _marked(found.target_areas, found.column[merged])
    rows = [
        *_of_pairs("matched", found, chosen),
        *_of_pairs("merged", found, merged),
        *_of_pairs("split", found, split),
    ]
    best, target_best = (
        _largest(found.areas, found.row, found.iou),
        _largest(found.target_areas, found.column, found.iou),
    )
    for i in np.flatnonzero(~(target_matched | target_merged | _marked(found.target_areas, found.column[split]))):
        rows.append(("missed", 0, found.target_ids[i], 0, found.target_areas[i], target_best[i]))
    for i in np.flatnonzero(~(matched | holds_merged | in_split)):
        rows.append(("false", found.ids[i], 0, found.areas[i], 0, best[i]))
    table = pd.DataFrame(rows, columns=COLUMNS[:-1])
    return table.assign(score=_scores(np.asarray(labels), score, found, table["label"]))


def _marked(areas: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return a boolean array that marks the given objects."""
    marks = np.zeros(len(areas), bool)
    marks[numbers] = True
    return marks


def _several(holder: np.ndarray, held: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """Return the ``held`` overlaps whose holder has several of them, or a match."""
    where = np.flatnonzero(held)
    count = np.bincount(holder[where], minlength=len(matched)) + matched
    return where[count[holder[where]] > 1]


def _of_pairs(kind: str, found: Overlaps, chosen: np.ndarray) -> list[tuple[Any, ...]]:
    row, column = found.row[chosen], found.column[chosen]
    columns = found.ids[row], found.target_ids[column], found.areas[row], found.target_areas[column], found.iou[chosen]
    return [(kind, *values) for values in zip(*columns, strict=True)]


def _largest(areas: np.ndarray, numbers: np.ndarray, ious: np.ndarray) -> np.ndarray:
    largest = np.zeros(len(areas))
    np.maximum.at(largest, numbers, ious)
    return largest


def _scores(labels: np.ndarray, score: np.ndarray | None, found: Overlaps, wanted: pd.Series) -> np.ndarray:
    """Return the mean score of the objects of a column; NaN if there is no object or no score."""
    from scipy import ndimage

    if score is None or not len(found.ids):
        return np.full(len(wanted), np.nan)
    means = ndimage.mean(np.asarray(score, float), labels, found.ids)
    return pd.Series(means, index=found.ids).reindex(wanted).to_numpy()
