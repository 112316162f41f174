"""Foreground or background for each pixel."""

from typing import TYPE_CHECKING, Any, ClassVar

from biocnn.tasks.maps import OF_MAPS, PixelClasses

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch import Tensor


class Mask(PixelClasses):
    """One output: the probability of foreground."""

    name = "mask"
    given_as = "binary"
    inputs: ClassVar[tuple[str, ...]] = ("image", "sequence")
    special: ClassVar = {"sequence": "biocnn.tasks.bases:BaseMask"}
    losses: tuple[str, ...] = ("dice_bce", "bce", *OF_MAPS)
    metrics: tuple[str, ...] = (
        "dice",
        "iou",
        "hausdorff95",
        "sensitivity",
        "specificity",
        "pixel_error",
        "auroc",
        "auprc",
    )
    label = "foreground or background for each pixel"
    panels = "biocnn.report.panels:MaskPanels"

    def check_facts(self) -> "Iterator[str]":
        yield from super().check_facts()
        if len(self.outputs) > 1:
            yield f"task is mask, but there are {len(self.outputs)} outputs: classes"

    def probability(self, logits: "Tensor") -> "Tensor":
        return logits.sigmoid()

    def class_weights(self) -> "Tensor":
        """Return background pixels per foreground pixel."""
        import torch

        shares = torch.tensor(self.facts.class_shares).clamp(min=1e-3)
        return shares[:1] / shares[1:2]

    def likeliest(self, p: Any) -> Any:
        return p[0] > 0.5

    def fit_temperature(self, logits: "np.ndarray", target: "np.ndarray", worth: float) -> list[float]:
        from biocnn.tasks.temperature import fit_temperature

        return fit_temperature(logits, target[:, None], worth)

    def classes(self) -> dict[str, int]:
        return {self.outputs[0]: 1}

    @property
    def pixel_classes(self) -> list[str]:
        return ["background", self.outputs[0]]

    def calibrated(self) -> dict[str, int]:
        """Return the foreground; the background is its complement."""
        return self.classes()

    def distribution(self, p: "np.ndarray") -> "np.ndarray":
        import numpy as np

        p = np.asarray(p, np.float32)
        return np.concatenate([1 - p, p])

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return the foreground."""
        return [0]
