"""Objects that may touch."""

from math import prod
from typing import TYPE_CHECKING, Any

from biocnn.tasks.maps import MapTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from torch import Tensor

    from biocnn.metrics.catalogue import Metric

CLASSES = 3  # background, inside, boundary; the distance after them is not a probability
TUNING = 8e-6  # seconds for each pixel of validation images: 7e-6 to 9e-6 were measured (AMD EPYC, Zen 4)
_AT = ("_0.5", "_0.6", "_0.7", "_0.8", "_0.9", "")


class Instances(MapTask):
    """Four maps that a watershed turns into objects: P(background), P(inside), P(boundary), distance to the edge."""

    name = "instances"
    given_as = "instances"
    losses = ("instances",)
    monitor = ""
    metrics = (*(f"{name}{at}" for name in ("average_precision_iou", "f1", "panoptic_quality") for at in _AT), "aji")
    headline: tuple[str, ...] = ("average_precision_iou_0.5", "average_precision_iou")
    label = "separate objects"
    family = "objects"
    objects = True
    kept = "int32"
    rivals = CLASSES
    judge = "biocnn.evaluation.judges:ObjectJudge"
    uncertainty = "biocnn.evaluation.uncertainty.judging:ObjectJudge"
    panels = "biocnn.report.panels:ObjectPanels"
    segmenter = "biocnn.apply.segment.instances:label_blocks"
    # The table shows some of the metrics at five thresholds; a figure shows the average precision at all of them.
    left_out = (
        *(f"average_precision_iou{at}" for at in ("_0.6", "_0.8")),
        *(f"{name}{at}" for name in ("f1", "panoptic_quality") for at in _AT[1:]),
    )

    def check_facts(self) -> "Iterator[str]":
        yield from super().check_facts()
        yield from self.count_maps()

    def count_maps(self) -> "Iterator[str]":
        """Yield what is wrong with the number of maps."""
        if self.facts.out_channels != 1 + CLASSES:
            yield f"out_channels is {self.facts.out_channels}, but objects need {1 + CLASSES} maps"

    def encode(self, truth: "np.ndarray") -> "np.ndarray":
        """Convert labels to the maps that are learned."""
        from biocnn.tasks.instance_targets import instance_targets

        return instance_targets(truth)

    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> "tuple[np.ndarray, ...]":
        from biocnn.tasks.objects import diameters

        counts, _ = super().remember(truth, stored)
        return counts, diameters(truth)

    @staticmethod
    def catalogue() -> "dict[str, Metric]":
        from biocnn.metrics.catalogue import OF_OBJECTS

        return OF_OBJECTS

    @property
    def object_classes(self) -> list[str]:
        """Return the names of the classes of objects; none here."""
        return []

    @property
    def pixel_classes(self) -> list[str]:
        return self.outputs[:CLASSES]

    def probability(self, logits: "Tensor") -> "Tensor":
        """Apply a softmax to background, inside and boundary, and a sigmoid to the distance."""
        import torch

        return torch.cat([logits[:, :CLASSES].softmax(1), logits[:, CLASSES:].sigmoid()], dim=1)

    # No temperature: the watershed's thresholds are tuned on the uncalibrated maps.
    def tune(self, probabilities: "Iterable[np.ndarray]", labels: "Iterable[np.ndarray]") -> dict[str, Any]:
        """Tune the settings of the watershed on validation images."""
        from biocnn.tasks.watershed import tune_instances

        return tune_instances(list(probabilities), list(labels))

    def tuning_seconds(self) -> float:
        from biocnn.tasks.watershed import TUNING_PIXELS

        assert self.facts.n
        assert self.facts.sizes
        return TUNING * min(TUNING_PIXELS, self.facts.n.val * prod(self.facts.sizes.median))

    def decide(self, p: "np.ndarray", postprocess: dict[str, Any]) -> "np.ndarray":
        """Label objects."""
        from biocnn.tasks.watershed import label_instances

        return label_instances(p, **postprocess)

    def certain(self, truth: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Return the probability of the background, (1, *spatial), without doubt, and the labels."""
        return (truth == 0)[None].astype("float32"), truth

    def postprocess_at(self, postprocess: dict[str, Any], zoom: "Sequence[float]") -> dict[str, Any]:
        from biocnn.tasks.watershed import settings_at

        return settings_at(postprocess, zoom)

    def classes(self) -> dict[str, int]:
        return {"object": 1}

    def described(self, p: "np.ndarray", labels: "np.ndarray") -> "tuple[np.ndarray, list[np.ndarray]]":
        """Return the class of the object of each pixel, and maps whose means describe objects, each (*spatial).

        Maps: score, the probability of foreground, and uncertainty, the entropy.
        """
        import numpy as np

        return np.ones_like(labels, np.uint8), [1 - p[0], self.entropy(p)]

    def outlined(self, y: "np.ndarray") -> "np.ndarray":
        """Return the insides of objects."""
        from biocnn.tasks.instance_targets import INSIDE

        return (y[0] == INSIDE).astype("uint8")

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return the output "inside"."""
        from biocnn.tasks.instance_targets import INSIDE

        return [INSIDE]
