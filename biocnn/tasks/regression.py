"""Numbers for each example."""

from typing import TYPE_CHECKING

from biocnn.core.errors import InputError
from biocnn.tasks.vectors import VectorTask

if TYPE_CHECKING:
    from torch import Tensor


class Regression(VectorTask):
    """Outputs of any unit."""

    name = "regression"
    losses = ("mse",)
    monitor = "pearson"
    metrics = ("pearson", "spearman", "mse")
    headline = ("pearson", "spearman")
    label = "a number for each {one}"
    scale = predicted = "value"
    standardised = True
    family = "regression"
    figures = "biocnn.report.vectors:regression"
    about_loss = "The loss is in squared standard deviations of the training split's targets."

    def probability(self, logits: "Tensor") -> "Tensor":
        """Return the values themselves."""
        return logits

    def class_weights(self) -> "Tensor":
        raise InputError("train.class_weights: balanced, but regression has no classes", "set it to none")
