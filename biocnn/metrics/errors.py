"""Metrics as errors, which are 0 at best."""

import math

# Metrics that are better if smaller, which are errors; for all others the error is the distance from the best value, 1.
ERRORS = (
    "mse", "rmse", "mae", "grade_mae", "count_mae", "count_rmse", "relative_error", "game1", "game2", "ece", "crps",
    "shape_distance", "base_error", "pixel_error", "hausdorff95", "average_surface_distance",
    "variation_of_information", "vi_split", "vi_merge",
    "residual_correlation",
)  # fmt: skip
NEITHER = ("count_bias", "coverage90", "interval_width", "psnr", "psnr_fitted")


def error_of(metric: str, value: float) -> float:
    """Convert the value of a metric to an error; nan if it cannot be one, like signal-to-noise ratios."""
    if metric in NEITHER:
        return math.nan
    return value if metric in ERRORS else 1 - value
