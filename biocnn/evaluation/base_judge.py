"""Judge of classes of bases: over all bases together, with confidence intervals over windows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation.judges import NO_MATCHES, Keep, Tables, Values, chosen_metrics, members_of
from biocnn.metrics.catalogue import Metric
from biocnn.metrics.histograms import BINS, pixel_histogram, starts_of
from biocnn.metrics.masks import IGNORE, confusion
from biocnn.metrics.resampling import sum_replicates
from biocnn.tasks.task import Task

CELLS = 400  # cells of probability for confidence intervals, with equal shares of the bases in and outside a class


class BaseJudge:
    """Judges each class of bases except the background, and regions of several classes; see `Judge`.

    The table of examples has the share of wrong bases of windows with any, ``base_error``.
    """

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        self.dataset, self.task, self.groups = dataset, dataset.task, dataset.groups(group)
        self.metrics = chosen_metrics(self.task, settings.also)
        self.members = members_of(self.task.classes(), settings.regions)
        self.replicates = partial(sum_replicates, seed=seed, n=settings.resamples)

    def choose(self, *_: Any) -> None:
        """Do nothing, because there is nothing to choose."""

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """See `Judge`."""
        if keep:
            for number, name in zip(numbers, self.dataset.examples["id"].iloc[rows], strict=True):
                keep(name, self.task.decide(values(number), {}))
        lines, each = [], []
        for output, counts in count(self.dataset, self.members, values, numbers, rows).items():
            for name, metric in self.metrics.items():
                low, high = metrics.interval(self.replicates(metric.value, counts.parts(metric), self.groups[rows]))
                line = {"output": output, "metric": name, "over": "pooled", "value": counts.value(metric)}
                lines.append(line | {"low": low, "high": high, "n": len(rows)})
            wrong = counts.pixels[:, 1:3].sum(axis=1) / np.maximum(counts.pixels.sum(axis=1), 1)
            some = np.flatnonzero(wrong)  # most windows of a genome have no wrong base
            found = {"id": self.dataset.examples["id"].to_numpy()[rows[some]], "value": wrong[some]}
            each.append(pd.DataFrame({**found, "output": output, "metric": "base_error", "unit": ""}))
        return pd.DataFrame(lines).assign(unit=""), pd.concat(each), NO_MATCHES


class Counts:
    """Counts of the bases of one class.

    Attributes
    ----------
    histogram
        Histogram of all bases, see `pixel_histogram`.
    cells
        Histogram of each window with fewer bins: shape (N, 2, at most 400).
    pixels
        True and false positives, false and true negatives of each window: shape (N, 4).
    """

    def __init__(self, number: int) -> None:
        self.histogram = np.zeros((2, BINS), np.int64)
        self.pixels = np.zeros((number, 4), np.int64)
        self.cells = np.zeros((number, 2, 0), np.int32)

    def value(self, metric: Metric) -> float:
        """Return a metric of all bases."""
        sums = self.histogram if metric.sums == "histogram" else self.pixels.sum(axis=0)
        return float(metric.value(sums.astype(float)))

    def parts(self, metric: Metric) -> np.ndarray:
        """Return the sums of each window for a metric."""
        return self.cells if metric.sums == "histogram" else self.pixels


def count(
    dataset: Dataset,
    members: Mapping[str, Sequence[int]],
    values: Values,
    numbers: Sequence[int],
    rows: np.ndarray,
) -> dict[str, Counts]:
    """Count the bases of windows by their probability and truth.

    Parameters
    ----------
    dataset
        Data set with the truth.
    members
        Numbers of the classes of each output.
    values
        Prediction of a window by its number, (K, L).
    numbers, rows
        Numbers of the windows, and their rows in the data set.
    """
    found = {output: Counts(len(rows)) for output in members}
    for place, (number, row) in enumerate(zip(numbers, rows, strict=True)):
        p = values(number)
        decided = dataset.task.decide(p, {})
        for output, probability, true, classes in _each(dataset.task, members, p, dataset.y[row][0]):
            found[output].pixels[place] = confusion(np.isin(decided, classes), true)
            found[output].histogram += pixel_histogram(probability, true)
    starts = {}
    for output, counts in found.items():
        each = counts.histogram.sum(axis=1, keepdims=True)
        starts[output] = starts_of(counts.histogram * each[::-1], CELLS)
    for output, counts in found.items():
        counts.cells = np.zeros((len(rows), 2, len(starts[output])), np.int32)
    for place, (number, row) in enumerate(zip(numbers, rows, strict=True)):
        for output, probability, true, _ in _each(dataset.task, members, values(number), dataset.y[row][0]):
            found[output].cells[place] = np.add.reduceat(pixel_histogram(probability, true), starts[output], axis=1)
    return found


def _each(
    task: Task, members: Mapping[str, Sequence[int]], p: np.ndarray, y: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray, Sequence[int]]]:
    """Yield the probability and the truth (0, 1, 255: unknown) of each output for the bases of a window."""
    every = task.distribution(p)
    for output, classes in members.items():
        true = np.where(y == IGNORE, IGNORE, np.isin(y, classes)).astype(np.uint8)
        yield output, every[classes].sum(axis=0), true, classes
