"""Judges of predictions for each kind of target: values of examples, classes of pixels, objects; see also `box_judge`.

A task names its judge, which turns predictions into tables of metrics.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.config.settings import Metrics
from biocnn.core.errors import InputError, nearest
from biocnn.data.dataset import Dataset
from biocnn.metrics.catalogue import ALONE, DISTANCES, SUMS, ClassCase, Metric, ObjectCase, segment_sums
from biocnn.metrics.histograms import coarse
from biocnn.metrics.masks import IGNORE
from biocnn.metrics.matches import COLUMNS
from biocnn.metrics.partitions import v_rand_of_counts
from biocnn.metrics.resampling import sum_replicates
from biocnn.metrics.weighted import ratio
from biocnn.tasks.task import Task

# Thresholds, one of which is chosen on validation images; among equally good ones the first, closest to 1/2.
BORDERS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)
Values = Callable[[int], np.ndarray]  # prediction of an example by its number: (K,) or (K, *spatial)
Postprocess = dict[str, Any] | None  # settings of ``decide``; None: nothing is to be decided
Keep = Callable[[str, np.ndarray], None]  # receives the id of an example, and its mask, labels or boxes
Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
NO_EXAMPLES = pd.DataFrame(columns=["id", "output", "metric", "value", "unit"])
NO_MATCHES = pd.DataFrame(columns=["id", *COLUMNS])


class Judge(Protocol):
    """Evaluates the predictions of one run or an ensemble.

    Parameters
    ----------
    dataset
        Data set with the truth.
    settings
        Section metrics of the experiment.
    group
        Column of the examples table with the groups to resample, unless the input defines its own.
    seed
        Seed of the resampling.

    Raises
    ------
    InputError
        If settings do not fit the task.
    """

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None: ...

    def choose(
        self, numbers: Iterable[int], values: Values, val: Sequence[int], rows: np.ndarray, postprocess: Postprocess
    ) -> None:
        """Choose the settings with which examples are judged.

        Parameters
        ----------
        numbers
            Numbers of the examples to be judged.
        values
            As for ``judge``.
        val, rows
            Numbers of the validation examples for the choice, and their rows in the data set.
        postprocess
            Postprocessing chosen by training; None: the values of ``judge`` are what a person drew.
        """

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """Judge examples.

        Parameters
        ----------
        values
            Prediction of an example by its number.
        numbers
            Numbers of the examples, for which ``choose`` has been called.
        rows
            Rows of the examples in the data set.
        keep
            Receives the mask, labels or boxes of each example, if there are any.

        Returns
        -------
        table, per_example, matches
            Columns output, metric, over, value, low, high, n, unit; id, output, metric, value, unit, without examples
            whose metric is not defined; and, for objects, id and those of `match_objects` or `match_boxes`.
        """


def decide(task: Task, value: np.ndarray, postprocess: Postprocess) -> tuple[np.ndarray, np.ndarray]:
    """Return the prediction for an example and what is decided from it; without settings, both of a person."""
    return task.certain(value) if postprocess is None else (value, task.decide(value, postprocess))


class VectorJudge:
    """Judges one vector per example, as its task requires; examples with unknown target are excluded."""

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        refuse_settings_of_maps(dataset.task, settings)
        self.dataset, self.groups = dataset, dataset.groups(group)
        self.bootstrap = partial(metrics.bootstrap, seed=seed, n=settings.resamples)

    def choose(self, *_: Any) -> None:
        """Do nothing, because there is nothing to choose."""

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """See `Judge`."""
        p, y = np.stack([values(i) for i in numbers]), np.stack([self.dataset.y[i] for i in rows])
        lines = []
        for output, columns, measures in self.dataset.task.judged():
            target, found, groups = metrics.labelled(y[:, columns], p[:, columns], self.groups[rows])
            for name, metric in measures.items():
                low, high = self.bootstrap(metric, found, target, groups=groups)
                line = {"output": output, "metric": name, "over": "all", "value": metric(found, target)}
                lines.append(line | {"low": low, "high": high, "n": len(target)})
        for output, name, each in self.dataset.task.averaged(p, y):
            known, groups = metrics.labelled(each, self.groups[rows])
            low, high = self.bootstrap(np.mean, known, groups=groups)
            line = {"output": output, "metric": name, "over": "all", "value": known.mean() if len(known) else np.nan}
            lines.append(line | {"low": low, "high": high, "n": len(known)})
        return pd.DataFrame(lines).assign(unit=""), NO_EXAMPLES, NO_MATCHES


class MapJudge(ABC):
    """Judges maps per image and pooled over images, with confidence intervals over groups of images."""

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        self.dataset, self.task, self.settings, self.seed = dataset, dataset.task, settings, seed
        self.spacing, self.unit = _spacings(dataset)
        self.metrics = chosen_metrics(self.task, settings.also)
        self.groups = dataset.groups(group)
        self.postprocess: dict[int, Postprocess] = {}

    def choose(
        self, numbers: Iterable[int], values: Values, val: Sequence[int], rows: np.ndarray, postprocess: Postprocess
    ) -> None:
        """See `Judge`."""
        self.postprocess |= dict.fromkeys(numbers, postprocess)

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """See `Judge`."""
        ids = self.dataset.examples["id"].to_numpy()[rows]
        sums: dict[tuple[str, str], list[np.ndarray]] = {}
        matches = []
        wanted = list(dict.fromkeys(metric.sums for metric in self.metrics.values()))
        for name, number, row in zip(ids, numbers, rows, strict=True):
            p, decided = decide(self.task, values(number), self.postprocess[number])
            if keep:
                keep(name, decided)
            for output, case in self.cases(p, decided, number, row):
                for key in wanted:
                    if (counts := SUMS[key](case)) is not None:
                        sums.setdefault((output, key), []).append(counts)
            matches.append(self.matches(p, decided, row).assign(id=name))
        table, details = [], []
        for (output, key), found in sums.items():
            for name, metric in self.metrics.items():
                if metric.sums == key:
                    lines, each = self._of_metric(self.metric_of(output, metric), np.stack(found), rows)
                    named = {"output": output, "metric": name, "unit": self.unit if name in DISTANCES else ""}
                    table += [named | line for line in lines]
                    known = ~np.isnan(each)
                    details.append(pd.DataFrame({"id": ids[known], "value": each[known], **named}))
        return pd.DataFrame(table), pd.concat(details), pd.concat(matches)

    @abstractmethod
    def cases(
        self, p: np.ndarray, decided: np.ndarray, number: int, row: int
    ) -> Iterator[tuple[str, ClassCase | ObjectCase]]:
        """Yield the case to judge for each output of an image."""

    def matches(self, p: np.ndarray, decided: np.ndarray, row: int) -> pd.DataFrame:
        """Return the match of each object, if there are objects."""
        return NO_MATCHES

    def metric_of(self, output: str, metric: Metric) -> Metric:
        """Return the metric as it applies to an output."""
        return metric

    def _of_metric(self, metric: Metric, sums: np.ndarray, rows: np.ndarray) -> tuple[list[dict[str, Any]], np.ndarray]:
        """Return the mean over images, the pooled value if it is defined, and the value of each image."""
        replicates = partial(sum_replicates, seed=self.seed, n=self.settings.resamples)
        groups, each = self.groups[rows], metric.value(sums.astype(float))
        known = ~np.isnan(each)
        means = np.stack([each[known], np.ones(known.sum())], axis=-1)
        value, drawn = _mean_of_sums(means.sum(axis=0)), replicates(_mean_of_sums, means, groups[known])
        lines = [_line("per_image", value, drawn, int(known.sum()))]
        if metric.sums not in ALONE:
            value = metric.value(sums.sum(axis=0).astype(float))
            fewer = coarse(sums) if metric.sums == "histogram" else sums
            lines.append(_line("pooled", value, replicates(metric.value, fewer, groups), len(rows)))
        return lines, each


class ClassJudge(MapJudge):
    """Judges each class of pixels except the background, and regions of several classes.

    Segments are separated by pixels of a class at or above a probability threshold, which maximises the mean V-Rand of
    validation images.
    """

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        super().__init__(dataset, settings, group, seed)
        self.members = members_of(self.task.classes(), settings.regions)
        self.borders: dict[int, dict[str, float]] = {}

    def choose(
        self, numbers: Iterable[int], values: Values, val: Sequence[int], rows: np.ndarray, postprocess: Postprocess
    ) -> None:
        """See `Judge`."""
        super().choose(numbers, values, val, rows, postprocess)
        self.borders |= dict.fromkeys(numbers, self._borders(values, val, rows, postprocess))

    def _borders(
        self, values: Values, numbers: Sequence[int], rows: np.ndarray, postprocess: dict[str, Any]
    ) -> dict[str, float]:
        if not any(metric.sums == "segments" for metric in self.metrics.values()):
            return {}
        found: dict[str, list[list[float]]] = {}
        for number, row in zip(numbers, rows, strict=True):
            p = values(number)
            for output, make in self._classes(p, self.task.decide(p, postprocess), row):
                scores = [float(v_rand_of_counts(segment_sums(make(border=border)))) for border in BORDERS]
                found.setdefault(output, []).append(scores)
        return {output: BORDERS[int(np.mean(scores, axis=0).argmax())] for output, scores in found.items()}

    def cases(self, p: np.ndarray, decided: np.ndarray, number: int, row: int) -> Iterator[tuple[str, ClassCase]]:
        """Yield each class or region."""
        for output, make in self._classes(p, decided, row):
            yield output, make(border=self.borders[number].get(output, 0.5))

    def _classes(self, p: np.ndarray, decided: np.ndarray, row: int) -> Iterator[tuple[str, Callable[..., ClassCase]]]:
        """Yield each class or region of an image, without the threshold that separates segments."""
        target, spacing = np.asarray(self.dataset.y[row][0]), self.spacing[row]
        tolerance = self.settings.tolerance or float(np.max(spacing))
        for output, members in self.members.items():
            true = np.where(target == IGNORE, IGNORE, np.isin(target, members)).astype(np.uint8)
            probability = self.task.distribution(p)[members].sum(axis=0)
            yield output, partial(ClassCase, np.isin(decided, members), true, probability, spacing, tolerance)


class ObjectJudge(MapJudge):
    """Judges objects, and matches each of them."""

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        super().__init__(dataset, settings, group, seed)
        members_of({}, settings.regions)

    def cases(self, p: np.ndarray, decided: np.ndarray, number: int, row: int) -> Iterator[tuple[str, ObjectCase]]:
        """Yield all objects as one case."""
        yield "objects", ObjectCase(decided, self.dataset.labels[row][0])

    def matches(self, p: np.ndarray, decided: np.ndarray, row: int) -> pd.DataFrame:
        """See `match_objects`; the score of an object is the probability that its pixels are foreground."""
        return metrics.match_objects(decided, self.dataset.labels[row][0], 1 - p[0])


def refuse_settings_of_maps(task: Task, settings: Metrics) -> None:
    """Refuse settings of metrics that apply only to maps."""
    if settings.also or settings.regions:
        raise InputError(
            f"metrics.also and metrics.regions apply only to image maps, but the task is {task.name}",
            "remove these settings",
        )


def _spacings(dataset: Dataset) -> tuple[np.ndarray, str]:
    """Return the pixel size of each image, shape (N, axes), and its unit; 1 and pixels unless known for all images."""
    facts, n = dataset.facts, len(dataset.examples)
    columns = [f"spacing_{axis}" for axis in "zyx"[-facts.spatial_dims :]]
    if facts.spacing:
        return np.tile(facts.spacing, (n, 1)), facts.unit
    if set(columns) <= set(dataset.examples):
        return dataset.examples[columns].to_numpy(float), facts.unit
    return np.ones((n, facts.spatial_dims)), "pixels"


def chosen_metrics(task: Task, also: Sequence[str]) -> dict[str, Metric]:
    """Return the metrics of a task, and the additional ones requested."""
    allowed = task.catalogue()
    for name in also:
        if name not in allowed:
            raise InputError(
                f"metrics.also: {name!r} is not a metric of the task {task.name}",
                nearest(name, [name for name in allowed if name not in task.metrics]),
            )
    return {name: metric for name, metric in allowed.items() if name in (*task.metrics, *also)}


def members_of(classes: dict[str, int], regions: dict[str, list[str]]) -> dict[str, list[int]]:
    """Return the class numbers of each class and each region."""
    for region, members in regions.items():
        for name in members:
            if name not in classes:
                raise InputError(f"metrics.regions.{region}: unknown class {name!r}", nearest(name, classes))
    found = {name: [number] for name, number in classes.items()}
    return found | {region: [classes[name] for name in members] for region, members in regions.items()}


def _mean_of_sums(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 0], sums[..., 1])


def _line(over: str, value: np.ndarray, replicates: np.ndarray, n: int) -> dict[str, Any]:
    low, high = metrics.interval(replicates)
    return {"over": over, "value": float(value), "low": low, "high": high, "n": n}
