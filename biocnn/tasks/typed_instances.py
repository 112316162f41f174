"""Objects that may touch, each with a class."""

from typing import TYPE_CHECKING, Any

from biocnn.core.errors import InputError
from biocnn.tasks.instances import CLASSES, Instances

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import pandas as pd
    from torch import Tensor

    from biocnn.metrics.catalogue import Metric
    from biocnn.tasks.object_classes import ObjectClasses

MAPS = 1 + CLASSES  # of all objects, before those of classes
RESERVED = ("background", "inside", "boundary", "distance", "objects")  # names of maps, and of all objects in tables


class TypedInstances(Instances):
    """The maps of objects, and the probability of each class, which counts within objects only.

    The class of an object is the one with the highest mean probability over its pixels.
    """

    name = "typed_instances"
    given_as = ""
    metrics = (*Instances.metrics, "mean_panoptic_quality_0.5", "class_accuracy")
    headline = ("average_precision_iou_0.5", "mean_panoptic_quality_0.5", "class_accuracy")
    label = "separate objects, each with a class"
    family = "typed objects"
    left_out = (*Instances.left_out, "average_precision_iou_0.7", "average_precision_iou_0.9")
    judge = "biocnn.evaluation.typed_judge:TypedJudge"
    uncertainty = "biocnn.evaluation.uncertainty.judging:TypedJudge"
    panels = "biocnn.report.typed:TypedPanels"
    figures = "biocnn.report.typed:figures"

    @property
    def object_classes(self) -> list[str]:
        """Return the names of the classes of objects."""
        return self.outputs[MAPS:]

    @property
    def tempered(self) -> list[str]:
        """Return the first class, whose temperature is that of all; other maps have none."""
        return self.object_classes[:1]

    def count_maps(self) -> "Iterator[str]":
        if len(self.object_classes) < 2:
            yield f"out_channels is {self.facts.out_channels}, but objects need {MAPS} maps, and two classes or more"
        if taken := [name for name in self.object_classes if name in RESERVED]:
            yield f"a class is named {taken[0]!r}, which has another meaning"

    def encode_typed(self, labels: "np.ndarray", classes: "np.ndarray") -> "np.ndarray":
        """Add the class of each pixel to the maps of all objects."""
        import numpy as np

        from biocnn.tasks.object_classes import class_map

        return np.concatenate([self.encode(labels), class_map(labels, classes)[None]])

    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> "tuple[np.ndarray, ...]":
        """Return also the numbers of pixels and of objects of each class."""
        import numpy as np

        first = np.unique(truth, return_index=True)[1]
        pixels, objects = (
            np.bincount(values.ravel(), minlength=256)[: len(self.object_classes)]
            for values in (stored[-1], stored[-1].ravel()[first])
        )
        return *super().remember(truth, stored), pixels, objects

    def check_split(self, found: dict[str, list[Any]]) -> "Iterator[tuple[str, str]]":
        """Refuse classes that cannot be learned; note those that are not evaluated."""
        for split, number in _numbers(found).items():
            missing = [name for name, n in zip(self.object_classes, number, strict=True) if not n]
            if missing and split == "train":
                raise InputError(
                    "split: the train split has no object of " + ", ".join(map(repr, missing)),
                    "choose other groups or smaller fractions in split, or leave the class out of data.classes",
                )
            for name in missing:
                yield f"the {split} split has no object of a class: excluded from its metrics", name

    def measure(self, found: dict[str, list[Any]]) -> dict[str, Any]:
        """Measure also the share of each class in the pixels of objects, and count its objects."""
        measured = super().measure({"train": [one[:2] for one in found["train"]]})
        pixels = sum(one[2] for one in found["train"])
        shares = (pixels / max(pixels.sum(), 1)).tolist()
        return measured | {"object_shares": shares, "n_positive": _numbers(found)}

    def columns(self, found: list[Any]) -> "dict[str, np.ndarray]":
        """Return the number of objects of each class."""
        import numpy as np

        return {f"y_{k}": column for k, column in enumerate(np.stack([one[3] for one in found]).T)}

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the objects of each class."""
        return {name: f"{int(column.sum()):,}" for name, column in zip(self.object_classes, y.T, strict=True)}

    @staticmethod
    def catalogue() -> "dict[str, Metric]":
        from biocnn.metrics.catalogue import OF_OBJECTS, OF_TYPED_OBJECTS

        return OF_OBJECTS | OF_TYPED_OBJECTS

    def probability(self, logits: "Tensor") -> "Tensor":
        """Apply also a softmax to the classes of objects."""
        import torch

        return torch.cat([super().probability(logits[:, :MAPS]), logits[:, MAPS:].softmax(1)], dim=1)

    def temperature(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        """Fit the temperature of the classes to some pixels of objects; an object counts as one example."""
        import numpy as np

        from biocnn.tasks import temperature

        share = -(-temperature.PIXELS // number)
        examples = (pair for z, y in batches for pair in zip(z[:, MAPS:], y[:, -1:], strict=True))
        found = [temperature.some_pixels(*pair, share, seed) for seed, pair in enumerate(examples)]
        z, y = map(np.concatenate, zip(*found, strict=True))
        worth = sum(self.facts.n_positive.val) if self.facts.n_positive else len(y)
        return [1.0] * MAPS + temperature.fit_classes(z, y, min(len(y), worth)) * len(self.object_classes)

    def classes_of(self, p: "np.ndarray", labels: "np.ndarray") -> "ObjectClasses":
        """Return class, score and entropy of objects 1..n, given probabilities (K, *spatial) and labels (*spatial)."""
        from biocnn.tasks.object_classes import classes_of

        return classes_of(p[MAPS:], labels)

    def with_table(self, p: "np.ndarray", decided: "np.ndarray") -> "tuple[np.ndarray, pd.DataFrame]":
        """Return labels, and a table with label, class, score and entropy of each object."""
        import numpy as np
        import pandas as pd

        classes = self.classes_of(p, decided)
        columns = {
            "class": np.array(self.object_classes)[classes.number],
            "score": classes.score,
            "entropy": classes.entropy,
        }
        return decided, pd.DataFrame({"label": np.arange(1, len(classes.number) + 1), **columns})

    def classes(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.object_classes, 1)}

    def outlined(self, y: "np.ndarray") -> "np.ndarray":
        """Return the insides of objects, as codes of ``biocnn.tasks.object_classes.with_classes``."""
        import numpy as np

        from biocnn.tasks.object_classes import CODES

        return np.where(super().outlined(y), CODES + y[-1].astype(int), 0)

    def described(self, p: "np.ndarray", labels: "np.ndarray") -> "tuple[np.ndarray, list[np.ndarray]]":
        """Return classes and maps; the score is the probability of the object's class, the third map their entropy."""
        import numpy as np

        classes = self.classes_of(p, labels)
        number = np.append(0, classes.number)[labels]
        score = np.take_along_axis(p[MAPS:], number[None], 0)[0]
        kind = np.where(labels > 0, number + 1, 0).astype(np.uint8)
        return kind, [score, self.entropy(p), np.append(0, classes.entropy)[labels]]

    def class_weights(self) -> "Tensor":
        """1 / share of each class of pixels, with mean 1, and 1 / share of each class of objects, with mean 1."""
        import torch

        shares = torch.tensor(self.facts.object_shares).clamp(min=1e-3)
        return torch.cat([super().class_weights(), shares.reciprocal() / shares.reciprocal().mean()])


def _numbers(found: dict[str, list[Any]]) -> dict[str, list[int]]:
    """Return the number of objects of each class in each split."""
    return {split: sum(one[3] for one in images).tolist() for split, images in found.items()}
