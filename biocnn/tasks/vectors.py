"""What tasks with one vector an example share: truth of shape (N, K), nan where it is not known."""

import math
from typing import TYPE_CHECKING

from biocnn.tasks.target import Vector
from biocnn.tasks.task import Score, Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from torch import Tensor


class VectorTask(Task):
    """K numbers for each example."""

    inputs = ("sequence",)
    target = Vector()

    def score(self) -> Score:
        """The mean of the metric over the outputs of which it is defined: that have both classes, for example."""
        return _VectorScore(self.monitor)

    def without_metric(self, truths: "Iterable[np.ndarray]") -> list[str]:
        """Outputs of which less than two values are known."""
        import numpy as np

        columns = zip(self.outputs, np.stack(list(truths)).T, strict=True)
        return [name for name, column in columns if len(np.unique(column[~np.isnan(column)])) < 2]


class YesOrNo(VectorTask):
    """Each output is 0 or 1."""

    losses = ("bce",)
    monitor = "auprc"
    metrics = ("auroc", "auprc", "recall_at_fdr10", "accuracy", "ece")
    headline = ("auroc", "auprc")
    family = "Sequences: classification"
    positives = True

    def probability(self, logits: "Tensor") -> "Tensor":
        return logits.sigmoid()

    def class_weights(self) -> "Tensor":
        """Negatives for each positive, for each output."""
        import torch

        share = torch.tensor(self.facts["positives"]).clamp(1e-3, 1 - 1e-3)
        return (1 - share) / share

    def temperature(self, answers: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        import numpy as np

        from biocnn.tasks.temperature import fit_temperature

        z, y = (np.concatenate(parts) for parts in zip(*((z.cpu(), y.cpu()) for z, y in answers), strict=True))
        return fit_temperature(z, y)


class _VectorScore(Score):
    def __init__(self, name: str) -> None:
        self.name, self.pairs = name, []

    def add(self, p: "Tensor", y: "Tensor") -> None:
        self.pairs.append((p.cpu().numpy(), y.cpu().numpy()))

    def value(self) -> dict[str, float]:
        import numpy as np

        from biocnn import metrics

        p, y = (np.concatenate(parts) for parts in zip(*self.pairs, strict=True))
        metric = getattr(metrics, self.name)
        known = [metrics.labelled(y[:, k], p[:, k]) for k in range(y.shape[1])]
        values = [value for target, found in known if not math.isnan(value := metric(found, target))]
        return {self.name: float(np.mean(values)) if values else math.nan}
