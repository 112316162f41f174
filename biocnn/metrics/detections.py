"""Metrics of detections, from those of one class matched by `match_detections`.

Most take weights of the images, (B, N): unit weights give the metric, the counts of resamples bootstrap replicates.
Values are NaN where no true box has weight. COCO: Lin et al., ECCV 2014, doi:10.1007/978-3-319-10602-1_48.
"""

from collections.abc import Sequence

import numpy as np

from biocnn.metrics.boxes import THRESHOLDS, Matched, match_detections
from biocnn.metrics.masks import dice_of_counts
from biocnn.metrics.weighted import defined_mean, ece, mean, ratio

# Detections of an image and class that average precision and recall consider, or more if an image has more true boxes.
MOST = 100
RECALLS = np.linspace(0, 1, 101)
OF_SCORES = ("ap50", "ap75", "ap50_95", "ar", "froc", "ece")  # `measures` that need scores
ALARMS = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)  # false positives per image in the LUNA16 challenge


def mean_average_precision(
    found: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    classes: int,
    thresholds: Sequence[float] = THRESHOLDS,
) -> np.ndarray:
    """Compute the mean average precision of the classes with true boxes.

    For parameters see `match_detections`.

    Returns
    -------
    mean_average_precision
        One value per threshold, (T,): AP50 at .5; COCO's AP is the mean over .5, .55, ..., .95. NaN without true boxes.
    """
    matched, weights = match_detections(found, truth, classes, thresholds), np.ones((1, len(truth)))
    return defined_mean(np.stack([average_precision(weights, one)[0] for one in matched]))


def average_precision(weights: np.ndarray, matched: Matched) -> np.ndarray:
    """Compute average precision as COCO does, (B, T): the mean over 101 recalls of the highest precision from there."""
    values = np.zeros((len(weights), len(matched.true)))
    first = _first(matched)
    drawn, number = weights[:, matched.image[first]], _number(weights, matched)
    for t, (true, unjudged) in enumerate(zip(matched.true[:, first], matched.unjudged[:, first], strict=True)):
        hits = np.cumsum(drawn[:, true], axis=1)
        above = np.cumsum(np.where(unjudged, 0, drawn) if unjudged.any() else drawn, axis=1)[:, true]
        best = np.maximum.accumulate(ratio(hits, above, empty=0)[:, ::-1], axis=1)[:, ::-1]
        reached = np.searchsorted(RECALLS, hits / number, side="right")
        values[:, t] = (best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS)
    return np.where(np.isnan(number), np.nan, values)


def recall(weights: np.ndarray, matched: Matched) -> np.ndarray:
    """Compute the recall of the first 100 detections of each image, (B, T); COCO's AR is the mean over T."""
    first = _first(matched)
    return weights[:, matched.image[first]] @ matched.true[:, first].T / _number(weights, matched)


def sensitivities(weights: np.ndarray, matched: Matched, alarms: Sequence[float] = ALARMS) -> np.ndarray:
    """Compute the largest sensitivity at rates of false positives per image, the FROC curve; (B, rates).

    Detections are matched at the first threshold. LUNA16 reports the mean over the rates: Setio et al., Medical Image
    Analysis 42, 1-13 (2017), doi:10.1016/j.media.2017.06.015.
    """
    judged, ends = ~matched.unjudged[0], _ends(matched.score)
    drawn = weights[:, matched.image]
    hits = np.cumsum(drawn * matched.true[0], axis=1)[:, ends]
    false = np.cumsum(drawn * (judged & ~matched.true[0]), axis=1)[:, ends] / weights.sum(axis=1, keepdims=True)
    reached = np.stack([np.where(false <= rate, hits, 0).max(axis=1, initial=0) for rate in alarms], axis=1)
    return reached / _number(weights, matched)


def calibration_error(weights: np.ndarray, matched: Matched) -> np.ndarray:
    """Compute the difference between scores and precision, (B,); see `biocnn.metrics.ece`."""
    judged = ~matched.unjudged[0]
    drawn, error = weights[:, matched.image[judged]], np.full(len(weights), np.nan)
    some = (drawn.sum(axis=1) > 0) & (weights @ matched.number > 0)
    error[some] = ece(drawn[some], matched.score[judged].astype(float), matched.true[0, judged])
    return error


def counts(matched: Matched) -> np.ndarray:
    """Count true positives, false positives and false negatives of each image, (N, 3).

    Each false positive in excess of the false negatives is one box too many.
    """
    true, false = matched.true[0], ~matched.true[0] & ~matched.unjudged[0]
    hits, alarms = (np.bincount(matched.image[flags], minlength=len(matched.number)) for flags in (true, false))
    return np.stack([hits, alarms, matched.number - hits], axis=1)


def measures(weights: np.ndarray, matched: Matched, decided: Matched) -> dict[str, np.ndarray]:
    """Compute all metrics of a class by name, (B,) each.

    Parameters
    ----------
    weights
        Weights of the images, shape (B, N).
    matched
        All detections, matched at ``THRESHOLDS``.
    decided
        Those at or above the score threshold, matched at an IoU of .5.

    Returns
    -------
    measures
        ``ap50``, ``ap75``, ``ap50_95`` and ``ar`` as in COCO; ``froc``, the mean of `sensitivities`; of the decided
        detections ``f1``, ``precision``, ``recall``, ``count_mae`` and ``count_bias`` (mean absolute and mean error of
        the number of boxes in an image), and ``ece``, the `calibration_error`.
    """
    precision, each = average_precision(weights, matched), counts(decided)
    tp, fp, fn = (weights @ each).T
    surplus, present = each[:, 1] - each[:, 2], tp + fn > 0
    values = {
        "ap50": precision[:, 0],
        "ap75": precision[:, 5],
        "ap50_95": precision.mean(axis=1),
        "ar": recall(weights, matched).mean(axis=1),
        "froc": sensitivities(weights, matched).mean(axis=1),
        "f1": dice_of_counts(tp, fp, fn),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "count_mae": mean(weights, np.abs(surplus)),
        "count_bias": mean(weights, surplus),
        "ece": calibration_error(weights, decided),
    }
    return {name: np.where(present, value, np.nan) for name, value in values.items()}


def best_threshold(matched: Matched) -> tuple[float, float]:
    """Return the score from which on detections have the best F1, and this F1; 0.5 and 0 if no detection is true.

    It is half way between two scores, so that rounding errors do not change which detections are kept; of equally good
    ones it is the highest.
    """
    if not matched.true[0].any():
        return 0.5, 0.0
    ends = _ends(matched.score)
    hits = np.cumsum(matched.true[0])[ends]
    judged = np.cumsum(~matched.unjudged[0])[ends]
    f1 = dice_of_counts(hits, judged - hits, matched.number.sum() - hits)
    best = ends[f1.argmax()]
    return float(matched.score[best : best + 2].sum(dtype=float) / 2), float(f1.max())


def _first(matched: Matched) -> np.ndarray:
    """Return which detections are considered, (n,), boolean."""
    return matched.rank < max(MOST, matched.number.max(initial=0))


def _number(weights: np.ndarray, matched: Matched) -> np.ndarray:
    """Return the weighted number of true boxes, (B, 1); NaN instead of 0."""
    number = weights @ matched.number
    return np.where(number > 0, number, np.nan)[:, None]


def _ends(score: np.ndarray) -> np.ndarray:
    """Return the last position of each run of equal scores."""
    return np.flatnonzero(np.diff(score, append=np.nan) != 0)
