"""Common base of tasks with one vector per example: targets of shape (N, K), nan if unknown."""

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from biocnn.core.errors import InputError
from biocnn.tasks.target import Vector
from biocnn.tasks.task import Score, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np
    from torch import Tensor

    from biocnn.tasks.facts import Facts

_COUNTED = 8  # most outputs whose known targets are counted each


class Judged(NamedTuple):
    """What is judged together: columns of prediction and target, (N,) or (N, K), by metrics of both, by name."""

    output: str
    columns: int | slice
    metrics: "Mapping[str, Callable[[np.ndarray, np.ndarray], float]]"


class VectorTask(Task):
    """K numbers per example."""

    value: ClassVar[str] = "value"  # noun for one of them
    inputs = ("sequence", "image", "bag")
    target = Vector()
    judge = "biocnn.evaluation.judges:VectorJudge"
    applied = "biocnn.apply.vectors:predict_image"

    def __init__(self, facts: "Facts") -> None:
        super().__init__(facts)
        self.titles = facts.outputs  # names of the outputs in tables of predictions
        self.suffix = ""  # of columns of such tables that are about all outputs

    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> "np.ndarray":
        return stored

    @property
    def labelled_columns(self) -> dict[str, int]:
        """Return what may be unknown, and a column of the targets that is nan where it is."""
        return {self.value: 0} if self.exclusive else {name: k for k, name in enumerate(self.outputs)}

    def check_split(self, found: "dict[str, list[np.ndarray]]") -> "Iterator[tuple[str, str]]":
        """Refuse outputs that cannot be learned and splits that cannot be evaluated; note other undefined metrics."""
        import numpy as np

        for split, rows in found.items():
            values = [np.unique(column[~np.isnan(column)]) for column in np.stack(rows).T]
            alike = {
                name: f"only one {self.value} ({seen[0]:g})" if len(seen) else "no known value"
                for name, seen in zip(self.titles, values, strict=True)
                if len(seen) < 2
            }
            if alike and (split == "train" or (len(alike) == len(self.outputs) and self.positives)):
                raise InputError(
                    f"split: the {split} split has " + "; ".join(f"{what} of {name!r}" for name, what in alike.items()),
                    f"choose other groups, or a larger {split} split",
                )
            for name, what in alike.items():
                yield f"the {split} split has {what} of an output: excluded from its metrics", name

    def measure(self, found: "dict[str, list[np.ndarray]]") -> dict[str, Any]:
        """Count the known values of each output."""
        import numpy as np

        return {"n_known": {split: (~np.isnan(rows)).sum(axis=0).tolist() for split, rows in found.items()}}

    def columns(self, found: "list[np.ndarray]") -> "dict[str, np.ndarray]":
        import numpy as np

        return {f"y_{k}": column for k, column in enumerate(np.stack(found).T)}

    def words(self, y: "np.ndarray") -> str:
        """Describe the target (K,) of an example."""
        known = [(name, value) for name, value in zip(self.outputs, y, strict=True) if value == value]
        return ", ".join(f"{name} {value:{'.0f' if abs(value) >= 1000 else '.3g'}}" for name, value in known)

    def predicted_words(self, p: "np.ndarray") -> str:
        """Describe the prediction (K,) for an example."""
        return self.words(p)

    def losses_of(self, p: "np.ndarray", y: "np.ndarray") -> "np.ndarray":
        """Return the loss of each example, (N,), given predictions and targets (N, K); nan if no target is known.

        Here, the mean squared error of the outputs, each in standard deviations of its targets.
        """
        import numpy as np

        spread = np.nanstd(y, axis=0)
        return known_mean(((p - y) / np.where(spread > 0, spread, 1)) ** 2)

    def judged(self) -> list[Judged]:
        """Return what is judged: each output by the metrics of the task, the most important ones first."""
        from biocnn import metrics

        found = {name: getattr(metrics, name) for name in (*self.headline, *self.metrics)}
        return [Judged(output, k, found) for k, output in enumerate(self.outputs)]

    @property
    def widths(self) -> tuple[int, int, int]:
        """Return the number of columns of what is predicted: outputs alone, from ``probability``, from ``settle``."""
        return (len(self.outputs),) * 3

    def settle(self, p: "np.ndarray", tuned: dict[str, Any]) -> "np.ndarray":
        """Convert predictions (..., K), given the settings chosen by ``tune``, to what is reported and stored."""
        return p

    def intervals(self, p: "np.ndarray") -> "np.ndarray":
        """Return low and high end of the interval of each output, (..., K, 2), of settled predictions; nan: none."""
        import numpy as np

        return np.full((*p.shape[:-1], len(self.outputs), 2), np.nan, np.float32)

    def averaged(self, p: "np.ndarray", y: "np.ndarray") -> "Iterator[tuple[str, str, np.ndarray]]":
        """Yield output, name and values (N,), nan if unknown, of what is judged by its mean over examples."""
        yield from ()

    @abstractmethod
    def describe(self, p: "np.ndarray") -> dict[str, Any]:
        """Return a row of the table of predictions for new examples.

        Parameters
        ----------
        p
            Predictions of one or more models for an example, as returned by ``settle``: shape (models, K).
        """

    def instructive(self, p: "np.ndarray", y: "np.ndarray", number: int) -> list[int]:
        """Choose examples to explain, given predictions and targets (N, K): here, the first ones."""
        return list(range(min(number, len(p))))

    def score(self) -> Score:
        """Return the score: mean of the metric over the outputs for which it is defined, e.g. with both classes."""
        return _VectorScore(self)

    def rated(self, p: "np.ndarray", y: "np.ndarray") -> list[float]:
        """Return the monitored metric of each output, nan if undefined, for predictions and targets (N, K)."""
        from biocnn import metrics

        metric = getattr(metrics, self.monitor)
        known = (metrics.labelled(y[:, k], p[:, k]) for k in range(y.shape[1]))
        return [metric(found, target) for target, found in known]

    def chance(self, y: "np.ndarray") -> list[float]:
        """Return the monitored metric of a constant prediction for each output, given targets (N, K)."""
        return [0.0] * y.shape[1]

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the known targets of each output, if any of a split is unknown; of many outputs, only their share."""
        import numpy as np

        known, facts = ~np.isnan(y), self.facts
        numbers = zip(facts.n or (), facts.n_known or (), strict=False)
        if len(self.outputs) == 1 or not any(min(each) < n for (_, n), (_, each) in numbers):
            return {}
        if len(self.outputs) > _COUNTED:
            return {"Known": f"{known.mean():.0%}"}
        return {f"{name} known": f"{n:,}" for name, n in zip(self.outputs, known.sum(axis=0), strict=True)}

    def without_metric(self, truths: "Iterable[np.ndarray]") -> list[str]:
        """Return outputs with fewer than two distinct known values."""
        import numpy as np

        columns = zip(self.outputs, np.stack(list(truths)).T, strict=True)
        return [name for name, column in columns if len(np.unique(column[~np.isnan(column)])) < 2]


class Classification(VectorTask):
    """Classes with probabilities."""

    family = "classification"

    def measure(self, found: "dict[str, list[np.ndarray]]") -> dict[str, Any]:
        """Also count the examples of each output; their share of the training split determines class weights."""
        import numpy as np

        counts = {split: (np.stack(rows) == 1).sum(axis=0).tolist() for split, rows in found.items()}
        shares = np.nanmean(found["train"], axis=0).tolist()
        return super().measure(found) | {"n_positive": counts, "positives": shares}

    def describe(self, p: "np.ndarray") -> dict[str, Any]:
        """Return what is decided by the mean probability, the mean of each output, and measures of uncertainty.

        ``uncertainty`` is the entropy of the mean, 0 (one class is certain) to 1 (all are equally likely).
        ``disagreement``, for several models, is the part of it by which they differ: the entropy of the mean minus the
        mean entropy of the models (mutual information).
        """
        import numpy as np

        mean = p.mean(axis=0, dtype=np.float64)
        found = self.decide(mean) | {f"probability_{name}": v for name, v in zip(self.titles, mean, strict=True)}
        found[f"uncertainty{self.suffix}"] = entropy = self.entropy(mean)
        if len(p) > 1:
            lost = entropy - float(np.mean([self.entropy(one) for one in p]))
            found[f"disagreement{self.suffix}"] = max(0.0, lost)
        return found

    def predicted_words(self, p: "np.ndarray") -> str:
        return ", ".join(self.decide(p).values())

    def losses_of(self, p: "np.ndarray", y: "np.ndarray") -> "np.ndarray":
        """Return the negative log likelihood of each example: a mean over outputs, or that of its class."""
        import numpy as np

        likelihood = np.clip(np.where(y == 1, p, 1 - p), 1e-7, None)
        return known_mean(np.where(np.isnan(y) | (self.exclusive & (y == 0)), np.nan, -np.log(likelihood)))

    @abstractmethod
    def decide(self, p: "np.ndarray") -> dict[str, str]:
        """Return what probabilities (K,) mean, by column."""

    @abstractmethod
    def entropy(self, p: "np.ndarray") -> float:
        """Return the entropy of probabilities (K,), as a fraction of the largest possible one."""

    def instructive(self, p: "np.ndarray", y: "np.ndarray", number: int) -> list[int]:
        """Choose confident examples of each class, right and wrong ones in turn; see ``biocnn.tasks.instructive``."""
        from biocnn.tasks.instructive import instructive

        return instructive(*self.cases(p, y), number)

    @abstractmethod
    def cases(self, p: "np.ndarray", y: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        """Return membership, correctness and confidence for ``biocnn.tasks.instructive``."""


class YesOrNo(Classification):
    """Each output is 0 or 1."""

    losses = ("bce",)
    monitor = "auprc"
    metrics = ("auroc", "auprc", "recall_at_fdr10", "accuracy", "ece")
    headline = ("auroc", "auprc")
    positives = True
    figures = "biocnn.report.vectors:classification"
    value = "class"

    def check_truth(self, y: "np.ndarray") -> "Iterator[str]":
        import numpy as np

        if not np.isin(y[~np.isnan(y)], (0, 1)).all():
            yield f"targets other than 0 and 1, but the task is {self.name}"

    def words(self, y: "np.ndarray") -> str:
        """List the outputs that are 1, and with a question mark those that are unknown."""
        found = [name + ("" if value == 1 else "?") for name, value in zip(self.outputs, y, strict=True) if value != 0]
        return ", ".join(found) or "none"

    def predicted_words(self, p: "np.ndarray") -> str:
        return self.words(p >= 0.5)

    def probability(self, logits: "Tensor") -> "Tensor":
        return logits.sigmoid()

    def decide(self, p: "np.ndarray") -> dict[str, str]:
        """Return yes for outputs with a probability of at least 0.5, else no."""
        return {f"predicted_{name}": "yes" if v >= 0.5 else "no" for name, v in zip(self.titles, p, strict=True)}

    def chance(self, y: "np.ndarray") -> list[float]:
        """Return the share of positives, which is the area under the precision-recall curve of a constant."""
        import numpy as np

        return [float(np.mean(known)) if len(known := column[~np.isnan(column)]) else 0.0 for column in y.T]

    def cases(self, p: "np.ndarray", y: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        """Return cases for two classes of each output: yes, and no."""
        import numpy as np

        yes, p = np.concatenate([y == 1, y == 0], axis=1), np.concatenate([p, 1 - p], axis=1)
        return yes, p >= 0.5, np.maximum(p, 1 - p)

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return the outputs that are predicted, and then true ones that are not; if there are none, the likeliest."""
        yes = p >= 0.5
        found = [*yes.nonzero()[:, 0].tolist(), *((y == 1) & ~yes).nonzero()[:, 0].tolist()]
        return found or super().explained(p, y)

    def entropy(self, p: "np.ndarray") -> float:
        """Return the mean entropy of the outputs, in bits."""
        import numpy as np
        from scipy.special import entr

        p = np.asarray(p, np.float64)
        return float(np.mean(entr(p) + entr(1 - p)) / np.log(2))

    def class_weights(self) -> "Tensor":
        """Return negatives per positive, for each output."""
        import torch

        share = torch.tensor(self.facts.positives).clamp(1e-3, 1 - 1e-3)
        return (1 - share) / share

    def temperature(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        import numpy as np

        from biocnn.tasks.temperature import fit_temperature

        z, y = (np.concatenate(parts) for parts in zip(*((z.cpu(), y.cpu()) for z, y in batches), strict=True))
        return fit_temperature(z, y)


def known_mean(values: "np.ndarray") -> "np.ndarray":
    """Return the mean of the known values of each row, nan if there are none."""
    import numpy as np

    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)


def task_of(y: "np.ndarray") -> str:
    """Return the task of targets (N, K): yes or no if all known values are 0 and 1, else regression."""
    import numpy as np

    if not np.isin(y[~np.isnan(y)], (0, 1)).all():
        return "regression"
    return "binary" if y.shape[1] == 1 else "multilabel"


class _VectorScore(Score):
    def __init__(self, task: VectorTask) -> None:
        self.task = task
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, p: "Tensor", y: "Tensor") -> None:
        self.pairs.append((p.cpu().numpy(), y.cpu().numpy()))

    def value(self) -> dict[str, float]:
        import numpy as np

        p, y = (np.concatenate(parts) for parts in zip(*self.pairs, strict=True))
        values = [value for value in self.task.rated(p, y) if not math.isnan(value)]
        return {self.task.monitor: float(np.mean(values)) if values else math.nan}
