"""Evaluation metrics as pure functions of arrays, and confidence intervals over examples."""

from biocnn.metrics.annotators import Agreement, annotator_agreement
from biocnn.metrics.box_matches import match_boxes
from biocnn.metrics.boxes import box_iou, match_detections
from biocnn.metrics.centrelines import cldice
from biocnn.metrics.classes import (
    balanced_accuracy,
    class_accuracy,
    class_confusion,
    class_ece,
    cohens_kappa,
    grade_accuracy,
    grade_mae,
    grade_spearman,
    macro_auprc,
    macro_auroc,
    quadratic_kappa,
    top2_accuracy,
)
from biocnn.metrics.counts import count_bias, count_mae, count_rmse, game, relative_error
from biocnn.metrics.detections import mean_average_precision
from biocnn.metrics.errors import ERRORS, error_of
from biocnn.metrics.fusion import fuse_boxes
from biocnn.metrics.histograms import auprc_of_counts, auroc_of_counts, pixel_histogram
from biocnn.metrics.masks import (
    confusion,
    dice,
    dice_of_counts,
    iou,
    iou_of_counts,
    pixel_error,
    sensitivity,
    specificity,
)
from biocnn.metrics.matches import match_objects
from biocnn.metrics.objects import Matching, aji, average_precision_iou, matching, panoptic_quality, pooled
from biocnn.metrics.partitions import segments, v_rand, variation_of_information
from biocnn.metrics.profiles import shape_distance, total_r2, window_pearson, window_spearman
from biocnn.metrics.resampling import bootstrap, interval, replicates
from biocnn.metrics.similarity import psnr, psnr_fitted, residual_correlation, ssim
from biocnn.metrics.surfaces import average_surface_distance, hausdorff95, surface_dice
from biocnn.metrics.vectors import (
    accuracy,
    auprc,
    auroc,
    ece,
    gaussian_crps,
    labelled,
    mae,
    mse,
    pearson,
    r2,
    recall_at_fdr10,
    rmse,
    sensitivity_at_specificity90,
    spearman,
)

__all__ = [
    "ERRORS",
    "Agreement",
    "Matching",
    "accuracy",
    "aji",
    "annotator_agreement",
    "auprc",
    "auprc_of_counts",
    "auroc",
    "auroc_of_counts",
    "average_precision_iou",
    "average_surface_distance",
    "balanced_accuracy",
    "bootstrap",
    "box_iou",
    "class_accuracy",
    "class_confusion",
    "class_ece",
    "cldice",
    "cohens_kappa",
    "confusion",
    "count_bias",
    "count_mae",
    "count_rmse",
    "dice",
    "dice_of_counts",
    "ece",
    "error_of",
    "fuse_boxes",
    "game",
    "gaussian_crps",
    "grade_accuracy",
    "grade_mae",
    "grade_spearman",
    "hausdorff95",
    "interval",
    "iou",
    "iou_of_counts",
    "labelled",
    "macro_auprc",
    "macro_auroc",
    "mae",
    "match_boxes",
    "match_detections",
    "match_objects",
    "matching",
    "mean_average_precision",
    "mse",
    "panoptic_quality",
    "pearson",
    "pixel_error",
    "pixel_histogram",
    "pooled",
    "psnr",
    "psnr_fitted",
    "quadratic_kappa",
    "r2",
    "recall_at_fdr10",
    "relative_error",
    "replicates",
    "residual_correlation",
    "rmse",
    "segments",
    "sensitivity",
    "sensitivity_at_specificity90",
    "shape_distance",
    "spearman",
    "specificity",
    "ssim",
    "surface_dice",
    "top2_accuracy",
    "total_r2",
    "v_rand",
    "variation_of_information",
    "window_pearson",
    "window_spearman",
]
