"""Image metrics by name: each is a function of sums that add up over images.

One definition thus gives the value of an image, the pooled value of many, and its confidence interval from resampling.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from biocnn.metrics import centrelines, histograms, masks, objects, partitions, surfaces
from biocnn.metrics.objects import THRESHOLDS
from biocnn.metrics.weighted import ratio


@dataclass(frozen=True)
class ClassCase:
    """One class of one image: ``mask`` (0/1), ``target`` (0/1, 255 = ignored) and ``probability``, each (*spatial).

    ``tolerance`` for surface Dice is in units of ``spacing``; ``border`` is the probability above which a pixel
    separates segments, for V-Rand and variation of information.
    """

    mask: np.ndarray
    target: np.ndarray
    probability: np.ndarray
    spacing: float | Sequence[float] = 1.0
    tolerance: float = 1.0
    border: float = 0.5

    @cached_property
    def distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances from each outline to the other."""
        return surfaces.surface_distances(self.mask, self.target, spacing=self.spacing)


@dataclass(frozen=True)
class ObjectCase:
    """The objects of one image, predicted and true, each (*spatial)."""

    labels: np.ndarray
    target_labels: np.ndarray


@dataclass(frozen=True)
class TypedCase(ObjectCase):
    """Objects of one image with classes: all of them, or those of one class.

    ``right`` (2,) counts the true objects that are found with the right class, and all that are found and whose class
    is known. ``by_class`` holds the objects of each of the K classes; None for those of one class.
    """

    right: np.ndarray
    by_class: Sequence[ObjectCase] | None = None


class Metric(NamedTuple):
    """The name of sums in ``SUMS``, and a function from such sums (..., *k) to values (...)."""

    sums: str
    value: Callable[[np.ndarray], np.ndarray]


def surface_sums(case: ClassCase) -> np.ndarray:
    """`surface_counts` at the case's tolerance."""
    return surfaces.surface_counts(*case.distances, case.tolerance)


def segment_sums(case: ClassCase) -> np.ndarray:
    """Return `partition_counts` of the segments into which a class divides the image."""
    from scipy.ndimage import label

    true, _ = label(case.target == 0)  # ignored pixels belong to no true segment and do not count
    return partitions.partition_counts(partitions.segments(case.probability > case.border), true)


def _each(function: Callable[..., np.ndarray], number: int) -> Callable[[np.ndarray], np.ndarray]:
    """Turn a function of ``number`` counts into one of an array with the counts along its last axis."""
    return lambda sums: function(*(sums[..., i] for i in range(number)))


def _at(function: Callable[..., np.ndarray], place: int | None, sums: np.ndarray) -> np.ndarray:
    """Apply a function to the fields of `Matching` (..., 4, T); return one threshold or the mean over all."""
    values = function(*(sums[..., i, :] for i in range(4)))
    return values.mean(axis=-1) if place is None else values[..., place]


def _matching(case: ObjectCase) -> np.ndarray:
    """Return `objects.matching`, shape (4, T)."""
    return np.stack(objects.matching(case.labels, case.target_labels))


def defined(metric: Metric) -> Metric:
    """Return a metric of objects of one class, which is NaN where there is neither a true nor a predicted object."""

    def value(sums: np.ndarray) -> np.ndarray:
        values = metric.value(sums)
        return np.where(sums.reshape(*values.shape, -1).any(axis=-1), values, np.nan)

    return metric._replace(value=value)


def _mean_of_classes(value: Callable[[np.ndarray], np.ndarray], sums: np.ndarray) -> np.ndarray:
    """Return the mean over the classes with objects, from sums (..., K, *k)."""
    values = defined(Metric("", value)).value(sums)
    return ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))


# None: not for this case.
SUMS: dict[str, Callable[..., np.ndarray | None]] = {
    "pixels": lambda case: np.array(masks.confusion(case.mask, case.target)),
    "hausdorff95": lambda case: np.array([surfaces.hausdorff95_of(*case.distances)]),
    "surface": surface_sums,
    "histogram": lambda case: histograms.pixel_histogram(case.probability, case.target),
    "centreline": lambda case: centrelines.centreline_counts(case.mask, case.target),
    "segments": segment_sums,
    "matching": _matching,
    "by_class": lambda case: None if case.by_class is None else np.stack([_matching(one) for one in case.by_class]),
    "right": lambda case: case.right,
    "aji": lambda case: objects.aji_counts(case.labels, case.target_labels),
    "partition": lambda case: partitions.partition_counts(case.labels, case.target_labels),
}
ALONE = ("hausdorff95",)  # percentiles are not sums, so there is no pooled value
DISTANCES = ("hausdorff95", "average_surface_distance")  # in units of the spacing

_PARTITION = {
    "v_rand": partitions.v_rand_of_counts,
    "variation_of_information": lambda s: partitions.vi_split_of_counts(s) + partitions.vi_merge_of_counts(s),
    "vi_split": partitions.vi_split_of_counts,
    "vi_merge": partitions.vi_merge_of_counts,
}
OF_CLASSES = {
    "dice": Metric("pixels", _each(masks.dice_of_counts, 3)),
    "iou": Metric("pixels", _each(masks.iou_of_counts, 3)),
    "hausdorff95": Metric("hausdorff95", lambda sums: sums[..., 0]),
    "sensitivity": Metric("pixels", _each(masks.sensitivity_of_counts, 4)),
    "specificity": Metric("pixels", _each(masks.specificity_of_counts, 4)),
    "pixel_error": Metric("pixels", _each(masks.pixel_error_of_counts, 4)),
    "auroc": Metric("histogram", histograms.auroc_of_counts),
    "auprc": Metric("histogram", histograms.auprc_of_counts),
    "surface_dice": Metric("surface", surfaces.surface_dice_of_counts),
    "average_surface_distance": Metric("surface", surfaces.average_surface_distance_of_counts),
    "cldice": Metric("centreline", centrelines.cldice_of_counts),
} | {name: Metric("segments", value) for name, value in _PARTITION.items()}


def _of_matching() -> dict[str, Metric]:
    kinds = {
        "average_precision_iou": lambda tp, fp, fn, ious: masks.iou_of_counts(tp, fp, fn),
        "f1": lambda tp, fp, fn, ious: masks.dice_of_counts(tp, fp, fn),
        "panoptic_quality": lambda *counts: objects.panoptic_quality(objects.Matching(*counts)),
    }
    found: dict[str, Metric] = {}
    for name, function in kinds.items():
        at = {f"{name}_{t:g}": partial(_at, function, place) for place, t in enumerate(THRESHOLDS)}
        found |= {key: Metric("matching", value) for key, value in at.items()}
        found[name] = Metric("matching", partial(_at, function, None))
    return found


OF_OBJECTS = (
    _of_matching()
    | {"aji": Metric("aji", objects.aji_of_counts)}
    | {name: Metric("partition", value) for name, value in _PARTITION.items()}
)
OF_TYPED_OBJECTS = {
    "mean_panoptic_quality_0.5": Metric(
        "by_class", partial(_mean_of_classes, OF_OBJECTS["panoptic_quality_0.5"].value)
    ),
    "class_accuracy": Metric("right", lambda sums: ratio(sums[..., 0], sums[..., 1])),
}
