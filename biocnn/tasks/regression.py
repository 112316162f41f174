"""Numbers for each example."""

from typing import TYPE_CHECKING, Any

from biocnn.core.errors import InputError
from biocnn.tasks.vectors import VectorTask

if TYPE_CHECKING:
    import numpy as np
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

    def describe(self, p: "np.ndarray") -> dict[str, Any]:
        """Return the mean of each output and, for several models, their standard deviation."""
        found = {f"value_{name}": value for name, value in zip(self.outputs, p.mean(axis=0), strict=True)}
        if len(p) > 1:
            found |= {f"sd_{name}": value for name, value in zip(self.outputs, p.std(axis=0, ddof=1), strict=True)}
        return found

    def class_weights(self) -> "Tensor":
        raise InputError("train.class_weights: balanced, but regression has no classes", "set it to none")
