"""Numbers of objects, as the sum of a map of their density."""

from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from biocnn.core.errors import InputError
from biocnn.tasks.conformal import conformal_margin
from biocnn.tasks.target import DensityMap
from biocnn.tasks.task import Score
from biocnn.tasks.value_maps import Moments, ValueMapTask, combine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from torch import Tensor


class Counted(NamedTuple):
    """Number of objects of each class in an image, (K,), and the ends of its interval; nan: no interval."""

    number: "np.ndarray"
    low: "np.ndarray"
    high: "np.ndarray"


class Density(ValueMapTask):
    """Objects per pixel of each class. Truth is the number of points in each pixel, (K, *spatial), float32."""

    name = "density"
    target = DensityMap()
    kept = "float32"
    losses = ("mse",)  # its optimum is the mean, so that sums are right; that of l1 is the median, 0 for rare objects
    monitor = "r2"
    metrics = ("count_mae", "count_rmse", "relative_error", "count_bias", "pearson")
    headline = ("count_mae", "pearson")
    left_out = ("relative_error", "game1")
    label = "the number of objects in each {one}"
    predicted = "density"
    family = "counts"
    judge = "biocnn.evaluation.count_judge:CountJudge"
    baselines = "biocnn.evaluation.count_baselines:baselines"
    figures = "biocnn.report.density:figures"
    panels = "biocnn.report.density:DensityPanels"
    applied = "biocnn.apply.density:count_objects"

    def encode(self, truth: "np.ndarray") -> "np.ndarray":
        """Replace each point by a Gaussian whose sum within the image is 1, at its borders, too."""
        import numpy as np
        from scipy.ndimage import gaussian_filter

        width = self.facts.width
        inside = gaussian_filter(np.ones(truth.shape[1:]), width, mode="constant")
        return np.stack([gaussian_filter(dots / inside, width, mode="constant") for dots in truth]).astype(np.float32)

    def check_split(self, found: dict[str, list[Moments]]) -> "Iterator[tuple[str, str]]":
        """Refuse classes without objects to learn from; note those that are not evaluated."""
        for split, number in self._numbers(found).items():
            missing = [name for name, n in zip(self.outputs, number, strict=True) if not n]
            if missing and split == "train":
                raise InputError(
                    "split: the train split has no point of " + ", ".join(map(repr, missing)),
                    "choose other groups, or a larger train split",
                )
            for name in missing:
                yield f"the {split} split has no point of a class", name

    def measure(self, found: dict[str, list[Moments]]) -> dict[str, Any]:
        """Measure the density in the training split, and count the objects of each class."""
        return super().measure(found) | {"n_positive": self._numbers(found)}

    @staticmethod
    def _numbers(found: dict[str, list[Moments]]) -> dict[str, list[int]]:
        """Return the number of objects of each class in each split."""
        return {split: combine(images).total.round().astype(int).tolist() for split, images in found.items()}

    def columns(self, found: list[Moments]) -> "dict[str, np.ndarray]":
        """Return the number of objects of each class."""
        import numpy as np

        return {
            f"y_{k}": column for k, column in enumerate(np.stack([one.total for one in found]).round().astype(int).T)
        }

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the objects of each class."""
        return {name: f"{int(column.sum()):,}" for name, column in zip(self.outputs, y.T, strict=True)}

    def outlined(self, y: "np.ndarray") -> "np.ndarray":
        """Return what to draw, (K, *spatial), of a target as learned."""
        return y

    def judged(self, p: "np.ndarray", y: "np.ndarray", x: "np.ndarray") -> "Iterator[tuple[str, str, float]]":
        """Yield counts and errors of an image, given densities from ``decide`` and of truth."""
        from biocnn import metrics

        count, true = self.total(p).clip(min=0), self.total(y).round()
        grids = {f"game{level}": metrics.game(p, y, level) for level in (1, 2)}
        for k, output in enumerate(self.outputs):
            found = {"count": count[k], "true_count": true[k], **{name: each[k] for name, each in grids.items()}}
            for metric in (metrics.count_mae, metrics.count_bias, metrics.relative_error):
                found[metric.__name__] = metric(count[k : k + 1], true[k : k + 1])
            yield from ((output, name, float(value)) for name, value in found.items())

    def score(self) -> Score:
        return _CountScore(self)

    def total(self, p: "np.ndarray") -> "np.ndarray":
        """Return the sums (K,) of maps (K, *spatial), float64."""
        import numpy as np

        return np.asarray(p, np.float64).reshape(len(p), -1).sum(axis=1)

    def in_objects(self, p: "np.ndarray") -> "np.ndarray":
        """Convert standardised maps (K, *spatial), as of a network in training, to objects per pixel."""
        import numpy as np

        assert self.facts.values
        shape = (-1, *[1] * (p.ndim - 1))
        return p * np.reshape(self.facts.values.sd, shape) + np.reshape(self.facts.values.mean, shape)

    def tune(self, probabilities: "Iterable[np.ndarray]", labels: "Iterable[np.ndarray]") -> dict[str, Any]:
        """Choose a factor of the density, and the margin of intervals, on validation images.

        The factor makes the total of all images right; it is used if it also reduces the error of each image when it is
        computed from the others. The margin is that of split conformal prediction: an interval is the count plus and
        minus the margin times the square root of the count, and contains the counts of 90% of new images like these;
        there is none with fewer than 9 images.
        """
        import numpy as np

        p = np.stack([self.total(self.in_objects(one)) for one in probabilities])
        y = np.stack([self.total(one) for one in labels])
        scale = [_factor(*columns) for columns in zip(p.T, y.T, strict=True)]
        count = np.maximum(p * scale, 0)
        return {"scale": scale, "margin": [conformal_margin(each) for each in (np.abs(count - y) / _spread(count)).T]}

    def shared(self, postprocess: "Sequence[dict[str, Any]]") -> dict[str, Any]:
        """Return the means of the runs' factors and margins; a class has no margin if one run has none."""
        found = [one for one in postprocess if one]
        columns = {name: list(zip(*(one[name] for one in found), strict=True)) for name in ("scale", "margin")}
        return {name: [None if None in one else fmean(one) for one in column] for name, column in columns.items()}

    def decide(self, p: "np.ndarray", postprocess: dict[str, Any]) -> "np.ndarray":
        """Return the density with the factor of ``tune``, (K, *spatial), float32."""
        import numpy as np

        scale = np.reshape(postprocess.get("scale") or [1.0], (-1, *[1] * (p.ndim - 1)))
        return (p * scale).astype(np.float32)

    def interval(self, count: "np.ndarray", postprocess: dict[str, Any]) -> Counted:
        """Return sums (K,) of densities from ``decide`` as counts, with intervals of the margin of ``tune``."""
        import numpy as np

        count = np.maximum(count, 0)
        margin = np.array([np.nan if one is None else one for one in postprocess.get("margin") or [None]])
        reach = margin * _spread(count)
        return Counted(count, np.maximum(count - reach, 0), count + reach)


