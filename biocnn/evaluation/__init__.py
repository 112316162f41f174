"""Evaluation: metrics with confidence intervals, comparison with baselines, uncertainty."""
