"""Boxes around objects."""

from typing import TYPE_CHECKING, Any, NamedTuple

from biocnn.core.errors import InputError
from biocnn.tasks.target import PARTIAL, Boxes
from biocnn.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch import Tensor


class _Found(NamedTuple):
    """Number of boxes of each class in an image, (K,), and the diameter of each, in pixels."""

    counts: "np.ndarray"
    diameters: "np.ndarray"


class FindBoxes(Task):
    """Boxes with a class and a score; those of truth with label -1 are neither objects nor background."""

    name = "boxes"
    inputs = ("image",)
    target = Boxes()
    losses = ()
    monitor = "ap50"
    metrics = ()
    headline = ()
    label = "a box around each object"
    family = "boxes"

    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> _Found:
        """Count the boxes of each class; the diameter of a box is the square root of height times width."""
        import numpy as np

        dims = self.facts.spatial_dims
        known = truth[truth[:, 0] != PARTIAL]
        counts = np.bincount(known[:, 0].astype(int), minlength=len(self.outputs))
        return _Found(counts, (known[:, -dims:] - known[:, 1 : 1 + dims]).prod(axis=1) ** (1 / dims))

    def check_split(self, found: dict[str, list[_Found]]) -> "Iterator[tuple[str, str]]":
        """Refuse classes that cannot be learned and splits without boxes; note classes that are not evaluated."""
        for split, number in self._numbers(found).items():
            missing = [name for name, n in zip(self.outputs, number, strict=True) if not n]
            if missing and (split == "train" or len(missing) == len(self.outputs)):
                raise InputError(
                    f"split: the {split} split has no box of " + ", ".join(map(repr, missing)),
                    f"choose other groups or a larger fraction in split.{split}",
                )
            for name in missing:
                yield f"the {split} split has no box of a class: excluded from its metrics", name

    def measure(self, found: dict[str, list[_Found]]) -> dict[str, Any]:
        """Count the boxes of each class, and measure their sizes in the training split."""
        from biocnn.tasks.objects import measure_objects

        diameters = [one.diameters for one in found["train"]]
        return {"n_positive": self._numbers(found), "objects": measure_objects(diameters)}

    def columns(self, found: list[_Found]) -> "dict[str, np.ndarray]":
        """Return the number of boxes of each class."""
        import numpy as np

        return {f"y_{k}": column for k, column in enumerate(np.stack([one.counts for one in found]).T)}

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the boxes of each class."""
        return {name: f"{int(column.sum()):,}" for name, column in zip(self.outputs, y.T, strict=True)}

    @staticmethod
    def _numbers(found: dict[str, list[_Found]]) -> dict[str, list[int]]:
        """Return the number of boxes of each class in each split."""
        import numpy as np

        return {split: np.sum([one.counts for one in images], axis=0).tolist() for split, images in found.items()}

    def class_weights(self) -> "Tensor":
        raise NotImplementedError

    def probability(self, logits: "Tensor") -> "Tensor":
        raise NotImplementedError
