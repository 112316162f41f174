"""What became of each object: matched, missed, false, merged with others, or split."""

from typing import Any

import numpy as np
import pandas as pd

from biocnn.metrics.objects import Overlaps, overlaps, pairs

COLUMNS = ("kind", "label", "target_label", "area", "target_area", "iou", "score")


def match_objects(
    labels: np.ndarray, target_labels: np.ndarray, score: np.ndarray | None = None, *, threshold: float = 0.5
) -> pd.DataFrame:
    """Say of each object what became of it.

    Parameters
    ----------
    labels
        Predicted objects, integers, shape (*spatial), 0 = background.
    target_labels
        True objects, of the same shape.
    score
        How sure each pixel is, of the same shape; an object has the mean of its pixels.
    threshold
        IoU from which on a predicted and a true object are matched, one to one, as `matching` counts them.

    Returns
    -------
    objects
        One row for each pair and each object without a partner:

        - ``matched``: a predicted object and its true one;
        - ``merged``: a true object without a partner that lies by more than half in the predicted object ``label``,
          as another true object does, or one that ``label`` is matched with;
        - ``missed``: any other true object without a partner;
        - ``split``: a predicted object without a partner that lies by more than half in the true object
          ``target_label``, as another predicted object does, or one that ``target_label`` is matched with; none that
          true objects are merged in;
        - ``false``: any other predicted object without a partner, but for those that true objects are merged in.

        Columns kind; label and target_label (0 where there is none); area and target_area in pixels; iou of the two,
        of missed and false objects the largest with any; score of the predicted object.
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
    """Which objects are among some."""
    marks = np.zeros(len(areas), bool)
    marks[numbers] = True
    return marks


def _several(holder: np.ndarray, held: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """Positions of overlaps that are held by an object with another such, or with a partner."""
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
    """The mean score of the objects of a column; nan where there is no object, or no score."""
    from scipy import ndimage

    if score is None or not len(found.ids):
        return np.full(len(wanted), np.nan)
    means = ndimage.mean(np.asarray(score, float), labels, found.ids)
    return pd.Series(means, index=found.ids).reindex(wanted).to_numpy()
