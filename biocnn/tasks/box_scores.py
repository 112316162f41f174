"""Scores of boxes, tuned on validation images: the lowest score of each class, and calibration.

The logit of a score is multiplied by a scale and shifted (Platt scaling), so that of the boxes with a score of .8, 80%
are true at an IoU of .5. All classes share scale and shift, which do not change the order of boxes.

Priors keep both near 1 and 0 when there are few boxes: that of a temperature for 1 / scale, and a standard normal
distribution for the shift.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from biocnn.metrics.boxes import match_detections
from biocnn.metrics.detections import best_threshold
from biocnn.tasks.temperature import FLATTEST, PRIOR, SHARPEST

SMALLEST = 1e-6  # distance of scores from 0 and 1


def tune_scores(found: Sequence[np.ndarray], truth: Sequence[np.ndarray], classes: int) -> dict[str, Any]:
    """Return the score of each class with the best F1, and scale and shift fitted to the boxes that reach it."""
    matched = match_detections(found, truth, classes, (0.5,))
    thresholds = [round(best_threshold(one), 4) for one in matched]
    kept = [(one.score >= lowest) & ~one.unjudged[0] for one, lowest in zip(matched, thresholds, strict=True)]
    score = np.concatenate([one.score[rows] for one, rows in zip(matched, kept, strict=True)])
    true = np.concatenate([one.true[0, rows] for one, rows in zip(matched, kept, strict=True)])
    scale, shift = fit_calibration(score, true)
    return {"thresholds": thresholds, "scale": round(scale, 4), "shift": round(shift, 4)}


def fit_calibration(score: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Fit the most probable scale and shift given which boxes are true, (N,)."""
    z, y = _logit(score), np.asarray(true, float)

    def cost(values: np.ndarray) -> tuple[float, np.ndarray]:
        scale, shift = values
        of_boxes = np.logaddexp(0, scale * z + shift) - y * (scale * z + shift)
        residual = expit(scale * z + shift) - y
        slopes = np.array([(residual * z).sum() + PRIOR * (1 - 1 / scale), residual.sum() + shift])
        return of_boxes.sum() + PRIOR * (scale - 1 - np.log(scale)) + shift**2 / 2, slopes

    bounds = [(1 / FLATTEST, 1 / SHARPEST), (None, None)]
    scale, shift = minimize(cost, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(scale), float(shift)


def calibrated(score: np.ndarray, scale: float, shift: float) -> np.ndarray:
    """Apply scale and shift to scores, (N,), float32."""
    return expit(scale * _logit(score) + shift).astype(np.float32)


def _logit(score: np.ndarray) -> np.ndarray:
    return logit(np.asarray(score, float).clip(SMALLEST, 1 - SMALLEST))
