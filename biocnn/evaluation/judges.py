"""How good predicted masks and objects are: of each image, and of all together, with intervals over groups."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from biocnn.config.settings import Metrics
from biocnn.core.errors import InputError, nearest
from biocnn.data.dataset import Dataset
from biocnn.metrics import interval, match_objects
from biocnn.metrics.catalogue import (
    ALONE,
    DEFAULT,
    DISTANCES,
    METRICS,
    SUMS,
    ClassCase,
    Metric,
    ObjectCase,
    segment_sums,
)
from biocnn.metrics.histograms import coarse
from biocnn.metrics.masks import IGNORE
from biocnn.metrics.matches import COLUMNS
from biocnn.metrics.partitions import v_rand_of_counts
from biocnn.metrics.resampling import sum_replicates
from biocnn.metrics.weighted import ratio
from biocnn.prediction.model import decide
from biocnn.tasks.facts import Facts

# Probabilities of which one is chosen on validation images; of equal ones the first, which is nearest to 1/2.
BORDERS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)
Maps = Callable[[int], np.ndarray]  # probabilities (K, *spatial) of an image, by its number


class Choices(NamedTuple):
    """What an image is judged with: settings that turn maps into objects; by output, where segments are divided."""

    postprocess: dict[str, Any]
    borders: dict[str, float]


class ImageJudge:
    """Judges the images of one run, or of an ensemble, each with what was chosen without it.

    Parameters
    ----------
    dataset
        Holds the truth.
    settings
        The experiment's section metrics.
    group
        Column of the examples table whose groups are resampled.
    seed
        Of the resampling.

    Raises
    ------
    InputError
        For a metric that the task does not have, or a region of unknown classes.
    """

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        self.dataset, self.settings, self.seed = dataset, settings, seed
        self.task = dataset.facts.task
        self.spacing, self.unit = _spacings(dataset)
        self.metrics = chosen_metrics(self.task, settings.also)
        self.classes = _classes(dataset.facts, settings.regions)
        self.groups = dataset.examples.get(group, dataset.examples["id"]).to_numpy()
        self.choices: dict[int, Choices] = {}

    def choose(
        self, numbers: Iterable[int], maps: Maps, val: Sequence[int], rows: np.ndarray, postprocess: dict[str, Any]
    ) -> None:
        """Choose what some images are judged with.

        Parameters
        ----------
        numbers
            Of these images.
        maps
            As for ``judge``.
        val, rows
            The images that it is chosen on, and where each is in the data set. A class divides segments from the
            probability on that divides best here, by their mean V-Rand.
        postprocess
            Settings that turn maps into objects.
        """
        self.choices |= dict.fromkeys(numbers, Choices(postprocess, self._borders(maps, val, rows)))

    def _borders(self, maps: Maps, numbers: Sequence[int], rows: np.ndarray) -> dict[str, float]:
        if self.task == "instances" or not any(metric.sums == "segments" for metric in self.metrics.values()):
            return {}
        found: dict[str, list[list[float]]] = {}
        for number, row in zip(numbers, rows, strict=True):
            for output, make in self._class_cases(maps(number), row):
                scores = [float(v_rand_of_counts(segment_sums(make(border=border)))) for border in BORDERS]
                found.setdefault(output, []).append(scores)
        return {output: BORDERS[int(np.mean(scores, axis=0).argmax())] for output, scores in found.items()}

    def judge(
        self, maps: Maps, numbers: Sequence[int], rows: np.ndarray
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Judge some images.

        Parameters
        ----------
        maps
            Gives the probabilities of an image by its number.
        numbers
            Of the images; of each it has been chosen what it is judged with.
        rows
            Where each is in the data set.

        Returns
        -------
        table, per_image, matches
            Columns output, metric, over, value, low, high, n, unit; id, output, metric, value, unit, without images in
            which a metric is not defined; and, of objects, id and those of `match_objects`.
        """
        ids = self.dataset.examples["id"].to_numpy()[rows]
        sums: dict[tuple[str, str], list[np.ndarray]] = {}
        matches = []
        wanted = list(dict.fromkeys(metric.sums for metric in self.metrics.values()))
        for name, number, row in zip(ids, numbers, rows, strict=True):
            p = maps(number)
            for output, case in self._cases(p, row, self.choices[number]):
                for key in wanted:
                    sums.setdefault((output, key), []).append(SUMS[key](case))
                if isinstance(case, ObjectCase):
                    found = match_objects(case.labels, case.target_labels, 1 - p[0])
                    found.insert(0, "id", name)
                    matches.append(found)
        table, details = [], []
        for (output, key), found in sums.items():
            for name, metric in self.metrics.items():
                if metric.sums == key:
                    lines, each = self._of_metric(metric, np.stack(found), rows)
                    named = {"output": output, "metric": name, "unit": self.unit if name in DISTANCES else ""}
                    table += [named | line for line in lines]
                    known = ~np.isnan(each)
                    details.append(pd.DataFrame({"id": ids[known], "value": each[known], **named}))
        empty = pd.DataFrame(columns=["id", *COLUMNS])
        return pd.DataFrame(table), pd.concat(details), pd.concat(matches) if matches else empty

    def _of_metric(self, metric: Metric, sums: np.ndarray, rows: np.ndarray) -> tuple[list[dict[str, Any]], np.ndarray]:
        """The mean over images and, where there is one, the pooled value; and the value of each image."""
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

    def _cases(self, p: np.ndarray, row: int, chosen: Choices) -> Iterator[tuple[str, ClassCase | ObjectCase]]:
        if self.task == "instances":
            yield "objects", ObjectCase(decide(p, self.task, chosen.postprocess), self.dataset.labels[row][0])
        else:
            for output, make in self._class_cases(p, row):
                yield output, make(border=chosen.borders.get(output, 0.5))

    def _class_cases(self, p: np.ndarray, row: int) -> Iterator[tuple[str, Callable[..., ClassCase]]]:
        """Each class or region of an image, but for the border that divides its segments."""
        target, mask = np.asarray(self.dataset.y[row][0]), decide(p, self.task, {})
        spacing = self.spacing[row]
        tolerance = self.settings.tolerance or float(np.max(spacing))
        for output, members in self.classes.items():
            true = np.where(target == IGNORE, IGNORE, np.isin(target, members)).astype(np.uint8)
            sure = p[0] if self.task == "mask" else p[members].sum(axis=0)
            yield output, partial(ClassCase, np.isin(mask, members), true, sure, spacing, tolerance)


