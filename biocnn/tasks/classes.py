"""One class for each pixel."""

from typing import TYPE_CHECKING, Any, ClassVar

from biocnn.tasks.maps import OF_MAPS, PixelClasses

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MOST_EXPLAINED = 4  # most classes explained per image


class Classes(PixelClasses):
    """One output per class, background first; each pixel has one class."""

    name = "classes"
    given_as = "classes"
    inputs: ClassVar[tuple[str, ...]] = ("image", "sequence")
    special: ClassVar = {"sequence": "biocnn.tasks.bases:SeveralBaseClasses"}
    losses: tuple[str, ...] = ("dice_cross_entropy", "cross_entropy", *OF_MAPS)
    metrics: tuple[str, ...] = ("dice", "iou", "hausdorff95", "sensitivity", "specificity", "pixel_error")
    label = "one class for each pixel"
    panels = "biocnn.report.panels:ClassPanels"

    def probability(self, logits: "Tensor") -> "Tensor":
        return logits.softmax(1)

    def likeliest(self, p: Any) -> Any:
        return p.argmax(0)

    def fit_temperature(self, logits: "np.ndarray", target: "np.ndarray", worth: float) -> list[float]:
        """Fit one temperature for all classes."""
        from biocnn.tasks.temperature import fit_classes

        return fit_classes(logits, target, worth)

    def classes(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(self.outputs) if k}

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return the predicted classes except the background, most frequent first; the likeliest if there are none."""
        counts = p.argmax(dim=0).flatten().bincount(minlength=len(p))
        frequent = [1 + k for k in counts[1:].argsort(descending=True, stable=True).tolist()]
        return [k for k in frequent if counts[k]][:MOST_EXPLAINED] or frequent[:1]
