"""One of several ordered grades for each example."""

from typing import TYPE_CHECKING

from biocnn.tasks.multiclass import ALL, Multiclass
from biocnn.tasks.vectors import Judged

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from torch import Tensor

    from biocnn.config.schema import Chosen
    from biocnn.tasks.facts import Facts


class Ordinal(Multiclass):
    """One of K grades, from the lowest to the highest; targets as for `Multiclass`.

    A network computes K - 1 logits: for each grade but the last, whether the true one is higher. The predicted grade is
    the median of the distribution, which has the smallest expected error in grades.

    References
    ----------
    Niu et al., CVPR 2016, doi:10.1109/CVPR.2016.532; Cao et al., Pattern Recognit. Lett. 140, 325-331 (2020),
    doi:10.1016/j.patrec.2020.11.008.
    """

    name = "ordinal"
    given_as = "grade"
    losses = ("cumulative",)
    monitor = "quadratic_kappa"
    metrics = ("quadratic_kappa", "grade_mae", "accuracy", "spearman")
    headline = ("quadratic_kappa", "grade_mae")
    label = "a grade for each {one}"
    figures = "biocnn.report.multiclass:ordinal"
    value = "grade"

    def facts_with(self, loss: "Chosen | None") -> "Facts":
        return self.facts.model_copy(update={"form": "above", "out_channels": len(self.outputs) - 1})

    @property
    def channels(self) -> int:
        return len(self.outputs) - (self.facts.form == "above")

    def judged(self) -> list[Judged]:
        """Return what is judged: all grades together."""
        from biocnn import metrics

        together = {
            "quadratic_kappa": metrics.quadratic_kappa,
            "grade_mae": metrics.grade_mae,
            "accuracy": metrics.grade_accuracy,
            "spearman": metrics.grade_spearman,
        }
        return [Judged(ALL, slice(None), together)]

    def rated(self, p: "np.ndarray", y: "np.ndarray") -> list[float]:
        """Return the metric of all grades, once for each."""
        from biocnn import metrics

        target, found = metrics.labelled(y, p)
        return [metrics.quadratic_kappa(found, target)] * y.shape[1]

    def chance(self, y: "np.ndarray") -> list[float]:
        return [0.0] * y.shape[1]

    def probability(self, logits: "Tensor") -> "Tensor":
        """Return the probability of each grade (N, K), from logits (N, K - 1).

        The probabilities to be above each grade must decrease; where a network lets one increase, it is lowered.
        """
        import torch

        above = logits.sigmoid().cummin(1).values
        one, none = torch.ones_like(above[:, :1]), torch.zeros_like(above[:, :1])
        return torch.cat([one, above], 1) - torch.cat([above, none], 1)

    def chosen(self, p: "np.ndarray") -> "np.ndarray":
        """Return the number of the median grade."""
        from biocnn.metrics.weighted import median_grades

        return median_grades(p)

    def decide(self, p: "np.ndarray") -> dict[str, str]:
        """Return the median grade."""
        return {f"grade{self.suffix}": self.outputs[self.chosen(p[None])[0]]}

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return the predicted grade, or the second if it is the lowest: what supports at least this grade."""
        return [max(1, int(self.chosen(p[None].cpu().numpy())[0]))]

    def logit_of(self, output: int) -> int:
        return output - 1

    def temperature(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        """Fit one temperature for all logits."""
        import numpy as np

        from biocnn.tasks.temperature import fit_temperature

        z, y = (np.concatenate(parts) for parts in zip(*((z.cpu(), y.cpu()) for z, y in batches), strict=True))
        above = 1 - np.cumsum(y, axis=1)[:, :-1]
        known = int((~np.isnan(y).any(axis=1)).sum())
        return fit_temperature(z.reshape(-1, 1), above.reshape(-1, 1), worth=known)