def _spread(count: "np.ndarray") -> "np.ndarray":
    """Return the quantity that errors of counts are proportional to."""
    import numpy as np

    return np.sqrt(np.maximum(count, 1))


def _factor(p: "np.ndarray", y: "np.ndarray") -> float:
    """Return the factor from predicted to true counts (N,), or 1 if this is better for images left out."""
    import numpy as np

    if len(p) < 3 or min(p.sum() - p.max(), y.sum() - y.max()) <= 0:
        return 1.0
    others = (y.sum() - y) / (p.sum() - p)
    better = np.abs(others * p - y).sum() < np.abs(p - y).sum()
    return float(np.clip(y.sum() / p.sum(), 0.01, 100)) if better else 1.0


class _CountScore(Score):
    """R2 of the counts of images, the mean over classes; 0 if they are no better than the mean count."""

    def __init__(self, task: Density) -> None:
        self.task = task
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, p: "Tensor", y: "Tensor") -> None:
        """Add standardised predictions for images, and their density, (N, K, *spatial)."""
        task = self.task
        for one, true in zip(p.float().cpu().numpy(), y.cpu().numpy(), strict=True):
            self.pairs.append((task.total(task.in_objects(one)), task.total(true)))

    def value(self) -> dict[str, float]:
        import numpy as np

        p, y = map(np.stack, zip(*self.pairs, strict=True))
        spread = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
        known = spread > 1e-6
        # Values below 0, of the first epochs, would exaggerate differences between float32 and bfloat16.
        r2 = np.maximum(0, 1 - ((p - y) ** 2).sum(axis=0)[known] / spread[known])
        return {"r2": float(r2.mean()) if known.any() else float("nan")}
