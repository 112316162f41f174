"""Numbers along sequences, such as coverage: a value for each base in each track."""

from typing import TYPE_CHECKING, Any

from biocnn.core.errors import InputError
from biocnn.tasks.target import Tracks
from biocnn.tasks.task import ABOUT_COUNTS, Score
from biocnn.tasks.value_maps import Moments, ValueMapTask, combine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import torch
    from torch import Tensor, nn

    from biocnn.config.schema import Chosen
    from biocnn.losses import Logits, Loss
    from biocnn.tasks.facts import Facts

OF_COUNTS = ("poisson", "multinomial")  # losses for which networks compute logarithms of expected values


class Profile(ValueMapTask):
    """K numbers per base, in the unit of the tracks.

    By most losses, networks compute them on the scale of the data set, standardised; by those of counts, logarithms of
    multiples of the mean value.
    """

    name = "profile"
    inputs = ("sequence",)
    target = Tracks()
    losses = ("mse", "l1", "huber", *OF_COUNTS)
    monitor = "pearson"
    metrics = ("pearson", "spearman", "window_pearson", "window_spearman", "shape_distance", "total_r2")
    headline = ("pearson", "total_r2")
    left_out = ("window_spearman",)
    worst_by = "rmse"
    label = "a number for each base"
    standardised = False
    family = "profiles"
    judge = "biocnn.evaluation.profile_judge:ProfileJudge"
    baselines = "biocnn.evaluation.profile_baselines:baselines"
    comparison = "biocnn.evaluation.profile_baselines:compare"
    figures = "biocnn.report.profiles:figures"
    about_loss = "The loss is in standard deviations of the training split's values (mse: squared)."

    def __init__(self, facts: "Facts") -> None:
        super().__init__(facts)
        self.target = Tracks(facts.opposite)
        if facts.form == "rate":
            self.about_loss = ABOUT_COUNTS

    def check_facts(self) -> "Iterator[str]":
        yield from super().check_facts()
        if self.facts.opposite and sorted(self.facts.opposite) != list(range(len(self.outputs))):
            yield f"opposite is {self.facts.opposite}, but must name each of {len(self.outputs)} outputs once"

    def facts_with(self, loss: "Chosen | None") -> "Facts":
        form = "rate" if loss and loss.name in OF_COUNTS else "value"
        return self.facts.model_copy(update={"form": form})

    def check_loss(self, section: "Chosen | None", class_weights: str) -> "Iterator[InputError]":
        yield from super().check_loss(section, class_weights)
        if section and section.name in OF_COUNTS and self.facts.scale == "none":
            yield InputError(
                f"loss: {section.name} is for counts, but values are learned on scale none",
                "set data.scale: log1p, if no value is negative; or use mse",
            )

    def make_loss(self, section: "Chosen | None", class_weights: str, device: "torch.device") -> "Loss":
        """Return the loss of values as stored: it compares them with logits in the unit of the network."""
        loss = super().make_loss(section, class_weights, device)

        def of_values(logits: "Logits", y: "Tensor") -> "Tensor":
            return loss(logits, self._learned(y))

        return of_values

    def _learned(self, y: "Tensor") -> "Tensor":
        """Convert values (N, K, L) to what logits are compared with."""
        if self.facts.form == "rate":
            return y / self._column(self.facts.rates, y)
        mean, sd = self._unit(y)
        return ((y.log1p() if self.facts.scale == "log1p" else y) - mean) / sd

    def probability(self, logits: "Tensor") -> "Tensor":
        """Return values in the unit of the tracks."""
        if self.facts.form == "rate":
            return logits.exp() * self._column(self.facts.rates, logits)
        mean, sd = self._unit(logits)
        values = logits * sd + mean
        return values.expm1().clamp(min=0) if self.facts.scale == "log1p" else values

    def _unit(self, like: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return mean and standard deviation of each track on the scale of the data set, once they are measured."""
        values = self.facts.values
        k = len(self.outputs)
        pair = (values.mean, values.sd) if values else ([0.0] * k, [1.0] * k)
        return self._column(pair[0], like), self._column(pair[1], like)

    @staticmethod
    def _column(numbers: list[float], like: "Tensor") -> "Tensor":
        return like.new_tensor(numbers)[:, None]

    def scaled(self, values: "np.ndarray") -> "np.ndarray":
        """Convert values to the scale on which they are learned and judged, float64."""
        import numpy as np

        values = np.asarray(values, np.float64)
        return np.log1p(values) if self.facts.scale == "log1p" else values

    def unscaled(self, values: "np.ndarray") -> "np.ndarray":
        """Convert values on that scale back."""
        import numpy as np

        return np.expm1(values).clip(min=0) if self.facts.scale == "log1p" else values

    def complete(self, network: Any) -> "nn.Module":
        """Let a network that reads both strands exchange the tracks of the two."""
        if hasattr(network, "opposite"):
            network.opposite = self.facts.opposite
        return network

    def measure(self, found: dict[str, list[Moments]]) -> dict[str, Any]:
        """Measure the values in the training split."""
        import numpy as np

        sums = combine(found["train"])
        rates = sums.plain / np.maximum(sums.number, 1)
        return super().measure(found) | {"rates": np.where(rates > 0, rates, 1).tolist()}

    def judged(self, p: "np.ndarray", y: "np.ndarray", x: "np.ndarray") -> "Iterator[tuple[str, str, float]]":
        """Yield the metrics of a window, and its totals (or means, of values on no scale), for each track.

        Correlations and error are on the scale of the data set.
        """
        import numpy as np

        from biocnn import metrics

        counts = self.facts.scale == "log1p"
        for output, one, true in zip(self.outputs, p, y, strict=True):
            known = ~np.isnan(true)
            one, true = np.asarray(one, np.float64)[known], np.asarray(true, np.float64)[known]
            if not len(true):
                continue
            pair = self.scaled(one), self.scaled(true)
            measures = (metrics.window_pearson, metrics.window_spearman, metrics.rmse)
            found = {measure.__name__: measure(*pair) for measure in measures}
            if counts:
                found["shape_distance"] = metrics.shape_distance(one, true)
            found["total"], found["true_total"] = (each.sum() if counts else each.mean() for each in (one, true))
            yield from ((output, name, float(value)) for name, value in found.items())

    def score(self) -> Score:
        return _ProfileScore(self)


class _ProfileScore(Score):
    """Pearson correlation over all bases, on the scale of the data set; the mean over tracks."""

    def __init__(self, task: Profile) -> None:
        self.task = task
        self.sums: list[np.ndarray] = []

    def add(self, p: "Tensor", y: "Tensor") -> None:
        """Add predictions for windows, and their targets, (N, K, L)."""
        import numpy as np

        from biocnn.metrics import profiles

        tracks = zip(*(self.task.scaled(each.float().cpu().numpy()).swapaxes(0, 1) for each in (p, y)), strict=True)
        self.sums.append(np.stack([profiles.products(one[true == true], true[true == true]) for one, true in tracks]))

    def value(self) -> dict[str, float]:
        import numpy as np

        from biocnn.metrics import profiles

        each = profiles.pearson_of(np.sum(self.sums, axis=0))
        known = ~np.isnan(each)
        return {"pearson": float(each[known].mean()) if known.any() else float("nan")}
