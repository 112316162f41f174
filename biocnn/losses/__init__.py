"""Losses, ``loss(logits, target, class_weights=None, *, settings) -> scalar``; each task lists those that fit it.

Targets: (N, K) float for sequences; (N, K, *spatial) float for values of pixels, nan if unknown; (N, 1, *spatial) uint8
for masks, where 255 is ignored; (N, 3, *spatial) uint8 for instances, from
``biocnn.tasks.instance_targets.instance_targets``.
"""

from biocnn.losses.contrastive import nt_xent, triplet
from biocnn.losses.instances import border_weights, instances
from biocnn.losses.pixels import bce, cross_entropy, focal
from biocnn.losses.profiles import multinomial
from biocnn.losses.regions import dice, dice_bce, dice_cross_entropy, dice_focal, tversky
from biocnn.losses.shapes import boundary, cldice
from biocnn.losses.similarity import ssim
from biocnn.losses.supervision import Logits, Loss, supervised
from biocnn.losses.values import cumulative, gaussian_nll, huber, l1, mse, poisson, quantiles
from biocnn.metrics.masks import IGNORE

__all__ = [
    "IGNORE",
    "Logits",
    "Loss",
    "bce",
    "border_weights",
    "boundary",
    "cldice",
    "cross_entropy",
    "cumulative",
    "dice",
    "dice_bce",
    "dice_cross_entropy",
    "dice_focal",
    "focal",
    "gaussian_nll",
    "huber",
    "instances",
    "l1",
    "mse",
    "multinomial",
    "nt_xent",
    "poisson",
    "quantiles",
    "ssim",
    "supervised",
    "triplet",
    "tversky",
]
