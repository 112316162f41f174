"""Scores of boxes, tuned on validation images: for each class its lowest score, and calibration.

The logit of a score is multiplied by a scale and shifted (Platt scaling), so that of the boxes with a score of .8, 80%
are true at an IoU of .5. This does not change the order of the boxes of a class.

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
    """Return for each class the score with the best F1, this F1, and scale and shift fitted to boxes that reach it."""
    tuned: dict[str, list[float]] = {"thresholds": [], "f1": [], "scale": [], "shift": []}
    for matched in match_detections(found, truth, classes, (0.5,)):
        lowest, f1 = best_threshold(matched)
        lowest = round(lowest, 4)
        kept = (matched.score >= lowest) & ~matched.unjudged[0]
        scale, shift = fit_calibration(matched.score[kept], matched.true[0, kept])
        for name, value in (("thresholds", lowest), ("f1", f1), ("scale", scale), ("shift", shift)):
            tuned[name].append(round(value, 4))
    return tuned


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


def calibrated(score: np.ndarray, scale: np.ndarray | float, shift: np.ndarray | float) -> np.ndarray:
    """Apply a scale and shift, or one of each for every score, to scores, (N,), float32."""
    return expit(scale * _logit(score) + shift).astype(np.float32)


def _logit(score: np.ndarray) -> np.ndarray:
    return logit(np.asarray(score, float).clip(SMALLEST, 1 - SMALLEST))
