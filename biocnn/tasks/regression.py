"""Numbers for each example."""

from typing import TYPE_CHECKING, Any

from biocnn.core.errors import InputError
from biocnn.tasks.conformal import conformal_margin
from biocnn.tasks.inputs import make_input
from biocnn.tasks.task import ABOUT_COUNTS
from biocnn.tasks.vectors import VectorTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from torch import Tensor

    from biocnn.config.schema import Chosen
    from biocnn.tasks.facts import Facts

    Unit = dict[str, list[float]]

# What networks compute for a value, by loss: all others one number, the value itself.
FORMS = {"poisson": "rate", "gaussian_nll": "gaussian", "quantiles": "quantiles"}
CHANNELS = {"value": 1, "rate": 1, "gaussian": 2, "quantiles": 3}
WITH_SD = ("rate", "gaussian")


class Regression(VectorTask):
    """Outputs of any unit, each with an interval that contains 90% of true values.

    The outputs of a network are blocks of K channels, whose meaning the loss determines: ``facts.form``. Predictions
    are blocks of K numbers as well: at first the values and measures of their spread, see ``probability``; then, once
    validation examples have been seen, the values and the ends of their intervals, see ``settle``.
    """

    name = "regression"
    given_as = "value"
    losses = ("mse", "l1", "huber", "poisson", "gaussian_nll", "quantiles")
    monitor = "pearson"
    metrics = ("pearson", "spearman", "mse", "mae", "rmse", "r2")
    headline = ("pearson", "spearman")
    left_out: tuple[str, ...] = ("mae", "rmse", "interval_width")
    label = "a number for each {one}"
    scale = predicted = "value"
    stored = "float32"
    standardised = exact = True
    family = "regression"
    figures = "biocnn.report.values:regression"
    about_loss = "The loss is in units of the standard deviation of the training split's targets."

    def __init__(self, facts: "Facts") -> None:
        super().__init__(facts)
        if facts.form == "rate":
            self.about_loss = ABOUT_COUNTS
        if not make_input(facts).scanned:  # sequences are measured in arbitrary units, images often in common ones
            # Several outputs may have several units, in which a mean error of all has no meaning.
            self.monitor, self.headline = "r2", ("mae" if len(self.outputs) == 1 else "r2", "pearson")
            self.left_out = ("spearman", "mse")

    def facts_with(self, loss: "Chosen | None") -> "Facts":
        form = FORMS.get(loss.name, "value") if loss else "value"
        channels = CHANNELS[form] * len(self.outputs)
        return self.facts.model_copy(update={"form": form, "out_channels": channels})

    @property
    def channels(self) -> int:
        return CHANNELS.get(self.facts.form, 0) * len(self.outputs)  # 0: a form of another task, which is refused

    def probability(self, logits: "Tensor") -> "Tensor":
        """Return values, (N, K), and measures of their spread in further blocks of K.

        For ``gaussian`` and ``rate`` this is the standard deviation, for ``quantiles`` the distances of the 5% and the
        95% quantile from the median, which is the value.
        """
        import torch

        form = self.facts.form
        if form == "value":
            return logits
        if form == "rate":
            return torch.cat([logits.exp(), (logits / 2).exp()], 1)
        first, *others = logits.chunk(CHANNELS[form], 1)
        return torch.cat([first, *(log.exp() for log in others)], 1)

    def from_unit(self, unit: "Unit") -> "tuple[list[float], list[float]]":
        """Return factor and shift of each logit that convert a network from a unit to that of the targets."""
        import math

        mean, sd = unit["mean"], unit["sd"]
        logs = [math.log(one) for one in sd]
        if self.facts.form == "rate":
            return [1.0] * len(sd), logs
        others = CHANNELS[self.facts.form] - 1
        return sd + [1.0] * len(sd) * others, mean + logs * others

    def in_targets_unit(self, p: "np.ndarray") -> "np.ndarray":
        """Convert predictions (N, ...) in the unit of the training to that of the targets."""
        import numpy as np

        if self.unit is None:
            return p
        mean, sd = (np.array(self.unit[key]) for key in ("mean", "sd"))
        value, *spread = self.blocks(p)
        scale = np.sqrt(sd) if self.facts.form == "rate" else sd
        return np.concatenate([value * sd + mean, *(one * scale for one in spread)], axis=-1)

    def blocks(self, p: "np.ndarray") -> "list[np.ndarray]":
        """Cut predictions (..., blocks x K) into blocks (..., K), the values first."""
        import numpy as np

        return np.split(np.asarray(p, np.float64), p.shape[-1] // len(self.outputs), axis=-1)

    def rated(self, p: "np.ndarray", y: "np.ndarray") -> list[float]:
        return super().rated(p if self.monitor == "pearson" else self.in_targets_unit(p), y)  # which needs no unit

    def tune(self, probabilities: "Iterable[np.ndarray]", labels: "Iterable[np.ndarray]") -> dict[str, Any]:
        """Choose how wide intervals are: as a multiple of the predicted spread, or of 1 if none is predicted.

        See `biocnn.tasks.conformal.conformal_margin`.
        """
        import numpy as np

        p, y = self.in_targets_unit(np.stack(list(probabilities))), np.stack(list(labels))
        value, below, above = self._spread(p)
        errors = np.where(y < value, (value - y) / below, (y - value) / above)
        return {"margin": [conformal_margin(column[~np.isnan(column)]) for column in errors.T]}

    def _spread(self, p: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        """Return values, and their spread below and above them."""
        import numpy as np

        value, *spread = self.blocks(p)
        spread = [np.maximum(one, np.finfo(np.float32).tiny) for one in spread] or [np.ones_like(value)]
        return value, spread[0], spread[-1]

    @property
    def tempered(self) -> list[str]:
        """Return nothing: values have no temperature."""
        return []

    @property
    def widths(self) -> tuple[int, int, int]:
        """Return the columns of the values, with their spread, and of values, intervals and standard deviation."""
        k, spread = len(self.outputs), max(CHANNELS[self.facts.form], 1 + (self.facts.form in WITH_SD))
        return k, k * spread, k * (3 + (self.facts.form in WITH_SD))

    def settle(self, p: "np.ndarray", tuned: dict[str, Any]) -> "np.ndarray":
        """Return values, low and high ends of their intervals and, if a distribution is predicted, its standard
        deviation, from predictions as of ``probability``; shape (..., 3 K) or (..., 4 K), nan without an interval.
        """
        import numpy as np

        value, below, above = self._spread(p)
        margin = np.array([np.nan if one is None else one for one in tuned.get("margin") or [None]])
        low, high = value - margin * below, value + margin * above
        if self.facts.form == "rate":
            low = np.maximum(low, 0)
        sd = self.blocks(p)[1:] if self.facts.form in WITH_SD else []
        return np.concatenate([value, low, high, *sd], axis=-1).astype(np.float32)

    def combine(self, predictions: "Sequence[np.ndarray]") -> "np.ndarray":
        """Return the mean of settled predictions; standard deviations become that of the mixture."""
        import numpy as np

        mean = super().combine(predictions)
        if len(self.blocks(mean)) == 4:
            value, _, _, sd = zip(*map(self.blocks, predictions), strict=True)
            mean[..., -len(self.outputs) :] = np.sqrt(np.square(sd).mean(axis=0) + np.var(value, axis=0))
        return mean

    def intervals(self, p: "np.ndarray") -> "np.ndarray":
        import numpy as np

        return np.stack(self.blocks(p)[1:3], axis=-1).astype(np.float32)

    def averaged(self, p: "np.ndarray", y: "np.ndarray") -> "Iterator[tuple[str, str, np.ndarray]]":
        """Yield coverage and width of the intervals and, of distributions, the continuous ranked probability score."""
        import numpy as np

        from biocnn.metrics import gaussian_crps

        blocks = self.blocks(p)
        if len(blocks) < 3:
            return
        value, low, high = (np.where(np.isnan(y), np.nan, block) for block in blocks[:3])
        found = {
            "coverage90": np.where(np.isnan(low), np.nan, (low <= y) & (y <= high)),
            "interval_width": high - low,
        }
        if len(blocks) > 3:
            found["crps"] = gaussian_crps(value, blocks[3], y)
        for k, output in enumerate(self.outputs):
            for name, each in found.items():
                yield output, name, each[:, k]

    def describe(self, p: "np.ndarray") -> dict[str, Any]:
        """Return the mean of each output and, for several models, their standard deviation; mean ends of intervals."""
        value, *ends = self.blocks(p)
        found = {f"value_{name}": one for name, one in zip(self.outputs, value.mean(axis=0), strict=True)}
        if len(p) > 1:
            found |= {f"sd_{name}": one for name, one in zip(self.outputs, value.std(axis=0, ddof=1), strict=True)}
        for end, block in zip(("low", "high"), ends, strict=False):
            found |= {f"{end}_{name}": one for name, one in zip(self.outputs, block.mean(axis=0), strict=True)}
        return found

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return all outputs: none is more likely than another."""
        return list(range(len(self.outputs)))

    def class_weights(self) -> "Tensor":
        raise InputError("train.class_weights: balanced, but regression has no classes", "set it to none")
