"""How good predictions are: pure functions of arrays, and confidence intervals over examples."""

from biocnn.metrics.masks import confusion, dice, dice_of_counts, hausdorff95, iou, iou_of_counts
from biocnn.metrics.objects import Matching, average_precision_iou, matching, panoptic_quality, pooled
from biocnn.metrics.resampling import bootstrap, interval, replicates
from biocnn.metrics.vectors import accuracy, auprc, auroc, ece, mse, pearson, recall_at_fdr10, spearman

__all__ = [
    "Matching",
    "accuracy",
    "auprc",
    "auroc",
    "average_precision_iou",
    "bootstrap",
    "confusion",
    "dice",
    "dice_of_counts",
    "ece",
    "hausdorff95",
    "interval",
    "iou",
    "iou_of_counts",
    "matching",
    "mse",
    "panoptic_quality",
    "pearson",
    "pooled",
    "recall_at_fdr10",
    "replicates",
    "spearman",
]
