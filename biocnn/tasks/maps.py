"""Common base of tasks with a class per pixel: ground truth of shape (*spatial), 255 if unknown."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from biocnn.tasks.target import ClassMap
from biocnn.tasks.task import Score, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from torch import Tensor

    from biocnn.metrics.catalogue import Metric

OF_MAPS = ("dice", "focal", "dice_focal", "tversky", "boundary", "cldice")  # losses of masks and of class maps


class MapTask(Task):
    """A value per pixel, from which masks or labels are made."""

    inputs: ClassVar[tuple[str, ...]] = ("image",)
    target = ClassMap()
    figures = "biocnn.report.segmentation:figures"
    applied = "biocnn.apply.segment.step:segment_image"
    exports = ("rois", "geojson", "coco", "coloured")
    segmenter: ClassVar[str]  # import path of the function that finds objects in images of any size, block by block

    def encode(self, truth: "np.ndarray") -> "np.ndarray":
        """Add a channel axis to classes."""
        return truth[None]

    @property
    def class_count(self) -> int:
        """Return the number of classes, including the background."""
        return max(2, len(self.pixel_classes))

    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> "tuple[np.ndarray, ...]":
        """Return pixel counts of each class and of all known pixels; diameters of objects, in pixels."""
        import numpy as np

        found = np.bincount(stored[0].ravel(), minlength=256)
        return np.append(found[: self.class_count], found[:255].sum()), np.zeros(0)

    def measure(self, found: dict[str, list[Any]]) -> dict[str, Any]:
        """Measure shares of the classes, and sizes of objects, in the training split."""
        from biocnn.tasks.objects import measure_objects

        counts, diameters = zip(*found["train"], strict=True)
        *shares, known = sum(counts)
        return {"class_shares": [float(n / max(known, 1)) for n in shares], "objects": measure_objects(diameters)}

    @staticmethod
    @abstractmethod
    def catalogue() -> "dict[str, Metric]":
        """Return all metrics by name, including optional ones."""

    @abstractmethod
    def decide(self, p: "np.ndarray", postprocess: dict[str, Any]) -> "np.ndarray":
        """Turn probabilities (K, *spatial) into the reported result.

        Parameters
        ----------
        p
            Shape (K, *spatial).
        postprocess
            Settings from ``tune``.

        Returns
        -------
        decided
            Shape (*spatial): classes, uint8; or labels, int32, with 0 = background.
        """

    def with_table(self, p: "np.ndarray", decided: "np.ndarray") -> Any:
        """Return what was decided from p (K, *spatial), with a table if objects have classes."""
        return decided

    def postprocess_at(self, postprocess: dict[str, Any], zoom: "Sequence[float]") -> dict[str, Any]:
        """Adapt settings from ``tune`` to images with ``zoom`` pixels per training pixel along each axis."""
        return postprocess

    @property
    def pixel_classes(self) -> list[str]:
        """Return the names of the classes of a pixel, background first."""
        return self.outputs

    @abstractmethod
    def classes(self) -> dict[str, int]:
        """Return what is found, by name, with its value in decided maps; 1 if these label objects."""

    def calibrated(self) -> dict[str, int]:
        """Return the classes of a pixel whose probability is checked for calibration, with their indices."""
        return {name: k for k, name in enumerate(self.pixel_classes)}

    def distribution(self, p: "np.ndarray") -> "np.ndarray":
        """Return the probability of each of ``pixel_classes``, (classes, *spatial), float32, from (K, *spatial)."""
        import numpy as np

        return np.asarray(p, np.float32)[: len(self.pixel_classes)]

    def outlined(self, y: "np.ndarray") -> "np.ndarray":
        """Return what to outline, (*spatial), of a target as learned, (K, *spatial)."""
        return y[0]

    def entropy(self, p: "np.ndarray") -> "np.ndarray":
        """Return the entropy of each pixel, normalised by the logarithm of the number of classes to 0 to 1.

        Parameters
        ----------
        p
            Shape (K, *spatial).

        Returns
        -------
        entropy
            Shape (*spatial), float32, in units of ln(number of classes) nats.
        """
        import numpy as np
        from scipy.special import entr

        p = self.distribution(p)
        return (entr(p).sum(axis=0) / np.float32(np.log(len(p)))).astype(np.float32)

    def class_weights(self) -> "Tensor":
        """1 / share of each class, with mean 1."""
        import torch

        shares = torch.tensor(self.facts.class_shares).clamp(min=1e-3)
        return shares.reciprocal() / shares.reciprocal().mean()


class PixelClasses(MapTask):
    """One class per pixel."""

    monitor = "dice"
    headline = ("dice", "iou")
    family = "masks"
    judge = "biocnn.evaluation.judges:ClassJudge"
    uncertainty = "biocnn.evaluation.uncertainty.judging:ClassJudge"
    segmenter = "biocnn.apply.segment.masks:connect_blocks"

    @staticmethod
    def catalogue() -> "dict[str, Metric]":
        from biocnn.metrics.catalogue import OF_CLASSES

        return OF_CLASSES

    def certain(self, truth: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Return probabilities (K, *spatial) without doubt, and the mask; unknown pixels are background."""
        import numpy as np

        outputs = range(self.class_count - len(self.outputs), self.class_count)
        p = np.stack([truth == k for k in outputs]).astype(np.float32)
        return p, self.decide(p, {})

    @abstractmethod
    def likeliest(self, p: Any) -> Any:
        """Return the class of each pixel, (K, *spatial) to (*spatial), for arrays and tensors."""

    def decide(self, p: "np.ndarray", postprocess: dict[str, Any]) -> "np.ndarray":
        """Return the likeliest class of each pixel."""
        return self.likeliest(p).astype("uint8")

    def score(self) -> Score:
        """Return the score: mean over images of the mean Dice of all classes except the background."""
        return _DiceScore(self)

    def temperature(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        """Fit the temperature to some pixels of each image."""
        return self.fit_temperature(*self.sampled(batches, number))

    @staticmethod
    def sampled(batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> "tuple[np.ndarray, np.ndarray, float]":
        """Return logits (N, K) and classes (N,) of some pixels of each image, and how many examples they count as."""
        import numpy as np

        from biocnn.tasks import temperature

        share = -(-temperature.PIXELS // number)
        examples = (pair for z, y in batches for pair in zip(z, y, strict=True))
        found = [temperature.some_pixels(*pair, share, seed) for seed, pair in enumerate(examples)]
        z, y = map(np.concatenate, zip(*found, strict=True))
        return z, y, min(len(y), temperature.WORTH * number)

    @abstractmethod
    def fit_temperature(self, logits: "np.ndarray", target: "np.ndarray", worth: float) -> list[float]:
        """Fit the temperature to pixels (N, K) and classes (N,), which count as ``worth`` independent examples."""


class _DiceScore(Score):
    def __init__(self, task: PixelClasses) -> None:
        self.task = task
        self.found: list[float] = []

    def add(self, p: "Tensor", y: "Tensor") -> None:
        """Add predictions for images, and their targets (N, 1, *spatial)."""
        import numpy as np

        from biocnn.metrics import dice

        for one, (target,) in zip(p, y, strict=True):
            pair = self.task.likeliest(one).cpu().numpy(), target.cpu().numpy()
            self.found.append(float(np.mean([dice(*pair, label=k) for k in self.task.classes().values()])))

    def value(self) -> dict[str, float]:
        import numpy as np

        return {"dice": float(np.mean(self.found))}
