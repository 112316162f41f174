"""Common base of tasks with numbers for each pixel: ground truth of shape (K, *spatial), float32, nan if unknown."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from biocnn.core.errors import InputError
from biocnn.tasks.target import ValueMap
from biocnn.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from torch import Tensor


class Moments(NamedTuple):
    """Sums over the known values of an example, for each output, (K,), on the scale that is learned.

    ``plain`` is their sum as stored.
    """

    number: "np.ndarray"
    total: "np.ndarray"
    squares: "np.ndarray"
    least: "np.ndarray"
    most: "np.ndarray"
    plain: "np.ndarray"


class ValueMapTask(Task):
    """K numbers per pixel, in any unit. Training standardises the targets; predictions are in their original unit."""

    inputs = ("image",)
    target = ValueMap()
    losses: tuple[str, ...] = ("mse", "l1")
    monitor = ""
    scale = predicted = "value"
    stored = "float32"
    standardised = True
    judge = "biocnn.evaluation.value_judge:ValueJudge"
    about_loss = "The loss is in standard deviations of the training split's targets (mse: squared)."
    units: ClassVar["Mapping[str, str]"] = {}  # units of metrics, by name

    @abstractmethod
    def judged(self, p: "np.ndarray", y: "np.ndarray", x: "np.ndarray") -> "Iterator[tuple[str, str, float]]":
        """Yield output, metric and value for one example: prediction and truth (K, *spatial), input (C, *spatial)."""

    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> Moments:
        """Sum the known values of each output."""
        import numpy as np

        plain = stored.reshape(len(stored), -1)
        values = self.scaled(plain)
        if np.isinf(values).any():
            raise InputError("data: a target is infinite", "replace it; nan marks unknown values")
        known = ~np.isnan(values)
        filled = np.where(known, values, 0)
        ends = np.where(known, values, np.inf).min(axis=1), np.where(known, values, -np.inf).max(axis=1)
        total = np.asarray(np.nansum(plain, axis=1, dtype=np.float64))
        return Moments(known.sum(axis=1), filled.sum(axis=1), (filled**2).sum(axis=1), *ends, total)

    def scaled(self, values: "np.ndarray") -> "np.ndarray":
        """Convert values to the scale on which they are learned and judged, float64."""
        return values.astype("float64")

    def check_split(self, found: dict[str, list[Moments]]) -> "Iterator[tuple[str, str]]":
        """Refuse outputs without values to learn from, or to evaluate; note those that are constant."""
        for split, examples in found.items():
            sums = combine(examples)
            for output, number, least, most in zip(self.outputs, sums.number, sums.least, sums.most, strict=True):
                if number and least < most:
                    continue
                what = f"only one value ({least:g})" if number else "no known value"
                if split == "train" or not number:
                    raise InputError(
                        f"split: the {split} split has {what} of {output!r}",
                        f"choose other groups, or a larger {split} split",
                    )
                yield f"the {split} split has {what} of an output", output

    def measure(self, found: dict[str, list[Moments]]) -> dict[str, Any]:
        """Measure mean, standard deviation and extremes of the values in the training split."""
        import numpy as np

        sums = combine(found["train"])
        number = np.maximum(sums.number, 1)
        mean = sums.total / number
        sd = np.sqrt(np.maximum(sums.squares / number - mean**2, 0))
        varied = (sums.least < sums.most) & (sd > 0)
        return {
            "values": {
                "mean": mean.tolist(),
                "sd": np.where(varied, sd, 1).tolist(),
                "least": sums.least.tolist(),
                "most": sums.most.tolist(),
            }
        }

    def probability(self, logits: "Tensor") -> "Tensor":
        """Return the values themselves."""
        return logits

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return no output: class activation maps explain classes."""
        return []

    def class_weights(self) -> "Tensor":
        raise InputError(f"train.class_weights: balanced, but {self.name} has no classes", "set it to none")


def combine(examples: list[Moments]) -> Moments:
    """Combine the sums of several examples."""
    import numpy as np

    number, total, squares, least, most, plain = (np.stack(each) for each in zip(*examples, strict=True))
    return Moments(number.sum(0), total.sum(0), squares.sum(0), least.min(0), most.max(0), plain.sum(0))
