"""Classes of the bases of sequences: one or several, judged over all bases together.

Most windows of a genome have no base of a class, so that a mean over windows means little.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from biocnn.core.errors import InputError
from biocnn.tasks.classes import Classes
from biocnn.tasks.maps import PixelClasses
from biocnn.tasks.mask import Mask
from biocnn.tasks.task import Score

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from torch import Tensor

    from biocnn.metrics.catalogue import Metric

OF_BASES = ("dice", "focal", "dice_focal", "tversky")  # losses without outlines, of one and of several classes


class BaseClasses(PixelClasses):
    """One class per base."""

    inputs: ClassVar[tuple[str, ...]] = ("sequence",)
    monitor = "auprc"
    headline = ("auprc", "dice")
    metrics: tuple[str, ...] = ("auprc", "dice", "iou", "sensitivity", "specificity", "auroc")
    family = "bases"
    judge = "biocnn.evaluation.base_judge:BaseJudge"
    baselines = "biocnn.evaluation.per_base_baselines:baselines"
    comparison = "biocnn.evaluation.per_base_baselines:compare"
    worst_by = "base_error"
    uncertainty = ""
    panels = ""
    figures = "biocnn.report.bases:figures"

    def check_split(self, found: dict[str, list[Any]]) -> "Iterator[tuple[str, str]]":
        """Refuse a training split without bases of a class or of the background."""
        for split, counts in found.items():
            total = sum(count for count, _ in counts)
            for name, number in zip(self.pixel_classes, total, strict=False):
                if not number and split == "train":
                    raise InputError(
                        f"split: no base of the training split is {name}",
                        "name other contigs in split.val and split.test, and check data.classes",
                    )
                if not number:
                    yield f"no base of the {split} split: metrics are undefined", name

    def measure(self, found: dict[str, list[Any]]) -> dict[str, Any]:
        """Measure the shares of the classes in the training split, and of windows with a class."""
        occupied = [bool(counts[1:-1].any()) for counts, _ in found["train"]]
        return super().measure(found) | {"occupied": sum(occupied) / len(occupied)}

    def calibration(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> dict[str, list[float]]:
        """Fit a temperature and shifts, because losses of overlap predict too many bases of a rare class."""
        import numpy as np

        from biocnn.tasks.temperature import fit_shifted

        z, y, worth = self.sampled(batches, number)
        every = np.pad(z, ((0, 0), (len(self.pixel_classes) - z.shape[1], 0)))  # the background of a mask has logit 0
        temperature, shift = fit_shifted(every, y, worth)
        return {"temperature": [temperature], "shift": shift[-z.shape[1] :]}

    @staticmethod
    def catalogue() -> "dict[str, Metric]":
        """Return the metrics that count bases."""
        from biocnn.metrics.catalogue import OF_CLASSES

        return {name: metric for name, metric in OF_CLASSES.items() if metric.sums in ("pixels", "histogram")}

    def score(self) -> Score:
        """Return the score: mean over classes of the area under the precision-recall curve of all bases, and Dice."""
        return _BaseScore(self)


class BaseMask(BaseClasses, Mask):
    """One class of bases: the probability of each base to belong to it."""

    losses: tuple[str, ...] = ("dice_bce", "bce", *OF_BASES)
    label = "one class or none for each base"


class SeveralBaseClasses(BaseClasses, Classes):
    """Several classes of bases that exclude each other, background first."""

    losses: tuple[str, ...] = ("dice_cross_entropy", "cross_entropy", *OF_BASES)
    label = "one class for each base"


class _BaseScore(Score):
    def __init__(self, task: PixelClasses) -> None:
        self.task = task
        self.found: dict[int, list[np.ndarray]] = {}

    def add(self, p: "Tensor", y: "Tensor") -> None:
        """Add predictions for windows, (N, K, L), and their targets, (N, 1, L)."""
        import numpy as np

        from biocnn.metrics.histograms import pixel_histogram
        from biocnn.metrics.masks import confusion

        every, target = p.cpu().numpy().swapaxes(0, 1), y[:, 0].cpu().numpy()
        of_class, decided = self.task.distribution(every), self.task.likeliest(every)
        for k in self.task.classes().values():
            counts = [pixel_histogram(of_class[k], target, label=k), np.array(confusion(decided, target, label=k))]
            self.found[k] = [old + new for old, new in zip(self.found.get(k, [0, 0]), counts, strict=True)]

    def value(self) -> dict[str, float]:
        import numpy as np

        from biocnn.metrics.histograms import auprc_of_counts
        from biocnn.metrics.masks import dice_of_counts

        areas = np.array([auprc_of_counts(histogram) for histogram, _ in self.found.values()])
        known = ~np.isnan(areas)
        dice = np.mean([dice_of_counts(*counts[:3]) for _, counts in self.found.values()])
        return {"auprc": float(areas[known].mean()) if known.any() else float("nan"), "dice": float(dice)}