def _spacings(dataset: Dataset) -> tuple[np.ndarray, str]:
    """Size of a pixel in each image, shape (N, axes), and its unit; 1 and pixels where it is not known of all."""
    facts, n = dataset.facts, len(dataset.examples)
    columns = [f"spacing_{axis}" for axis in "zyx"[-facts.spatial_dims :]]
    if facts.spacing:
        return np.tile(facts.spacing, (n, 1)), facts.unit
    if set(columns) <= set(dataset.examples):
        return dataset.examples[columns].to_numpy(float), facts.unit
    return np.ones((n, facts.spatial_dims)), "pixels"


def chosen_metrics(task: str, also: Sequence[str]) -> dict[str, Metric]:
    """The metrics of a task: its own, and those asked for besides."""
    allowed = METRICS[task]
    for name in also:
        if name not in allowed:
            raise InputError(
                f"metrics.also: {name!r} is not a metric of the task {task}",
                nearest(name, [name for name in allowed if name not in DEFAULT[task]]),
            )
    return {name: metric for name, metric in allowed.items() if name in (*DEFAULT[task], *also)}


def _classes(facts: Facts, regions: dict[str, list[str]]) -> dict[str, list[int]]:
    """The numbers that make each class but the background, and each region."""
    task, outputs = facts.task, facts.outputs
    classes = {outputs[0]: [1]} if task == "mask" else {name: [k] for k, name in enumerate(outputs) if k}
    for region, members in regions.items():
        for name in members:
            if task == "instances" or name not in classes:
                raise InputError(f"metrics.regions.{region}: there is no class {name!r}", nearest(name, classes))
    return classes | {region: [classes[name][0] for name in members] for region, members in regions.items()}


def _mean_of_sums(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 0], sums[..., 1])


def _line(over: str, value: np.ndarray, replicates: np.ndarray, n: int) -> dict[str, Any]:
    low, high = interval(replicates)
    return {"over": over, "value": float(value), "low": low, "high": high, "n": n}
