"""Losses, ``loss(logits, target, class_weights=None, *, settings) -> scalar``, and what each kind of task defaults to.

Targets: (N, K) float for sequences; (N, 1, *spatial) uint8 for masks, where 255 is ignored; (N, 3, *spatial) uint8 for
instances, as ``biocnn.tasks.instance_targets.instance_targets`` makes them.
"""

from biocnn.losses.instances import border_weights, instances
from biocnn.losses.pixels import bce, cross_entropy, focal, mse
from biocnn.losses.regions import dice, dice_bce, dice_cross_entropy, dice_focal, tversky
from biocnn.losses.shapes import boundary, cldice
from biocnn.losses.supervision import Logits, supervised
from biocnn.losses.tasks import TASKS, Loss, Task, balanced, check_output, make_loss, probability
from biocnn.metrics.masks import IGNORE

__all__ = [
    "IGNORE",
    "TASKS",
    "Logits",
    "Loss",
    "Task",
    "balanced",
    "bce",
    "border_weights",
    "boundary",
    "check_output",
    "cldice",
    "cross_entropy",
    "dice",
    "dice_bce",
    "dice_cross_entropy",
    "dice_focal",
    "focal",
    "instances",
    "make_loss",
    "mse",
    "probability",
    "supervised",
    "tversky",
]
